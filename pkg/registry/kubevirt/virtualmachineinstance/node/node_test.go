package node

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

type getter struct{ *virtv1.VirtualMachineInstance }

func (g getter) Get(context.Context, string, *metav1.GetOptions) (runtime.Object, error) {
	return g.VirtualMachineInstance, nil
}

// asked notes what it was asked for.
type asked struct {
	getter
	options []metav1.GetOptions
}

func (a *asked) Get(ctx context.Context, name string, options *metav1.GetOptions) (runtime.Object, error) {
	a.options = append(a.options, *options)
	return a.getter.Get(ctx, name, options)
}

// TestReadsTheStore reads without a version, which goes past the cache of this replica to the store: a client may come from a
// watch of another replica that is ahead of it.
func TestReadsTheStore(t *testing.T) {
	instances := &asked{getter: runningInstance()}
	a := New(instances, roundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
	}))
	if _, _, err := a.Console(t.Context(), "a", ""); err != nil {
		t.Fatal(err)
	}
	if err := a.Pause(t.Context(), "a", &virtv1.PauseOptions{}); err != nil {
		t.Fatal(err)
	}
	if len(instances.options) != 2 || instances.options[0] != (metav1.GetOptions{}) || instances.options[1] != (metav1.GetOptions{}) {
		t.Errorf("read with %+v, want no resourceVersion", instances.options)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func (f roundTripper) NodeConnection(context.Context, string) (*url.URL, http.RoundTripper, error) {
	return &url.URL{Scheme: "https", Host: "10.0.0.1:8186"}, f, nil
}

func runningInstance() getter {
	return getter{&virtv1.VirtualMachineInstance{
		ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "default"},
		Status:     virtv1.VirtualMachineInstanceStatus{Phase: virtv1.Running, NodeName: "node"},
	}}
}

// TestDeadline shows that an agent that never answers does not hold a request for ever, and that the answer says so.
func TestDeadline(t *testing.T) {
	a := New(runningInstance(), roundTripper(func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}))
	if a.deadline != 30*time.Second {
		t.Errorf("The deadline is %s, want 30s", a.deadline)
	}
	a.deadline = time.Millisecond
	err := a.Pause(context.Background(), "a", &virtv1.PauseOptions{})
	if want := "node node did not pause a within 1ms"; !apierrors.IsTimeout(err) || err.Error() != "Timeout: "+want {
		t.Errorf("Pause: %v, want a timeout that says %q", err, want)
	}
}

// TestUnreachable tells a broken connection from a refusal.
func TestUnreachable(t *testing.T) {
	a := New(runningInstance(), roundTripper(func(*http.Request) (*http.Response, error) {
		return nil, errors.New("connection refused")
	}))
	err := a.Pause(context.Background(), "a", &virtv1.PauseOptions{})
	if want := "could not reach the agent of node node: connection refused"; !apierrors.IsServiceUnavailable(err) || err.Error() != want {
		t.Errorf("Pause: %v, want %q", err, want)
	}
}

// TestConsoleLocation computes where a console is without a socket.
func TestConsoleLocation(t *testing.T) {
	location, _, err := New(runningInstance(), roundTripper(nil)).Console(context.Background(), "a", "")
	if want := "https://10.0.0.1:8186/v1/namespaces/default/virtualmachineinstances/a/console"; err != nil || location.String() != want {
		t.Errorf("Console is at %v, %v, want %s", location, err, want)
	}
}
