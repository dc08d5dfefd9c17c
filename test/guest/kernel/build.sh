#!/bin/bash
# Builds the kernel of the tiny guest from Debian's sources, with our own configuration.
#
#   build.sh OUT
#
# OUT receives vmlinuz and kernel-release.
# Needs apt with package lists, a C compiler, make, flex, bison, bc, perl, lz4 and 1.5 GB of room; no root.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$1 source=linux-source-6.1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

apt-get -qq -o APT::Sandbox::User=root download "$source" ||
	{ echo "could not download $source: run apt-get update first" >&2; exit 1; }
dpkg-deb -x "$source"_*.deb .
# What takes much room and is never read.
tar -xf "usr/src/$source.tar.xz" --exclude='*/drivers/gpu/drm/amd/include/*' --exclude='*/tools/testing/*'
rm -r usr "$source"_*.deb
cd "$source"
# objtool, which needs libelf, checks each object. Nothing in our configuration is made by it.
sed -i '/select HAVE_OBJTOOL[[:space:]]/d' arch/x86/Kconfig

make -s allnoconfig KCONFIG_ALLCONFIG="$here/config"
# A choice that another one rules out would be left out without a word.
wrong=$(
	while read -r line; do
		case $line in
		CONFIG_*) grep -qxF -- "$line" .config || echo "$line" ;;
		'# CONFIG_'*' is not set') name=${line#\# } && ! grep -q "^${name%% *}=" .config || echo "$line" ;;
		esac
	done <"$here/config"
)
[ -z "$wrong" ] || { printf 'the kernel has no such choice, or not with the others:\n%s\n' "$wrong" >&2; exit 1; }

export KBUILD_BUILD_TIMESTAMP=@0 KBUILD_BUILD_USER=virtplane KBUILD_BUILD_HOST=virtplane
nice make -s -j"$(nproc)" bzImage
cp arch/x86/boot/bzImage "$out/vmlinuz"
make -s kernelrelease >"$out/kernel-release"
