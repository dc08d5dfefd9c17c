// Package limits holds what all controllers keep to: how long they wait before they try again, and how long an event's note
// may be. It knows nothing of what is reconciled.
package limits

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

const (
	firstRetry = 5 * time.Millisecond
	// lastRetry is the longest wait between tries. A cause that ends without an event of its own, such as a quota that was
	// raised or a store that is back, must not leave anyone waiting for a quarter of an hour.
	lastRetry = 20 * time.Second
	// noteLimit leaves some room below the 1,024 bytes that the API takes of an event's note.
	noteLimit = 1000
)

// Retries gives a controller's back-off: exponential for each object, up to lastRetry.
func Retries() workqueue.TypedRateLimiter[reconcile.Request] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetry, lastRetry)
}

// Recorder cuts notes to the length that the API takes: it refuses an event whose note is longer.
type Recorder struct{ events.EventRecorder }

// Eventf records an event.
func (r Recorder) Eventf(regarding, related runtime.Object, kind, reason, action, note string, args ...any) {
	text := fmt.Sprintf(note, args...)
	if len(text) > noteLimit {
		text = strings.ToValidUTF8(text[:noteLimit], "") + " …"
	}
	r.EventRecorder.Eventf(regarding, related, kind, reason, action, "%s", text)
}
