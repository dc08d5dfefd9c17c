package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
	"google.golang.org/protobuf/proto"
)

// Snapshot writes the content of the store to w, with a checksum at its end.
func Snapshot(ctx context.Context, client *clientv3.Client, w io.Writer) (int64, error) {
	r, err := client.Snapshot(ctx)
	if err != nil {
		return 0, fmt.Errorf("asking the store for a snapshot: %w", err)
	}
	defer r.Close()
	n, err := io.Copy(w, r)
	if err != nil {
		return n, fmt.Errorf("copying the snapshot: %w", err)
	}
	if n%512 != sha256.Size {
		return n, fmt.Errorf("the snapshot has no checksum: it is %d bytes long", n)
	}
	return n, nil
}

// SnapshotToFile writes a snapshot to a file that is there only when it is complete.
func SnapshotToFile(ctx context.Context, client *clientv3.Client, file string) (size int64, err error) {
	tmp, err := os.CreateTemp(filepath.Dir(file), ".snapshot-")
	if err != nil {
		return 0, fmt.Errorf("making a file for the snapshot: %w", err)
	}
	defer os.Remove(tmp.Name())
	if size, err = Snapshot(ctx, client, tmp); err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return size, err
	}
	if _, err := ReadSnapshot(tmp.Name()); err != nil {
		return size, fmt.Errorf("the snapshot that the store sent: %w", err)
	}
	return size, os.Rename(tmp.Name(), file)
}

// Contents is what a snapshot holds.
type Contents struct {
	Revision int64
	// Keys holds the newest value of each key that is not deleted.
	Keys map[string][]byte
}

// ReadSnapshot checks a snapshot's checksum and reads what is in it.
func ReadSnapshot(file string) (*Contents, error) {
	if err := checksum(file); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	db, err := bolt.Open(file, 0o400, &bolt.Options{ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("opening snapshot %s: %w", file, err)
	}
	defer db.Close()
	c := &Contents{Keys: map[string][]byte{}}
	err = db.View(func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte("key"))
		if b == nil {
			return errors.New("it holds no keys")
		}
		return b.ForEach(func(k, v []byte) error { // in the order of revisions
			if len(k) < 17 {
				return fmt.Errorf("a revision of %d bytes", len(k))
			}
			var kv mvccpb.KeyValue
			if err := proto.Unmarshal(v, &kv); err != nil {
				return fmt.Errorf("decoding a key: %w", err)
			}
			c.Revision = mvcc.BytesToRev(k).Main
			if mvcc.IsTombstone(k) {
				delete(c.Keys, string(kv.Key))
			} else {
				c.Keys[string(kv.Key)] = kv.Value
			}
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("reading snapshot %s: %w", file, err)
	}
	return c, nil
}

// checksum compares the SHA-256 at the end of the file with the rest.
func checksum(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	size := st.Size() - sha256.Size
	if size <= 0 || st.Size()%512 != sha256.Size {
		return errors.New("this is not a snapshot: it has no checksum at its end")
	}
	h := sha256.New()
	if _, err := io.CopyN(h, f, size); err != nil {
		return err
	}
	want, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	if !bytes.Equal(want, h.Sum(nil)) {
		return errors.New("the snapshot is damaged: its checksum does not match")
	}
	return nil
}

// Under lists the keys of the contents below a prefix.
func (c *Contents) Under(prefix string) map[string][]byte {
	found := map[string][]byte{}
	for k, v := range c.Keys {
		if strings.HasPrefix(k, prefix) {
			found[k] = v
		}
	}
	return found
}
