package forward

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/virtctl/command"
	"github.com/virtplane/virtplane/pkg/virtctl/virtctltest"
)

// echoing has every stream send back what it gets.
func echoing(t *testing.T) *virtctltest.Server {
	return &virtctltest.Server{Answer: func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Upgrade") == "" {
			return false
		}
		virtctltest.Echo(t, w, r)
		return true
	}}
}

// address finds where a session listens.
func address(t *testing.T, s *virtctltest.Session, protocol string) string {
	t.Helper()
	pattern := regexp.MustCompile(`Forwarding ` + protocol + ` (\S+) to`)
	var found []string
	virtctltest.Eventually(t, "a listener", func() bool { found = pattern.FindStringSubmatch(s.Err.String()); return found != nil })
	return found[1]
}

func paths(s *virtctltest.Server) []string {
	var out []string
	for _, r := range s.Requests() {
		out = append(out, r.Path)
	}
	slices.Sort(out)
	return out
}

func exchange(t *testing.T, conn net.Conn, words string) {
	t.Helper()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, words); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, len(words))
	if _, err := io.ReadFull(conn, buf); err != nil || string(buf) != words {
		t.Fatalf("got %q, %v; want %q", buf, err, words)
	}
}

// TestPortForward carries two TCP connections at once and datagrams of two senders, until Ctrl+C.
func TestPortForward(t *testing.T) {
	server := echoing(t)
	s := virtctltest.Start(t, server, nil, virtctltest.One(NewPortForward), "port-forward", "vm/web", ":22", "udp/:53")
	at := address(t, s, "tcp")
	first, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	exchange(t, first, "one")
	second, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	exchange(t, second, "two")
	exchange(t, first, "again")
	second.Close()

	udpAt := address(t, s, "udp")
	for _, name := range []string{"a", "b"} {
		conn, err := net.Dial("udp", udpAt)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		exchange(t, conn, name)
		exchange(t, conn, name+name)
	}
	const base = virtctltest.Base + "virtualmachines/web/portforward/"
	if got, want := paths(server), []string{base + "22/tcp", base + "22/tcp", base + "53/udp", base + "53/udp"}; !slices.Equal(got, want) {
		t.Errorf("opened %v, want %v", got, want)
	}
	if err := s.Interrupt(); err != nil {
		t.Errorf("Ctrl+C: %v", err)
	}
}

// TestHalfClose lets the guest finish after the local side has said all it has to say.
func TestHalfClose(t *testing.T) {
	server := &virtctltest.Server{Answer: func(w http.ResponseWriter, r *http.Request) bool {
		conn := virtctltest.Stream(t, w, r)
		if conn == nil {
			return true
		}
		_, data, err := conn.Read(r.Context())
		if err != nil {
			t.Error(err)
			return true
		}
		time.Sleep(200 * time.Millisecond) // the local side has closed by now
		_ = conn.Write(r.Context(), websocket.MessageBinary, []byte("answer to "+string(data)))
		conn.Close(websocket.StatusNormalClosure, "")
		return true
	}}
	out, _, err := virtctltest.Run(t, server, strings.NewReader("question"), virtctltest.One(NewPortForward), "port-forward", "--stdio=true", "vmi/web/prod", "80")
	if err != nil || out != "answer to question" {
		t.Errorf("printed %q, %v", out, err)
	}
	if want := "/apis/subresources.kubevirt.io/v1/namespaces/prod/virtualmachineinstances/web/portforward/80/tcp"; !slices.Equal(paths(server), []string{want}) {
		t.Errorf("opened %v, want %s", paths(server), want)
	}
}

func TestBrokenConnection(t *testing.T) {
	for name, tc := range map[string]struct {
		end  func(*websocket.Conn)
		want string
	}{
		"closed with a reason": {func(c *websocket.Conn) { c.Close(websocket.StatusInternalError, "node is gone") }, "the connection broke: node is gone"},
		"cut":                  {func(c *websocket.Conn) { c.CloseNow() }, "the connection broke: "},
	} {
		t.Run(name, func(t *testing.T) {
			server := &virtctltest.Server{Answer: func(w http.ResponseWriter, r *http.Request) bool {
				if conn := virtctltest.Stream(t, w, r); conn != nil {
					tc.end(conn)
				}
				return true
			}}
			in, typed := io.Pipe()
			defer typed.Close()
			_, _, err := virtctltest.Run(t, server, in, virtctltest.One(NewPortForward), "port-forward", "--stdio", "vm/web", "80")
			if err == nil || !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("error %v, want %s", err, tc.want)
			}
		})
	}
}

// TestRefusals tells a machine that does not run from one that does not exist, and shows a long Status whole.
func TestRefusals(t *testing.T) {
	long := strings.Repeat("a long reason ", 200) + "ends here"
	server := &virtctltest.Server{Answer: func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case strings.Contains(r.URL.Path, "/long/"):
			virtctltest.Refuse(w, 409, long)
		case strings.Contains(r.URL.Path, "/virtualmachines/stopped/"):
			virtctltest.Refuse(w, 409, "VMI is not started")
		case strings.HasSuffix(r.URL.Path, "/virtualmachines/stopped"):
			virtctltest.JSON(w, virtv1.VirtualMachine{TypeMeta: metav1.TypeMeta{APIVersion: "kubevirt.io/v1", Kind: "VirtualMachine"}, ObjectMeta: metav1.ObjectMeta{Name: "stopped"}})
		default:
			virtctltest.Refuse(w, 404, "not found")
		}
		return true
	}}
	for target, want := range map[string]string{
		"vm/long":    "portforward/22/tcp of vm/long: " + long,
		"stopped":    "portforward/22/tcp of vmi/stopped: the machine is not running; start it: virtctl start stopped -n ns",
		"vm/stopped": "portforward/22/tcp of vm/stopped: the machine is not running; start it: virtctl start stopped -n ns",
		"vm/missing": "portforward/22/tcp of vm/missing: not found",
	} {
		_, _, err := virtctltest.Run(t, server, nil, virtctltest.One(NewPortForward), "port-forward", "--stdio", target, "22")
		if err == nil || err.Error() != want {
			t.Errorf("%s: error %v, want %s", target, err, want)
		}
	}
	s := virtctltest.Start(t, server, nil, virtctltest.One(NewPortForward), "port-forward", "stopped", ":22")
	conn, err := net.Dial("tcp", address(t, s, "tcp"))
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !strings.Contains(fmt.Sprint(err), "reset") {
		t.Errorf("the local connection ends with %v", err)
	}
	if !strings.Contains(s.Err.String(), "Connection to port 22: portforward/22/tcp of vmi/stopped: the machine is not running") {
		t.Errorf("said %q", s.Err.String())
	}
}

func TestPortBusy(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	_, port, _ := net.SplitHostPort(busy.Addr().String())
	_, _, err = virtctltest.Run(t, echoing(t), nil, virtctltest.One(NewPortForward), "port-forward", "vm/web", port+":22")
	if err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("error %v", err)
	}
}

func TestVsock(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"vsock", "web", "9999"}, "virtualmachineinstances/web/vsock?port=9999&tls=true"},
		{[]string{"vsock", "vm/web", "100000", "--tls=false"}, "virtualmachineinstances/web/vsock?port=100000&tls=false"},
	} {
		server := &virtctltest.Server{Answer: func(w http.ResponseWriter, r *http.Request) bool {
			if conn := virtctltest.Stream(t, w, r); conn != nil {
				_ = conn.Write(r.Context(), websocket.MessageBinary, []byte("hello"))
				conn.Close(websocket.StatusNormalClosure, "")
			}
			return true
		}}
		in, typed := io.Pipe()
		out, _, err := virtctltest.Run(t, server, in, virtctltest.One(NewVsock), tc.args...)
		typed.Close()
		if err != nil || out != "hello" || !slices.Equal(paths(server), []string{virtctltest.Base + tc.want}) {
			t.Errorf("%v: printed %q, %v; opened %v", tc.args, out, err, paths(server))
		}
	}
	server := echoing(t)
	s := virtctltest.Start(t, server, nil, virtctltest.One(NewVsock), "vsock", "web", "9999", "--listen", "0")
	conn, err := net.Dial("tcp", address(t, s, "tcp"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	exchange(t, conn, "over vsock")
	if err := s.Interrupt(); err != nil {
		t.Error(err)
	}
	_, _, err = virtctltest.Run(t, server, nil, virtctltest.One(NewVsock), "vsock", "web", "udp/1")
	if !command.IsUsage(err) {
		t.Errorf("datagrams: %v", err)
	}
}

// TestUSBRedirByHand lets a client of one's own connect.
func TestUSBRedirByHand(t *testing.T) {
	server := echoing(t)
	s := virtctltest.Start(t, server, nil, virtctltest.One(NewUSBRedir), "usbredir", "web", "--no-launch")
	virtctltest.Eventually(t, "the address", func() bool { return strings.HasSuffix(s.Out.String(), "\n") })
	conn, err := net.Dial("tcp", strings.TrimSpace(s.Out.String()))
	if err != nil {
		t.Fatal(err)
	}
	exchange(t, conn, "usb")
	conn.(*net.TCPConn).Close()
	if got, want := paths(server), []string{virtctltest.Base + "virtualmachineinstances/web/usbredir"}; !slices.Equal(got, want) {
		t.Errorf("opened %v, want %v", got, want)
	}
	if err := s.Interrupt(); err != nil {
		t.Error(err)
	}
}

func TestUSBDevice(t *testing.T) {
	for device, ok := range map[string]bool{"0951:1666": true, "02-03": true, "2-13": true, "": false, "--help": false, "0951": false, "zz:11": false, "12345:1": false} {
		if err := checkDevice(device); (err == nil) != ok {
			t.Errorf("%q: %v", device, err)
		}
	}
}
