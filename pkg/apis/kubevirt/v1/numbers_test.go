package v1_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestProtobufNumbers compares the field numbers of the stored form with a golden file, which is append only: a number that
// has been used once means the same for ever, or objects in a store would be misread (decision 3). UPDATE_GOLDEN=true adds
// new fields; a changed or a missing one is an error that no update repairs.
func TestProtobufNumbers(t *testing.T) {
	const golden = "testdata/protobuf-numbers.golden"
	var got []string
	for _, file := range []struct{ group, path string }{{"kubevirt", "generated.proto"}, {"cdi", "../../cdi/v1beta1/generated.proto"}} {
		got = append(got, numbers(t, file.group, file.path)...)
	}
	slices.Sort(got)
	recorded, err := os.ReadFile(golden)
	if err != nil && os.Getenv("UPDATE_GOLDEN") != "true" {
		t.Fatal(err)
	}
	known := map[string]string{}
	used := map[string]string{}
	for line := range strings.Lines(string(recorded)) {
		field, number, _ := strings.Cut(strings.TrimSpace(line), " = ")
		known[field] = number
		message := field[:strings.LastIndexByte(field, '.')]
		used[message+" "+number] = field
	}
	now := map[string]bool{}
	missing := 0
	for _, line := range got {
		field, number, _ := strings.Cut(line, " = ")
		now[field] = true
		message := field[:strings.LastIndexByte(field, '.')]
		switch was, ok := known[field]; {
		case ok && was != number:
			t.Errorf("%s had number %s and has %s: give it its number back", field, was, number)
		case !ok && used[message+" "+number] != "":
			t.Errorf("%s takes number %s, which is %s's: take one that was never used", field, number, used[message+" "+number])
		case !ok:
			missing++
		}
	}
	for field, number := range known {
		if !now[field] {
			t.Errorf("%s = %s is gone: keep the line and reserve the number in the message", field, number)
		}
	}
	if missing == 0 || t.Failed() {
		return
	}
	if os.Getenv("UPDATE_GOLDEN") != "true" {
		t.Errorf("%d fields are not in %s: UPDATE_GOLDEN=true go test adds them", missing, golden)
		return
	}
	if err := os.WriteFile(golden, []byte(strings.Join(got, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

var (
	messageLine = regexp.MustCompile(`^message (\w+) \{`)
	fieldLine   = regexp.MustCompile(`^  (?:optional |repeated )?((?:map<[^>]+>|[\w.]+)) (\w+) = (\d+);`)
)

// numbers lists message.field = number type of a generated file.
func numbers(t *testing.T, group, path string) []string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	message := ""
	for line := range strings.Lines(string(data)) {
		if m := messageLine.FindStringSubmatch(line); m != nil {
			message = m[1]
		} else if f := fieldLine.FindStringSubmatch(line); f != nil {
			out = append(out, fmt.Sprintf("%s.%s.%s = %s", group, message, f[2], f[3]))
		}
	}
	if len(out) == 0 {
		t.Fatalf("%s has no fields", path)
	}
	return out
}
