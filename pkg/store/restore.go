package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/etcd/etcdutl/v3/snapshot"
)

// RestoreConfig says what is restored, and where.
type RestoreConfig struct {
	Snapshot string
	Folder   Folder
	// Self is the member that the restored store begins with; an empty name is for a store inside virt-api.
	Self   Peer
	Prefix string
	// Reached is the highest revision that clients may have seen.
	Reached int64
}

// revisionMargin lies between what clients have seen and the restored store, so that no revision comes twice: more than is written
// between two records of the revision, and so little that it stays within 32 bits, into which some clients read it, for two hundred
// restores.
const revisionMargin = 10_000_000

// Restore makes a store of one member from a snapshot: of a new generation, so that it is not served before it was adopted,
// and with higher revisions than any before, so that clients notice and list again. A member that runs in the folder takes it
// over; otherwise it is there at the next start.
func Restore(ctx context.Context, c RestoreConfig) (Identity, error) {
	contents, err := ReadSnapshot(c.Snapshot)
	if err != nil {
		return Identity{}, err
	}
	if _, ok := contents.Keys[identityKey(c.Prefix)]; !ok {
		return Identity{}, fmt.Errorf("snapshot %s is not one of this store: it holds no identity below %s", c.Snapshot, c.Prefix)
	}
	if _, err := os.Stat(c.Folder.restoredDir()); err == nil {
		return Identity{}, fmt.Errorf("%s waits to be taken: start the member, or remove it", c.Folder.restoredDir())
	}
	if err := os.MkdirAll(string(c.Folder), 0o700); err != nil {
		return Identity{}, fmt.Errorf("making the store's folder: %w", err)
	}
	tmp, err := os.MkdirTemp(string(c.Folder), ".restore-")
	if err != nil {
		return Identity{}, err
	}
	defer os.RemoveAll(tmp)
	name, peer := c.Self.Name, c.Self.PeerURL
	if name == "" {
		name, peer = aloneName, alonePeer
	}
	work := Folder(tmp)
	err = snapshot.NewV3(etcdLogger()).Restore(snapshot.RestoreConfig{
		SnapshotPath:   c.Snapshot,
		Name:           name,
		OutputDataDir:  work.dataDir(),
		PeerURLs:       []string{peer},
		InitialCluster: name + "=" + peer,
		// Another cluster than the one that the snapshot is of, for everybody who still knows that.
		InitialClusterToken: "virtplane-" + uuid.NewString(),
		RevisionBump:        uint64(max(c.Reached-contents.Revision, 0) + revisionMargin),
		MarkCompacted:       true,
	})
	if err != nil {
		return Identity{}, fmt.Errorf("restoring %s: %w", c.Snapshot, err)
	}
	id, err := nextGeneration(ctx, work, c.Prefix)
	if err != nil {
		return id, err
	}
	if err := os.Rename(work.dataDir(), c.Folder.restoredDir()); err != nil {
		return id, err
	}
	if err := c.Folder.sync(); err != nil {
		return id, err
	}
	return id, c.handOver(ctx)
}

// nextGeneration marks a restored store as another one than it was.
func nextGeneration(ctx context.Context, folder Folder, prefix string) (Identity, error) {
	m, err := StartMember(ctx, MemberConfig{Dir: string(folder)})
	if err != nil {
		return Identity{}, err
	}
	defer m.Close()
	state, err := ReadState(ctx, m.Client(), prefix)
	if err != nil {
		return Identity{}, err
	}
	id := state.Identity
	// A clock tells generations apart that were restored from the same snapshot.
	id.Generation = max(id.Generation+1, time.Now().Unix())
	_, err = writeIdentity(ctx, m.Client(), prefix, state, id)
	return id, err
}

// handOver waits until a running member has taken the store, or takes it when there is none.
func (c RestoreConfig) handOver(ctx context.Context) error {
	for {
		unlock, err := c.Folder.lock()
		if err == nil {
			defer unlock()
			_, err = c.Folder.takeRestored()
			return err
		}
		if !errors.Is(err, errLocked) {
			return err
		}
		if _, err := os.Stat(c.Folder.restoredDir()); errors.Is(err, os.ErrNotExist) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the running member to take %s: %w", filepath.Base(c.Folder.restoredDir()), context.Cause(ctx))
		case <-time.After(200 * time.Millisecond):
		}
	}
}
