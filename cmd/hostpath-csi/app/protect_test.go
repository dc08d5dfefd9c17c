package app

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/virtplane/virtplane/csi-driver/pool"

	"github.com/virtplane/virtplane/pkg/metrics"
)

const waitFor = 20 * time.Second

// cluster answers reviews: every token names its owner, and only "prometheus" may get the path.
func cluster(t *testing.T) (kubeconfig string) {
	t.Helper()
	api := http.NewServeMux()
	api.HandleFunc("POST /apis/authentication.k8s.io/v1/tokenreviews", func(w http.ResponseWriter, r *http.Request) {
		var review authenticationv1.TokenReview
		decode(t, r, &review)
		review.Status.Authenticated = review.Spec.Token != "expired"
		review.Status.User.Username = review.Spec.Token
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(&review)
	})
	api.HandleFunc("POST /apis/authorization.k8s.io/v1/subjectaccessreviews", func(w http.ResponseWriter, r *http.Request) {
		var review authorizationv1.SubjectAccessReview
		decode(t, r, &review)
		a := review.Spec.NonResourceAttributes
		review.Status.Allowed = review.Spec.User == "prometheus" && a != nil && a.Path == "/metrics" && a.Verb == "get"
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(&review)
	})
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	text := `{"apiVersion":"v1","kind":"Config","current-context":"c","clusters":[{"name":"c","cluster":{"server":"` + server.URL + `"}}],"contexts":[{"name":"c","context":{"cluster":"c","user":""}}]}`
	if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return kubeconfig
}

// serving runs the servers of the program until the test ends, and returns the addresses of metrics and probes.
func serving(t *testing.T, change func(*options)) (metrics, health string) {
	t.Helper()
	o := newOptions()
	o.kubeconfig, o.serveAddress, o.metricsAddress = cluster(t), "127.0.0.1:0", "127.0.0.1:0"
	change(o)
	servers, err := listenHTTP(o, []check{{"registration", func() error { return nil }}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, len(servers))
	for _, s := range servers {
		go func() { ended <- s.serve(ctx) }()
	}
	t.Cleanup(func() {
		cancel()
		for range servers {
			select {
			case err := <-ended:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(waitFor):
				t.Errorf("waiting for the servers to end: one runs after %s", waitFor)
			}
		}
	})
	if len(servers) == 2 {
		health = servers[1].listener.Addr().String()
	}
	return servers[0].listener.Addr().String(), health
}

// decode reads what a client sends, in JSON or protobuf.
func decode(t *testing.T, r *http.Request, into runtime.Object) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		_, _, err = scheme.Codecs.UniversalDeserializer().Decode(body, nil, into)
	}
	if err != nil {
		t.Error(err)
	}
}

func get(t *testing.T, url, token string) (code int, body string, certificate *x509.Certificate) {
	t.Helper()
	client := &http.Client{Timeout: waitFor, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // as scrapers of self-signed certificates do
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.TLS != nil {
		certificate = response.TLS.PeerCertificates[0]
	}
	return response.StatusCode, string(text), certificate
}

// TestWhoMayReadMetrics asks on both addresses, with all sorts of tokens.
func TestWhoMayReadMetrics(t *testing.T) {
	secure, plain := serving(t, func(*options) {})
	metrics, health := "https://"+secure, "http://"+plain
	for _, tc := range []struct {
		url, token string
		code       int
		want       string
	}{
		{metrics + "/metrics", "", 401, "/metrics"},
		{metrics + "/metrics", "expired", 401, ""},
		{metrics + "/metrics", "tenant", 403, "tenant may not get the non-resource URL /metrics"},
		{metrics + "/metrics", "prometheus", 200, "go_goroutines"},
		{metrics + "/metrics/", "prometheus", 404, ""},
		{metrics + "/livez", "prometheus", 404, ""},
		{metrics + "/debug/pprof/", "prometheus", 404, ""},
		{"http://" + secure + "/metrics", "prometheus", 400, ""},
		{health + "/livez", "", 200, "ok"},
		{health + "/readyz", "", 200, "[+] registration"},
		{health + "/metrics", "", 404, ""},
		{health + "/metrics", "prometheus", 404, ""},
	} {
		code, body, _ := get(t, tc.url, tc.token)
		if code != tc.code || !strings.Contains(body, tc.want) {
			t.Errorf("GET %s as %q: %d %.200q, want %d with %q", tc.url, tc.token, code, body, tc.code, tc.want)
		}
	}
}

func TestOpenMetrics(t *testing.T) {
	metrics, _ := serving(t, func(o *options) { o.openMetrics, o.kubeconfig, o.serveAddress = true, "", "" })
	if code, _, _ := get(t, "https://"+metrics+"/metrics", ""); code != 200 {
		t.Errorf("without a token: %d", code)
	}
}

// TestNobodyToAsk wants the way out to be named where there is no API server.
func TestNobodyToAsk(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	o := newOptions()
	o.metricsAddress, o.serveAddress = "127.0.0.1:0", ""
	if _, err := listenHTTP(o, nil); err == nil || !strings.Contains(err.Error(), "finding the API server") || !strings.Contains(err.Error(), "--open-metrics") {
		t.Errorf("said: %v", err)
	}
	o.metricsAddress = ""
	if servers, err := listenHTTP(o, nil); err != nil || len(servers) != 0 {
		t.Errorf("with no metrics: %d servers, %v", len(servers), err)
	}
}

// writePair writes a new certificate with its key.
func writePair(t *testing.T, certFile, keyFile string) []byte {
	t.Helper()
	pair, err := metrics.SelfSigned("test")
	if err != nil {
		t.Fatal(err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		t.Fatalf("key %T", pair.PrivateKey)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, keyFile: {Type: "EC PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return pair.Certificate[0]
}

// TestCertificate serves a given certificate, the new one after it was replaced, and the last good one in between.
func TestCertificate(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	want := writePair(t, certFile, keyFile)
	metrics, _ := serving(t, func(o *options) { o.certFile, o.keyFile = certFile, keyFile })
	check := func(when string) {
		t.Helper()
		if _, _, got := get(t, "https://"+metrics+"/metrics", ""); string(got.Raw) != string(want) {
			t.Errorf("%s: another certificate", when)
		}
	}
	check("at first")
	if err := os.WriteFile(keyFile, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	check("while it is replaced")
	want = writePair(t, certFile, keyFile)
	check("afterwards")
	if _, err := tlsConfig(filepath.Join(dir, "missing"), keyFile); err == nil || !strings.Contains(err.Error(), "--tls-cert-file") {
		t.Errorf("a missing file: %v", err)
	}
}

// TestSharedWith looks at a pool on the file system of the kubelet, on the root's, and on another one.
func TestSharedWith(t *testing.T) {
	path := t.TempDir()
	pools, err := pool.New([]pool.Spec{{Name: "local", Path: path}}, 100)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pools.Close() })
	for kubelet, want := range map[string]string{path: "the kubelet", filepath.Dir(path): "the kubelet"} {
		if got, err := sharedWith(t.Context(), pools, pools.Specs()[0], kubelet); err != nil || got != want {
			t.Errorf("kubelet in %s: %q, %v, want %q", kubelet, got, err, want)
		}
	}
	// The rest depends on where temporary files lie.
	for _, kubelet := range []string{"/proc", filepath.Join(path, "missing")} {
		if got, err := sharedWith(t.Context(), pools, pools.Specs()[0], kubelet); err != nil || got == "the kubelet" {
			t.Errorf("kubelet in %s: %q, %v", kubelet, got, err)
		}
	}
}
