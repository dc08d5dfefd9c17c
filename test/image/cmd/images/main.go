// Command images builds the images of the project's programs and of the guests, each only when something of
// it has changed, and loads them into the local cluster or pushes them to a registry. It prints the paths of the archives,
// or the names of what it pushed.
//
//	go run ./test/image/cmd/images build
//	go run ./test/image/cmd/images load
//	go run ./test/image/cmd/images load virt-launcher debian
//	go run ./test/image/cmd/images push registry.example.com/virtplane v1
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/virtplane/virtplane/test/cluster/progress"
	"github.com/virtplane/virtplane/test/guest"
	"github.com/virtplane/virtplane/test/image"
	"github.com/virtplane/virtplane/test/image/programs"
	"github.com/virtplane/virtplane/test/spec"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "images:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	usage := errors.New("usage: images build|load [PROGRAM|GUEST...], or images push REPOSITORY TAG [PROGRAM|GUEST...]")
	if len(args) == 0 || !slices.Contains([]string{"build", "load", "push"}, args[0]) || args[0] == "push" && len(args) < 3 {
		return usage
	}
	names := args[1:]
	if args[0] == "push" {
		names = args[3:]
	}
	guests, ours, err := split(names)
	if err != nil {
		return err
	}
	root, err := spec.Root()
	if err != nil {
		return err
	}
	archives, err := build(ctx, root, guests, ours)
	if err != nil {
		return err
	}
	if args[0] == "build" {
		for _, a := range archives {
			fmt.Fprintln(out, a)
		}
		return nil
	}
	if args[0] == "push" {
		return push(ctx, archives, args[1], args[2], out)
	}
	cmd := exec.CommandContext(ctx, "go", append([]string{"run", "./test/cluster/cmd/cluster", "load-image"}, archives...)...)
	cmd.Dir = root
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("loading the images: %w", err)
	}
	return nil
}

// push sends the images to a repository folder, each under the last part of its name.
func push(ctx context.Context, archives []string, repository, tag string, out io.Writer) error {
	for _, archive := range archives {
		a, err := image.Open(archive)
		if err != nil {
			return err
		}
		name, _, _ := strings.Cut(path.Base(a.Ref()), ":")
		if err := a.Close(); err != nil {
			return err
		}
		pushed, err := image.Push(ctx, archive, strings.TrimSuffix(repository, "/")+"/"+name+":"+tag)
		if err != nil {
			return err
		}
		fmt.Fprintln(out, pushed)
	}
	return nil
}

// split sorts names into guests and programs; no name means all.
func split(names []string) (guests []string, ours []programs.Program, err error) {
	if len(names) == 0 {
		guests = slices.DeleteFunc(guest.Names(), func(n string) bool { return n == guest.Base })
		return guests, programs.All, nil
	}
	var rest []string
	for _, n := range names {
		if n != guest.Base && slices.Contains(guest.Names(), n) {
			guests = append(guests, n)
		} else {
			rest = append(rest, n)
		}
	}
	if len(rest) > 0 {
		ours, err = programs.Select(rest)
	}
	return guests, ours, err
}

// build returns the archives of the guests and of our programs.
func build(ctx context.Context, root string, guests []string, ours []programs.Program) ([]string, error) {
	printer := &progress.Printer{Out: os.Stderr}
	builder, err := guest.New(printer)
	if err != nil {
		return nil, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("finding the cache folder: %w: set XDG_CACHE_HOME", err)
	}
	ldflags := exec.CommandContext(ctx, filepath.Join(root, "hack", "ldflags.sh"))
	ldflags.Stderr = os.Stderr
	flags, err := ldflags.Output()
	if err != nil {
		return nil, fmt.Errorf("asking for the linker's flags: %w", err)
	}
	o := programs.Options{
		Root: root, Cache: filepath.Join(cache, "virtplane", "program-images"), LDFlags: strings.TrimSpace(string(flags)), Print: printer,
	}
	if slices.ContainsFunc(ours, func(p programs.Program) bool { return p.Base }) {
		base, err := builder.Build(ctx, guest.Base)
		if err != nil {
			return nil, err
		}
		o.BaseLayer = base[0].File(guest.Layer)
	}
	var archives []string
	if len(ours) > 0 {
		if archives, err = programs.Build(ctx, o, ours); err != nil {
			return nil, err
		}
	}
	if len(guests) > 0 {
		results, err := builder.Build(ctx, guests...)
		if err != nil {
			return nil, err
		}
		for _, r := range results {
			for _, i := range r.Images {
				archives = append(archives, i.Archive)
			}
		}
	}
	return archives, nil
}
