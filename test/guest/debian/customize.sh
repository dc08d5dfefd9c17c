#!/bin/bash
# customize.sh ROOT: finishes the Debian guest's root file system.
set -euo pipefail
root=$1

chmod 755 "$root/etc/kernel/postinst.d/zz-boot-partition"
cat >"$root/etc/fstab" <<'F'
LABEL=root / ext4 defaults,noatime,errors=remount-ro 0 0
F
echo debian >"$root/etc/hostname"
printf '127.0.0.1\tlocalhost\n127.0.1.1\tdebian\n::1\tlocalhost ip6-localhost ip6-loopback\n' >"$root/etc/hosts"
echo 'LANG=C.UTF-8' >"$root/etc/default/locale"

# Work for its own sake in a guest that lives for minutes.
chroot "$root" systemctl -q mask \
	apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer \
	systemd-pstore.service systemd-rfkill.socket systemd-timesyncd.service systemd-random-seed.service \
	systemd-update-utmp.service systemd-update-utmp-runlevel.service systemd-machine-id-commit.service \
	sys-kernel-debug.mount sys-kernel-tracing.mount dev-mqueue.mount dev-hugepages.mount
chroot "$root" systemctl -q enable systemd-networkd.service systemd-resolved.service ssh.service
# Each guest makes its own.
rm -f "$root"/etc/ssh/ssh_host_*_key*
# "No update happened": saves the start the search for what to rebuild.
touch -d @0 "$root/usr"
touch "$root/etc/.updated" "$root/var/.updated"
