package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

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
