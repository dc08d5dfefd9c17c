# A guest in one boot sector, for tests of the launcher: it starts in no time, speaks on the first serial port, heeds the
# power button and does what it is told by single letters. Assemble it with assemble.sh.
.code16
.globl start
start:
	cli
	cld
	xor %ax, %ax
	mov %ax, %ds
	mov %ax, %ss
	mov $0x7c00, %sp
	mov $boot, %si
	call print
	mov $0x602, %dx		# enable the power button's event (PM1_EN)
	mov $0x100, %ax
	out %ax, %dx
	mov $1, %bl		# bl: whether the button is heeded
poll:
	mov $0x3fd, %dx
	in %dx, %al
	test $1, %al
	jz button
	mov $0x3f8, %dx
	in %dx, %al
	cmp $'p', %al
	je panic
	cmp $'r', %al
	je reset
	cmp $'s', %al
	je off
	cmp $'d', %al
	je deaf
	call put		# anything else comes back
	jmp poll
button:
	mov $0x600, %dx		# PM1_STS
	in %dx, %ax
	test $0x100, %ax
	jz poll
	mov $0x100, %ax		# writing the bit clears it
	out %ax, %dx
	mov $press, %si
	call print
	test %bl, %bl
	jz poll
off:
	mov $bye, %si
	call print
	mov $0x604, %dx		# PM1_CNT: sleep enable, type 0 is soft off
	mov $0x2000, %ax
	out %ax, %dx
	jmp poll
deaf:
	xor %bl, %bl
	call put
	jmp poll
panic:
	mov $0x505, %dx		# pvpanic
	mov $1, %al
	out %al, %dx
	jmp poll
reset:
	mov $0xcf9, %dx
	mov $6, %al
	out %al, %dx
	jmp poll
print:
	lodsb
	test %al, %al
	jz done
	call put
	jmp print
put:
	push %dx
	push %ax
full:
	mov $0x3fd, %dx
	in %dx, %al
	test $0x20, %al
	jz full
	pop %ax
	mov $0x3f8, %dx
	out %al, %dx
	pop %dx
done:
	ret
boot:	.asciz "boot\n"
press:	.asciz "button\n"
bye:	.asciz "off\n"
	.org 510
	.word 0xaa55
