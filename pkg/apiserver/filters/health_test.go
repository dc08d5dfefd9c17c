package filters

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestWithHealth(t *testing.T) {
	well := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, "ok")
	})
	ill := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "[-]store failed", http.StatusInternalServerError)
	})
	const json = `{"apiserver":{"connectivity":"ok"},"config-resource-version":"12"}`
	for _, tc := range []struct {
		path    string
		handler http.Handler
		code    int
		body    string
	}{
		{"/healthz", well, 200, json}, {"/healthz?timeout=1s", well, 200, json}, {"/healthz?verbose", well, 200, "ok"}, {"/readyz", well, 200, "ok"}, {"/healthz/ping", well, 200, "ok"},
		{"/healthz", ill, 500, "[-]store failed\n"},
	} {
		w := httptest.NewRecorder()
		WithHealth(tc.handler, func() string { return "12" }).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, tc.path, nil))
		if w.Code != tc.code || w.Body.String() != tc.body {
			t.Errorf("%s: %d %q, want %d %q", tc.path, w.Code, w.Body, tc.code, tc.body)
		}
		if got := w.Header().Get("Content-Type"); (got == "application/json") != (tc.body == json) {
			t.Errorf("%s: content type %s", tc.path, got)
		}
	}
}
