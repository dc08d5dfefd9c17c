package power

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/virtctl/command"
	"github.com/virtplane/virtplane/pkg/virtctl/virtctltest"
)

func put(path, body string) virtctltest.Request {
	return virtctltest.Request{Method: http.MethodPut, Path: path, Body: body}
}

func TestActionsOnTheWire(t *testing.T) {
	const base = virtctltest.Base
	for _, tc := range []struct {
		args []string
		want virtctltest.Request
		out  string
	}{
		{[]string{"start", "web"}, put(base+"virtualmachines/web/start", `{}`), "VM web was scheduled to start\n"},
		{[]string{"start", "web", "--paused"}, put(base+"virtualmachines/web/start", `{"paused":true}`), "VM web was scheduled to start\n"},
		{[]string{"stop", "web"}, put(base+"virtualmachines/web/stop", `{}`), "VM web was scheduled to stop\n"},
		{[]string{"stop", "web", "--force", "--grace-period", "0"}, put(base+"virtualmachines/web/stop", `{"gracePeriod":0}`), "VM web was scheduled to stop\n"},
		{[]string{"restart", "web"}, put(base+"virtualmachines/web/restart", `{}`), "VM web was scheduled to restart\n"},
		{[]string{"restart", "web", "--force", "--grace-period=0"}, put(base+"virtualmachines/web/restart", `{"gracePeriodSeconds":0}`), "VM web was scheduled to restart\n"},
		{[]string{"pause", "vm", "web"}, put(base+"virtualmachineinstances/web/pause", `{}`), "VMI web was scheduled to pause\n"},
		{[]string{"unpause", "vmi", "web", "--dry-run"}, put(base+"virtualmachineinstances/web/unpause", `{"dryRun":["All"]}`), "VMI web was scheduled to unpause (dry run)\n"},
		{[]string{"soft-reboot", "web"}, put(base+"virtualmachineinstances/web/softreboot", ``), "VMI web was asked to reboot\n"},
		{[]string{"reset", "web"}, put(base+"virtualmachineinstances/web/reset", ``), "VMI web was reset\n"},
		{[]string{"migrate", "web"}, put(base+"virtualmachines/web/migrate", `{}`), "VM web was scheduled to migrate\n"},
		{[]string{"migrate", "web", "--addedNodeSelector", "rack=12,fast="}, put(base+"virtualmachines/web/migrate", `{"addedNodeSelector":{"fast":"","rack":"12"}}`), "VM web was scheduled to migrate\n"},
	} {
		t.Run(strings.Join(tc.args, " "), func(t *testing.T) {
			s := &virtctltest.Server{}
			out, _, err := virtctltest.Run(t, s, nil, New, tc.args...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]virtctltest.Request{tc.want}, s.Requests()); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			if out != tc.out {
				t.Errorf("printed %q, want %q", out, tc.out)
			}
		})
	}
}

// TestNotFound tells an action that the server lacks from a machine that does not exist.
func TestNotFound(t *testing.T) {
	const lacks = "migrate web: the API server of this cluster does not serve virtualmachines/migrate: update it to a version that does; kubectl get --raw /apis/subresources.kubevirt.io/v1 lists what it serves"
	for _, tc := range []struct {
		name      string
		discovery func(w http.ResponseWriter)
		args      string
		want      string
	}{
		{"an action that is not served", serving("virtualmachines/start"), "migrate web", lacks},
		{"an action of the other kind", serving("virtualmachineinstances/migrate"), "migrate web", lacks},
		{"a group that is not served", func(w http.ResponseWriter) { virtctltest.Refuse(w, 404, "404 page not found") }, "migrate web", lacks},
		{"no machine", serving("virtualmachines/migrate"), "migrate web", "migrate web: not here"},
		{"no machine, and an action of two parts", serving("virtualmachines/evacuate"), "evacuate-cancel vm web", "evacuate/cancel web: not here"},
		{"who may not read what is served", func(w http.ResponseWriter) { virtctltest.Refuse(w, 403, "you may not") }, "migrate web", "migrate web: not here"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &virtctltest.Server{Answer: func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == command.Group {
					tc.discovery(w)
				} else {
					virtctltest.Refuse(w, 404, "not here")
				}
				return true
			}}
			_, _, err := virtctltest.Run(t, s, nil, New, strings.Fields(tc.args)...)
			if got := message(err); got != tc.want {
				t.Errorf("error %q, want %q", got, tc.want)
			}
		})
	}
}

func serving(names ...string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		list := metav1.APIResourceList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "APIResourceList"}}
		for _, n := range names {
			list.APIResources = append(list.APIResources, metav1.APIResource{Name: n})
		}
		virtctltest.JSON(w, list)
	}
}

func TestRefusalsAreTold(t *testing.T) {
	for _, tc := range []struct {
		name  string
		args  []string
		want  string
		usage bool
	}{
		{"the server's reason", []string{"start", "web"}, "start web: VM is already running", false},
		{"force without a period", []string{"stop", "web", "--force"}, "--force needs --grace-period=SECONDS (0 cuts the guest off at once)", true},
		{"period without force", []string{"stop", "web", "--grace-period=3"}, "--grace-period needs --force", true},
		{"neither vm nor vmi", []string{"pause", "pod", "web"}, `"pod" is neither vm nor vmi: say pause vm NAME or pause vmi NAME`, true},
		{"no pairs", []string{"migrate", "web", "--addedNodeSelector", "rack"}, `--addedNodeSelector must be KEY=VALUE, separated by commas; "rack" is not`, true},
		{"two names", []string{"reset", "a", "b"}, "accepts 1 arg(s), received 2", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &virtctltest.Server{Answer: func(w http.ResponseWriter, _ *http.Request) bool {
				virtctltest.Refuse(w, 409, "VM is already running")
				return true
			}}
			_, _, err := virtctltest.Run(t, s, nil, New, tc.args...)
			if err == nil || err.Error() != tc.want {
				t.Errorf("error %v, want %s", err, tc.want)
			}
			if command.IsUsage(err) != tc.usage {
				t.Errorf("a mistake on the command line: %v, want %v", !tc.usage, tc.usage)
			}
			if tc.usage && len(s.Requests()) > 0 {
				t.Errorf("asked the cluster all the same: %v", s.Requests())
			}
		})
	}
}

// TestEvacuateCancel names the node that it was about, so that the server can tell an order that is out of date.
func TestEvacuateCancel(t *testing.T) {
	const vmi = "/apis/kubevirt.io/v1/namespaces/ns/virtualmachineinstances/web"
	for _, tc := range []struct {
		args, path, body, out string
		readable              bool
	}{
		{"evacuate-cancel vm web", "virtualmachines/web/evacuate/cancel", `{"evacuationNodeName":"node1"}`, "VM web stays on its node\n", true},
		{"evacuate-cancel vmi web --dry-run", "virtualmachineinstances/web/evacuate/cancel", `{"dryRun":["All"],"evacuationNodeName":"node1"}`, "VMI web stays on its node (dry run)\n", true},
		{"evacuate-cancel vm web", "virtualmachines/web/evacuate/cancel", `{"evacuationNodeName":""}`, "VM web stays on its node\n", false},
	} {
		s := &virtctltest.Server{Answer: func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != vmi {
				return false
			}
			if !tc.readable {
				virtctltest.Refuse(w, 403, "you may not")
				return true
			}
			virtctltest.JSON(w, virtv1.VirtualMachineInstance{TypeMeta: metav1.TypeMeta{APIVersion: "kubevirt.io/v1", Kind: "VirtualMachineInstance"}, Status: virtv1.VirtualMachineInstanceStatus{EvacuationNodeName: "node1"}})
			return true
		}}
		out, _, err := virtctltest.Run(t, s, nil, New, strings.Fields(tc.args)...)
		if err != nil || out != tc.out {
			t.Errorf("%s: printed %q, %v", tc.args, out, err)
		}
		if diff := cmp.Diff([]string{tc.body}, s.Saw(http.MethodPut, virtctltest.Base+tc.path)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.args, diff)
		}
	}
}

// TestMigrateCancel ends what still runs, and nothing else.
func TestMigrateCancel(t *testing.T) {
	migration := func(name string, phase virtv1.VirtualMachineInstanceMigrationPhase) virtv1.VirtualMachineInstanceMigration {
		return virtv1.VirtualMachineInstanceMigration{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: virtv1.VirtualMachineInstanceMigrationStatus{Phase: phase}}
	}
	const path = "/apis/kubevirt.io/v1/namespaces/ns/virtualmachineinstancemigrations"
	for _, tc := range []struct {
		name    string
		list    []virtv1.VirtualMachineInstanceMigration
		args    []string
		deleted []string
		want    string
	}{
		{"one runs", []virtv1.VirtualMachineInstanceMigration{migration("done", virtv1.MigrationSucceeded), migration("now", "Running"), migration("failed", virtv1.MigrationFailed)}, []string{"migrate-cancel", "web"}, []string{path + "/now"}, ""},
		{"none runs", []virtv1.VirtualMachineInstanceMigration{migration("done", virtv1.MigrationSucceeded)}, []string{"migrate-cancel", "web"}, nil, "found no migration to cancel for web"},
		{"with an evacuation", nil, []string{"evacuate-cancel", "vm", "web", "--migrate-cancel"}, nil, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &virtctltest.Server{Answer: func(w http.ResponseWriter, r *http.Request) bool {
				switch {
				case r.URL.Path == path && r.Method == http.MethodGet:
					if got := r.URL.Query().Get("labelSelector"); got != "kubevirt.io/vmi-name=web" {
						t.Errorf("selects %q", got)
					}
					virtctltest.JSON(w, virtv1.VirtualMachineInstanceMigrationList{TypeMeta: metav1.TypeMeta{APIVersion: "kubevirt.io/v1", Kind: "VirtualMachineInstanceMigrationList"}, Items: tc.list})
				case r.Method == http.MethodDelete:
					virtctltest.JSON(w, metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: "Success"})
				default:
					return false
				}
				return true
			}}
			_, _, err := virtctltest.Run(t, s, nil, New, tc.args...)
			if got := message(err); got != tc.want {
				t.Errorf("error %q, want %q", got, tc.want)
			}
			var deleted []string
			for _, r := range s.Requests() {
				if r.Method == http.MethodDelete {
					deleted = append(deleted, r.Path)
				}
			}
			if diff := cmp.Diff(tc.deleted, deleted); diff != "" {
				t.Errorf("deleted (-want +got):\n%s", diff)
			}
		})
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestCompletion offers live names, of the right kind.
func TestCompletion(t *testing.T) {
	answer := func(w http.ResponseWriter, r *http.Request) bool {
		switch r.URL.Path {
		case "/apis/kubevirt.io/v1/namespaces/ns/virtualmachines":
			virtctltest.JSON(w, virtv1.VirtualMachineList{TypeMeta: metav1.TypeMeta{APIVersion: "kubevirt.io/v1", Kind: "VirtualMachineList"}, Items: []virtv1.VirtualMachine{{ObjectMeta: metav1.ObjectMeta{Name: "web"}}, {ObjectMeta: metav1.ObjectMeta{Name: "db"}}}})
		case "/apis/kubevirt.io/v1/namespaces/ns/virtualmachineinstances":
			virtctltest.JSON(w, virtv1.VirtualMachineInstanceList{TypeMeta: metav1.TypeMeta{APIVersion: "kubevirt.io/v1", Kind: "VirtualMachineInstanceList"}, Items: []virtv1.VirtualMachineInstance{{ObjectMeta: metav1.ObjectMeta{Name: "scratch"}}}})
		default:
			return false
		}
		return true
	}
	for _, tc := range []struct {
		typed []string
		want  string
	}{
		{[]string{"start", ""}, "web\ndb\n:4\n"},
		{[]string{"start", "web", ""}, ":4\n"},
		{[]string{"reset", ""}, "scratch\n:4\n"},
		{[]string{"pause", ""}, "vm\nvmi\n:4\n"},
		{[]string{"pause", "vmi", ""}, "scratch\n:4\n"},
		{[]string{"pause", "vm", ""}, "web\ndb\n:4\n"},
	} {
		t.Run(strings.Join(tc.typed, " "), func(t *testing.T) {
			out, _, err := virtctltest.Run(t, &virtctltest.Server{Answer: answer}, nil, New, append([]string{"__complete"}, tc.typed...)...)
			if err != nil || out != tc.want {
				t.Errorf("offers %q, %v; want %q", out, err, tc.want)
			}
		})
	}
}
