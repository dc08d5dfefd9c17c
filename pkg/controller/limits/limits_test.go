package limits

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

func TestRetriesComeSoon(t *testing.T) {
	limiter := Retries()
	var item reconcile.Request
	var last time.Duration
	for range 50 {
		next := limiter.When(item)
		if next < last {
			t.Fatalf("the wait fell from %v to %v", last, next)
		}
		last = next
	}
	if last < 15*time.Second || last > 30*time.Second {
		t.Errorf("after 50 failures the next try comes in %v", last)
	}
	limiter.Forget(item)
	if next := limiter.When(item); next > 10*time.Millisecond {
		t.Errorf("after a success the next try comes in %v", next)
	}
}

func TestNotesAreCut(t *testing.T) {
	fake := events.NewFakeRecorder(1)
	Recorder{fake}.Eventf(nil, nil, "Warning", "Failed", "Try", "%s%%", strings.Repeat("ü", 600))
	if got := strings.TrimPrefix(<-fake.Events, "Warning Failed "); len(got) > 1024 || !utf8.ValidString(got) || !strings.HasSuffix(got, "ü …") {
		t.Errorf("%d bytes: %q", len(got), got)
	}
	Recorder{fake}.Eventf(nil, nil, "Warning", "Failed", "Try", "%d%%", 100)
	if got := <-fake.Events; got != "Warning Failed 100%" {
		t.Errorf("got %q", got)
	}
}
