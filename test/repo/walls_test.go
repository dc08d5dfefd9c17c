package repo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/virtplane/virtplane/test/spec"
)

const module = "github.com/virtplane/virtplane/"

// rooms says which other rooms a room's packages may import. A package belongs to
// the room with the longest prefix; a room may always import itself. The table in
// docs/architecture.md says the same.
var rooms = map[string][]string{
	"cmd":            {"pkg", "csi-driver", "cni-plugin", "device-plugin", "launcher"},
	"pkg/apis":       {},
	"pkg/generated":  {"pkg/apis"},
	"pkg/logging":    {"pkg/apis"},
	"pkg/machine":    {"pkg/apis"},
	"pkg/metrics":    {},
	"pkg/store":      {},
	"pkg/registry":   {"pkg/apis", "pkg/generated", "pkg/machine"},
	"pkg/apiserver":  {"pkg/registry", "pkg/apis", "pkg/generated", "pkg/machine", "pkg/store"},
	"pkg/controller": {"pkg/apis", "pkg/generated", "pkg/machine"},
	"pkg/node":       {"pkg/apis", "pkg/generated", "pkg/machine", "launcher/api", "device-plugin", "cni-plugin"},
	"pkg/virtctl":    {"pkg/apis", "pkg/generated"},
	"csi-driver":     {},
	"cni-plugin":     {},
	"device-plugin":  {},
	"launcher":       {"pkg/apis", "pkg/machine"},
	"hack":           {"pkg", "csi-driver", "cni-plugin", "device-plugin", "launcher"},
	"test":           {"cmd", "pkg", "csi-driver", "cni-plugin", "device-plugin", "launcher", "hack"},
}

// wall says what the packages below a prefix may not reach, by whatever way.
type wall struct{ from, mayNotReach, why string }

var walls = []wall{
	{"", "k8s.io/kubernetes", "it is a program, not a library: no promise of compatibility"},
	{"", "kubevirt.io", "we serve that API, we do not build on that code"},
	{"cni-plugin", "k8s.io/client-go", "started for every pod: start-up time and size"},
	{"cni-plugin", "k8s.io/apiserver", "started for every pod: start-up time and size"},
	{"cmd/bridge-cni", "k8s.io/client-go", "started for every pod: start-up time and size"},
	{"launcher", "k8s.io/client-go", "runs beside an untrusted guest: no API credentials, small"},
	{"launcher", "k8s.io/apiserver", "runs beside an untrusted guest: small"},
	{"launcher", "sigs.k8s.io/controller-runtime", "runs beside an untrusted guest: small"},
	{"cmd/virt-launcher", "k8s.io/client-go", "runs beside an untrusted guest: no API credentials, small"},
	{"cmd/virt-launcher", "k8s.io/apiserver", "runs beside an untrusted guest: small"},
	{"device-plugin", "k8s.io/client-go", "talks to the kubelet only"},
	{"device-plugin", "k8s.io/apiserver", "talks to the kubelet only"},
	{"csi-driver", "k8s.io/apiserver", "a node component serves no API"},
	{"pkg/apis", "k8s.io/client-go", "clients import these types"},
	{"pkg/apis", "k8s.io/apiserver", "clients import these types"},
	{"pkg/apis", "sigs.k8s.io/controller-runtime", "clients import these types"},
	{"pkg/generated", "k8s.io/apiserver", "clients import this"},
	{"pkg/metrics", "k8s.io/apiserver", "programs of nodes use it: small"},
	{"pkg/machine", "k8s.io/client-go", "pure: it computes, it asks nobody"},
	{"pkg/machine", "k8s.io/apiserver", "pure: it computes, it asks nobody"},
	{"cmd/virt-launcher", module + "pkg/logging/component", "it logs without Kubernetes' libraries"},
	{"cmd/bridge-cni", module + "pkg/logging/component", "it logs without Kubernetes' libraries"},
	{"pkg/virtctl", "go.etcd.io/etcd", "the command line never opens a store"},
	{"pkg/controller", "go.etcd.io/etcd", "only virt-api opens the store"},
	{"pkg/node", "go.etcd.io/etcd", "only virt-api opens the store"},
	{"pkg/apiserver", "sigs.k8s.io/controller-runtime", "no manager runs inside virt-api"},
	{"pkg/registry", "sigs.k8s.io/controller-runtime", "no manager runs inside virt-api"},
	{"cmd/virt-api", "sigs.k8s.io/controller-runtime", "no manager runs inside virt-api"},
}

// direct are packages that no package below the prefix imports itself; others that
// it uses may.
var direct = []wall{
	{"", "github.com/gorilla/websocket", "the project uses github.com/coder/websocket"},
	{"", "github.com/golang/protobuf", "the project uses google.golang.org/protobuf"},
	{"", "github.com/onsi/ginkgo", "tests use plain testing"},
	{"pkg/machine", "os/exec", "pure: it computes, it touches nothing"},
	{"pkg/machine", "os", "pure: it computes, it touches nothing"},
	{"pkg/machine", "net", "pure: it computes, it touches nothing"},
	{"launcher", "k8s.io/klog/v2", "the launcher logs with log/slog"},
	{"cni-plugin", "k8s.io/klog/v2", "the plugin logs with log/slog"},
	{"cmd/virt-launcher", "k8s.io/klog/v2", "the launcher logs with log/slog"},
	{"cmd/bridge-cni", "k8s.io/klog/v2", "the plugin logs with log/slog"},
}

// pkg is what go list tells about a package.
type pkg struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
	Standard     bool
}

// listed gives all packages that ours need, tests of ours included in ours only.
func listed(t *testing.T) map[string]pkg {
	t.Helper()
	root, err := spec.Root()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-deps", "-json=ImportPath,Imports,TestImports,XTestImports,Standard", "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	pkgs := map[string]pkg{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs[p.ImportPath] = p
	}
}

func below(path, prefix string) bool {
	return prefix == "" || path == prefix || strings.HasPrefix(path, prefix+"/")
}

// roomOf gives the room of a package of ours, or "" if there is none.
func roomOf(path string) string {
	room := ""
	for r := range rooms {
		if below(path, r) && len(r) > len(room) {
			room = r
		}
	}
	return room
}

// breaches checks the packages against rooms, walls and direct.
func breaches(pkgs map[string]pkg) []string {
	var found []string
	reached := make([]map[string]bool, len(walls))
	importers := importersOf(pkgs)
	for i, w := range walls {
		reached[i] = reaching(pkgs, importers, w.mayNotReach)
	}
	for _, p := range pkgs {
		path, ours := strings.CutPrefix(p.ImportPath, module)
		if !ours {
			continue
		}
		room := roomOf(path)
		if room == "" {
			found = append(found, fmt.Sprintf("%s belongs to no room: put it into one, or decide on a new one in docs/decisions and name it in the table of rooms", path))
			continue
		}
		for _, imp := range p.Imports {
			to, ours := strings.CutPrefix(imp, module)
			if ours && !below(to, room) && !slices.ContainsFunc(rooms[room], func(r string) bool { return below(to, r) }) {
				found = append(found, fmt.Sprintf("%s imports %s: room %s may import only %v", path, to, room, rooms[room]))
			}
		}
		for _, w := range direct {
			for _, imp := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
				if below(path, w.from) && below(imp, w.mayNotReach) && (w.mayNotReach != "os" && w.mayNotReach != "net" || imp == w.mayNotReach) {
					found = append(found, fmt.Sprintf("%s imports %s: %s", path, imp, w.why))
				}
			}
		}
		for i, w := range walls {
			if below(path, w.from) && reached[i][p.ImportPath] {
				way := wayTo(pkgs, p.ImportPath, w.mayNotReach)
				found = append(found, fmt.Sprintf("%s reaches %s: %s\n\tby %s", path, w.mayNotReach, w.why, strings.Join(way, "\n\t → ")))
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func importersOf(pkgs map[string]pkg) map[string][]string {
	importers := map[string][]string{}
	for _, p := range pkgs {
		for _, imp := range p.Imports {
			importers[imp] = append(importers[imp], p.ImportPath)
		}
	}
	return importers
}

// reaching gives the packages that import one below prefix, however far away.
func reaching(pkgs map[string]pkg, importers map[string][]string, prefix string) map[string]bool {
	found := map[string]bool{}
	var queue []string
	for path := range pkgs {
		if below(path, prefix) {
			queue = append(queue, path)
		}
	}
	for ; len(queue) > 0; queue = queue[1:] {
		for _, by := range importers[queue[0]] {
			if !found[by] {
				found[by] = true
				queue = append(queue, by)
			}
		}
	}
	return found
}

// wayTo finds a shortest chain of imports from a package to one below prefix.
func wayTo(pkgs map[string]pkg, from, prefix string) []string {
	came := map[string]string{from: ""}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		if at != from && below(at, prefix) {
			var way []string
			for ; at != ""; at = came[at] {
				way = append(way, at)
			}
			slices.Reverse(way)
			return way
		}
		for _, imp := range pkgs[at].Imports {
			if _, seen := came[imp]; !seen {
				came[imp] = at
				queue = append(queue, imp)
			}
		}
	}
	return nil
}

func TestWalls(t *testing.T) {
	for _, b := range breaches(listed(t)) {
		t.Error(b)
	}
}

// TestRoomsAreDrawn wants the table of docs/architecture.md to name the rooms that there are, and in the last column of each what
// it may import: the names in code style are rooms, anything else is said of what lies outside of the repository.
func TestRoomsAreDrawn(t *testing.T) {
	files := tracked(t)
	_, section, _ := strings.Cut(string(files["docs/architecture.md"]), "\n## Rooms\n")
	section, _, _ = strings.Cut(section, "\n## ")
	names := slices.Collect(maps.Keys(files))
	code := regexp.MustCompile("`([^`]+)`")
	named := func(cell string) []string {
		var found []string
		for _, m := range code.FindAllStringSubmatch(cell, -1) {
			found = append(found, strings.TrimSuffix(m[1], "/<program>"))
		}
		slices.Sort(found)
		return found
	}
	drawn, want := map[string][]string{}, map[string][]string{}
	for line := range strings.Lines(section) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || !strings.Contains(cells[1], "`") {
			continue
		}
		for _, room := range named(cells[1]) {
			if !slices.ContainsFunc(names, func(name string) bool { return below(name, room) }) {
				t.Errorf("docs/architecture.md draws room %s, which does not exist", room)
			}
			if _, ok := rooms[room]; ok || len(named(cells[3])) > 0 { // others hold no Go
				drawn[room] = named(cells[3])
			}
		}
	}
	for room, others := range rooms {
		want[room] = slices.Sorted(slices.Values(others))
	}
	if diff := cmp.Diff(want, drawn, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("rooms of the test (-) and of docs/architecture.md (+):\n%s", diff)
	}
}

func TestBreaches(t *testing.T) {
	pkgs := map[string]pkg{}
	add := func(path string, imports ...string) {
		pkgs[path] = pkg{ImportPath: path, Imports: imports}
	}
	add(module+"launcher/qmp", "encoding/json", module+"pkg/machine")
	add(module+"launcher", module+"launcher/qmp", "example.com/helper")
	add("example.com/helper", "k8s.io/client-go/rest")
	add("k8s.io/client-go/rest")
	add(module+"pkg/machine", "os", "os/signal")
	add(module+"pkg/controller/vm", module+"pkg/registry/vm", module+"pkg/apis/kubevirt/v1")
	add(module + "pkg/controllers/vm")
	add(module+"cni-plugin/bridge", "k8s.io/klog/v2")
	want := []string{
		"cni-plugin/bridge imports k8s.io/klog/v2: the plugin logs with log/slog",
		"launcher reaches k8s.io/client-go: runs beside an untrusted guest: no API credentials, small\n" +
			"\tby github.com/virtplane/virtplane/launcher\n\t → example.com/helper\n\t → k8s.io/client-go/rest",
		"pkg/controller/vm imports pkg/registry/vm: room pkg/controller may import only [pkg/apis pkg/generated pkg/machine]",
		"pkg/controllers/vm belongs to no room: put it into one, or decide on a new one in docs/decisions and name it in the table of rooms",
		"pkg/machine imports os: pure: it computes, it touches nothing",
	}
	if diff := cmp.Diff(want, breaches(pkgs)); diff != "" {
		t.Errorf("breaches (-want +got):\n%s", diff)
	}
}
