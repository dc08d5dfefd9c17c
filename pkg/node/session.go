package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"k8s.io/apimachinery/pkg/types"

	launcher "github.com/virtplane/virtplane/launcher/api"
	"github.com/virtplane/virtplane/pkg/node/network"
	"github.com/virtplane/virtplane/pkg/node/pod"
)

const (
	// answerTimeout bounds the calls that a launcher answers at once.
	answerTimeout = 10 * time.Second
	// killTimeout bounds the wait for QEMU's end after a kill.
	killTimeout = 30 * time.Second
	// pulseEvery is the time between two questions whether a launcher still answers.
	pulseEvery = 30 * time.Second
	firstRetry = time.Second
	lastRetry  = time.Minute
)

// session is one connection to one launcher process that was checked when it was made. It follows the launcher's events
// and runs at most one operation of a kind at a time; both tell the agent by notify. A session is never repaired: when its
// connection breaks it is done, and the agent makes another.
type session struct {
	vmi     types.UID
	pod     types.UID
	process Process
	conn    *grpc.ClientConn
	client  launcher.LauncherClient
	notify  func()
	pulse   pulse

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu    sync.Mutex
	last  *launcher.Event
	over  error // why the session is done
	busy  [operations]bool
	start startState
	stop  stopState
}

// pulse says how often a launcher is asked whether it lives, and how long it may take to answer.
type pulse struct{ every, within time.Duration }

// operation is a kind of work that a session does in the background. One that ends the guest need not wait for one that
// starts it.
type operation int

const (
	starting operation = iota
	stopping
	operations
)

// startState is what came of handing the instance to the launcher.
type startState struct {
	// generation of the spec that was handed over last, 0 before.
	generation int64
	// failure is that of the last try, nil after a success; tried is the generation that it was about.
	failure *failure
	tried   int64
	// network is what the last plumbing found; nil: unknown, or the instance has none.
	network *network.Result
	tries   int
	retryAt time.Time
}

// stopState is what was asked of the launcher about the guest's end.
type stopState struct {
	// asked says that Shutdown was called, for a guest that dies at deadline.
	asked    bool
	deadline time.Time
	// killed says that Kill was called.
	killed  bool
	retryAt time.Time
}

// newSession takes over the connection and the process.
func newSession(vmi, podUID types.UID, connection net.Conn, process Process, pulse pulse, notify func()) (*session, error) {
	handOver := make(chan net.Conn, 1)
	handOver <- connection
	conn, err := grpc.NewClient("passthrough:///launcher",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDisableRetry(),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
			select {
			case c := <-handOver:
				return c, nil
			default:
				// Whoever answers now has not been checked.
				return nil, errors.New("the launcher has closed the connection")
			}
		}))
	if err != nil {
		_ = connection.Close()
		process.Close()
		return nil, fmt.Errorf("connecting to the launcher: %w", err)
	}
	s := &session{vmi: vmi, pod: podUID, process: process, conn: conn, client: launcher.NewLauncherClient(conn), notify: notify, pulse: pulse}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.wg.Go(func() {
		err := s.follow()
		s.mu.Lock()
		s.over = err
		s.mu.Unlock()
		s.notify()
	})
	return s, nil
}

// close ends the session; the launcher and its guest go on.
func (s *session) close() {
	s.cancel()
	_ = s.conn.Close()
	s.wg.Wait()
	s.process.Close()
}

// follow checks that the launcher is there for this instance and then takes its events until the connection breaks.
func (s *session) follow() error {
	info, err := s.info(s.ctx)
	if err != nil {
		return fmt.Errorf("asking the launcher who it is: %w", err)
	}
	if info.GetUid() != string(s.vmi) {
		return fmt.Errorf("%w: the launcher runs instance %q, not %q", pod.ErrUntrusted, info.GetUid(), s.vmi)
	}
	ctx, stop := context.WithCancelCause(s.ctx)
	defer stop(nil)
	s.wg.Go(func() { stop(s.feel(ctx)) })
	stream, err := s.client.Events(ctx, &launcher.EventsRequest{})
	for err == nil {
		var event *launcher.Event
		if event, err = stream.Recv(); err == nil {
			s.took(event)
		}
	}
	if cause := context.Cause(ctx); errors.Is(cause, errNoPulse) {
		err = cause
	}
	return fmt.Errorf("following the launcher: %w", err)
}

func (s *session) info(ctx context.Context) (*launcher.InfoResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, s.pulse.within)
	defer cancel()
	return s.client.Info(ctx, &launcher.InfoRequest{})
}

var errNoPulse = errors.New("the launcher does not answer any more")

// feel asks the launcher again and again whether it lives, and ends with an error when it does not answer. A guest that does
// nothing sends no event for hours, and a launcher that hangs keeps its connection. It is a call and no keepalive of the
// connection, which a launcher would answer whose service hangs, and for which launchers of older versions close the connection.
func (s *session) feel(ctx context.Context) error {
	ticker := time.NewTicker(s.pulse.every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if _, err := s.info(ctx); err != nil && ctx.Err() == nil {
			return fmt.Errorf("%w: %w", errNoPulse, err)
		}
	}
}

// took keeps the newest state. An answer may overtake an event that was sent before it.
func (s *session) took(event *launcher.Event) {
	s.mu.Lock()
	newer := event != nil && (s.last == nil || event.GetSequence() >= s.last.GetSequence())
	if newer {
		s.last = event
	}
	s.mu.Unlock()
	if newer {
		s.notify()
	}
}

// view is what is known at one moment.
type view struct {
	event *launcher.Event
	over  error
	busy  [operations]bool
	start startState
	stop  stopState
}

// summary tells views apart as far as a status depends on them.
func (v view) summary() string {
	text := fmt.Sprint(v.event.GetSequence(), v.start.generation, v.over != nil, v.start.network != nil)
	if f := v.start.failure; f != nil {
		text += f.reason + f.message
	}
	return text
}

func (s *session) view() view {
	s.mu.Lock()
	defer s.mu.Unlock()
	return view{event: s.last, over: s.over, busy: s.busy, start: s.start, stop: s.stop}
}

// run begins an operation unless one of its kind is running. do may change the states of the session under change.
func (s *session) run(kind operation, timeout time.Duration, do func(ctx context.Context)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy[kind] || s.ctx.Err() != nil {
		return
	}
	s.busy[kind] = true
	s.wg.Go(func() {
		ctx, cancel := context.WithTimeout(s.ctx, timeout)
		do(ctx)
		cancel()
		s.mu.Lock()
		s.busy[kind] = false
		s.mu.Unlock()
		s.notify()
	})
}

func (s *session) change(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
}

// backoff is the wait before the next try after so many.
func backoff(tries int) time.Duration {
	wait := firstRetry
	for range tries - 1 {
		wait = min(2*wait, lastRetry)
	}
	return wait
}
