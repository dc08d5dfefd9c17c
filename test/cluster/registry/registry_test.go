package registry

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

func serve(t *testing.T, dir string) *httptest.Server {
	t.Helper()
	h, err := New(dir, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func TestImagesSurviveRestart(t *testing.T) {
	dir := t.TempDir()
	first := serve(t, dir)
	img, err := random.Image(64, 2)
	if err != nil {
		t.Fatal(err)
	}
	index, err := random.Index(64, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	ref := func(s *httptest.Server, of string) name.Reference {
		t.Helper()
		r, err := name.ParseReference(strings.TrimPrefix(s.URL, "http://") + of)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if err := remote.Write(ref(first, "/team/app:devel"), img); err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(ref(first, "/all:devel"), index); err != nil {
		t.Fatal(err)
	}
	first.Close()

	second := serve(t, dir)
	got, err := remote.Image(ref(second, "/team/app:devel"))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(got); err != nil {
		t.Error(err)
	}
	if _, err := remote.Index(ref(second, "/all:devel")); err != nil {
		t.Error(err)
	}
}

func TestRefusedManifestIsForgotten(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, dir)
	req := httptest.NewRequest("PUT", s.URL+"/v2/app/manifests/devel", strings.NewReader("no manifest"))
	req.Header.Set("Content-Type", "application/vnd.oci.image.index.v1+json")
	w := httptest.NewRecorder()
	s.Config.Handler.ServeHTTP(w, req)
	if w.Code < 400 {
		t.Fatalf("nonsense was accepted with %d", w.Code)
	}
	serve(t, dir) // fails if the refused one is played back
}

func TestWholeUpload(t *testing.T) {
	s := serve(t, t.TempDir())
	content := "content of a layer"
	h, size, err := v1.SHA256(strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	upload := func(body string) int {
		t.Helper()
		resp, err := http.Post(s.URL+"/v2/app/blobs/uploads/?digest="+h.String(), "application/octet-stream", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	head := func() *http.Response {
		t.Helper()
		resp, err := http.Head(s.URL + "/v2/app/blobs/" + h.String())
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp
	}
	if code := upload("something of another digest"); code < 400 {
		t.Errorf("a wrong blob was accepted with %d", code)
	}
	if code := head().StatusCode; code != http.StatusNotFound {
		t.Errorf("before the upload: %d", code)
	}
	if code := upload(content); code != http.StatusCreated {
		t.Errorf("upload: %d", code)
	}
	if resp := head(); resp.StatusCode != http.StatusOK || resp.ContentLength != size {
		t.Errorf("after the upload: %d, %d bytes", resp.StatusCode, resp.ContentLength)
	}
}
