// Package registry serves an image registry from a folder, over plain HTTP and for anyone who reaches it: it
// listens on the local cluster's own network only. What was pushed is there after a restart.
package registry

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/google/go-containerregistry/pkg/registry"
)

// manifest is one accepted PUT of a manifest. The library below keeps these in memory only.
type manifest struct {
	Path        string `json:"path"`
	ContentType string `json:"contentType"`
	Body        []byte `json:"body"`
}

// maxManifest is what registries commonly accept.
const maxManifest = 4 << 20

// New gives a handler that keeps blobs and manifests below dir.
func New(dir string, logs io.Writer) (http.Handler, error) {
	store := blobs{dir: filepath.Join(dir, "blobs")}
	manifests := filepath.Join(dir, "manifests")
	for _, d := range []string{store.dir, manifests} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
	}
	inner := registry.New(
		registry.WithBlobHandler(store),
		registry.Logger(log.New(logs, "", log.LstdFlags)),
	)
	if err := replay(inner, manifests); err != nil {
		return nil, fmt.Errorf("reading the registry's manifests in %s: %w", manifests, err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/manifests/") {
			inner.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxManifest))
		if err != nil {
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		answer := newAnswer()
		inner.ServeHTTP(answer, r)
		if answer.code < http.StatusBadRequest {
			m := manifest{Path: r.URL.Path, ContentType: r.Header.Get("Content-Type"), Body: body}
			// Saved before the answer: an image that was accepted must not be gone after a restart.
			if err := save(manifests, m); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
		}
		answer.send(w)
	}), nil
}

func replay(inner http.Handler, dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return err
	}
	var saved []manifest
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		var m manifest
		if err := json.Unmarshal(b, &m); err != nil {
			return fmt.Errorf("%s: %w", f, err)
		}
		saved = append(saved, m)
	}
	// An index is accepted only after the manifests it lists, which are put by digest.
	sort.Slice(saved, func(i, j int) bool {
		di, dj := strings.Contains(saved[i].Path, "sha256:"), strings.Contains(saved[j].Path, "sha256:")
		if di != dj {
			return di
		}
		return saved[i].Path < saved[j].Path
	})
	for _, m := range saved {
		r, err := http.NewRequest(http.MethodPut, m.Path, bytes.NewReader(m.Body))
		if err != nil {
			return err
		}
		r.Header.Set("Content-Type", m.ContentType)
		answer := newAnswer()
		inner.ServeHTTP(answer, r)
		if answer.code >= http.StatusBadRequest {
			return fmt.Errorf("%s: %d %s", m.Path, answer.code, answer.body.String())
		}
	}
	return nil
}

func file(dir, path string) string {
	sum := sha256.Sum256([]byte(path))
	return filepath.Join(dir, hex.EncodeToString(sum[:])+".json")
}

func save(dir string, m manifest) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	name := file(dir, m.Path)
	if err := os.WriteFile(name+".tmp", b, 0o644); err != nil {
		return err
	}
	return os.Rename(name+".tmp", name)
}

// answer holds a response back.
type answer struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

func newAnswer() *answer { return &answer{header: make(http.Header), code: http.StatusOK} }

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(code int)        { a.code = code }
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }

func (a *answer) send(w http.ResponseWriter) {
	for k, v := range a.header {
		w.Header()[k] = v
	}
	w.WriteHeader(a.code)
	_, _ = a.body.WriteTo(w)
}
