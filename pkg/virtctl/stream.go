package virtctl

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/coder/websocket"
	"k8s.io/client-go/rest"
)

const (
	// plainProtocol is the subprotocol of raw byte streams: binary frames both ways, nothing around the bytes.
	plainProtocol = "plain.kubevirt.io"
	// maxFrame is the largest frame we take; the server sends at most 10 KiB.
	maxFrame = 1 << 20
)

// stream opens a byte stream to an instance. When the server refuses, the error is the server's own Status.
func (c *cluster) stream(ctx context.Context, name, subresource string) (*websocket.Conn, error) {
	target, err := c.url(c.object(instances, name, subresource))
	if err != nil {
		return nil, err
	}
	tlsConfig, err := rest.TLSConfigFor(c.config)
	if err != nil {
		return nil, fmt.Errorf("reading the TLS configuration: %w", err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = tlsConfig
	// A WebSocket is an upgrade of HTTP/1.1; HTTP/2 has none.
	transport.Protocols = new(http.Protocols)
	transport.Protocols.SetHTTP1(true)
	transport.ForceAttemptHTTP2 = false
	if c.config.Proxy != nil {
		transport.Proxy = c.config.Proxy
	}
	authenticated, err := rest.HTTPWrappersForConfig(c.config, transport)
	if err != nil {
		return nil, fmt.Errorf("building the client: %w", err)
	}
	conn, resp, err := websocket.Dial(ctx, target.String(), &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: authenticated}, Subprotocols: []string{plainProtocol}, CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		if resp != nil && resp.StatusCode >= http.StatusBadRequest {
			body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
			return nil, statusError(resp.StatusCode, body)
		}
		return nil, fmt.Errorf("opening the %s of %s: %w", subresource, name, err)
	}
	conn.SetReadLimit(maxFrame)
	return conn, nil
}
