package image

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
)

const usage = `usage: image build --ref NAME:TAG --out FILE [--base FILE.tar]... [--file PATH=SOURCE[:MODE[:UID:GID]]]... [--entrypoint ARG]... [--user U] [--env K=V]...
       image inspect FILE`

// Command is the command line of this package.
func Command(args []string, stdout io.Writer) error {
	if len(args) == 0 {
		return errors.New(usage)
	}
	switch args[0] {
	case "build":
		return buildCommand(args[1:], stdout)
	case "inspect":
		if len(args) != 2 {
			return errors.New(usage)
		}
		return inspect(args[1], stdout)
	}
	return fmt.Errorf("unknown command %q\n%s", args[0], usage)
}

func buildCommand(args []string, stdout io.Writer) error {
	var spec Spec
	var out string
	list := func(to *[]string) func(string) error {
		return func(s string) error {
			*to = append(*to, s)
			return nil
		}
	}
	flags := flag.NewFlagSet("image build", flag.ContinueOnError)
	flags.StringVar(&spec.Ref, "ref", "", "name of the image with its tag")
	flags.StringVar(&out, "out", "", "archive to write")
	flags.StringVar(&spec.User, "user", "", "user the image runs as")
	flags.StringVar(&spec.Architecture, "arch", "", "architecture as Go names it (default: that of this machine)")
	flags.Func("entrypoint", "one word of the entry point (repeat)", list(&spec.Entrypoint))
	flags.Func("cmd", "one word of the default arguments (repeat)", list(&spec.Cmd))
	flags.Func("env", "one variable, KEY=VALUE (repeat)", list(&spec.Env))
	flags.Func("base", "uncompressed tar of a root file system, lowest first (repeat)", func(s string) error {
		spec.Base = append(spec.Base, LayerFile(s))
		return nil
	})
	flags.Func("file", "file to add, PATH=SOURCE[:MODE[:UID:GID]] (repeat)", func(s string) error {
		f, err := parseFile(s)
		spec.Files = append(spec.Files, f)
		return err
	})
	if err := flags.Parse(args); err != nil {
		return err
	}
	if out == "" || flags.NArg() > 0 {
		return errors.New(usage)
	}
	digest, err := Build(spec, out)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%s@%s\n", spec.Ref, digest)
	return err
}

// parseFile reads PATH=SOURCE[:MODE[:UID:GID]].
func parseFile(s string) (File, error) {
	path, rest, ok := strings.Cut(s, "=")
	if !ok {
		return File{}, fmt.Errorf("%q: want PATH=SOURCE[:MODE[:UID:GID]]", s)
	}
	parts := strings.Split(rest, ":")
	f := File{Path: path, Source: parts[0]}
	if len(parts) != 1 && len(parts) != 2 && len(parts) != 4 {
		return File{}, fmt.Errorf("%q: want PATH=SOURCE[:MODE[:UID:GID]]", s)
	}
	if len(parts) > 1 {
		mode, err := strconv.ParseUint(parts[1], 8, 9)
		if err != nil {
			return File{}, fmt.Errorf("%q: mode %q must be octal, such as 0755", s, parts[1])
		}
		f.Mode = fs.FileMode(mode)
	}
	if len(parts) == 4 {
		for i, to := range []*int{&f.UID, &f.GID} {
			n, err := strconv.ParseUint(parts[2+i], 10, 31)
			if err != nil {
				return File{}, fmt.Errorf("%q: %q must be a number", s, parts[2+i])
			}
			*to = int(n)
		}
	}
	return f, nil
}

func inspect(name string, stdout io.Writer) error {
	a, err := Open(name)
	if err != nil {
		return err
	}
	defer a.Close()
	img, err := a.Image()
	if err != nil {
		return err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return err
	}
	manifest, err := img.Manifest()
	if err != nil {
		return err
	}
	enc := json.NewEncoder(stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(map[string]any{
		"ref": a.Ref(), "digest": a.Digest(), "config": config.Config, "layers": manifest.Layers,
	})
}
