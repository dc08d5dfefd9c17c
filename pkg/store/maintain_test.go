package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func TestFullStoreTakesWritesAgain(t *testing.T) {
	a, err := StartAlone(t.Context(), Folder(t.TempDir()), 8<<20)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	client := a.Client()
	big := strings.Repeat("x", 1<<20)
	full := func() error {
		for i := range 40 {
			if _, err := client.Put(t.Context(), fmt.Sprintf("/test/%d", i), big); err != nil {
				return err
			}
		}
		return nil
	}
	keep := newMaintainer(a.member, "in-process")
	// What the database has left behind while it grew may be room for some more.
	for round := 1; ; round++ {
		if err := full(); !errors.Is(err, rpctypes.ErrNoSpace) {
			t.Fatalf("filling the store: %v", err)
		}
		err := keep.once(t.Context())
		if err == nil && round < 10 {
			continue
		}
		if err == nil || !strings.Contains(err.Error(), "the store is full and takes no writes: raise --quota-bytes") {
			t.Errorf("there is no room to make: %v", err)
		}
		break
	}

	// Deleting is still possible, and what is deleted and compacted makes room.
	deleted, err := client.Delete(t.Context(), "/test/", clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Compact(t.Context(), deleted.Header.Revision, clientv3.WithCompactPhysical()); err != nil {
		t.Fatal(err)
	}
	if err := keep.once(t.Context()); err != nil {
		t.Fatal(err)
	}
	put(t, client, "/test/again")
	status, err := client.Status(t.Context(), "in-process")
	if err != nil || status.DbSize > 2<<20 {
		t.Errorf("the file still has %d bytes, error %v", status.DbSize, err)
	}
}

func TestSmallStoreIsLeftAlone(t *testing.T) {
	a := startAlone(t, t.TempDir())
	keep := newMaintainer(a.member, "in-process")
	if err := keep.once(t.Context()); err != nil || !keep.last.IsZero() {
		t.Errorf("defragmented at %v, error %v", keep.last, err)
	}
}
