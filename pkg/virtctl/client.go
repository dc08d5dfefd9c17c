package virtctl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/virtplane/virtplane/pkg/generated/clientset/versioned"
)

// subresourcePath is where stock clients find actions and streams.
const subresourcePath = "/apis/subresources.kubevirt.io/v1"

// cluster is a connection to one cluster and the namespace to work in.
type cluster struct {
	config    *rest.Config
	http      *http.Client
	clients   versioned.Interface
	namespace string
}

func (e *environment) connect() (*cluster, error) {
	config, err := e.config.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	namespace, _, err := e.config.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, fmt.Errorf("reading the namespace from the kubeconfig: %w", err)
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("building the client: %w", err)
	}
	clients, err := versioned.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("building the client: %w", err)
	}
	return &cluster{config: config, http: client, clients: clients, namespace: namespace}, nil
}

// url is the address of a path below the API server's.
func (c *cluster) url(elements ...string) (*url.URL, error) {
	base, _, err := rest.DefaultServerUrlFor(c.config)
	if err != nil {
		return nil, fmt.Errorf("reading the server's address: %w", err)
	}
	base.Path = path.Join(append([]string{base.Path}, elements...)...)
	return base, nil
}

// object is the path of a subresource of a machine or an instance.
func (c *cluster) object(resource, name, subresource string) string {
	return path.Join(subresourcePath, "namespaces", c.namespace, resource, name, subresource)
}

// put calls an action with a JSON body (nil for none).
func (c *cluster) put(ctx context.Context, where string, body any) error {
	var payload io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("encoding the request: %w", err)
		}
		payload = bytes.NewReader(raw)
	}
	_, err := c.do(ctx, http.MethodPut, where, payload)
	return err
}

func (c *cluster) do(ctx context.Context, method, where string, body io.Reader) ([]byte, error) {
	target, err := c.url(where)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, target.String(), body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return nil, statusError(resp.StatusCode, raw)
	}
	return raw, nil
}

// statusError makes the server's own words of a failed answer, so that a user sees why and not only that.
func statusError(code int, body []byte) error {
	var status metav1.Status
	if json.Unmarshal(body, &status) == nil && status.Kind == "Status" && status.Message != "" {
		if status.Code == 0 {
			status.Code = int32(code)
		}
		return &apierrors.StatusError{ErrStatus: status}
	}
	text := strings.TrimSpace(string(body))
	if text == "" {
		text = http.StatusText(code)
	}
	return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: int32(code), Message: text}}
}

// code is the HTTP code of an error from the server, zero if it is none.
func code(err error) int {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return int(status.Status().Code)
	}
	return 0
}
