package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"
)

// Media types of requests and answers.
const (
	jsonType      = "application/json"
	protobufType  = "application/vnd.kubernetes.protobuf"
	mergeType     = "application/merge-patch+json"
	applyType     = "application/apply-patch+yaml"
	requestLimit  = 2 * time.Minute
	watchDeadline = 5 * time.Minute
)

// apiClient is one client with a connection of its own. It takes compressed answers where the server offers them, as
// client-go does, and reads them to the end without decoding: what a client makes of them is not the server's matter.
type apiClient struct {
	base string
	http *http.Client
}

func newAPIClient(config *rest.Config) (*apiClient, error) {
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, err
	}
	tlsConfig, err := rest.TLSConfigFor(config)
	if err != nil {
		return nil, err
	}
	if tlsConfig == nil {
		tlsConfig = &tls.Config{}
	}
	transport := &http.Transport{TLSClientConfig: tlsConfig.Clone(), ForceAttemptHTTP2: true}
	return &apiClient{base: strings.TrimSuffix(base.String(), "/"), http: &http.Client{Transport: transport}}, nil
}

func (c *apiClient) close() { c.http.CloseIdleConnections() }

// request is one call.
type request struct {
	method, path        string
	body                []byte
	contentType, accept string
}

func (c *apiClient) open(ctx context.Context, r request) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, c.base+r.path, bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", r.accept)
	if r.body != nil {
		req.Header.Set("Content-Type", r.contentType)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 300 {
		defer resp.Body.Close()
		why, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
		return nil, fmt.Errorf("%s %s: %s: %s", r.method, r.path, resp.Status, why)
	}
	return resp, nil
}

// do sends a request and reads the answer to its end; it returns how long that took.
func (c *apiClient) do(ctx context.Context, r request) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	began := time.Now()
	resp, err := c.open(ctx, r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0, fmt.Errorf("%s %s: %w", r.method, r.path, err)
	}
	return time.Since(began), nil
}

// body is do for those who want the answer.
func (c *apiClient) body(ctx context.Context, r request) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	resp, err := c.open(ctx, r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// parallel makes n calls, each client one after the other, and returns how long each took in milliseconds.
func parallel(ctx context.Context, clients []*apiClient, n int, call func(i int) request) ([]float64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	took := make([]float64, n)
	var next atomic.Int64
	var wg sync.WaitGroup
	for _, c := range clients {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				d, err := c.do(ctx, call(i))
				if err != nil {
					cancel(err)
					return
				}
				took[i] = milliseconds(d)
			}
		})
	}
	wg.Wait()
	return took, context.Cause(ctx)
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// countEvents reads a watch until it has seen n events.
func countEvents(r io.Reader, accept string, n int) error {
	reader := bufio.NewReaderSize(r, 64<<10)
	for seen := range n {
		var err error
		if strings.HasPrefix(accept, protobufType) {
			var length [4]byte
			if _, err = io.ReadFull(reader, length[:]); err == nil {
				_, err = io.CopyN(io.Discard, reader, int64(binary.BigEndian.Uint32(length[:])))
			}
		} else {
			for { // one line for each event
				_, err = reader.ReadSlice('\n')
				if err != bufio.ErrBufferFull {
					break
				}
			}
		}
		if err != nil {
			return fmt.Errorf("the watch ended after %d of %d events: %w", seen, n, err)
		}
	}
	return nil
}
