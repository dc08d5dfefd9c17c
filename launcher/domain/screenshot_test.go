package domain

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/virtplane/virtplane/launcher/api"
)

func TestScreenshot(t *testing.T) {
	w := newWorld(t)
	d := w.domain()
	if _, err := d.Screenshot(t.Context(), false); api.ReasonOf(err) != api.ReasonNotRunning {
		t.Errorf("before the guest runs: %v", err)
	}
	if err := d.Sync(t.Context(), aRequest); err != nil {
		t.Fatal(err)
	}
	w.sent()
	for move, want := range map[bool]string{false: "screendump", true: "input-send-event input-send-event screendump"} {
		file, err := d.Screenshot(t.Context(), move)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(file)
		if err != nil || string(got) != "PNG" {
			t.Errorf("read %q, %v", got, err)
		}
		file.Close()
		if diff := cmp.Diff(want, strings.Join(w.sent(), " ")); diff != "" {
			t.Errorf("commands (-want +got):\n%s", diff)
		}
	}
	// Nothing is left of them.
	files, err := os.ReadDir(filepath.Dir(d.StateFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if strings.HasPrefix(f.Name(), "screenshot") {
			t.Errorf("%s is left", f.Name())
		}
	}
}
