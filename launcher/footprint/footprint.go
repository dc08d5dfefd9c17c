// Package footprint keeps a program that mostly idles small in memory. A node runs a launcher and a first process for
// each guest; what starting them needed, of the heap and of the program file, is given back once it is needed no more.
// It must not change what a program does.
package footprint

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Keep gives memory back at first after soon, then at intervals, until stop is closed.
func Keep(stop <-chan struct{}, soon, interval time.Duration, failed func(error)) {
	timer := time.NewTimer(soon)
	defer timer.Stop()
	for {
		select {
		case <-stop:
			return
		case <-timer.C:
		}
		debug.FreeOSMemory()
		if err := DropProgramPages(); err != nil {
			failed(err)
			return
		}
		timer.Reset(interval)
	}
}

// DropProgramPages forgets the pages of the program file that are mapped but never written to. They stay in the page
// cache, shared by all processes of the program; those that are still used come back by themselves, without reading
// the file.
func DropProgramPages() error {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("finding the program file: %w", err)
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return fmt.Errorf("reading memory map: %w", err)
	}
	var errs []error
	for _, r := range programRanges(maps, program) {
		// unix.Madvise wants a slice, which memory outside Go's heap cannot honestly be.
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, r.from, r.to-r.from, unix.MADV_DONTNEED); errno != 0 {
			errs = append(errs, fmt.Errorf("dropping pages: %w", errno))
		}
	}
	return errors.Join(errs...)
}

type span struct{ from, to uintptr }

// programRanges finds the mappings of the program that cannot be written to: code and constants.
func programRanges(maps []byte, program string) []span {
	var out []span
	lines := bufio.NewScanner(bytes.NewReader(maps))
	for lines.Scan() {
		// 00400000-00abc000 r-xp 00000000 fe:00 1234   /usr/bin/virt-launcher
		f := strings.Fields(lines.Text())
		if len(f) < 6 || len(f[1]) < 4 || f[1][1] == 'w' || f[1][3] != 'p' || strings.Join(f[5:], " ") != program {
			continue
		}
		from, to, ok := strings.Cut(f[0], "-")
		a, err1 := strconv.ParseUint(from, 16, 64)
		b, err2 := strconv.ParseUint(to, 16, 64)
		if ok && err1 == nil && err2 == nil && a < b {
			out = append(out, span{uintptr(a), uintptr(b)})
		}
	}
	return out
}
