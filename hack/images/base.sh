#!/bin/bash
# Builds the root file system under the images of virt-launcher and virt-handler: Debian 12's QEMU and what
# runs beside it. Only virtiofsd is Debian 13's: before, it could not do without privileges.
#
#   base.sh SOURCES OUT
#
# SOURCES is an apt source list, OUT a directory that receives layer.tar and packages.txt (name, version).
# Packages are unpacked, not configured: nothing here needs a maintainer script, and so neither apt nor dpkg nor
# perl is in the layer. Whatever the programs write goes to volumes: the root is mounted read-only.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
sources=$1 out=$2
mkdir -p "$out"
export SOURCE_DATE_EPOCH=0
packages=$(sed 's/#.*//' "$here/base-packages.txt" | tr -s ' \n' ',,' | sed 's/^,//; s/,$//')

next=$(mktemp -d)
trap 'rm -rf "$next"' EXIT
bash "$here/base-virtiofsd.sh" "$sources" "$next"

mmdebstrap --quiet --variant=extract --architectures=amd64 --include="$packages" \
	--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
	--aptopt='APT::Install-Recommends "false"' \
	--extract-hook="bash $here/base-customize.sh \"\$1\" $out/packages.txt $next" \
	bookworm "$out/layer.tar" "$sources"
