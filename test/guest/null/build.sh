#!/bin/bash
# Builds the boot code of the null guest.
#
#   build.sh OUT
#
# OUT receives mbr.bin. Needs binutils.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$1
as --32 -o "$out/boot.o" "$here/boot.s"
# Firmware loads the first sector to this address.
ld -m elf_i386 -Ttext=0x7c00 --oformat=binary -o "$out/mbr.bin" "$out/boot.o"
rm "$out/boot.o"
