# The boot sector of the null guest: says on the first serial port that it runs, and halts the processor for good.
	.code16
	.globl _start
_start:
	xorw	%ax, %ax
	movw	%ax, %ds
	cld
	movw	$text, %si
	movw	$0x3f8, %dx
next:
	lodsb
	testb	%al, %al
	jz	halt
	outb	%al, %dx
	jmp	next
halt:
	cli
	hlt
	jmp	halt
text:
	.asciz	"virtplane null guest halted\r\n"
