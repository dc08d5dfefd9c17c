package nodestatus

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	clocktesting "k8s.io/utils/clock/testing"
)

// TestGoodbyeOutlivesItsContext ends an agent against a server that is reached by HTTP: the last word is sent although the
// context of all others has ended.
func TestGoodbyeOutlivesItsContext(t *testing.T) {
	var mu sync.Mutex
	var bodies []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		bodies = append(bodies, string(body))
		mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"kind":"Node","apiVersion":"v1","metadata":{"name":"node1"}}`)
	}))
	defer server.Close()
	client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	clock := clocktesting.NewFakeClock(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		New(client, "node1", clock).Heartbeat(ctx, func() error { return nil })
	}()
	await(t, "the first heartbeat is sent", clock.HasWaiters)
	cancel()
	<-done
	mu.Lock()
	defer mu.Unlock()
	patch := `{"metadata":{"annotations":{"kubevirt.io/heartbeat":"2026-11-22T12:00:00Z"},"labels":{"kubevirt.io/schedulable":`
	if len(bodies) != 2 || bodies[0] != patch+`"true"}}}` || bodies[1] != patch+`"false"}}}` {
		t.Errorf("sent %q", bodies)
	}
}
