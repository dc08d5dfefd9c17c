package machine

import (
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

func TestProbe(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer server.Close()
	for _, tc := range []struct{ target, want string }{
		{"unix:" + socket, ""},
		{"unix:" + socket + "-not", "no such file"},
		{"tcp:" + strings.TrimPrefix(server.URL, "https://"), ""},
		{server.URL + "/readyz", ""},
		{server.URL + "/broken", "500"},
		{"http://plain", "no target"},
		{"nonsense", "no target"},
	} {
		err := probe(t.Context(), tc.target)
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("probe(%s) = %v, want %q", tc.target, err, tc.want)
		}
	}
}
