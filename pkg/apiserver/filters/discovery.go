package filters

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"strings"
)

// WithWholeDiscovery answers questions for what a group version serves to the end, also when nobody waits any more. To see whether
// this server is there, kube-apiserver asks five times at once, for each version every 30 seconds, and hangs up on four when it has
// one answer: each of those would be told in the log as an error, five lines long.
func WithWholeDiscovery(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || !isGroupVersion(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		answer := &whole{header: http.Header{}, code: http.StatusOK}
		next.ServeHTTP(answer, r.WithContext(context.WithoutCancel(r.Context())))
		if r.Context().Err() != nil {
			return
		}
		maps.Copy(w.Header(), answer.header)
		w.WriteHeader(answer.code)
		_, _ = w.Write(answer.body.Bytes()) // who has hung up misses nothing
	})
}

// isGroupVersion tells the path /apis/GROUP/VERSION.
func isGroupVersion(path string) bool {
	rest, found := strings.CutPrefix(path, "/apis/")
	group, version, two := strings.Cut(strings.TrimSuffix(rest, "/"), "/")
	return found && two && group != "" && version != "" && !strings.Contains(version, "/")
}

// whole keeps an answer until it is complete.
type whole struct {
	header http.Header
	code   int
	wrote  bool
	body   bytes.Buffer
}

func (a *whole) Header() http.Header { return a.header }

func (a *whole) WriteHeader(code int) {
	if !a.wrote {
		a.code, a.wrote = code, true
	}
}

func (a *whole) Write(p []byte) (int, error) {
	a.wrote = true
	return a.body.Write(p)
}

// Flush does nothing: an answer is sent as one.
func (*whole) Flush() {}
