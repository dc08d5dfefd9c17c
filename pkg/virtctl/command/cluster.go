package command

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
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/virtplane/virtplane/pkg/generated/clientset/versioned"
)

// Group is where stock clients find actions and streams.
const Group = "/apis/subresources.kubevirt.io/v1"

// Resources of the two kinds that have actions and streams.
const (
	Machines  = "virtualmachines"
	Instances = "virtualmachineinstances"
)

// requestTimeout bounds one request, unless --request-timeout says otherwise. The server gives a node 30 seconds.
const requestTimeout = 2 * time.Minute

// Cluster is a connection to one cluster and the namespace to work in.
type Cluster struct {
	Config *rest.Config
	// Virt and Kube are clients of our kinds and of Kubernetes' own.
	Virt versioned.Interface
	Kube kubernetes.Interface
	// Namespace is where the user works.
	Namespace string

	http *http.Client
	env  *Environment
}

// Connect reads the kubeconfig. It asks nothing of the cluster yet.
func (e *Environment) Connect() (*Cluster, error) {
	config, err := e.Config.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	config.WarningHandler = rest.NewWarningWriter(e.ErrOut, rest.WarningWriterOptions{Deduplicate: true})
	namespace, _, err := e.Namespace()
	if err != nil {
		return nil, err
	}
	c := &Cluster{Config: config, Namespace: namespace, env: e}
	if c.http, err = rest.HTTPClientFor(config); err != nil {
		return nil, fmt.Errorf("building the client: %w", err)
	}
	if c.Virt, err = versioned.NewForConfigAndClient(config, c.http); err != nil {
		return nil, fmt.Errorf("building the client: %w", err)
	}
	if c.Kube, err = kubernetes.NewForConfigAndClient(config, c.http); err != nil {
		return nil, fmt.Errorf("building the client: %w", err)
	}
	return c, nil
}

// Object is the path of a subresource of a machine or an instance.
func Object(namespace, resource, name, subresource string) string {
	return path.Join(Group, "namespaces", namespace, resource, name, subresource)
}

// url is the address of a path below the API server's. The path may end in a query.
func (c *Cluster) url(where string) (*url.URL, error) {
	base, _, err := rest.DefaultServerUrlFor(c.Config)
	if err != nil {
		return nil, fmt.Errorf("reading the server's address: %w", err)
	}
	plain, query, _ := strings.Cut(where, "?")
	base.Path = path.Join(base.Path, plain)
	base.RawQuery = query
	return base, nil
}

// Put calls an action with a JSON body (nil for none) and returns the answer. An action that the cluster does not serve is
// told apart from an object that does not exist.
func (c *Cluster) Put(ctx context.Context, where string, body any) ([]byte, error) {
	answer, err := c.send(ctx, http.MethodPut, where, body)
	if err != nil {
		return nil, c.absent(ctx, where, err)
	}
	return answer, nil
}

// Get reads a path. Some subresources take options in the body of a GET; nil sends none. What the cluster does not serve is told
// apart from an object that does not exist.
func (c *Cluster) Get(ctx context.Context, where string, body any) ([]byte, error) {
	answer, err := c.send(ctx, http.MethodGet, where, body)
	if err != nil {
		return nil, c.noRoute(ctx, where, err)
	}
	return answer, nil
}

// GetInto reads a path into an object.
func (c *Cluster) GetInto(ctx context.Context, where string, into any) error {
	raw, err := c.Get(ctx, where, nil)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	return nil
}

func (c *Cluster) send(ctx context.Context, method, where string, body any) ([]byte, error) {
	if c.Config.Timeout == 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, requestTimeout, fmt.Errorf("no answer within %s", requestTimeout))
		defer cancel()
	}
	target, err := c.url(where)
	if err != nil {
		return nil, err
	}
	var payload io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encoding the request: %w", err)
		}
		payload = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, target.String(), payload)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json, */*")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	c.env.Trace(4, "%s %s", method, target.Path)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, because(ctx, err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", because(ctx, err))
	}
	c.env.Trace(4, "answered %s, %d bytes", resp.Status, len(raw))
	if resp.StatusCode >= http.StatusBadRequest {
		return nil, statusError(resp.StatusCode, raw)
	}
	return raw, nil
}

// because gives the reason why a context ended instead of only saying that it did.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
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

// Code is the HTTP code of an error from the server, zero if it is none.
func Code(err error) int {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return int(status.Status().Code)
	}
	return 0
}
