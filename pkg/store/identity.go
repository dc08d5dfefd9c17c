package store

import (
	"context"
	"encoding/json"
	"fmt"
	"path"

	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Identity stands in the store itself and says which store it is.
type Identity struct {
	// ID is drawn when the store is made.
	ID string `json:"id"`
	// Generation rises whenever the store's content is set back on purpose.
	Generation int64 `json:"generation"`
	// Schema is the newest schema that objects were written in.
	Schema int64 `json:"schema"`
}

// State is an identity and how far the store has come.
type State struct {
	Identity
	Revision int64
	Cluster  uint64
	// modRevision is the revision at which the identity was written, 0 when the store has none.
	modRevision int64
}

// Empty is true for a store that has never been used.
func (s State) Empty() bool { return s.modRevision == 0 }

// identityKey lies beside the folders of the API groups, where no group can lie.
func identityKey(prefix string) string { return path.Join("/", prefix, ".store", "identity") }

// ReadState reads the identity and the revision by quorum.
func ReadState(ctx context.Context, kv clientv3.KV, prefix string) (State, error) {
	resp, err := kv.Get(ctx, identityKey(prefix))
	if err != nil {
		return State{}, fmt.Errorf("reading the store's identity: %w", err)
	}
	s := State{Revision: resp.Header.Revision, Cluster: resp.Header.ClusterId}
	if len(resp.Kvs) == 0 {
		return s, nil
	}
	s.modRevision = resp.Kvs[0].ModRevision
	if err := json.Unmarshal(resp.Kvs[0].Value, &s.Identity); err != nil {
		return State{}, fmt.Errorf("decoding the store's identity: %w", err)
	}
	return s, nil
}

// errRaced says that another writer was faster: read again.
var errRaced = fmt.Errorf("the store's identity was written by somebody else at the same time")

// writeIdentity replaces the identity that was read as state.
func writeIdentity(ctx context.Context, kv clientv3.KV, prefix string, state State, id Identity) (State, error) {
	value, err := json.Marshal(id)
	if err != nil {
		return state, err
	}
	key := identityKey(prefix)
	resp, err := kv.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(key), "=", state.modRevision)).
		Then(clientv3.OpPut(key, string(value))).
		Commit()
	if err != nil {
		return state, fmt.Errorf("writing the store's identity: %w", err)
	}
	if !resp.Succeeded {
		return state, errRaced
	}
	return State{Identity: id, Revision: resp.Header.Revision, Cluster: resp.Header.ClusterId, modRevision: resp.Header.Revision}, nil
}

func newIdentity(schema int64) Identity {
	return Identity{ID: uuid.NewString(), Generation: 1, Schema: schema}
}
