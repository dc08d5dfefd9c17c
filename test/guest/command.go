package guest

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/virtplane/virtplane/test/cluster/progress"
)

// Command is the command line of this package: build [-o text|paths|json] [NAME...|all].
func Command(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	usage := errors.New("usage: guests build [-o text|paths|json] [all|" + strings.Join(Names(), "|") + "]...")
	if len(args) == 0 || args[0] != "build" {
		return usage
	}
	flags := flag.NewFlagSet("guests build", flag.ContinueOnError)
	flags.SetOutput(stderr)
	output := flags.String("o", "text", "what to print: text, paths (of image archives and layers, one a line) or json")
	names, err := parseMixed(flags, args[1:])
	if err != nil {
		return err
	}
	if len(names) == 1 && names[0] == "all" {
		names = nil
	}
	var write func(io.Writer, []Result) error
	switch *output {
	case "text":
		write = writeText
	case "paths":
		write = writePaths
	case "json":
		write = writeJSON
	default:
		return fmt.Errorf("-o %q: must be text, paths or json", *output)
	}
	b, err := New(&progress.Printer{Out: stderr})
	if err != nil {
		return err
	}
	results, err := b.Build(ctx, names...)
	if err != nil {
		return err
	}
	return write(stdout, results)
}

// parseMixed allows flags after names too.
func parseMixed(flags *flag.FlagSet, args []string) ([]string, error) {
	var names []string
	for {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		if flags.NArg() == 0 {
			return names, nil
		}
		names = append(names, flags.Arg(0))
		args = flags.Args()[1:]
	}
}

// content is the file of a result without images: the layer of the base, or the kernel.
func (r Result) content() string {
	if r.Name == TinyKernel {
		return r.File(Kernel)
	}
	return r.File(Layer)
}

// products are the paths that other commands take: image archives, or the file of a result without them.
func (r Result) products() []string {
	if len(r.Images) == 0 {
		return []string{r.content()}
	}
	var paths []string
	for _, i := range r.Images {
		paths = append(paths, i.Archive)
	}
	return paths
}

func writePaths(w io.Writer, results []Result) error {
	for _, r := range results {
		for _, p := range r.products() {
			if _, err := fmt.Fprintln(w, p); err != nil {
				return err
			}
		}
	}
	return nil
}

func writeText(w io.Writer, results []Result) error {
	for _, r := range results {
		if len(r.Images) == 0 {
			if _, err := fmt.Fprintf(w, "%-12s %s\n", r.Name, r.content()); err != nil {
				return err
			}
		}
		for _, i := range r.Images {
			if _, err := fmt.Fprintf(w, "%-12s %s\n  %s\n", r.Name, i.Ref, i.Archive); err != nil {
				return err
			}
		}
	}
	return nil
}

func writeJSON(w io.Writer, results []Result) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(results)
}
