#!/bin/bash
# customize.sh ROOT: finishes the Debian guest's root file system.
set -euo pipefail
root=$1

cat >"$root/etc/fstab" <<'F'
LABEL=root / ext4 defaults,noatime,errors=remount-ro 0 0
F
echo debian >"$root/etc/hostname"
printf '127.0.0.1\tlocalhost\n127.0.1.1\tdebian\n::1\tlocalhost ip6-localhost ip6-loopback\n' >"$root/etc/hosts"
echo 'LANG=C.UTF-8' >"$root/etc/default/locale"

# Work for its own sake in a guest that lives for minutes.
chroot "$root" systemctl --quiet mask \
	apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer \
	systemd-pstore.service systemd-rfkill.socket systemd-timesyncd.service systemd-random-seed.service \
	systemd-update-utmp.service systemd-update-utmp-runlevel.service systemd-machine-id-commit.service \
	systemd-journal-flush.service systemd-binfmt.service proc-sys-fs-binfmt_misc.automount kmod-static-nodes.service \
	systemd-network-generator.service cloud-init-hotplugd.socket modprobe@.service \
	sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount sys-fs-fuse-connections.mount \
	dev-mqueue.mount dev-hugepages.mount
mkdir -p "$root/etc/systemd/system-generators"
for generator in bless-boot cryptsetup debug gpt-auto hibernate-resume integritysetup rc-local run system-update sysv veritysetup; do
	ln -s /dev/null "$root/etc/systemd/system-generators/systemd-$generator-generator"
done
chroot "$root" systemctl --quiet enable systemd-networkd.service systemd-resolved.service ssh.service grow-root.service
# The table of hardware names is looked up for each device; a virtual machine's devices are not in it.
rm -f "$root/lib/udev/hwdb.bin" "$root/etc/udev/hwdb.bin"
# Without this folder the journal stays in memory.
rm -rf "$root/var/log/journal"
# cloud-init would add it for its first user, which takes a second.
chroot "$root" groupadd --force --system netdev
# Each guest makes its own.
rm -f "$root"/etc/ssh/ssh_host_*_key*
# "No update happened": saves the start the search for what to rebuild.
touch -d @0 "$root/usr"
touch "$root/etc/.updated" "$root/var/.updated"
# The kernel's version is in the greeting's way and costs a few programs at each login.
rm -f "$root/etc/update-motd.d/10-uname"
