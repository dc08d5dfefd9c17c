package cluster

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/virtplane/virtplane/test/cluster/build"
	"github.com/virtplane/virtplane/test/cluster/progress"
)

// BuildPrograms fills the cache and does nothing else.
func (c *Cluster) BuildPrograms(ctx context.Context) error {
	return c.Print.Step("foreign programs", func() (string, error) {
		_, note, err := c.foreignPrograms(ctx)
		return note, err
	})
}

// foreignPrograms builds what the cache does not have. The compiler's output lies in the cache, too: it is of
// no cluster.
func (c *Cluster) foreignPrograms(ctx context.Context) (programs map[string]build.Result, note string, err error) {
	if err := os.MkdirAll(c.Cache.Dir, 0o755); err != nil {
		return nil, "", err
	}
	log, err := os.OpenFile(filepath.Join(c.Cache.Dir, "build.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, "", err
	}
	defer log.Close()
	programs, note = make(map[string]build.Result), "from the cache"
	for _, m := range build.Modules {
		r, err := c.Cache.Path(ctx, m)
		if err != nil {
			return nil, "", err
		}
		if _, err := os.Stat(r.Dir); err != nil {
			c.Print.Line("• building %s %s, once for this machine%s", m.Name, r.Version, expect[m.Name])
			note = ""
		}
		if r, err = c.Cache.Build(ctx, m, log); err != nil {
			return nil, "", &progress.LogError{Err: err, Log: log.Name()}
		}
		programs[m.Name] = r
	}
	return programs, note, nil
}

// expect says what to expect of builds that take long.
var expect = map[string]string{"kubernetes": " (7 minutes on two cores)", "containerd": " (a minute)"}

// buildPrograms puts the foreign programs into the cluster's folder.
func (u *upRun) buildPrograms(ctx context.Context) (string, error) {
	programs, note, err := u.foreignPrograms(ctx)
	if err != nil {
		return "", err
	}
	u.programs = programs
	for _, m := range build.Modules {
		r := programs[m.Name]
		for _, p := range m.Programs {
			to := filepath.Join(u.Dir.Bin(), p.Name)
			if m.Name == "cni-plugins" {
				to = filepath.Join(u.Dir.CNIBin(), p.Name)
			}
			if err := linkOrCopy(filepath.Join(r.Dir, p.Name), to); err != nil {
				return "", err
			}
		}
	}
	return note, nil
}

func linkOrCopy(from, to string) error {
	if err := os.Link(from, to); err == nil {
		return nil
	}
	return copyProgram(from, to)
}

func copyProgram(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
