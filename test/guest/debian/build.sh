#!/bin/bash
# Builds the Debian guest: Debian 12 with cloud-init, qemu-guest-agent and sshd.
#
#   build.sh SOURCES OUT
#
# SOURCES is an apt source list. OUT receives boot.fat (SYSLINUX, kernel, initrd), mbr.bin and root.ext4.
# Needs root, mmdebstrap, mtools, e2fsprogs, and apt with package lists for the boot loader.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
sources=$1 out=$2
[ "$(id -u)" = 0 ] || { echo "building the Debian guest needs root: files of many owners go into its file system" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
mkdir -p "$out"
export SOURCE_DATE_EPOCH=0

packages=$(sed 's/#.*//' "$here/packages.txt" | tr -s ' \n' ',,' | sed 's/^,//; s/,$//')
mmdebstrap --quiet --mode=root --variant=minbase --architectures=amd64 --include="$packages" \
	--aptopt='APT::Install-Recommends "false"' \
	--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
	--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
	--essential-hook="bash $here/prepare.sh \"\$1\"" \
	--customize-hook="bash $here/customize.sh \"\$1\"" \
	bookworm "$work/root" "$sources"

root=$work/root
(cd "$work" && apt-get -qq -o APT::Sandbox::User=root download syslinux syslinux-common) ||
	{ echo "could not download syslinux: run apt-get update first" >&2; exit 1; }
for deb in "$work"/*.deb; do dpkg-deb -x "$deb" "$work/boot"; done

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
# Room for the next kernel: the guest copies each one here (/etc/kernel/postinst.d/zz-boot-partition).
rm -f "$out/boot.fat" "$out/root.ext4"
truncate -s 96M "$out/boot.fat"
mformat -i "$out/boot.fat" -T $((96 * 2048)) -h 255 -s 63 -H 2048 -N 44454249 -v BOOT ::
mcopy -i "$out/boot.fat" "$(readlink -f "$root"/boot/vmlinuz-*)" ::vmlinuz
mcopy -i "$out/boot.fat" "$(readlink -f "$root"/boot/initrd.img-*)" ::initrd
mcopy -i "$out/boot.fat" "$work/syslinux.cfg" ::
"$work/boot/usr/bin/syslinux" --install "$out/boot.fat"
cp "$work/boot/usr/lib/syslinux/mbr/mbr.bin" "$out/mbr.bin"

mke2fs -q -t ext4 -L root -U 7f0c6f0e-3c0b-4f7a-9a55-64656269616e -E hash_seed=7f0c6f0e-3c0b-4f7a-9a55-64656269616e,root_owner=0:0 \
	-m 1 -d "$root" "$out/root.ext4" 4000M
chroot "$root" dpkg-query -W -f '${Package} ${Version}\n' >"$out/packages.txt"
