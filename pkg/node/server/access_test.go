package server

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	launcher "github.com/virtplane/virtplane/launcher/api"
	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// withPorts has the lab's guest listen on the host's loopback instead of in a pod.
func withPorts(l *lab) {
	l.server.ways.Port = func(ctx context.Context, _ *virtv1.VirtualMachineInstance, _ types.UID, protocol string, port uint16) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, protocol, fmt.Sprintf("127.0.0.1:%d", port))
	}
}

// listen is a program in the guest that serves one connection.
func listen(t *testing.T, serve func(*net.TCPConn)) int {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Go(func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(waitFor))
		serve(conn.(*net.TCPConn))
	})
	return l.Addr().(*net.TCPAddr).Port
}

// must opens a stream.
func (l *lab) must(path string) *websocket.Conn {
	l.t.Helper()
	client, _, err := l.connect(path)
	if err != nil {
		l.t.Fatal(err)
	}
	client.SetReadLimit(1 << 20)
	return client
}

// all reads a stream to its normal end.
func (l *lab) all(client *websocket.Conn) []byte {
	l.t.Helper()
	var got bytes.Buffer
	for {
		data, err := l.read(client)
		if err != nil {
			if websocket.CloseStatus(err) != websocket.StatusNormalClosure {
				l.t.Errorf("after %d bytes the stream ended with %v", got.Len(), err)
			}
			return got.Bytes()
		}
		got.Write(data)
	}
}

func noise(t *testing.T, n int) []byte {
	t.Helper()
	p := make([]byte, n)
	if _, err := rand.Read(p); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestPortForwardIsExact sends much in both directions at the same time, in frames of all sizes.
func TestPortForwardIsExact(t *testing.T) {
	l := newLab(t, withPorts)
	up, down := noise(t, 5<<20), noise(t, 5<<20)
	heard := make(chan []byte, 1)
	port := listen(t, func(c *net.TCPConn) {
		done := make(chan struct{})
		go func() {
			got := make([]byte, len(up))
			n, _ := io.ReadFull(c, got)
			heard <- got[:n]
			close(done)
		}()
		_, _ = c.Write(down)
		<-done
	})
	client := l.must(fmt.Sprintf("portforward/%d/tcp", port))
	go func() {
		for rest, n := up, 1; len(rest) > 0; n = n*3%200_000 + 1 {
			k := min(n, len(rest))
			if client.Write(context.WithoutCancel(t.Context()), websocket.MessageBinary, rest[:k]) != nil {
				return
			}
			rest = rest[k:]
		}
	}()
	if got := l.all(client); !bytes.Equal(got, down) {
		t.Errorf("the client got %d bytes that differ from the guest's %d", len(got), len(down))
	}
	if got := <-heard; !bytes.Equal(got, up) {
		t.Errorf("the guest got %d bytes that differ from the client's %d", len(got), len(up))
	}
}

// TestHalves ends one direction before the other.
func TestHalves(t *testing.T) {
	t.Run("the client closes after it has sent", func(t *testing.T) {
		l := newLab(t, withPorts)
		up := noise(t, 3<<20)
		heard := make(chan error, 1)
		port := listen(t, func(c *net.TCPConn) {
			// What nobody reads must not turn the end into a reset, which would take with it what is on its way.
			_, _ = c.Write(noise(t, 1<<20))
			time.Sleep(50 * time.Millisecond)
			got, err := io.ReadAll(c)
			if err == nil && !bytes.Equal(got, up) {
				err = fmt.Errorf("%d of %d bytes", len(got), len(up))
			}
			heard <- err
		})
		client := l.must(fmt.Sprintf("portforward/%d", port))
		go func() { // it takes what comes, as every client does
			for {
				if _, _, err := client.Read(context.WithoutCancel(t.Context())); err != nil {
					return
				}
			}
		}()
		if err := client.Write(t.Context(), websocket.MessageBinary, up[:1<<20]); err != nil {
			t.Fatal(err)
		}
		for rest := up[1<<20:]; len(rest) > 0; rest = rest[min(len(rest), 10_000):] {
			if err := client.Write(t.Context(), websocket.MessageBinary, rest[:min(len(rest), 10_000)]); err != nil {
				t.Fatal(err)
			}
		}
		if err := client.Close(websocket.StatusNormalClosure, ""); err != nil {
			t.Error(err)
		}
		if err := <-heard; err != nil {
			t.Errorf("the guest: %v", err)
		}
	})
	t.Run("the guest says its last word while the client still sends", func(t *testing.T) {
		l := newLab(t, withPorts)
		heard := make(chan int, 1)
		port := listen(t, func(c *net.TCPConn) {
			_, _ = io.WriteString(c, "enough")
			_ = c.CloseWrite()
			got, _ := io.ReadAll(c)
			heard <- len(got)
		})
		client := l.must(fmt.Sprintf("portforward/%d", port))
		if got, err := l.read(client); err != nil || string(got) != "enough" {
			t.Fatalf("read %q, %v", got, err)
		}
		sent := 0
		for range 20 {
			if err := client.Write(t.Context(), websocket.MessageBinary, make([]byte, 1000)); err != nil {
				t.Fatalf("after %d bytes: %v", sent, err)
			}
			sent += 1000
			time.Sleep(10 * time.Millisecond)
		}
		if rest := l.all(client); len(rest) > 0 {
			t.Errorf("%q follows", rest)
		}
		if got := <-heard; got != sent {
			t.Errorf("the guest got %d of %d bytes", got, sent)
		}
	})
	t.Run("the guest breaks off", func(t *testing.T) {
		l := newLab(t, withPorts)
		port := listen(t, func(c *net.TCPConn) {
			_, _ = io.ReadFull(c, make([]byte, 1))
			_ = c.SetLinger(0)
		})
		client := l.must(fmt.Sprintf("portforward/%d", port))
		if err := client.Write(t.Context(), websocket.MessageBinary, []byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := l.read(client); websocket.CloseStatus(err) != websocket.StatusInternalError {
			t.Errorf("the stream ended with %v", err)
		}
	})
}

// TestPackets has one datagram for each frame, and one frame for each datagram.
func TestPackets(t *testing.T) {
	l := newLab(t, withPorts)
	guest, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer guest.Close()
	go func() {
		buf := make([]byte, 1<<16)
		for {
			n, from, err := guest.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = guest.WriteTo(buf[:n], from)
		}
	}()
	client := l.must(fmt.Sprintf("portforward/%d/udp", guest.LocalAddr().(*net.UDPAddr).Port))
	for _, n := range []int{1, 0, 1400, 65507, 3} {
		want := noise(t, n)
		if err := client.Write(t.Context(), websocket.MessageBinary, want); err != nil {
			t.Fatal(err)
		}
		if got, err := l.read(client); err != nil || !bytes.Equal(got, want) {
			t.Errorf("a datagram of %d bytes came back as %d, %v", n, len(got), err)
		}
	}
	// One that is refused is lost, as datagrams are.
	nobody := l.must("portforward/1/udp")
	for range 3 {
		if err := nobody.Write(t.Context(), websocket.MessageBinary, []byte("anybody?")); err != nil {
			t.Error(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err := nobody.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Errorf("closing: %v", err)
	}
	if err := client.Write(t.Context(), websocket.MessageBinary, make([]byte, 65508)); err != nil {
		t.Fatal(err)
	}
	if _, err := l.read(client); websocket.CloseStatus(err) != websocket.StatusMessageTooBig {
		t.Errorf("too large a datagram: %v", err)
	}
}

// TestSlots: four USB devices and no more, each in a place of its own.
func TestSlots(t *testing.T) {
	l := newLab(t, func(l *lab) {
		l.machines.vmi.Spec.Domain.Devices.ClientPassthrough = &virtv1.ClientPassthroughDevices{}
	})
	first, _ := l.open("usbredir")
	for range 3 {
		l.open("usbredir")
	}
	_, response, err := l.connect("usbredir")
	if err == nil || response.StatusCode != http.StatusServiceUnavailable {
		t.Fatalf("a fifth device: %v, %v", response, err)
	}
	if err := first.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	for end := time.Now().Add(waitFor); ; time.Sleep(5 * time.Millisecond) {
		if _, _, err := l.connect("usbredir"); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the first device's place does not become free")
		}
	}
}

// TestSharedTurnsAreBounded, for all streams of a node share one program's memory.
func TestSharedTurnsAreBounded(t *testing.T) {
	var s streams
	var turns []*turn
	for range maxShared {
		turn, err := s.join("1")
		if err != nil {
			t.Fatal(err)
		}
		turns = append(turns, turn)
	}
	if _, err := s.join("1"); !apierrors.IsServiceUnavailable(err) {
		t.Errorf("one more: %v", err)
	}
	if _, err := s.join("2"); err != nil {
		t.Errorf("another instance: %v", err)
	}
	for _, turn := range turns {
		turn.end()
		turn.end()
	}
	if len(s.held) != 1 || len(s.shared) != 1 {
		t.Errorf("left: %d held, %d counted", len(s.held), len(s.shared))
	}
}

func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "node:node1"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestVSOCK reaches a program in a guest with and without TLS; the kernel's part is played by pipes.
func TestVSOCK(t *testing.T) {
	cert := certificate(t)
	type call struct{ cid, port uint32 }
	guests := make(chan net.Conn, 1)
	calls := make(chan call, 1)
	l := newLab(t, func(l *lab) {
		l.machines.vmi.Spec.Domain.Devices.AutoattachVSOCK = ptr.To(true)
		l.machines.vmi.Status.VSOCKCID = ptr.To(uint32(77))
		l.server.ways.Certificate = func() (*tls.Certificate, error) { return &cert, nil }
		l.server.ways.VSOCK = func(_ context.Context, cid, port uint32) (net.Conn, error) {
			if port == 9 {
				return nil, errors.New("connection reset by peer")
			}
			ours, theirs := net.Pipe()
			calls <- call{cid, port}
			guests <- theirs
			return ours, nil
		}
	})
	for _, path := range []string{"vsock?port=1024&tls=false", "vsock?port=1024"} {
		secure := !strings.Contains(path, "false")
		shown := make(chan string, 1)
		go func() {
			var guest = <-guests
			_ = guest.SetDeadline(time.Now().Add(waitFor))
			if secure {
				server := tls.Server(guest, &tls.Config{Certificates: []tls.Certificate{certificate(t)}, ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS13})
				if err := server.Handshake(); err != nil {
					shown <- err.Error()
					return
				}
				shown <- server.ConnectionState().PeerCertificates[0].Subject.CommonName
				guest = server
			} else {
				shown <- ""
			}
			_, _ = io.Copy(guest, guest)
		}()
		client := l.must(path)
		if got := <-calls; got != (call{77, 1024}) {
			t.Errorf("%s called %v", path, got)
		}
		if got := <-shown; secure && got != "node:node1" {
			t.Errorf("%s: the guest was shown %q", path, got)
		}
		if err := client.Write(t.Context(), websocket.MessageBinary, []byte("echo")); err != nil {
			t.Fatal(err)
		}
		if got, err := l.read(client); err != nil || string(got) != "echo" {
			t.Errorf("%s: read %q, %v", path, got, err)
		}
		_ = client.CloseNow()
	}
	for path, want := range map[string]int{"vsock": 400, "vsock?port=x": 400, "vsock?port=4294967296": 400, "vsock?port=1&tls=maybe": 400, "vsock?port=9": 500} {
		_, response, err := l.connect(path)
		if err == nil || response.StatusCode != want {
			t.Errorf("%s: %v, %v, want %d", path, response, err, want)
		}
	}
}

// pictures is a stream of a fake launcher.
type pictures struct {
	grpc.ClientStream
	pieces []string
	err    error
}

func (p *pictures) Recv() (*launcher.ScreenshotResponse, error) {
	if len(p.pieces) == 0 {
		return nil, p.err
	}
	piece := p.pieces[0]
	p.pieces = p.pieces[1:]
	return &launcher.ScreenshotResponse{Png: []byte(piece)}, nil
}

// painter is a launcher that gives screenshots.
type painter struct {
	fakeClient
	pictures
	moved bool
}

func (p *painter) Screenshot(_ context.Context, r *launcher.ScreenshotRequest, _ ...grpc.CallOption) (grpc.ServerStreamingClient[launcher.ScreenshotResponse], error) {
	p.moved = r.GetMoveCursor()
	return &p.pictures, nil
}

func TestScreenshot(t *testing.T) {
	for _, tc := range []struct {
		name, path string
		launcher   *painter
		code       int
		body       string
		broken     bool
		moved      bool
	}{
		{name: "in pieces", path: "vnc/screenshot", launcher: &painter{pictures: pictures{pieces: []string{"PNG", "rest"}, err: io.EOF}}, code: 200, body: "PNGrest"},
		{name: "after a move", path: "vnc/screenshot?moveCursor=true", launcher: &painter{pictures: pictures{pieces: []string{"PNG"}, err: io.EOF}}, code: 200, body: "PNG", moved: true},
		{name: "refused", path: "vnc/screenshot", launcher: &painter{pictures: pictures{err: status.Error(codes.FailedPrecondition, "there is no console")}}, code: 409},
		{name: "broken off", path: "vnc/screenshot", launcher: &painter{pictures: pictures{pieces: []string{"PNG"}, err: status.Error(codes.Unavailable, "gone")}}, code: 200, broken: true},
		{name: "no launcher", path: "vnc/screenshot", code: 503},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := newLab(t, func(l *lab) {
				l.machines.client = nil
				if tc.launcher != nil {
					l.machines.client = tc.launcher
				}
			})
			response, err := http.Get(l.url + tc.path)
			if err != nil && tc.broken {
				return // nothing of it had been sent yet
			}
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if response.StatusCode != tc.code || (err != nil) != tc.broken {
				t.Fatalf("%d %s, %v", response.StatusCode, body, err)
			}
			if tc.code == 200 && !tc.broken && (string(body) != tc.body || response.Header.Get("Content-Type") != "image/png") {
				t.Errorf("%s of type %s", body, response.Header.Get("Content-Type"))
			}
			if tc.launcher != nil && tc.launcher.moved != tc.moved {
				t.Errorf("moved: %v", tc.launcher.moved)
			}
		})
	}
}

func TestAccessRefusals(t *testing.T) {
	for _, tc := range []struct {
		name, path string
		change     func(*virtv1.VirtualMachineInstance)
		code       int
		message    string
	}{
		{name: "nobody listens", path: "portforward/1", code: 503, message: "dialing VM: port 1/tcp: connection refused: nothing listens there in the guest, or the guest refuses it"},
		{name: "no port", path: "portforward/0", code: 400, message: `port "0" must be a number from 1 to 65535`},
		{name: "too large a port", path: "portforward/65536/tcp", code: 400, message: `port "65536" must be a number from 1 to 65535`},
		{name: "another protocol", path: "portforward/22/sctp", code: 400, message: `protocol "sctp" must be tcp or udp`},
		{name: "paused", path: "portforward/22", code: 409, message: `Operation cannot be fulfilled on virtualmachineinstance.kubevirt.io "testvm": VMI is paused`,
			change: func(vmi *virtv1.VirtualMachineInstance) {
				vmi.Status.Conditions = []virtv1.VirtualMachineInstanceCondition{{Type: virtv1.VirtualMachineInstancePaused, Status: "True"}}
			}},
		{name: "no redirection", path: "usbredir", code: 409, message: `Operation cannot be fulfilled on virtualmachineinstance.kubevirt.io "testvm": Not configured with USB Redirection`},
		{name: "no VSOCK", path: "vsock?port=1", code: 400, message: "VSOCK is not attached."},
		{name: "VSOCK without an address", path: "vsock?port=1", code: 500, message: "Internal error occurred: VSOCK CID is nil",
			change: func(vmi *virtv1.VirtualMachineInstance) {
				vmi.Spec.Domain.Devices.AutoattachVSOCK = ptr.To(true)
			}},
		{name: "no screen", path: "vnc/screenshot", code: 400, message: "No graphics devices are present.", change: func(vmi *virtv1.VirtualMachineInstance) {
			vmi.Spec.Domain.Devices.AutoattachGraphicsDevice = ptr.To(false)
		}},
		{name: "not running", path: "portforward/22", code: 400, message: "Unable to connect to VirtualMachineInstance because phase is Scheduled instead of Running",
			change: func(vmi *virtv1.VirtualMachineInstance) { vmi.Status.Phase = virtv1.Scheduled }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := newLab(t, func(l *lab) {
				withPorts(l)
				if tc.change != nil {
					tc.change(l.machines.vmi)
				}
			})
			_, response, err := l.connect(tc.path)
			if err == nil {
				t.Fatal("the stream was opened")
			}
			body, _ := io.ReadAll(response.Body)
			if response.StatusCode != tc.code || !strings.Contains(string(body), strings.ReplaceAll(tc.message, `"`, `\"`)) {
				t.Errorf("%d %s, want %d %q", response.StatusCode, body, tc.code, tc.message)
			}
		})
	}
}

// TestManyConsoles connects two hundred clients, twenty at a time, while the guest writes without a pause. Each is either
// told why it has to go or leaves by itself; each sees a piece of what the guest writes without a gap; and nothing is left.
func TestManyConsoles(t *testing.T) {
	l := newLab(t, nil)
	var mu sync.Mutex
	next := 0
	go func() {
		for guest := range l.guest.conns {
			go func() {
				mu.Lock() // QEMU serves one client at a time
				defer mu.Unlock()
				defer guest.Close()
				for ; ; next++ {
					if _, err := fmt.Fprintf(guest, "%08x\n", next); err != nil {
						return
					}
				}
			}()
		}
	}()
	warm := l.must("console")
	if _, err := l.read(warm); err != nil {
		t.Fatal(err)
	}
	_ = warm.CloseNow()
	http.DefaultClient.CloseIdleConnections()
	idle := func() (int, int) {
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return runtime.NumGoroutine(), len(fds)
	}
	time.Sleep(100 * time.Millisecond)
	goroutines, files := idle()
	var clients sync.WaitGroup
	for i := range 20 {
		clients.Go(func() {
			for range 10 {
				ctx, cancel := context.WithTimeout(t.Context(), waitFor)
				client, _, err := websocket.Dial(ctx, l.url+"console", &websocket.DialOptions{Subprotocols: []string{subprotocol}})
				if err != nil {
					cancel()
					t.Errorf("connecting: %v", err)
					return
				}
				var got bytes.Buffer
				for got.Len() < 2000*(i+1) {
					_, data, err := client.Read(ctx)
					var closed websocket.CloseError
					if errors.As(err, &closed) && (closed.Code != websocket.StatusGoingAway || closed.Reason != reasonTaken) || err != nil && closed.Code == 0 {
						t.Errorf("after %d bytes: %v", got.Len(), err)
					}
					if err != nil {
						break
					}
					got.Write(data)
				}
				_ = client.Close(websocket.StatusNormalClosure, "")
				cancel()
				if err := contiguous(got.Bytes()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	clients.Wait()
	for end := time.Now().Add(waitFor); ; time.Sleep(20 * time.Millisecond) {
		http.DefaultClient.CloseIdleConnections()
		g, f := idle()
		if g <= goroutines && f <= files {
			break
		}
		if time.Now().After(end) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines and %d files, before %d and %d\n%s", g, f, goroutines, files, stacks[:runtime.Stack(stacks, true)])
		}
	}
	l.server.streams.mu.Lock()
	defer l.server.streams.mu.Unlock()
	if len(l.server.streams.held) > 0 {
		t.Errorf("turns are held: %v", l.server.streams.held)
	}
}

// contiguous wants numbered lines that follow one another; what was cut off at the ends is left out.
func contiguous(p []byte) error {
	rows := strings.Split(string(p), "\n")
	if len(rows) < 3 {
		return nil
	}
	last := -1
	for _, row := range rows[1 : len(rows)-1] {
		var i int
		if n, err := fmt.Sscanf(row, "%08x", &i); n != 1 || err != nil || len(row) != 8 || last >= 0 && i != last+1 {
			return fmt.Errorf("%q after %08x", row, last)
		}
		last = i
	}
	return nil
}

// FuzzPortForward sends frames as they come to the relay's two ways of taking them: bytes come through unchanged, and
// datagrams one by one.
func FuzzPortForward(f *testing.F) {
	f.Add([]byte("hello"), uint16(3))
	f.Add([]byte{}, uint16(1))
	f.Fuzz(func(t *testing.T, data []byte, size uint16) {
		guest := &recorder{}
		r := &relay{guest: guest}
		buf := make([]byte, bufferSize)
		frames := 0
		for rest := data; len(rest) > 0; frames++ {
			n := min(int(size)+1, len(rest))
			if err := r.packet(bytes.NewReader(rest[:n]), buf); (err != nil) != (n > maxPacket) {
				t.Fatalf("a datagram of %d bytes: %v", n, err)
			} else if err != nil {
				return
			}
			rest = rest[n:]
		}
		if guest.writes != frames || !bytes.Equal(guest.got, data) {
			t.Fatalf("%d datagrams of %d, %d bytes of %d", guest.writes, frames, len(guest.got), len(data))
		}
		*guest = recorder{}
		if err := r.bytes(bytes.NewReader(data), buf); err != nil || !bytes.Equal(guest.got, data) {
			t.Fatalf("%d bytes of %d, %v", len(guest.got), len(data), err)
		}
	})
}

// recorder takes what is written.
type recorder struct {
	net.Conn
	got    []byte
	writes int
}

func (r *recorder) Write(p []byte) (int, error) {
	r.got = append(r.got, p...)
	r.writes++
	return len(p), nil
}
