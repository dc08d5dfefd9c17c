package filters

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestWholeDiscovery(t *testing.T) {
	var err error
	h := WithWholeDiscovery(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err = r.Context().Err()
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusTeapot)
		w.WriteHeader(http.StatusOK) // too late
		_, _ = io.WriteString(w, "an")
		_, _ = io.WriteString(w, "swer")
	}))
	for path, cut := range map[string]bool{
		"/apis/kubevirt.io/v1": true, "/apis/kubevirt.io/v1/": true,
		"/apis": false, "/apis/kubevirt.io": false, "/apis/kubevirt.io/": false, "/apis//v1": false,
		"/apis/kubevirt.io/v1/virtualmachines": false, "/api/kubevirt.io/v1": false, "/version": false,
	} {
		ask := httptest.NewRequest(http.MethodGet, path, nil)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, ask)
		if w.Code != http.StatusTeapot || w.Body.String() != "answer" || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %q %v", path, w.Code, w.Body, w.Header())
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		w = httptest.NewRecorder()
		h.ServeHTTP(w, ask.WithContext(gone))
		if (err == nil) != cut || (w.Body.Len() == 0) != cut {
			t.Errorf("%s, after the client has hung up: the handler sees %v and writes %q", path, err, w.Body)
		}
	}
	w := httptest.NewRecorder()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/apis/kubevirt.io/v1", nil).WithContext(gone))
	if err == nil {
		t.Error("a request that is none for discovery goes on for nobody")
	}
}
