//go:build linux && amd64

package kvmprobe

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The parts of the kernel's KVM interface that the loop needs (linux/kvm.h and asm/kvm.h of x86).
const (
	kvmAPIVersion = 12

	kvmGetAPIVersion       = 0xAE00
	kvmCreateVM            = 0xAE01
	kvmGetVCPUMmapSize     = 0xAE04
	kvmCreateVCPU          = 0xAE41
	kvmSetTSSAddr          = 0xAE47
	kvmSetUserMemoryRegion = 0x4020AE46
	kvmRun                 = 0xAE80
	kvmGetRegs             = 0x8090AE81
	kvmSetRegs             = 0x4090AE82
	kvmGetSregs            = 0x8138AE83
	kvmSetSregs            = 0x4138AE84

	exitHLT = 5
	// exitReasonOffset is where struct kvm_run holds exit_reason.
	exitReasonOffset = 8
)

type memoryRegion struct {
	slot, flags                       uint32
	guestPhys, memorySize, userspaceP uint64
}

type regs struct {
	rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp uint64
	r8, r9, r10, r11, r12, r13, r14, r15   uint64
	rip, rflags                            uint64
}

type segment struct {
	base                           uint64
	limit                          uint32
	selector                       uint16
	typ, present, dpl, db, s, l, g uint8
	avl, unusable, padding         uint8
}

type descriptorTable struct {
	base    uint64
	limit   uint16
	padding [3]uint16
}

type sregs struct {
	cs, ds, es, fs, gs, ss, tr, ldt        segment
	gdt, idt                               descriptorTable
	cr0, cr2, cr3, cr4, cr8, efer, apicpic uint64
	interrupts                             [4]uint64
}

// Where things lie in the guest's two mebibytes.
const (
	guestSize = 2 << 20
	codeAt    = 0x1000
	pml4At    = 0x2000
	pdptAt    = 0x3000
	pdAt      = 0x4000
	tssAt     = 0xfffbd000
)

// loop is 64-bit code: rax = 0; rcx = Iterations; do rax += rcx while --rcx; hlt.
func loop() []byte {
	code := []byte{0x48, 0x31, 0xC0, 0x48, 0xC7, 0xC1}
	code = binary.LittleEndian.AppendUint32(code, Iterations)
	return append(code, 0x48, 0x01, 0xC8, 0x48, 0xFF, 0xC9, 0x75, 0xF8, 0xF4)
}

// measure builds a machine of one CPU in long mode, lets it run the loop once and takes the time.
func measure(device string) (time.Duration, error) {
	runtime.LockOSThread() // a virtual CPU belongs to the thread that runs it
	defer runtime.UnlockOSThread()

	kvm, err := os.OpenFile(device, os.O_RDWR, 0)
	if err != nil {
		return 0, fmt.Errorf("opening the device: %w", err)
	}
	defer kvm.Close()
	version, err := ioctl(kvm.Fd(), kvmGetAPIVersion, 0)
	if err != nil {
		return 0, fmt.Errorf("asking for the API version: %w", err)
	}
	if version != kvmAPIVersion {
		return 0, fmt.Errorf("%s speaks API version %d, not %d", device, version, kvmAPIVersion)
	}
	vm, err := ioctl(kvm.Fd(), kvmCreateVM, 0)
	if err != nil {
		return 0, fmt.Errorf("creating a machine: %w", err)
	}
	defer unix.Close(int(vm))
	// Older Intel processors need a place for a task state segment; others do not mind.
	if _, err := ioctl(vm, kvmSetTSSAddr, tssAt); err != nil {
		return 0, fmt.Errorf("placing the task state segment: %w", err)
	}
	memory, err := unix.Mmap(-1, 0, guestSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return 0, fmt.Errorf("mapping guest memory: %w", err)
	}
	defer unix.Munmap(memory)
	fill(memory)
	region := memoryRegion{memorySize: guestSize, userspaceP: uint64(uintptr(unsafe.Pointer(&memory[0])))}
	if _, err := ioctlPtr(vm, kvmSetUserMemoryRegion, unsafe.Pointer(&region)); err != nil {
		return 0, fmt.Errorf("giving the machine memory: %w", err)
	}
	vcpu, err := ioctl(vm, kvmCreateVCPU, 0)
	if err != nil {
		return 0, fmt.Errorf("creating a CPU: %w", err)
	}
	defer unix.Close(int(vcpu))
	size, err := ioctl(kvm.Fd(), kvmGetVCPUMmapSize, 0)
	if err != nil {
		return 0, fmt.Errorf("asking for the size of the CPU's state: %w", err)
	}
	state, err := unix.Mmap(int(vcpu), 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return 0, fmt.Errorf("mapping the CPU's state: %w", err)
	}
	defer unix.Munmap(state)
	if err := enterLongMode(vcpu); err != nil {
		return 0, err
	}
	return runLoop(vcpu, state)
}

// fill writes the code and page tables that map the guest's memory to itself by one large page.
func fill(memory []byte) {
	const presentWritable, large = 0x3, 0x80
	copy(memory[codeAt:], loop())
	binary.LittleEndian.PutUint64(memory[pml4At:], pdptAt|presentWritable)
	binary.LittleEndian.PutUint64(memory[pdptAt:], pdAt|presentWritable)
	binary.LittleEndian.PutUint64(memory[pdAt:], presentWritable|large)
}

func enterLongMode(vcpu uintptr) error {
	var s sregs
	if _, err := ioctlPtr(vcpu, kvmGetSregs, unsafe.Pointer(&s)); err != nil {
		return fmt.Errorf("reading the CPU's system registers: %w", err)
	}
	const (
		protected, numericError, extension, paging = 1 << 0, 1 << 5, 1 << 4, 1 << 31
		physicalAddressExtension                   = 1 << 5
		longModeEnable, longModeActive             = 1 << 8, 1 << 10
	)
	s.cr0 = protected | extension | numericError | paging
	s.cr3 = pml4At
	s.cr4 = physicalAddressExtension
	s.efer = longModeEnable | longModeActive
	data := segment{limit: 0xffffffff, selector: 0x10, typ: 3, present: 1, db: 1, s: 1, g: 1}
	s.cs = segment{limit: 0xffffffff, selector: 0x08, typ: 11, present: 1, s: 1, l: 1, g: 1}
	s.ds, s.es, s.fs, s.gs, s.ss = data, data, data, data, data
	if _, err := ioctlPtr(vcpu, kvmSetSregs, unsafe.Pointer(&s)); err != nil {
		return fmt.Errorf("entering long mode: %w", err)
	}
	r := regs{rip: codeAt, rflags: 2, rsp: guestSize}
	if _, err := ioctlPtr(vcpu, kvmSetRegs, unsafe.Pointer(&r)); err != nil {
		return fmt.Errorf("setting the CPU's registers: %w", err)
	}
	return nil
}

func runLoop(vcpu uintptr, state []byte) (time.Duration, error) {
	start := time.Now()
	for {
		_, err := ioctl(vcpu, kvmRun, 0)
		if err == unix.EINTR || err == unix.EAGAIN {
			continue // a signal of the Go runtime
		}
		if err != nil {
			return 0, fmt.Errorf("running the loop: %w", err)
		}
		break
	}
	took := time.Since(start)
	if reason := binary.LittleEndian.Uint32(state[exitReasonOffset:]); reason != exitHLT {
		return 0, fmt.Errorf("the loop left the guest with reason %d, not %d (HLT)", reason, exitHLT)
	}
	var r regs
	if _, err := ioctlPtr(vcpu, kvmGetRegs, unsafe.Pointer(&r)); err != nil {
		return 0, fmt.Errorf("reading the sum: %w", err)
	}
	if want := uint64(Iterations) * (Iterations + 1) / 2; r.rax != want {
		return 0, fmt.Errorf("%w: %d instead of %d", errWrongSum, r.rax, want)
	}
	return took, nil
}

func ioctl(fd uintptr, request, arg uintptr) (uintptr, error) {
	value, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, request, arg)
	if errno != 0 {
		return 0, errno
	}
	return value, nil
}

func ioctlPtr(fd uintptr, request uintptr, arg unsafe.Pointer) (uintptr, error) {
	value, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, request, uintptr(arg))
	if errno != 0 {
		return 0, errno
	}
	return value, nil
}
