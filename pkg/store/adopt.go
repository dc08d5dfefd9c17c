package store

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Adopt makes the store that is there the right one, whatever was recorded. It gets a new generation, so that processes that
// have seen another one start anew.
func Adopt(ctx context.Context, kv clientv3.KV, prefix string, schema int64, anchor *ConfigMapAnchor) (Record, error) {
	recorded, err := anchor.Load(ctx)
	if err != nil {
		return Record{}, fmt.Errorf("reading what is recorded of the store: %w", err)
	}
	state, err := ReadState(ctx, kv, prefix)
	if err != nil {
		return Record{}, err
	}
	id := state.Identity
	if state.Empty() {
		id = newIdentity(schema)
	}
	if recorded != nil {
		id.Generation = max(id.Generation, recorded.Generation) + 1
	}
	if state, err = writeIdentity(ctx, kv, prefix, state, id); err != nil {
		return Record{}, err
	}
	r := Record{ID: state.ID, Generation: state.Generation, Revision: state.Revision, Cluster: state.Cluster}
	if err := anchor.Replace(ctx, r); err != nil {
		return r, fmt.Errorf("recording the store: %w", err)
	}
	return r, nil
}
