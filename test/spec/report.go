package spec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Counts is the number of rows in each state.
type Counts map[State]int

// String prints the counts in the order of States.
func (c Counts) String() string {
	var parts []string
	for _, s := range States {
		parts = append(parts, fmt.Sprintf("%s=%d", s, c[s]))
	}
	return strings.Join(parts, " ")
}

// AreaCounts is the line of one area.
type AreaCounts struct {
	Area   string
	Counts Counts
}

// Report is what is known about all rows.
type Report struct {
	Areas []AreaCounts
	Total Counts
	// Problems say where the states and the tests contradict each other.
	Problems []string
	// Unmarked are rows that tests name although their state claims no proof.
	Unmarked []string
	// Unproven are rows that claim a proof which the run did not give, because the machine lacks what their tests need.
	Unproven []string
	// MaySkip are rows that only tests proved which may skip on another machine.
	MaySkip []string
}

// NewReport compares the rows with the tests that name them. With a record only
// tests that passed in that run prove a row; without one (nil) each test that
// names a row does. A row whose tests skipped, as test/skips.txt lets them, is no
// contradiction: it is not proven on this machine.
func NewReport(rows []Row, uses []Use, record []Record) Report {
	r := Report{Total: Counts{}}
	known := map[string]bool{}
	proved, always := map[string]bool{}, map[string]bool{}
	skipped, may := map[string]string{}, map[string]string{}
	named := "no test names it"
	if record != nil {
		named = "no test that passed names it"
		for _, rec := range record {
			test := rec.Package + " " + rec.Test
			switch {
			case rec.Skipped != "":
				skipped[rec.Row] = test + " skipped: " + rec.Skipped
				continue
			case rec.MaySkip:
				may[rec.Row] = test
			default:
				always[rec.Row] = true
			}
			proved[rec.Row] = true
		}
	}
	for _, row := range rows {
		known[row.ID] = true
	}
	for _, u := range uses {
		if !known[u.Row] {
			r.Problems = append(r.Problems, fmt.Sprintf("%s:%d: no row %s in docs/spec", u.File, u.Line, u.Row))
		}
		if record == nil {
			proved[u.Row] = true
		}
	}
	for _, row := range rows {
		area := row.Area()
		i := slices.IndexFunc(r.Areas, func(a AreaCounts) bool { return a.Area == area })
		if i < 0 {
			i = len(r.Areas)
			r.Areas = append(r.Areas, AreaCounts{Area: area, Counts: Counts{}})
		}
		r.Areas[i].Counts[row.State]++
		r.Total[row.State]++
		claims := row.State == Covered || row.State == Partly
		switch {
		case claims && !proved[row.ID] && skipped[row.ID] != "":
			r.Unproven = append(r.Unproven, row.ID+": "+skipped[row.ID])
		case claims && may[row.ID] != "" && !always[row.ID]:
			r.MaySkip = append(r.MaySkip, row.ID+": "+may[row.ID])
		case claims && !proved[row.ID]:
			r.Problems = append(r.Problems, fmt.Sprintf("%s:%d: %s is marked %s, but %s", row.File, row.Line, row.ID, row.State, named))
		case !claims && proved[row.ID]:
			r.Unmarked = append(r.Unmarked, row.ID)
		}
	}
	return r
}

// PrintGaps writes what the run left open: rows that were not proven on this machine, and rows that may not be on another.
func (r Report) PrintGaps(w io.Writer) error {
	var b bytes.Buffer
	for _, line := range r.Unproven {
		fmt.Fprintf(&b, "not proven on this machine: %s\n", line)
	}
	for _, line := range r.MaySkip {
		fmt.Fprintf(&b, "proven only by a test that may skip: %s\n", line)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// Print writes a line for each area, then the totals.
func (r Report) Print(w io.Writer) error {
	var b bytes.Buffer
	rows := 0
	for _, a := range r.Areas {
		fmt.Fprintf(&b, "%s %s\n", a.Area, a.Counts)
	}
	for _, n := range r.Total {
		rows += n
	}
	fmt.Fprintf(&b, "total %s rows=%d\n", r.Total, rows)
	_, err := w.Write(b.Bytes())
	return err
}

// ReadRecords reads the JSON lines of a run's record.
func ReadRecords(r io.Reader) ([]Record, error) {
	records := []Record{}
	dec := json.NewDecoder(r)
	for {
		var rec Record
		err := dec.Decode(&rec)
		if errors.Is(err, io.EOF) {
			return records, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading record %d: %w", len(records)+1, err)
		}
		records = append(records, rec)
	}
}
