#!/bin/bash
# base-virtiofsd.sh SOURCES OUT: downloads Debian 13's virtiofsd and the libraries that it needs, which are newer than the
# base's, into OUT/files, and what packages they are of into OUT/control. SOURCES is an apt source list of Debian 12; the same
# places have Debian 13.
set -euo pipefail
sources=$1 out=$2
mkdir -p "$out"/{apt/lists/partial,apt/cache/archives/partial,debs,root,files,control}
sed 's/ bookworm\(-[a-z]*\)\? main$/ trixie\1 main/' "$sources" >"$out/apt/sources.list"
apt() {
	apt-get -qq -o Dir::Etc::sourcelist="$out/apt/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$out/apt/lists" \
		-o Dir::State::status=/dev/null -o Dir::Cache="$out/apt/cache" -o APT::Sandbox::User=root -o APT::Architecture=amd64 \
		-o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false "$@"
}
apt update
(cd "$out/debs" && apt download virtiofsd libc6 libcap-ng0 libgcc-s1 libseccomp2)
for deb in "$out"/debs/*.deb; do
	dpkg-deb -x "$deb" "$out/root"
	dpkg-deb -f "$deb" >"$out/control/$(dpkg-deb -f "$deb" Package)"
done
lib=$out/root/usr/lib/x86_64-linux-gnu
cp -L "$lib"/{ld-linux-x86-64.so.2,libc.so.6,libm.so.6,libcap-ng.so.0,libgcc_s.so.1,libseccomp.so.2} "$out/root/usr/libexec/virtiofsd" "$out/files/"
chmod 755 "$out"/files/*
