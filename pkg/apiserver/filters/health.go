package filters

import (
	"net/http"

	"github.com/virtplane/virtplane/pkg/machine"
)

const healthPath = "/healthz"

// WithHealth has /healthz answer with the version of the cluster's configuration that the server goes by, in JSON, as long as all
// is well. What is not is told by the server itself.
func WithHealth(handler http.Handler, configVersion func() string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != healthPath || r.Method != http.MethodGet || r.URL.Query().Has("verbose") {
			handler.ServeHTTP(w, r)
			return
		}
		answer := &withoutBody{ResponseWriter: w}
		handler.ServeHTTP(answer, r)
		if answer.failed {
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Del("Content-Length")
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write(machine.Health(configVersion())) // the client has gone when this fails
	})
}

// withoutBody lets an answer through only if it is a failure.
type withoutBody struct {
	http.ResponseWriter
	failed bool
}

// WriteHeader passes on a failure.
func (w *withoutBody) WriteHeader(code int) {
	if code != http.StatusOK {
		w.failed = true
		w.ResponseWriter.WriteHeader(code)
	}
}

// Write passes on what is said of a failure.
func (w *withoutBody) Write(data []byte) (int, error) {
	if w.failed {
		return w.ResponseWriter.Write(data)
	}
	return len(data), nil
}
