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
	"path/filepath"
	"slices"
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
	recordFile := flags.String("record", "auto", "judge by this record of a test run (JSON lines), or by the sources alone if empty; auto takes the last full run unless the rows or tests have changed since")
	unmarked := flags.Bool("unmarked", false, "also list the rows that tests name although they are not marked covered or partly")
	mark := flags.String("mark", "", "give the rows named as arguments this state, and report nothing")
	note := flags.String("note", "", "with -mark: what is missing, waited for, or whose the rows are")
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
	if *mark != "" {
		return markRows(root, rows, spec.State(*mark), *note, flags.Args())
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%v: rows are named only with -mark", flags.Args())
	}
	uses, err := spec.Uses(root)
	if err != nil {
		return err
	}
	if *recordFile == "auto" {
		*recordFile = lastRun(root, rows, uses)
		if *recordFile == "" {
			fmt.Fprintln(os.Stderr, "spec-report: no record of a full run that is newer than the rows and tests: judging by which tests name which rows")
		}
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
	if err := report.PrintGaps(out); err != nil {
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

// lastRun gives the record that "make test" left, unless a row or a test that
// names one was edited later: then the record says nothing about them.
func lastRun(root string, rows []spec.Row, uses []spec.Use) string {
	file := filepath.Join(root, ".test", "spec.jsonl")
	record, err := os.Stat(file)
	if err != nil {
		return ""
	}
	sources := map[string]bool{}
	for _, r := range rows {
		sources[r.File] = true
	}
	for _, u := range uses {
		sources[u.File] = true
	}
	for source := range sources {
		info, err := os.Stat(filepath.Join(root, source))
		if err != nil || info.ModTime().After(record.ModTime()) {
			return ""
		}
	}
	return file
}

// markRows edits the rows' files.
func markRows(root string, rows []spec.Row, state spec.State, note string, ids []string) error {
	for _, id := range ids {
		i := slices.IndexFunc(rows, func(r spec.Row) bool { return r.ID == id })
		if i < 0 {
			return fmt.Errorf("no row %s in docs/spec", id)
		}
		file := filepath.Join(root, rows[i].File)
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if data, err = spec.SetState(data, id, state, note); err != nil {
			return err
		}
		if err := os.WriteFile(file, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
