package main

import (
	"fmt"
	"os"
	"strings"
)

// reasonList names tests that are let do something, and why: skip (test/skips.txt), or take long (test/budget.txt). Its file
// has one line for each: the package without the module's path, the test (or TEST/* for its subtests), the reason.
type reasonList []reasonEntry

type reasonEntry struct{ pkg, test, reason string }

func readReasons(file string) (reasonList, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading a list of tests: %w", err)
	}
	return parseReasons(file, string(data))
}

func parseReasons(file, data string) (reasonList, error) {
	var list reasonList
	n := 0
	for line := range strings.Lines(data) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.SplitN(line, " ", 3)
		if len(f) < 3 || len(strings.Fields(f[2])) < 3 {
			return nil, fmt.Errorf("%s:%d: want PACKAGE TEST REASON, the reason in at least three words", file, n)
		}
		if !strings.HasPrefix(f[1], "Test") && !strings.HasPrefix(f[1], "Fuzz") {
			return nil, fmt.Errorf("%s:%d: %q is not the name of a test", file, n, f[1])
		}
		list = append(list, reasonEntry{f[0], f[1], strings.TrimSpace(f[2])})
	}
	return list, nil
}

func (l reasonList) reason(pkg, test string) (string, bool) {
	for _, e := range l {
		if e.pkg != pkg {
			continue
		}
		if below, ok := strings.CutSuffix(e.test, "*"); e.test == test || ok && strings.HasSuffix(below, "/") && strings.HasPrefix(test, below) {
			return e.reason, true
		}
	}
	return "", false
}
