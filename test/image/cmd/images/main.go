// Command images builds the images of the project's programs and loads them into the local cluster. It prints
// the path of each archive; see package programs.
//
//	go run ./test/image/cmd/images -base LAYER.tar build [PROGRAM...]
//	go run ./test/image/cmd/images -base LAYER.tar load [PROGRAM...]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

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
	flags := flag.NewFlagSet("images", flag.ContinueOnError)
	base := flags.String("base", "", "uncompressed tar of the root file system under the images that run QEMU")
	version := flags.String("version", os.Getenv("VERSION"), "version stamped into the programs")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 || flags.Arg(0) != "build" && flags.Arg(0) != "load" {
		return errors.New("usage: images [flags] build|load [PROGRAM...]")
	}
	chosen, err := programs.Select(flags.Args()[1:])
	if err != nil {
		return err
	}
	root, err := spec.Root()
	if err != nil {
		return err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return fmt.Errorf("finding the cache folder: %w: set XDG_CACHE_HOME", err)
	}
	archives, err := programs.Build(ctx, programs.Options{
		Root: root, Cache: filepath.Join(cache, "virtplane", "images"), BaseLayer: *base, Version: *version, Log: os.Stderr,
	}, chosen)
	if err != nil {
		return err
	}
	if flags.Arg(0) == "build" {
		for _, a := range archives {
			fmt.Fprintln(out, a)
		}
		return nil
	}
	cmd := exec.CommandContext(ctx, "go", append([]string{"run", "./test/cluster/cmd/cluster", "load-image"}, archives...)...)
	cmd.Dir = root
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("loading the images: %w", err)
	}
	return nil
}
