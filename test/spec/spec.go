// Package spec ties tests to the requirement rows of docs/spec.
//
// A test says with Covers which rows it proves; the run's record, the rows and
// their states then make the report of "make spec-report". The package reads
// rows and writes records. It must not know any requirement itself, start
// anything, or be imported outside of tests and the tools under test.
package spec

import (
	"fmt"
	"sync"
	"testing"
)

// Attribute is the key of the attribute by which a test says which row it proves; see testing.T.Attr. A run's record is
// made of them, so that a result that go test remembers has them too.
const Attribute = "row"

// MaxRows is the number of rows that one test may name. A test that would prove
// more proves none of them well.
const MaxRows = 5

// Record is one line of a run's record: a test that named a row, and passed or skipped.
type Record struct {
	Row     string `json:"row"`
	Package string `json:"package"`
	Test    string `json:"test"`
	// Skipped is why the test, or one below it, did not run on this machine; empty if all of it passed.
	Skipped string `json:"skipped,omitempty"`
	// MaySkip says that test/skips.txt has the test, so that its proof is not to be had on every machine.
	MaySkip bool `json:"maySkip,omitempty"`
}

// claims counts the rows of each running test, so that several calls of Covers
// in one test share one limit.
var claims sync.Map // of testing.TB to *int

// Covers says that the calling test proves the rows with these IDs. They are taken as proved only if the test passes. More
// than MaxRows of them fail the test; that each exists is checked once for all tests, by Uses and NewReport. A test that may
// skip names its rows before it does: then the report can say that they were not proven on this machine.
func Covers(t testing.TB, ids ...string) {
	t.Helper()
	if err := claim(t, ids); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		t.Attr(Attribute, id)
	}
}

func claim(t testing.TB, ids []string) error {
	if len(ids) == 0 {
		return fmt.Errorf("spec.Covers names no row")
	}
	v, loaded := claims.LoadOrStore(t, new(int))
	n := v.(*int)
	if !loaded {
		t.Cleanup(func() { claims.CompareAndDelete(t, n) })
	}
	if *n += len(ids); *n > MaxRows {
		return fmt.Errorf("test names %d rows, at most %d are allowed: split it", *n, MaxRows)
	}
	return nil
}
