// Package virtctltest is a fake API server that speaks the wire contract of actions and streams, and a way to run commands
// against it. Only tests use it.
package virtctltest

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/klog/v2"

	"github.com/virtplane/virtplane/pkg/virtctl/command"
)

// Base is the path of the subresources of namespace ns, where Run works.
const Base = "/apis/subresources.kubevirt.io/v1/namespaces/ns/"

// Request is what the server saw. Path has the query.
type Request struct{ Method, Path, Body string }

// Server answers requests and remembers them.
type Server struct {
	mu       sync.Mutex
	requests []Request
	// Answer answers a request and says that it did; otherwise the answer is 202 without a body. The body of r can be read.
	Answer func(w http.ResponseWriter, r *http.Request) bool
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := ""
	if r.Header.Get("Upgrade") == "" {
		raw, _ := io.ReadAll(r.Body)
		body = string(raw)
		r.Body = io.NopCloser(bytes.NewReader(raw))
	}
	s.mu.Lock()
	s.requests = append(s.requests, Request{r.Method, r.URL.RequestURI(), body})
	s.mu.Unlock()
	if s.Answer != nil && s.Answer(w, r) {
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// Requests are those seen so far.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Saw gives the bodies of the requests with this method and path, without query.
func (s *Server) Saw(method, path string) []string {
	var bodies []string
	for _, r := range s.Requests() {
		if plain, _, _ := bytes.Cut([]byte(r.Path), []byte("?")); r.Method == method && string(plain) == path {
			bodies = append(bodies, r.Body)
		}
	}
	return bodies
}

// Refuse answers with a Status.
func Refuse(w http.ResponseWriter, code int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Code: int32(code), Message: message, Reason: reasons[code]})
}

// reasons are those that clients of Kubernetes go by.
var reasons = map[int]metav1.StatusReason{http.StatusNotFound: metav1.StatusReasonNotFound, http.StatusConflict: metav1.StatusReasonConflict, http.StatusForbidden: metav1.StatusReasonForbidden}

// JSON answers with an object.
func JSON(w http.ResponseWriter, obj any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(obj)
}

// Decode reads the object of a request, which clients of Kubernetes' own kinds send as protobuf.
func Decode(t testing.TB, r *http.Request, into runtime.Object) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		_, _, err = scheme.Codecs.UniversalDeserializer().Decode(body, nil, into)
	}
	if err != nil {
		t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
	}
}

// Stream opens a stream as the server does: the subprotocol is echoed, frames are binary.
func Stream(t testing.TB, w http.ResponseWriter, r *http.Request) *websocket.Conn {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{command.Protocol}})
	if err != nil {
		t.Errorf("opening a stream: %v", err)
		return nil
	}
	if conn.Subprotocol() != command.Protocol {
		t.Errorf("the client asks for subprotocol %q", conn.Subprotocol())
	}
	return conn
}

// Echo opens a stream and sends back what it gets until the client closes.
func Echo(t testing.TB, w http.ResponseWriter, r *http.Request) {
	conn := Stream(t, w, r)
	if conn == nil {
		return
	}
	defer conn.CloseNow()
	for {
		kind, data, err := conn.Read(r.Context())
		if err != nil {
			return
		}
		if err := conn.Write(r.Context(), kind, data); err != nil {
			return
		}
	}
}

// Buffer is a buffer that several goroutines may write to.
type Buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Session is a command that runs against a server.
type Session struct {
	Out, Err Buffer
	// URL is the address of the server.
	URL  string
	done chan error
	stop context.CancelFunc
}

// timeout bounds a command.
const timeout = 30 * time.Second

// verbosity guards klog's level, which all tests of a package share.
var verbosity sync.Mutex

// Start runs commands in the background, as their program would: in namespace ns, unless the arguments name another.
func Start(t testing.TB, server *Server, stdin io.Reader, commands func(*command.Environment) []*cobra.Command, args ...string) *Session {
	t.Helper()
	listening := httptest.NewServer(server)
	t.Cleanup(listening.Close)
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	t.Cleanup(cancel)
	if stdin == nil {
		stdin = bytes.NewReader(nil)
	}
	s := &Session{URL: listening.URL, done: make(chan error, 1), stop: cancel}
	env := command.New(genericiooptions.IOStreams{In: stdin, Out: &s.Out, ErrOut: &s.Err}, "virtctl")
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf("apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: c, cluster: {server: %q}}]\ncontexts: [{name: c, context: {cluster: c, user: u, namespace: ns}}]\nusers: [{name: u}]\n", listening.URL)
	if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	env.Config.KubeConfig = &kubeconfig
	root := &cobra.Command{Use: "virtctl", SilenceErrors: true, SilenceUsage: true}
	env.Config.AddFlags(root.PersistentFlags())
	logging := flag.NewFlagSet("logging", flag.ContinueOnError)
	klog.InitFlags(logging)
	verbosity.Lock()
	root.PersistentFlags().AddGoFlag(logging.Lookup("v"))
	verbosity.Unlock()
	root.AddCommand(commands(env)...)
	root.SetOut(&s.Out)
	root.SetErr(&s.Err)
	root.SetArgs(args)
	go func() {
		err := root.ExecuteContext(ctx)
		// Before anybody is told of the end, who may begin the next command.
		verbosity.Lock()
		_ = logging.Set("v", "0")
		verbosity.Unlock()
		s.done <- err
	}()
	return s
}

// Wait waits until the command has ended.
func (s *Session) Wait() error {
	err := <-s.done
	s.done <- err
	return err
}

// Interrupt ends the command as Ctrl+C does, and waits for it.
func (s *Session) Interrupt() error {
	s.stop()
	return s.Wait()
}

// Run runs commands and waits for their end.
func Run(t testing.TB, server *Server, stdin io.Reader, commands func(*command.Environment) []*cobra.Command, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	s := Start(t, server, stdin, commands, args...)
	err = s.Wait()
	return s.Out.String(), s.Err.String(), err
}

// One makes a list of one command, for Run and Start.
func One(make func(*command.Environment) *cobra.Command) func(*command.Environment) []*cobra.Command {
	return func(e *command.Environment) []*cobra.Command { return []*cobra.Command{make(e)} }
}

// Eventually waits until ok, for at most ten seconds.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s did not come about", what)
		}
	}
}
