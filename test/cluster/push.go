package cluster

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/virtplane/virtplane/test/cluster/machine"
	"github.com/virtplane/virtplane/test/cluster/plan"
	"github.com/virtplane/virtplane/test/image"
)

// push sends an archive to the cluster's registry and returns the image's name.
func push(ctx context.Context, control machine.Record, archive string) (string, error) {
	a, err := image.Open(archive)
	if err != nil {
		return "", err
	}
	defer a.Close()
	tag, err := name.NewTag(a.Ref(), name.Insecure)
	if err != nil {
		return "", fmt.Errorf("%s: image has no usable name: %w", archive, err)
	}
	if tag.RegistryStr() != plan.Registry {
		return "", fmt.Errorf("%s: image %s is not named after the cluster's registry, %s", archive, a.Ref(), plan.Registry)
	}
	img, err := a.Image()
	if err != nil {
		return "", err
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialThrough(ctx, control, fmt.Sprintf("127.0.0.1:%d", plan.RegistryPort))
	}}
	defer transport.CloseIdleConnections()
	err = pushLayers(ctx, &http.Client{Transport: transport}, tag.Repository, img)
	if err == nil {
		err = remote.Write(tag, img, remote.WithContext(ctx), remote.WithTransport(transport), remote.WithJobs(1))
	}
	if err != nil {
		return "", fmt.Errorf("pushing %s: %w", a.Ref(), err)
	}
	return a.Ref(), nil
}

// pushLayers uploads the layers that the registry does not have, each in one request. remote.Write, which does the
// rest, would upload them in a way in which the registry's library holds the whole layer in memory.
func pushLayers(ctx context.Context, client *http.Client, repository name.Repository, img v1.Image) error {
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	for _, l := range layers {
		digest, err := l.Digest()
		if err != nil {
			return err
		}
		blobs := fmt.Sprintf("http://%s/v2/%s/blobs/", repository.RegistryStr(), repository.RepositoryStr())
		there, err := request(ctx, client, http.MethodHead, blobs+digest.String(), nil, 0)
		if err != nil {
			return err
		}
		if there == http.StatusOK {
			continue
		}
		size, err := l.Size()
		if err != nil {
			return err
		}
		content, err := l.Compressed()
		if err != nil {
			return err
		}
		code, err := request(ctx, client, http.MethodPost, blobs+"uploads/?digest="+digest.String(), content, size)
		if err != nil {
			return err
		}
		if code != http.StatusCreated {
			return fmt.Errorf("layer %s: the registry answered %d", digest, code)
		}
	}
	return nil
}

func request(ctx context.Context, client *http.Client, method, url string, body io.Reader, size int64) (int, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return 0, err
	}
	r.ContentLength = size
	resp, err := client.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// dialThrough connects to an address as the machine sees it: a copy of this program in the machine's network
// carries the bytes over its standard streams. So the host needs neither a route nor an open port.
func dialThrough(ctx context.Context, r machine.Record, address string) (net.Conn, error) {
	near, far := net.Pipe()
	cmd := machine.Command(context.WithoutCancel(ctx), r, "cluster", "dial", address)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = far, far, os.Stderr
	if err := cmd.Start(); err != nil {
		near.Close()
		return nil, err
	}
	go func() {
		_ = cmd.Wait()
		far.Close()
	}()
	return near, nil
}

// Dial is the other end of dialThrough.
func Dial(address string, in io.Reader, out io.Writer) error {
	conn, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	go func() {
		_, _ = io.Copy(conn, in)
		_ = conn.(*net.TCPConn).CloseWrite()
	}()
	_, err = io.Copy(out, conn)
	return err
}
