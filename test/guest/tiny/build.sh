#!/bin/bash
# Builds the tiny guest: a kernel, and an initramfs with Debian's static busybox.
#
#   build.sh KERNEL OUT [agent]
#
# KERNEL is a folder with a kernel that has all built in, or the Debian package that names a kernel with modules:
# linux-image-cloud-amd64 is signed, linux-image-amd64 also drives emulated hardware (AHCI, e1000e, USB, the i6300esb
# watchdog). With agent, the initramfs has Debian's qemu-guest-agent.
# OUT receives vmlinuz, initrd and boot.fat, a FAT file system that boots both: with SYSLINUX where the firmware is a BIOS,
# and with Debian's signed shim and GRUB where it is UEFI; Secure Boot takes the kernels of Debian's only.
# Needs apt with package lists, cpio, kmod, lz4 and mtools; no root, no mounts.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
kernel=$1 out=$2 contents=${3:-}
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

root=$work/root
fetch busybox-static syslinux syslinux-common shim-signed grub-efi-amd64-signed
mkdir -p "$root"/sbin

add_modules() { # release: puts the modules of modules.txt, in load order of need, and what they depend on into the root
	local release=$1 modules=$work/debs/lib/modules/$1 module file line
	[ -d "$modules" ] || modules=$work/debs/usr/lib/modules/$release
	depmod -b "${modules%/lib/modules/*}" "$release"
	mkdir -p "$root/lib/modules/$release"
	while read -r file; do
		install -D -m 644 "$modules/$file" "$root/lib/modules/$release/$file"
	done < <(
		for module in $(sed 's/#.*//' "$here/modules.txt"); do
			# A module missing here is built in, or not for this kernel.
			line=$(grep -E "(^|/)${module//_/[-_]}\.ko:" "$modules/modules.dep") || continue
			tr -d : <<<"$line" | tr ' ' '\n'
		done | sed '/^$/d' | sort -u
	)
	cp "$modules/modules.order" "$modules/modules.builtin" "$root/lib/modules/$release/"
	depmod -b "$root" "$release"
	rm -f "$root/lib/modules/$release"/modules.{order,builtin,softdep,symbols,devname}* "$root/lib/modules/$release"/*.bin
}

if [ -d "$kernel" ]; then
	cp "$kernel/vmlinuz" "$kernel/kernel-release" "$out/"
else
	# The name of the kernel package changes with each update; the meta package depends on the current one.
	package=$(apt-cache depends --no-recommends "$kernel" | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
	[ -n "$package" ] || { echo "no package list knows $kernel: run apt-get update first" >&2; exit 1; }
	fetch "$package"
	release=${package#linux-image-}
	cp "$work/debs/boot/vmlinuz-$release" "$out/vmlinuz"
	echo "$release" >"$out/kernel-release"
	add_modules "$release"
fi

mkdir -p "$root"/{bin,sbin,usr/bin,usr/sbin,dev,proc,sys,run,tmp,mnt,root,var/run,www}
install -m 755 "$work/debs/bin/busybox" "$root/bin/busybox"
cp -r "$here/rootfs/." "$root/"
if [ "$contents" = agent ]; then
	fetch qemu-guest-agent libc6 libglib2.0-0 libnuma1 libpcre2-8-0 libudev1 liburing2 base-files
	cp -r "$here/agent/." "$root/"
	mkdir -p "$root"/{lib64,lib/x86_64-linux-gnu,home/debian}
	cp "$work/debs/usr/sbin/qemu-ga" "$root/sbin/"
	cp "$work/debs/usr/lib/os-release" "$root/etc/"
	for library in libc.so.6 libm.so.6 libglib-2.0.so.0 libgmodule-2.0.so.0 libnuma.so.1 libpcre2-8.so.0 libudev.so.1 liburing.so.2; do
		for folder in "$work"/debs/{lib,usr/lib}/x86_64-linux-gnu; do
			[ ! -e "$folder/$library" ] || cp -L "$folder/$library" "$root/lib/x86_64-linux-gnu/"
		done
	done
	cp -L "$work/debs/lib64/ld-linux-x86-64.so.2" "$root/lib64/"
fi
chmod 755 "$root"/etc/rc "$root"/etc/seed "$root"/etc/udhcpc/default.script "$root"/sbin/* "$root"/etc/acpi/PWRF/*
ln -s bin/busybox "$root/init"
# The kernel calls the one by this name, the agent the other.
ln -s /bin/busybox "$root/sbin/modprobe"
ln -s /bin/busybox "$root/sbin/hwclock"
for applet in $("$root/bin/busybox" --list); do
	case $applet in busybox | '[['*) continue ;; esac
	[ -e "$root/sbin/$applet" ] || [ -L "$root/sbin/$applet" ] || ln -s /bin/busybox "$root/bin/$applet"
done
find "$root" -exec touch -h -d @0 {} +

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
