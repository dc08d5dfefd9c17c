package store

import (
	"context"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// guardedKV looks at the revision of each answer.
type guardedKV struct {
	clientv3.KV
	guard *Guard
}

func (k guardedKV) Put(ctx context.Context, key, val string, opts ...clientv3.OpOption) (*clientv3.PutResponse, error) {
	floor, err := k.guard.admit()
	if err != nil {
		return nil, err
	}
	resp, err := k.KV.Put(ctx, key, val, opts...)
	if err != nil {
		return resp, err
	}
	return resp, k.guard.seen(floor, resp.Header.Revision)
}

func (k guardedKV) Get(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	floor, err := k.guard.admit()
	if err != nil {
		return nil, err
	}
	resp, err := k.KV.Get(ctx, key, opts...)
	if err != nil {
		return resp, err
	}
	if err := k.guard.seen(floor, resp.Header.Revision); err != nil {
		return nil, err
	}
	return resp, nil
}

func (k guardedKV) GetStream(ctx context.Context, key string, opts ...clientv3.OpOption) (clientv3.GetStreamChan, error) {
	// A probe by quorum goes first: the parts of a stream are handed out before its end is known.
	if _, err := k.Get(ctx, key, clientv3.WithCountOnly()); err != nil {
		return nil, err
	}
	return k.KV.GetStream(ctx, key, opts...)
}

func (k guardedKV) Delete(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.DeleteResponse, error) {
	floor, err := k.guard.admit()
	if err != nil {
		return nil, err
	}
	resp, err := k.KV.Delete(ctx, key, opts...)
	if err != nil {
		return resp, err
	}
	return resp, k.guard.seen(floor, resp.Header.Revision)
}

func (k guardedKV) Do(ctx context.Context, op clientv3.Op) (clientv3.OpResponse, error) {
	floor, err := k.guard.admit()
	if err != nil {
		return clientv3.OpResponse{}, err
	}
	resp, err := k.KV.Do(ctx, op)
	if err != nil {
		return resp, err
	}
	var revision int64
	switch {
	case resp.Get() != nil:
		revision = resp.Get().Header.Revision
	case resp.Put() != nil:
		revision = resp.Put().Header.Revision
	case resp.Del() != nil:
		revision = resp.Del().Header.Revision
	case resp.Txn() != nil:
		revision = resp.Txn().Header.Revision
	default:
		return resp, nil
	}
	return resp, k.guard.seen(floor, revision)
}

func (k guardedKV) Txn(ctx context.Context) clientv3.Txn {
	return &guardedTxn{Txn: k.KV.Txn(ctx), guard: k.guard}
}

type guardedTxn struct {
	clientv3.Txn
	guard *Guard
}

func (t *guardedTxn) If(cs ...clientv3.Cmp) clientv3.Txn {
	t.Txn = t.Txn.If(cs...)
	return t
}

func (t *guardedTxn) Then(ops ...clientv3.Op) clientv3.Txn {
	t.Txn = t.Txn.Then(ops...)
	return t
}

func (t *guardedTxn) Else(ops ...clientv3.Op) clientv3.Txn {
	t.Txn = t.Txn.Else(ops...)
	return t
}

func (t *guardedTxn) Commit() (*clientv3.TxnResponse, error) {
	floor, err := t.guard.admit()
	if err != nil {
		return nil, err
	}
	resp, err := t.Txn.Commit()
	if err != nil {
		return resp, err
	}
	if err := t.guard.seen(floor, resp.Header.Revision); err != nil {
		return nil, err
	}
	return resp, nil
}
