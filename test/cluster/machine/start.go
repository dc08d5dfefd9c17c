package machine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// InitArgs is the command line, after the program's name, that must lead to Init.
var InitArgs = []string{"machine-init"}

// listenerArg says that there is a listening socket: a look at the descriptor could find one of the Go runtime.
const listenerArg = "--listener"

// readyAnswer is what process 1 says when it is ready; anything else is why it is not.
const readyAnswer = "ready"

// Files that process 1 is started with.
const (
	specFD     = 3
	readyFD    = 4
	listenerFD = 5
)

// readyTimeout bounds the making of a root directory and of a disk.
const readyTimeout = time.Minute

// Process is a machine that was started and still waits for its spec.
type Process struct {
	Record
	spec  *os.File
	ready *os.File
}

// Options are what Start needs.
type Options struct {
	Name string
	// Program is run with InitArgs as process 1.
	Program string
	// RecordFile is written before the machine does anything.
	RecordFile string
	// Log takes the words of process 1 itself.
	Log string
	// Listener is a listening socket of the host for a service of the machine.
	Listener *os.File
}

// Start makes the machine's namespaces and process 1 in them. Process 1 does nothing until Configure, and
// ends if the caller dies before: so there is no moment in which a machine runs without a record.
func Start(o Options) (*Process, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer read.Close()
	ready, readyWrite, err := os.Pipe()
	if err != nil {
		write.Close()
		return nil, err
	}
	defer readyWrite.Close()
	log, err := os.OpenFile(o.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, errors.Join(err, write.Close(), ready.Close())
	}
	defer log.Close()
	cmd := exec.Command(o.Program, InitArgs...)
	cmd.Dir = "/"
	if o.Listener != nil {
		cmd.Args = append(cmd.Args, listenerArg)
	}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{read, readyWrite}
	if o.Listener != nil {
		cmd.ExtraFiles = append(cmd.ExtraFiles, o.Listener)
	}
	// HOME and the like of whoever called up are none of the machine's business.
	cmd.Env = environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid: true,
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWNS |
			syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
	}
	if err := cmd.Start(); err != nil {
		_ = errors.Join(write.Close(), ready.Close())
		return nil, fmt.Errorf("starting machine %s: %w: it needs root", o.Name, err)
	}
	go func() { _ = cmd.Wait() }() // so that it is no zombie if it ends before the caller does
	p := &Process{spec: write, ready: ready}
	if p.Record, err = newRecord(o.Name, cmd.Process.Pid); err == nil {
		err = p.Record.write(o.RecordFile)
	}
	if err != nil {
		_ = errors.Join(write.Close(), ready.Close()) // process 1 ends
		return nil, fmt.Errorf("recording machine %s: %w", o.Name, err)
	}
	return p, nil
}

// Configure tells process 1 what to run and lets it go on.
func (p *Process) Configure(s Spec) error {
	defer p.spec.Close()
	if err := s.validate(); err != nil {
		return err
	}
	if err := json.NewEncoder(p.spec).Encode(s); err != nil {
		return fmt.Errorf("configuring machine %s: %w", p.Name, err)
	}
	return nil
}

// WaitReady waits until the machine has its root directory and starts services. Only then may Command be used.
func (p *Process) WaitReady() error {
	defer p.ready.Close()
	if err := p.ready.SetReadDeadline(time.Now().Add(readyTimeout)); err != nil {
		return err
	}
	answer, err := io.ReadAll(p.ready)
	if err != nil {
		return fmt.Errorf("waiting for machine %s to make its root directory: %w", p.Name, err)
	}
	switch string(answer) {
	case readyAnswer:
		return nil
	case "":
		return fmt.Errorf("machine %s ended at its start", p.Name)
	}
	return fmt.Errorf("machine %s: %s", p.Name, answer)
}

func environment() []string {
	return []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
}
