#!/bin/bash
# Builds the tiny guest: a Debian kernel and an initramfs with Debian's static busybox.
#
#   build.sh KERNEL OUT
#
# KERNEL is the Debian package that names the kernel: linux-image-cloud-amd64 boots fastest under emulation,
# linux-image-amd64 also drives emulated hardware (AHCI, e1000e, USB, the i6300esb watchdog).
# OUT receives vmlinuz, initrd and boot.fat, a FAT file system that boots both: with SYSLINUX where the firmware is a BIOS,
# and with Debian's signed shim and GRUB where it is UEFI, also with Secure Boot.
# Needs apt with package lists, cpio, lz4 and mtools; no root, no mounts.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
kernel=$1 out=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export SOURCE_DATE_EPOCH=0

fetch() { # name...: unpacks Debian packages, without what they depend on, below $work/debs
	local name
	for name; do
		mkdir -p "$work/fetch"
		(cd "$work/fetch" && apt-get -qq -o APT::Sandbox::User=root download "$name") ||
			{ echo "could not download $name: run apt-get update first" >&2; exit 1; }
		dpkg-deb -x "$work/fetch"/*.deb "$work/debs"
		rm -r "$work/fetch"
	done
}

# The name of the kernel package changes with each update; the meta package depends on the current one.
package=$(apt-cache depends --no-recommends "$kernel" | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
[ -n "$package" ] || { echo "no package list knows $kernel: run apt-get update first" >&2; exit 1; }
fetch "$package" busybox-static syslinux syslinux-common shim-signed grub-efi-amd64-signed
release=${package#linux-image-}

# modules.txt is in load order of need; dependencies are added from the kernel's own list.
root=$work/root
modules=$work/debs/lib/modules/$release
[ -d "$modules" ] || modules=$work/debs/usr/lib/modules/$release
depmod -b "${modules%/lib/modules/*}" "$release"
mkdir -p "$root/lib/modules/$release"
wanted=$(sed 's/#.*//' "$here/modules.txt")
while read -r file; do
	install -D -m 644 "$modules/$file" "$root/lib/modules/$release/$file"
done < <(
	for module in $wanted; do
		# A module missing here is built in, or not for this kernel.
		line=$(grep -E "(^|/)${module//_/[-_]}\.ko:" "$modules/modules.dep") || continue
		tr -d : <<<"$line" | tr ' ' '\n'
	done | sed '/^$/d' | sort -u
)
cp "$modules/modules.order" "$modules/modules.builtin" "$root/lib/modules/$release/"
depmod -b "$root" "$release"
rm -f "$root/lib/modules/$release"/modules.{order,builtin,softdep,symbols,devname}* "$root/lib/modules/$release"/*.bin

mkdir -p "$root"/{bin,sbin,usr/bin,usr/sbin,dev,proc,sys,run,tmp,mnt,root,var/run,www}
install -m 755 "$work/debs/bin/busybox" "$root/bin/busybox"
cp -r "$here/rootfs/." "$root/"
chmod 755 "$root"/etc/rc "$root"/etc/seed "$root"/etc/udhcpc/default.script "$root"/sbin/* "$root"/etc/acpi/PWRF/*
ln -s bin/busybox "$root/init"
for applet in $("$root/bin/busybox" --list); do
	case $applet in busybox | '[['*) continue ;; esac
	[ -e "$root/sbin/$applet" ] || ln -s /bin/busybox "$root/bin/$applet"
done
ln -s /bin/busybox "$root/sbin/modprobe" # the kernel calls it by this name
find "$root" -exec touch -h -d @0 {} +

mkdir -p "$out"
cp "$work/debs/boot/vmlinuz-$release" "$out/vmlinuz"
# LZ4 in the old frame format is what the kernel reads fastest.
(cd "$root" && find . | LC_ALL=C sort | cpio --quiet --reproducible -R 0:0 -o -H newc) | lz4 -l -9 -c >"$out/initrd"

# The file system is as large as its content needs, plus 4 MiB for what a test writes to it.
cat >"$work/syslinux.cfg" <<C
DEFAULT linux
PROMPT 0
NOESCAPE 1
TIMEOUT 0
LABEL linux
  KERNEL /vmlinuz
  INITRD /initrd
  APPEND $(tr '\n' ' ' <"$here/cmdline")
C
# Firmware starts the first file, which starts the second, which reads its configuration where it was built to look.
mkdir -p "$work/esp/EFI/BOOT" "$work/esp/EFI/debian"
cp "$work/debs/usr/lib/shim/shimx64.efi.signed" "$work/esp/EFI/BOOT/BOOTX64.EFI"
cp "$work/debs/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed" "$work/esp/EFI/BOOT/grubx64.efi"
cat >"$work/esp/EFI/debian/grub.cfg" <<C
linux /vmlinuz $(tr '\n' ' ' <"$here/cmdline")
initrd /initrd
boot
C
find "$work/esp" "$work/syslinux.cfg" "$out/vmlinuz" "$out/initrd" -exec touch -d @0 {} +
kib=$((($(stat -c %s "$out/vmlinuz") + $(stat -c %s "$out/initrd")) / 1024 + $(du -sk "$work/esp" | cut -f1) + 4096))
rm -f "$out/boot.fat"
truncate -s ${kib}K "$out/boot.fat"
# Geometry and hidden sectors are those of the partition the file system will stand in.
mformat -i "$out/boot.fat" -T $((kib * 2)) -h 255 -s 63 -H 2048 -N 54494e59 -v VIRTPLANE ::
mcopy -i "$out/boot.fat" -m -s "$out/vmlinuz" "$out/initrd" "$work/syslinux.cfg" "$work/esp/EFI" ::
"$work/debs/usr/bin/syslinux" --install "$out/boot.fat"
cp "$work/debs/usr/lib/syslinux/mbr/mbr.bin" "$out/mbr.bin"
echo "$release" >"$out/kernel-release"
