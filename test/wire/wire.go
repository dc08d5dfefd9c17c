// Package wire is a client of the subresource API written from its description alone: paths, verbs, codes, subprotocol and
// framing. Tests use it to show that any client that follows the description works; it shares no code with virtctl.
package wire

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/coder/websocket"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// Client speaks to one API server.
type Client struct {
	base   *url.URL
	tls    *tls.Config
	bearer string
	http   *http.Client
}

// New makes a client from a kubeconfig's REST configuration; certificates and bearer tokens are supported.
func New(config *rest.Config) (*Client, error) {
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, fmt.Errorf("reading the server's address: %w", err)
	}
	tlsConfig, err := rest.TLSConfigFor(config)
	if err != nil {
		return nil, fmt.Errorf("reading the TLS configuration: %w", err)
	}
	if tlsConfig != nil {
		tlsConfig = tlsConfig.Clone()
		tlsConfig.NextProtos = []string{"http/1.1"}
	}
	transport := &http.Transport{TLSClientConfig: tlsConfig, DialContext: (&net.Dialer{}).DialContext}
	return &Client{base: base, tls: tlsConfig, bearer: config.BearerToken, http: &http.Client{Transport: transport}}, nil
}

// Response is an answer of the server; Status is filled when the body is one.
type Response struct {
	Code   int
	Body   []byte
	Status metav1.Status
}

// Do sends one request. Headers are "Name: value" lines; an empty body sends none.
func (c *Client) Do(ctx context.Context, method, path, body string, headers ...string) (Response, error) {
	target := *c.base
	target.Path, target.RawQuery, _ = strings.Cut(path, "?")
	req, err := http.NewRequestWithContext(ctx, method, target.String(), bytes.NewBufferString(body))
	if err != nil {
		return Response{}, err
	}
	c.authenticate(req.Header)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return Response{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return Response{}, fmt.Errorf("reading the answer to %s %s: %w", method, path, err)
	}
	out := Response{Code: resp.StatusCode, Body: raw}
	if json.Unmarshal(raw, &out.Status) != nil || out.Status.Kind != "Status" {
		out.Status = metav1.Status{}
	}
	return out, nil
}

func (c *Client) authenticate(h http.Header) {
	if c.bearer != "" {
		h.Set("Authorization", "Bearer "+c.bearer)
	}
}

// Subresource is the path of a subresource of the group that stock clients use.
func Subresource(version, namespace, resource, name, subresource string) string {
	return fmt.Sprintf("/apis/subresources.kubevirt.io/%s/namespaces/%s/%s/%s/%s", version, namespace, resource, name, subresource)
}

// Refused is a stream that the server did not open.
type Refused struct{ Response }

func (r *Refused) Error() string { return fmt.Sprintf("refused with %d: %s", r.Code, r.Status.Message) }

// Stream opens a WebSocket with the plain subprotocol and returns it as a byte stream: one binary frame for each write.
// Reading ends with io.EOF after a normal close. ctx bounds the life of the stream.
func (c *Client) Stream(ctx context.Context, path string) (net.Conn, error) {
	conn, err := c.Socket(ctx, path)
	if err != nil {
		return nil, err
	}
	return websocket.NetConn(ctx, conn, websocket.MessageBinary), nil
}

// Socket is Stream for those who look at frames: how one ends tells why.
func (c *Client) Socket(ctx context.Context, path string) (*websocket.Conn, error) {
	target := *c.base
	target.Path, target.RawQuery, _ = strings.Cut(path, "?")
	header := http.Header{}
	c.authenticate(header)
	conn, resp, err := websocket.Dial(ctx, target.String(), &websocket.DialOptions{HTTPClient: c.http, HTTPHeader: header,
		Subprotocols: []string{"plain.kubevirt.io"}, CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		if resp == nil || resp.StatusCode == http.StatusSwitchingProtocols {
			return nil, fmt.Errorf("opening %s: %w", path, err)
		}
		refused := &Refused{Response{Code: resp.StatusCode}}
		refused.Body, _ = io.ReadAll(resp.Body)
		_ = json.Unmarshal(refused.Body, &refused.Status)
		return nil, refused
	}
	if got := conn.Subprotocol(); got != "plain.kubevirt.io" {
		conn.CloseNow()
		return nil, fmt.Errorf("opening %s: the server chose subprotocol %q", path, got)
	}
	conn.SetReadLimit(1 << 20)
	return conn, nil
}
