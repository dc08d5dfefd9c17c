package main

import (
	"fmt"
	"os"
	"strings"
)

// skipList says which tests may skip, and why. Its file has one line for each:
// the package without the module's path, the test (or TEST/* for its subtests), the reason.
type skipList []skipEntry

type skipEntry struct{ pkg, test, reason string }

func readSkips(file string) (skipList, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the list of skips: %w", err)
	}
	return parseSkips(file, string(data))
}

func parseSkips(file, data string) (skipList, error) {
	var list skipList
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
		list = append(list, skipEntry{f[0], f[1], strings.TrimSpace(f[2])})
	}
	return list, nil
}

func (l skipList) reason(pkg, test string) (string, bool) {
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
