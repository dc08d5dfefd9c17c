package repo

import (
	"regexp"
	"strings"
	"testing"
)

// TestFinalizersHaveAnOwner wants each finalizer that virt-api sets to be one that a controller removes: an object that nobody lets
// go can never be deleted, nor its namespace.
func TestFinalizersHaveAnOwner(t *testing.T) {
	constant := regexp.MustCompile(`virtv1\.(\w+Finalizer)\b`)
	appended := regexp.MustCompile(`append\(\w+\.Finalizers, virtv1\.(\w+Finalizer)\)`)
	set, handled := map[string]string{}, map[string]bool{}
	for name, data := range tracked(t) {
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		if strings.HasPrefix(name, "pkg/registry/") {
			for _, m := range appended.FindAllStringSubmatch(string(data), -1) {
				set[m[1]] = name
			}
		}
		if strings.HasPrefix(name, "pkg/controller/") {
			for _, m := range constant.FindAllStringSubmatch(string(data), -1) {
				handled[m[1]] = true
			}
		}
	}
	if len(set) < 2 {
		t.Errorf("found only %d finalizers: %v", len(set), set)
	}
	for finalizer, name := range set {
		if !handled[finalizer] {
			t.Errorf("%s sets %s, which nothing in pkg/controller removes", name, finalizer)
		}
	}
}
