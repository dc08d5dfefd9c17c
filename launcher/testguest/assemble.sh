#!/bin/sh
# Makes guest.bin of guest.asm with the GNU assembler.
set -e
cd "$(dirname "$0")"
as --32 -o guest.o guest.asm
ld --entry start -m elf_i386 -Ttext 0x7c00 --oformat binary -o guest.bin guest.o
rm guest.o
