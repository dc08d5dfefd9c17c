package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/virtplane/virtplane/test/cluster/build"
	"github.com/virtplane/virtplane/test/cluster/machine"
	"github.com/virtplane/virtplane/test/cluster/node"
	"github.com/virtplane/virtplane/test/cluster/plan"
	"github.com/virtplane/virtplane/test/image"
)

// loadTimeout bounds the load of one image into all nodes.
const loadTimeout = 5 * time.Minute

// LoadImage pushes image archives to the registry and pulls each into every node, so that pods start without
// a pull.
func (c *Cluster) LoadImage(ctx context.Context, archives ...string) error {
	return c.forArchives(ctx, archives, "loaded", c.load)
}

// Push pushes image archives to the registry only.
func (c *Cluster) Push(ctx context.Context, archives ...string) error {
	return c.forArchives(ctx, archives, "pushed", func(ctx context.Context, records map[string]machine.Record, archive string) (string, error) {
		return push(ctx, records[plan.ControlPlane], archive)
	})
}

func (c *Cluster) forArchives(ctx context.Context, archives []string, verb string,
	do func(context.Context, map[string]machine.Record, string) (string, error)) error {
	_, records, err := c.running()
	if err != nil {
		return err
	}
	for _, a := range archives {
		err := c.Print.Step(filepath.Base(a)+" "+verb, func() (string, error) { return do(ctx, records, a) })
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) load(ctx context.Context, records map[string]machine.Record, archive string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	ref, err := push(ctx, records[plan.ControlPlane], archive)
	if err != nil {
		return "", err
	}
	var all sync.WaitGroup
	failures := make(chan error, len(records))
	for machineName, r := range records {
		if machineName == plan.ControlPlane {
			continue
		}
		all.Go(func() {
			out, err := machine.Command(ctx, r, node.ImportCommand(ref)...).CombinedOutput()
			if err != nil {
				failures <- fmt.Errorf("loading %s into %s: %w: %s", ref, r.Name, err, lastLine(string(out)))
			}
		})
	}
	all.Wait()
	close(failures)
	for f := range failures {
		err = errors.Join(err, f)
	}
	return ref, err
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

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
	if err := remote.Write(tag, img, remote.WithContext(ctx), remote.WithTransport(transport), remote.WithJobs(1)); err != nil {
		return "", fmt.Errorf("pushing %s: %w", a.Ref(), err)
	}
	return a.Ref(), nil
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

// ownImages builds the images that the cluster itself runs and returns their archives.
func (c *Cluster) ownImages(programs map[string]build.Result) ([]string, error) {
	if err := os.MkdirAll(c.Dir.Images(), 0o755); err != nil {
		return nil, err
	}
	var archives []string
	for _, i := range []struct{ program, ref, user string }{
		{"pause", plan.PauseImage, "65535:65535"},
		{"coredns", plan.DNSImage, "65532:65532"},
	} {
		path := "/usr/bin/" + i.program
		archive := filepath.Join(c.Dir.Images(), i.program+".tar")
		_, err := image.Build(image.Spec{
			Ref:        i.ref,
			Files:      []image.File{{Path: path, Mode: 0o755, Source: filepath.Join(programs[i.program].Dir, i.program)}},
			Entrypoint: []string{path},
			User:       i.user,
		}, archive)
		if err != nil {
			return nil, err
		}
		archives = append(archives, archive)
	}
	return archives, nil
}
