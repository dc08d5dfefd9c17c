// Package spec ties tests to the requirement rows of docs/spec.
//
// A test says with Covers which rows it proves; the run's record, the rows and
// their states then make the report of "make spec-report". The package reads
// rows and writes records. It must not know any requirement itself, start
// anything, or be imported outside of tests and the tools under test.
package spec

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// RecordEnv names the file to which passing tests append the rows they cover,
// one JSON line for each row. Without it nothing is recorded.
const RecordEnv = "VIRTPLANE_SPEC_RECORD"

// MaxRows is the number of rows that one test may name. A test that would prove
// more proves none of them well.
const MaxRows = 5

// Record is one line of a run's record.
type Record struct {
	Row     string `json:"row"`
	Package string `json:"package"`
	Test    string `json:"test"`
}

var known = sync.OnceValues(func() (map[string]Row, error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	rows, err := Load(root)
	if err != nil {
		return nil, err
	}
	byID := make(map[string]Row, len(rows))
	for _, r := range rows {
		byID[r.ID] = r
	}
	return byID, nil
})

// claims counts the rows of each running test, so that several calls of Covers
// in one test share one limit.
var claims sync.Map // of testing.TB to *int

// Covers says that the calling test proves the rows with these IDs. The rows
// are recorded only if the test passes in this run. An unknown row, or more
// than MaxRows of them, fails the test.
func Covers(t testing.TB, ids ...string) {
	t.Helper()
	rows, err := known()
	if err != nil {
		t.Fatalf("reading the requirement rows: %v", err)
	}
	n, err := claim(t, rows, ids)
	if err != nil {
		t.Fatal(err)
	}
	pkg := testPackage()
	file := os.Getenv(RecordEnv)
	t.Cleanup(func() {
		claims.CompareAndDelete(t, n)
		if file == "" || t.Failed() || t.Skipped() {
			return
		}
		if err := appendRecords(file, pkg, t.Name(), ids); err != nil {
			t.Errorf("recording covered rows: %v", err)
		}
	})
}

func claim(t testing.TB, rows map[string]Row, ids []string) (*int, error) {
	if len(ids) == 0 {
		return nil, fmt.Errorf("spec.Covers names no row")
	}
	for _, id := range ids {
		if _, ok := rows[id]; !ok {
			return nil, fmt.Errorf("no row %q in docs/spec", id)
		}
	}
	v, _ := claims.LoadOrStore(t, new(int))
	n := v.(*int)
	if *n += len(ids); *n > MaxRows {
		return nil, fmt.Errorf("test names %d rows, at most %d are allowed: split it", *n, MaxRows)
	}
	return n, nil
}

// appendRecords writes all lines by one write to a file opened for appending,
// so that test processes running side by side never mix their lines.
func appendRecords(file, pkg, test string, ids []string) error {
	var b strings.Builder
	for _, id := range ids {
		line, err := json.Marshal(Record{Row: id, Package: pkg, Test: test})
		if err != nil {
			return err
		}
		b.Write(line)
		b.WriteByte('\n')
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(b.String()); err != nil {
		_ = f.Close() // the write's error says more
		return err
	}
	return f.Close()
}

// testPackage gives the import path of the package whose test is running: that
// of the function that package testing called, however deep below it Covers is.
func testPackage() string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	first, more := frames.Next()
	for last := first; more; {
		var next runtime.Frame
		if next, more = frames.Next(); next.Function == "testing.tRunner" {
			return packageOf(last.Function)
		}
		last = next
	}
	return packageOf(first.Function)
}

// packageOf cuts the function off a qualified name such as
// "example.com/a/b.c.Test.func1" or "example.com/a_test.Test".
func packageOf(function string) string {
	slash := strings.LastIndexByte(function, '/') + 1
	if dot := strings.IndexByte(function[slash:], '.'); dot >= 0 {
		function = function[:slash+dot]
	}
	return strings.TrimSuffix(function, "_test")
}
