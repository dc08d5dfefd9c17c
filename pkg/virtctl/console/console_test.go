package console

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/virtctl/command"
	"github.com/virtplane/virtplane/pkg/virtctl/virtctltest"
	"github.com/virtplane/virtplane/test/spec"
)

// TestConsoleOfWhatDoesNotRun wants a reason at once where waiting is in vain, and a wait where it is not.
func TestConsoleOfWhatDoesNotRun(t *testing.T) {
	const absent = `virtualmachineinstances.kubevirt.io "web" not found`
	yes := true
	for _, tc := range []struct {
		name, refusal, want string
		code                int
		vm                  *virtv1.VirtualMachine
		waits               string
	}{
		{name: "nothing of that name", code: 404, refusal: absent, want: "console of web: " + absent},
		{name: "halted", code: 404, refusal: absent, vm: &virtv1.VirtualMachine{Spec: virtv1.VirtualMachineSpec{RunStrategy: virtv1.RunStrategyHalted}},
			want: "console of web: the machine is not running; start it: virtctl start web"},
		{name: "manual, stopped", code: 404, refusal: absent, vm: &virtv1.VirtualMachine{Spec: virtv1.VirtualMachineSpec{RunStrategy: virtv1.RunStrategyManual},
			Status: virtv1.VirtualMachineStatus{PrintableStatus: virtv1.VirtualMachineStatusStopped}},
			want: "console of web: the machine is not running; start it: virtctl start web"},
		{name: "without a console", code: 400, refusal: "No serial consoles are present.", want: "console of web: No serial consoles are present."},
		{name: "to be started", code: 404, refusal: absent, vm: &virtv1.VirtualMachine{Spec: virtv1.VirtualMachineSpec{Running: &yes}}, waits: "Waiting for web: it is to start\n"},
		{name: "asked to start", code: 404, refusal: absent, vm: &virtv1.VirtualMachine{Spec: virtv1.VirtualMachineSpec{RunStrategy: virtv1.RunStrategyManual},
			Status: virtv1.VirtualMachineStatus{PrintableStatus: virtv1.VirtualMachineStatusStopped, StateChangeRequests: []virtv1.VirtualMachineStateChangeRequest{{Action: virtv1.StartRequest}}}},
			waits: "Waiting for web: it is Stopped\n"},
		{name: "fails to start", code: 404, refusal: absent, vm: &virtv1.VirtualMachine{Spec: virtv1.VirtualMachineSpec{RunStrategy: virtv1.RunStrategyAlways},
			Status: virtv1.VirtualMachineStatus{PrintableStatus: "CrashLoopBackOff", Conditions: []virtv1.VirtualMachineCondition{{Type: virtv1.VirtualMachineFailure, Status: "True", Reason: "DiskInvalid", Message: "no disk"}}}},
			waits: "Waiting for web: DiskInvalid: no disk\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			refused := false
			f := &virtctltest.Server{}
			f.Answer = func(w http.ResponseWriter, r *http.Request) bool {
				switch {
				case strings.HasSuffix(r.URL.Path, "/console"):
					if tc.waits != "" && refused {
						conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{command.Protocol}})
						if err == nil {
							conn.Close(websocket.StatusNormalClosure, "")
						}
						return true
					}
					refused = true
					virtctltest.Refuse(w, tc.code, tc.refusal)
				case r.URL.Query().Get("watch") != "":
					w.Header().Set("Content-Type", "application/json") // ends at once: as good as a change
				case strings.HasSuffix(r.URL.Path, "/virtualmachines/web") && tc.vm != nil:
					vm := tc.vm.DeepCopy()
					vm.TypeMeta = metav1.TypeMeta{APIVersion: "kubevirt.io/v1", Kind: "VirtualMachine"}
					w.Header().Set("Content-Type", "application/json")
					_ = json.NewEncoder(w).Encode(vm)
				default:
					virtctltest.Refuse(w, 404, "not found")
				}
				return true
			}
			_, errOut, err := virtctltest.Run(t, f, strings.NewReader(""), virtctltest.One(New), "console", "web", "--timeout", "30s")
			if tc.want == "" && (err != nil || !strings.HasPrefix(errOut, tc.waits)) {
				t.Errorf("error %v, said %q, want %q first", err, errOut, tc.waits)
			}
			if tc.want != "" && (err == nil || err.Error() != tc.want) {
				t.Errorf("error %v, want %s", err, tc.want)
			}
		})
	}
}

// terminal opens a pseudo-terminal; what is written to keys is typed at screen.
func terminal(t *testing.T) (keys, screen *os.File) {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keys.Close() })
	if err := unix.IoctlSetPointerInt(int(keys.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	fd, _, errno := unix.Syscall(unix.SYS_IOCTL, keys.Fd(), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY)
	if errno != 0 {
		t.Fatal(errno)
	}
	screen = os.NewFile(fd, "terminal")
	t.Cleanup(func() { screen.Close() })
	return keys, screen
}

func mode(t *testing.T, f *os.File) unix.Termios {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return *state
}

// TestTerminalIsSane leaves the console in each way and wants the terminal as it was.
func TestTerminalIsSane(t *testing.T) {
	for _, tc := range []struct {
		name string
		// serve ends the console from the server's side.
		serve func(*websocket.Conn)
		typed string
		fails bool
	}{
		{name: "escape", typed: "ls\x1d", serve: func(c *websocket.Conn) { _, _, _ = c.Read(t.Context()); _, _, _ = c.Read(t.Context()) }},
		{name: "the guest ends", serve: func(c *websocket.Conn) { c.Close(websocket.StatusNormalClosure, "") }},
		{name: "another client takes over", fails: true, serve: func(c *websocket.Conn) { c.Close(websocket.StatusPolicyViolation, "taken over") }},
		{name: "the connection breaks", fails: true, serve: func(c *websocket.Conn) { c.CloseNow() }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			keys, screen := terminal(t)
			before := mode(t, screen)
			var during unix.Termios
			f := &virtctltest.Server{Answer: func(w http.ResponseWriter, r *http.Request) bool {
				conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{command.Protocol}})
				if err != nil {
					t.Error(err)
					return true
				}
				defer conn.CloseNow()
				for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
					if during = mode(t, screen); during != before || time.Now().After(end) {
						break
					}
				}
				if _, err := keys.WriteString(tc.typed); err != nil {
					t.Error(err)
				}
				tc.serve(conn)
				return true
			}}
			_, _, err := virtctltest.Run(t, f, screen, virtctltest.One(New), "console", "web")
			if tc.fails != (err != nil) {
				t.Errorf("error %v", err)
			}
			if during.Lflag&unix.ICANON != 0 {
				t.Error("the terminal was not raw on the console")
			}
			if diff := cmp.Diff(before, mode(t, screen)); diff != "" {
				t.Errorf("the terminal has changed:\n%s", diff)
			}
		})
	}
	t.Run("a signal", func(t *testing.T) {
		_, screen := terminal(t)
		before := mode(t, screen)
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), holdTerminal+"=1")
		cmd.Stdin = screen
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(20 * time.Second); mode(t, screen) == before; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the terminal did not turn raw")
			}
		}
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		err := cmd.Wait()
		if state, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || state.Signal() != syscall.SIGTERM {
			t.Errorf("ended by %v, want SIGTERM", err)
		}
		if diff := cmp.Diff(before, mode(t, screen)); diff != "" {
			t.Errorf("the terminal has changed:\n%s", diff)
		}
	})
}

const holdTerminal = "VIRTCTL_TEST_HOLDS_TERMINAL"

// TestMain lets this program be the one that TestTerminalIsSane ends by a signal.
func TestMain(m *testing.M) {
	if os.Getenv(holdTerminal) == "" {
		os.Exit(m.Run())
	}
	restore, err := command.MakeRaw(os.Stdin)
	if err != nil {
		panic(err)
	}
	defer restore()
	time.Sleep(time.Minute)
}

func TestConsoleWaitsRelaysAndLeaves(t *testing.T) {
	var got bytes.Buffer
	refusals := 2
	f := &virtctltest.Server{}
	f.Answer = func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case strings.HasSuffix(r.URL.Path, "/console"):
			if refusals > 0 {
				refusals--
				virtctltest.Refuse(w, 400, "VMI is not running")
				return true
			}
			conn := virtctltest.Stream(t, w, r)
			if conn == nil {
				return true
			}
			defer conn.CloseNow()
			_ = conn.Write(r.Context(), websocket.MessageText, []byte("ignored"))
			_ = conn.Write(r.Context(), websocket.MessageBinary, []byte("login: "))
			for {
				_, data, err := conn.Read(r.Context())
				if err != nil {
					return true
				}
				got.Write(data)
			}
		case r.URL.Query().Get("watch") != "":
			w.Header().Set("Content-Type", "application/json")
			return true // ends at once: as good as a change
		case strings.HasSuffix(r.URL.Path, "/virtualmachineinstances/web"):
			virtctltest.JSON(w, virtv1.VirtualMachineInstance{TypeMeta: metav1.TypeMeta{APIVersion: "kubevirt.io/v1", Kind: "VirtualMachineInstance"},
				ObjectMeta: metav1.ObjectMeta{Name: "web", ResourceVersion: "5"}, Status: virtv1.VirtualMachineInstanceStatus{Phase: virtv1.Scheduling}})
			return true
		}
		return false
	}
	in, typed := io.Pipe()
	s := virtctltest.Start(t, f, in, virtctltest.One(New), "console", "web", "--timeout", "1")
	_, _ = typed.Write([]byte("root\r"))
	virtctltest.Eventually(t, "the greeting", func() bool { return s.Out.String() == "login: " })
	_, _ = typed.Write([]byte("ls\x1dnever sent"))
	if err := s.Wait(); err != nil {
		t.Fatal(err)
	}
	if got.String() != "root\rls" {
		t.Errorf("the guest got %q", got.String())
	}
	if want := "Waiting for web: it is Scheduling\n"; strings.Count(s.Err.String(), want) != 1 {
		t.Errorf("standard error %q does not hold %q once", s.Err.String(), want)
	}
	spec.Covers(t, "P2-VMI-04")
}

// TestTimeout gives up on a machine that does not come to run, and says what it waited for.
func TestTimeout(t *testing.T) {
	f := &virtctltest.Server{Answer: func(w http.ResponseWriter, r *http.Request) bool {
		virtctltest.Refuse(w, 400, "VMI is not running")
		return true
	}}
	begin := time.Now()
	_, _, err := virtctltest.Run(t, f, nil, virtctltest.One(New), "console", "web", "--timeout", "300ms")
	if want := "web did not run within 300ms: VMI is not running"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("gave up after %s", took)
	}
	spec.Covers(t, "P2-VIRTCTL-02")
}

// TestHistory: what others have seen comes only to who asks for it.
func TestHistory(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want string
	}{{nil, ""}, {[]string{"--history"}, "history=true"}} {
		asked := make(chan string, 1)
		f := &virtctltest.Server{Answer: func(w http.ResponseWriter, r *http.Request) bool {
			asked <- r.URL.RawQuery
			conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{command.Protocol}})
			if err == nil {
				conn.Close(websocket.StatusNormalClosure, "")
			}
			return true
		}}
		if _, _, err := virtctltest.Run(t, f, strings.NewReader(""), virtctltest.One(New), append([]string{"console", "web"}, tc.args...)...); err != nil {
			t.Errorf("console %v: %v", tc.args, err)
		}
		if got := <-asked; got != tc.want {
			t.Errorf("console %v asks with %q, want %q", tc.args, got, tc.want)
		}
	}
}
