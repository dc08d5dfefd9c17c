#!/bin/bash
# base-customize.sh ROOT PACKAGES VIRTIOFSD: finishes the base's root file system and lists its packages. VIRTIOFSD is what
# base-virtiofsd.sh has left.
set -euo pipefail
root=$1 list=$2 virtiofsd=$3

# Image scanners look for this form where no dpkg ran: one control file a package.
mkdir -p "$root/var/lib/dpkg/status.d"
for deb in "$root"/var/cache/apt/archives/*.deb; do
	name=$(dpkg-deb -f "$deb" Package)
	dpkg-deb -f "$deb" >"$root/var/lib/dpkg/status.d/$name"
	echo "$name $(dpkg-deb -f "$deb" Version)"
done | sort >"$list"
for control in "$virtiofsd"/control/*; do
	name=$(basename "$control")
	cp "$control" "$root/var/lib/dpkg/status.d/$name-trixie"
	echo "$name-trixie $(sed -n 's/^Version: //p' "$control")"
done >>"$list"

cd "$root"
# What nobody reads in a container, and firmware of other machines than a PC.
rm -rf usr/share/{doc,man,info,locale,i18n,iso-codes,xml,lintian,bash-completion,bug,menu,applications,icons,perl5,pam*,systemd,gcc,gdb} \
	usr/share/ovmf usr/share/OVMF/OVMF_{CODE,VARS}{,.ms,.secboot}.fd usr/share/qemu/OVMF.fd \
	usr/share/qemu/{QEMU*,bamboo*,canyonlands*,hppa*,npcm7xx*,openbios*,opensbi*,palcode*,s390*,skiboot*,slof*,vof*,trace-events-all,firmware} \
	usr/lib/x86_64-linux-gnu/{gconv,perl*,e2fsprogs} usr/lib/{systemd,udev,tmpfiles.d,sysusers.d,init,lsb,apt,dpkg,pcrlock.d,initramfs-tools} \
	usr/bin/{qemu-system-x86_64-microvm,dpkg*,debconf*,deb-systemd-*,update-alternatives} usr/sbin/{dpkg*,update-*,add-shell,remove-shell} \
	var/cache/[!a]* var/lib/{systemd,misc} var/log/* \
	etc/{alternatives,cron*,debconf.conf,init.d,rc?.d,logrotate.d,systemd,update-motd.d,issue*,motd,adduser.conf,deluser.conf,default,skel}
# Sound, SPICE, smart cards and screens of QEMU's own, with the libraries that only they use; the check below says so if
# anything else comes to need one.
lib=usr/lib/x86_64-linux-gnu
rm -f $lib/qemu/{audio-*,chardev-*,ui-*,hw-display-qxl,hw-display-virtio-{gpu-pci-gl,vga-gl},hw-s390x-*,hw-usb-smartcard}.so \
	usr/lib/qemu/{qemu-bridge-helper,virtfs-proxy-helper,virtiofsd} usr/bin/{qemu-storage-daemon,qemu-pr-helper} \
	$lib/lib{gst*,orc-*,spice-server,asound,sndio,opus,cacard,nss3,nssutil3,nssckbi,smime3,ssl3,softokn3,freebl*,nspr4,plc4,plds4,sqlite3,unwind*,dw,brlapi,usbredir*.keep}.so*
rm -rf $lib/{gstreamer*,nss,libgstreamer*}
# The 32-bit program that KVM-less PCs would take.
rm -f usr/bin/qemu-system-i386 usr/libexec/qemu-system-i386
find . -xdev -type f -perm /6000 -exec chmod u-s,g-s {} +
find . -xdev -xtype l -path './usr/*' -delete

# It must not find the base's libraries, nor anything else its own.
mkdir -p usr/lib/virtiofsd usr/libexec
cp "$virtiofsd"/files/* usr/lib/virtiofsd/
cat >usr/libexec/virtiofsd <<'P'
#!/bin/sh
d=/usr/lib/virtiofsd
exec $d/ld-linux-x86-64.so.2 --library-path $d $d/virtiofsd "$@"
P
chmod 755 usr/libexec/virtiofsd

rm -rf var/run var/lock
ln -s /run var/run
ln -s /run/lock var/lock
cat >etc/passwd <<'P'
root:x:0:0:root:/root:/bin/bash
qemu:x:107:107:QEMU:/nonexistent:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
P
cat >etc/group <<'P'
root:x:0:
tty:x:5:
kvm:x:108:
qemu:x:107:
nogroup:x:65534:
P
echo 'hosts: files dns' >etc/nsswitch.conf
ldconfig -r .

missing=$(find usr/bin usr/sbin usr/lib/qemu $lib/qemu usr/libexec -type f -perm /111 -o -path "$lib/qemu/*.so" |
	while read -r file; do
		chroot . /usr/bin/env LD_TRACE_LOADED_OBJECTS=1 /lib64/ld-linux-x86-64.so.2 "/$file" 2>/dev/null |
			sed -n "s,^[[:space:]]*\(.*\) => not found,$file needs \1,p"
	done)
chroot . /usr/libexec/virtiofsd --version >/dev/null || { echo "virtiofsd does not run in the base" >&2; exit 1; }
[ -z "$missing" ] || { echo "the base lacks libraries that its programs need:" "$missing" >&2; exit 1; }
