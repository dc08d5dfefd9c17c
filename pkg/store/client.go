package store

import (
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

// Dial returns a client of the etcd cluster at these endpoints. It does not wait for a connection: calls do.
func Dial(endpoints []string, tls TLSFiles) (*clientv3.Client, error) {
	cfg := clientv3.Config{
		Endpoints:            endpoints,
		DialKeepAliveTime:    30 * time.Second,
		DialKeepAliveTimeout: 10 * time.Second,
		// A store that comes back must not wait for the default back-off of up to two minutes.
		BackoffWaitBetween: 50 * time.Millisecond,
		MaxCallSendMsgSize: maxRequestBytes + 512<<10,
		Logger:             etcdLogger(),
		DialOptions: []grpc.DialOption{
			grpc.WithConnectParams(grpc.ConnectParams{
				Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 3 * time.Second},
				MinConnectTimeout: 5 * time.Second,
			}),
		},
	}
	if !tls.Empty() {
		info := tls.info()
		info.ClientCertAuth = false
		c, err := info.ClientConfig()
		if err != nil {
			return nil, fmt.Errorf("reading the store's client certificate: %w", err)
		}
		cfg.TLS = c
	}
	client, err := clientv3.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("making a client of the store at %v: %w", endpoints, err)
	}
	return client, nil
}
