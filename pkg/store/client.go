package store

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

// Dial returns a client of the etcd cluster at these endpoints. It does not wait for a connection: calls do. Connected, if
// set, is called for each connection before it is used.
func Dial(endpoints []string, tls *tls.Config, connected func()) (*clientv3.Client, error) {
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}
	cfg := clientv3.Config{
		Endpoints: endpoints,
		TLS:       tls,
		// A member that hangs, or whose node is gone, is left for another one within 15 s. gRPC allows no pings more often.
		DialKeepAliveTime:    10 * time.Second,
		DialKeepAliveTimeout: 5 * time.Second,
		// A store that comes back must not wait for the default back-off of up to two minutes.
		BackoffWaitBetween: 50 * time.Millisecond,
		MaxCallSendMsgSize: maxRequestBytes + 512<<10,
		Logger:             etcdLogger(),
		DialOptions: []grpc.DialOption{
			grpc.WithConnectParams(grpc.ConnectParams{
				Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 3 * time.Second},
				MinConnectTimeout: 5 * time.Second,
			}),
			grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
				conn, err := dialer.DialContext(ctx, "tcp", address)
				if err == nil && connected != nil {
					connected()
				}
				return conn, err
			}),
		},
	}
	client, err := clientv3.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("making a client of the store at %v: %w", endpoints, err)
	}
	return client, nil
}

// ClientConfig is the configuration that the files describe. They are read again for each connection.
func (t TLSFiles) ClientConfig() (*tls.Config, error) {
	if t.Empty() {
		return nil, nil
	}
	info := t.info()
	info.ClientCertAuth = false
	c, err := info.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("reading the certificates for the store: %w", err)
	}
	return c, nil
}
