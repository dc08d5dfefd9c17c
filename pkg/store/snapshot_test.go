package store

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/client-go/kubernetes/fake"
)

func TestSnapshotAndRestore(t *testing.T) {
	dir := t.TempDir()
	a := startAlone(t, dir)
	client := a.Client()
	identify(t, client, Identity{ID: "a", Generation: 1, Schema: 1})
	put(t, client, "/test/kept")
	put(t, client, "/test/deleted")
	if _, err := client.Delete(t.Context(), "/test/deleted"); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "snapshot.db")
	if _, err := SnapshotToFile(t.Context(), client, file); err != nil {
		t.Fatal(err)
	}
	contents, err := ReadSnapshot(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := contents.Under("/test/"); len(got) != 2 || string(got["/test/kept"]) != "x" {
		t.Errorf("contents %v", got)
	}
	for range 10 {
		put(t, client, "/test/later")
	}
	reached, err := ReadState(t.Context(), client, "/test")
	if err != nil {
		t.Fatal(err)
	}

	// A running store is told to start again, and takes the restored one then.
	restored := make(chan error, 1)
	go func() {
		_, err := Restore(t.Context(), RestoreConfig{Snapshot: file, Folder: Folder(dir), Prefix: "/test", Reached: reached.Revision})
		restored <- err
	}()
	if err := <-a.Err(); err == nil || !strings.Contains(err.Error(), "restored store waits") {
		t.Fatalf("the running store ended with %v", err)
	}
	a.Close()
	if err := <-restored; err != nil {
		t.Fatal(err)
	}
	client = startAlone(t, dir).Client()
	state, err := ReadState(t.Context(), client, "/test")
	if err != nil {
		t.Fatal(err)
	}
	if state.ID != "a" || state.Generation <= 1 || state.Revision <= reached.Revision {
		t.Errorf("state %+v; reached before: %d", state, reached.Revision)
	}
	resp, err := client.Get(t.Context(), "/test/", clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, kv := range resp.Kvs {
		keys = append(keys, string(kv.Key))
	}
	if got := strings.Join(keys, " "); got != "/test/.store/identity /test/kept" {
		t.Errorf("keys %s", got)
	}
	if kept, err := filepath.Glob(filepath.Join(dir, "replaced-*")); err != nil || len(kept) != 1 {
		t.Errorf("the old data was not kept: %v, %v", kept, err)
	}

	// Not served before it was adopted, and served then.
	anchor := NewConfigMapAnchor(fake.NewClientset(), "kubevirt")
	if err := anchor.Create(t.Context(), Record{ID: "a", Generation: 1, Revision: reached.Revision}); err != nil {
		t.Fatal(err)
	}
	if err := NewGuard(client, "/test", 1, anchor).look(t.Context()); err == nil || !strings.Contains(err.Error(), "but generation 1 was in use") {
		t.Errorf("error %v", err)
	}
	record, err := Adopt(t.Context(), client, "/test", 1, anchor)
	if err != nil {
		t.Fatal(err)
	}
	if record.ID != "a" || record.Generation <= state.Generation {
		t.Errorf("record %+v", record)
	}
	if err := NewGuard(client, "/test", 1, anchor).look(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestReadSnapshotRefuses(t *testing.T) {
	client := startAlone(t, t.TempDir()).Client()
	var good bytes.Buffer
	if _, err := Snapshot(t.Context(), client, &good); err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(good.Bytes())
	damaged[len(damaged)/2] ^= 1
	for _, tc := range []struct {
		name    string
		content []byte
		want    string
	}{
		{"damaged", damaged, "its checksum does not match"},
		{"cut", good.Bytes()[:4096], "it has no checksum"},
		{"empty", nil, "it has no checksum"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "x.db")
			if err := os.WriteFile(file, tc.content, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := ReadSnapshot(file); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %s", err, tc.want)
			}
		})
	}
}

func TestRestoreRefusesForeignSnapshot(t *testing.T) {
	client := startAlone(t, t.TempDir()).Client()
	file := filepath.Join(t.TempDir(), "x.db")
	if _, err := SnapshotToFile(t.Context(), client, file); err != nil {
		t.Fatal(err)
	}
	_, err := Restore(t.Context(), RestoreConfig{Snapshot: file, Folder: Folder(t.TempDir()), Prefix: "/test"})
	if err == nil || !strings.Contains(err.Error(), "is not one of this store") {
		t.Errorf("error %v", err)
	}
}
