// Command report prints how far the requirement rows of docs/spec are proved:
// one line for each area, then the totals. It fails when a test names a row that
// does not exist, or when a row claims a proof that no test gives. It reads only
// sources and the record that a run of the tests left; it runs no test.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/virtplane/virtplane/test/spec"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "spec-report:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("spec-report", flag.ContinueOnError)
	recordFile := flags.String("record", "", "judge by this record of a test run (JSON lines); without it by which tests name which rows")
	unmarked := flags.Bool("unmarked", false, "also list the rows that tests name although they are not marked covered or partly")
	if err := flags.Parse(args); err != nil {
		return err
	}
	root, err := spec.Root()
	if err != nil {
		return err
	}
	rows, err := spec.Load(root)
	if err != nil {
		return err
	}
	uses, err := spec.Uses(root)
	if err != nil {
		return err
	}
	var record []spec.Record
	if *recordFile != "" {
		f, err := os.Open(*recordFile)
		if err != nil {
			return fmt.Errorf("opening the record: %w; make test writes it", err)
		}
		defer f.Close()
		if record, err = spec.ReadRecords(f); err != nil {
			return err
		}
	}
	report := spec.NewReport(rows, uses, record)
	if err := report.Print(out); err != nil {
		return err
	}
	if *unmarked {
		for _, id := range report.Unmarked {
			fmt.Fprintln(out, "unmarked", id)
		}
	}
	if len(report.Problems) > 0 {
		return errors.New(strings.Join(report.Problems, "\n") +
			"\nrepair: name the row in the test that proves it, or correct its State cell")
	}
	return nil
}
