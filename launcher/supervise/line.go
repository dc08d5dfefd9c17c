package supervise

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// line is the supervisor's end of the connection with one life of the launcher.
type line struct {
	conn net.Conn
	end  chan struct{}
}

// fromLine is a request and where its answer goes.
type fromLine struct {
	line *line
	req  request
}

func newLine(fd int, requests chan<- fromLine) (*line, error) {
	f := os.NewFile(uintptr(fd), "launcher")
	conn, err := net.FileConn(f)
	f.Close()
	if err != nil {
		return nil, fmt.Errorf("opening the line to the launcher: %w", err)
	}
	l := &line{conn: conn, end: make(chan struct{})}
	go func() {
		d := json.NewDecoder(conn)
		for {
			var r request
			if d.Decode(&r) != nil {
				return
			}
			select {
			case requests <- fromLine{l, r}:
			case <-l.end:
				return
			}
		}
	}()
	return l, nil
}

// send never waits long for a launcher that does not read: it will ask again when it lives.
func (l *line) send(r reply) {
	raw, err := json.Marshal(r)
	if err != nil {
		return
	}
	if l.conn.SetWriteDeadline(time.Now().Add(time.Second)) == nil {
		if _, err := l.conn.Write(append(raw, '\n')); err != nil {
			l.conn.Close()
		}
	}
}

func (l *line) close() {
	close(l.end)
	l.conn.Close()
}

// handle answers one request.
func (s *supervisor) handle(in fromLine) {
	if in.line != s.line || s.launcherPID == 0 {
		// The last wish of a launcher that is dead: the next one has begun anew, or will, and must not find a QEMU that
		// it was not told of.
		return
	}
	var err error
	switch in.req.Op {
	case opStatus:
	case opSpawn:
		err = s.spawn(in.req.Spawn)
	case opSignal:
		err = s.signalQEMU(syscall.Signal(in.req.Signal))
	case opFinish:
		if s.status.QEMU != nil && s.status.QEMU.Exit == nil {
			err = fmt.Errorf("QEMU has not ended")
			break
		}
		s.outcome, s.finished = in.req.Outcome, true
	default:
		err = fmt.Errorf("unknown operation %q", in.req.Op)
	}
	r := reply{ID: in.req.ID, Status: s.status}
	if err != nil {
		r.Error = err.Error()
	}
	in.line.send(r)
}

// spawn starts QEMU once.
func (s *supervisor) spawn(w *Spawn) error {
	switch {
	case w == nil:
		return fmt.Errorf("nothing to start")
	case s.status.QEMU != nil:
		return nil
	case s.status.TerminateBy != nil, s.finished:
		return fmt.Errorf("the pod is about to end")
	}
	if w.Serial != nil {
		if err := s.Console.Serve(w.Serial.Port, w.Serial.Clients, w.Serial.History); err != nil {
			return err
		}
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	if err := s.startHelpers(w.Helpers, null.Fd()); err != nil {
		return err
	}
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		s.endHelpers()
		return fmt.Errorf("making a pipe for QEMU's messages: %w", err)
	}
	defer unix.Close(pipe[1])
	argv := append([]string{w.Path}, w.Args...)
	pid, err := forkExec(w.Path, argv, w.Env, []uintptr{null.Fd(), uintptr(pipe[1]), uintptr(pipe[1])})
	if err != nil {
		unix.Close(pipe[0])
		s.endHelpers()
		return fmt.Errorf("starting %s: %w", w.Path, err)
	}
	s.grace = time.Duration(w.GraceSeconds) * time.Second
	s.status.QEMU = &Process{PID: pid, Started: time.Now()}
	s.outputAt = make(chan struct{})
	go func(end chan<- struct{}) {
		defer close(end)
		r := os.NewFile(uintptr(pipe[0]), "qemu-stderr")
		defer r.Close()
		io.Copy(io.MultiWriter(&s.output, newBounded(os.Stderr, time.Now)), r)
	}(s.outputAt)
	s.Log.Info("Started QEMU", "pid", pid)
	return nil
}
