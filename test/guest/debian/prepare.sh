#!/bin/bash
# prepare.sh ROOT: what must be there before most packages are installed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$1
cp -r "$here/rootfs/." "$root"
chmod 755 "$root"/usr/lib/guest/* "$root"/etc/initramfs-tools/hooks/* "$root"/etc/kernel/postinst.d/zz-boot-partition
# The initrd loads a fixed list of modules and mounts a root known by its label: no need to start udev twice.
for file in hooks/udev scripts/init-top/udev scripts/init-bottom/udev; do
	mkdir -p "$root/usr/share/guest/initramfs-tools/${file%/*}"
	chroot "$root" dpkg-divert --quiet --local --no-rename --add \
		--divert "/usr/share/guest/initramfs-tools/$file" "/usr/share/initramfs-tools/$file"
done
