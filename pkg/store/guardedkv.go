package store

import (
	"context"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// guardedKV asks the guard before each request, and shows it each answer.
type guardedKV struct {
	clientv3.KV
	guard *Guard
}

// guarded makes one request.
func guarded[T any](ctx context.Context, g *Guard, call func() (T, error), header func(T) *etcdserverpb.ResponseHeader) (T, error) {
	var none T
	t, err := g.admit(ctx)
	if err != nil {
		return none, err
	}
	resp, err := call()
	if err != nil {
		return resp, err
	}
	if err := g.seen(ctx, t, header(resp)); err != nil {
		return none, err
	}
	return resp, nil
}

func (k guardedKV) Put(ctx context.Context, key, val string, opts ...clientv3.OpOption) (*clientv3.PutResponse, error) {
	return guarded(ctx, k.guard, func() (*clientv3.PutResponse, error) { return k.KV.Put(ctx, key, val, opts...) },
		func(r *clientv3.PutResponse) *etcdserverpb.ResponseHeader { return r.Header })
}

func (k guardedKV) Get(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	return guarded(ctx, k.guard, func() (*clientv3.GetResponse, error) { return k.KV.Get(ctx, key, opts...) },
		func(r *clientv3.GetResponse) *etcdserverpb.ResponseHeader { return r.Header })
}

// GetStream is refused, and callers read by pages: the parts of a stream are used before its end is known.
func (k guardedKV) GetStream(context.Context, string, ...clientv3.OpOption) (clientv3.GetStreamChan, error) {
	return nil, status.Error(codes.Unimplemented, "ranges are read by pages")
}

func (k guardedKV) Delete(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.DeleteResponse, error) {
	return guarded(ctx, k.guard, func() (*clientv3.DeleteResponse, error) { return k.KV.Delete(ctx, key, opts...) },
		func(r *clientv3.DeleteResponse) *etcdserverpb.ResponseHeader { return r.Header })
}

func (k guardedKV) Compact(ctx context.Context, rev int64, opts ...clientv3.CompactOption) (*clientv3.CompactResponse, error) {
	return guarded(ctx, k.guard, func() (*clientv3.CompactResponse, error) { return k.KV.Compact(ctx, rev, opts...) },
		func(r *clientv3.CompactResponse) *etcdserverpb.ResponseHeader { return r.Header })
}

func (k guardedKV) Do(ctx context.Context, op clientv3.Op) (clientv3.OpResponse, error) {
	return guarded(ctx, k.guard, func() (clientv3.OpResponse, error) { return k.KV.Do(ctx, op) }, opHeader)
}

func opHeader(r clientv3.OpResponse) *etcdserverpb.ResponseHeader {
	switch {
	case r.Get() != nil:
		return r.Get().Header
	case r.Put() != nil:
		return r.Put().Header
	case r.Del() != nil:
		return r.Del().Header
	case r.Txn() != nil:
		return r.Txn().Header
	}
	return &etcdserverpb.ResponseHeader{}
}

func (k guardedKV) Txn(ctx context.Context) clientv3.Txn {
	return &guardedTxn{Txn: k.KV.Txn(ctx), ctx: ctx, guard: k.guard}
}

type guardedTxn struct {
	clientv3.Txn
	ctx   context.Context // as in the transaction that it wraps
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
	return guarded(t.ctx, t.guard, t.Txn.Commit, func(r *clientv3.TxnResponse) *etcdserverpb.ResponseHeader { return r.Header })
}
