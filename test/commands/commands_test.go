package commands

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/yaml"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine/support"
	"github.com/virtplane/virtplane/pkg/registry/registrytest"
	"github.com/virtplane/virtplane/pkg/virtctl"
	"github.com/virtplane/virtplane/pkg/virtctl/command"
	"github.com/virtplane/virtplane/pkg/virtctl/virtctltest"
	"github.com/virtplane/virtplane/test/spec"
)

// lines are a command line for each command. One without a use of the API has none.
var lines = map[string]string{
	"start": "web", "stop": "web", "restart": "web", "pause": "vm web", "unpause": "vm web", "soft-reboot": "web", "reset": "web",
	"migrate": "web", "migrate-cancel": "web", "evacuate-cancel": "vm web",
	"console": "web --timeout 1s", "vnc": "web --proxy-only", "vnc screenshot": "web -f " + os.DevNull, "port-forward": "vm/web --stdio 22",
	"vsock": "vmi/web 1", "usbredir": "web --no-launch", "expose": "vm web --name web --port 80",
	"guestosinfo": "web", "fslist": "web", "userlist": "web",
	"credentials add-ssh-key": "web --user ann --value KEY", "credentials remove-ssh-key": "web --user ann --value KEY", "credentials set-password": "web --user ann --password x",
	"create vm": "--name web", "create instancetype": "--cpu 1 --memory 1Gi", "create preference": "--name p", "create clone": "--source-name web",
	"addvolume": "web --volume-name claim", "removevolume": "web --volume-name claim", "memory-dump get": "web --claim-name claim", "memory-dump remove": "web",
	"expand": "--vm web", "objectgraph": "web", "permitted-devices": "", "adm log-verbosity": "--all",
	// These ask for nothing of ours: the local programs run with port-forward, and pods, Services and the server's version are
	// not virtual machines.
	"ssh": "-", "scp": "-", "options": "-", "guestfs": "-", "version": "-",
}

// api is a server that has everything: it takes note of what it is asked for, and refuses all actions.
type api struct {
	mu    sync.Mutex
	asked []string
}

var (
	action = regexp.MustCompile(`^/apis/subresources\.kubevirt\.io/v1/namespaces/ns/(virtualmachines|virtualmachineinstances)/[^/]+/([^/?]+)`)
	object = regexp.MustCompile(`^/apis/(kubevirt\.io/v1)/(?:namespaces/[^/]+/)?([a-z]+)`)
)

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	memory := resource.MustParse("1Gi")
	vmi := virtv1.VirtualMachineInstance{TypeMeta: metav1.TypeMeta{APIVersion: "kubevirt.io/v1", Kind: "VirtualMachineInstance"}, Status: virtv1.VirtualMachineInstanceStatus{Phase: virtv1.Running}}
	vmi.Spec.Domain.Memory = &virtv1.Memory{Guest: &memory}
	a.mu.Lock()
	defer a.mu.Unlock()
	if m := action.FindStringSubmatch(r.URL.Path); m != nil {
		a.asked = append(a.asked, m[1]+"/"+m[2])
		virtctltest.Refuse(w, http.StatusConflict, "not here")
		return
	}
	if m := object.FindStringSubmatch(r.URL.Path); m != nil {
		a.asked = append(a.asked, m[1]+" "+m[2])
	}
	switch path := r.URL.Path; {
	case path == command.Group:
		list := metav1.APIResourceList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "APIResourceList"}}
		for _, name := range []string{"addvolume", "removevolume", "memorydump", "removememorydump", "migrate"} {
			list.APIResources = append(list.APIResources, metav1.APIResource{Name: "virtualmachines/" + name}, metav1.APIResource{Name: "virtualmachineinstances/" + name})
		}
		virtctltest.JSON(w, list)
	case strings.HasSuffix(path, "/virtualmachineinstances/web"):
		virtctltest.JSON(w, vmi)
	case strings.HasSuffix(path, "/virtualmachines/web"):
		virtctltest.JSON(w, virtv1.VirtualMachine{TypeMeta: metav1.TypeMeta{APIVersion: "kubevirt.io/v1", Kind: "VirtualMachine"},
			ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: virtv1.VirtualMachineSpec{Template: &virtv1.VirtualMachineInstanceTemplateSpec{Spec: vmi.Spec}}})
	case strings.HasSuffix(path, "/virtualmachineinstancemigrations"):
		virtctltest.JSON(w, virtv1.VirtualMachineInstanceMigrationList{TypeMeta: metav1.TypeMeta{APIVersion: "kubevirt.io/v1", Kind: "VirtualMachineInstanceMigrationList"}})
	case strings.HasSuffix(path, "/persistentvolumeclaims/claim"):
		virtctltest.JSON(w, corev1.PersistentVolumeClaim{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolumeClaim"}, ObjectMeta: metav1.ObjectMeta{Name: "claim"},
			Spec: corev1.PersistentVolumeClaimSpec{Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("100Gi")}}}})
	default:
		virtctltest.Refuse(w, http.StatusNotFound, "not found")
	}
}

// needs runs a command line and gives what it asks the server for, and the kinds that it prints.
func needs(t *testing.T, name, line string) []string {
	t.Helper()
	a := &api{}
	server := httptest.NewServer(a)
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var out, errOut bytes.Buffer
	args := append(strings.Fields(name), strings.Fields(line)...)
	for i := range args {
		if args[i] == "KEY" {
			args[i] = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTEx ann@test"
		}
	}
	virtctl.Run(ctx, genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &errOut}, "virtctl", append(args, "--server", server.URL, "-n", "ns"))
	a.mu.Lock()
	defer a.mu.Unlock()
	asked := slices.Clone(a.asked)
	var printed metav1.TypeMeta
	if yaml.Unmarshal(out.Bytes(), &printed) == nil && printed.Kind != "" && strings.HasPrefix(name, "create ") {
		asked = append(asked, printed.APIVersion+" kind "+printed.Kind)
	}
	if strings.Contains(errOut.String(), "See '") {
		t.Errorf("%s %s makes no sense: %s", name, line, errOut.String())
	}
	slices.Sort(asked)
	return slices.Compact(asked)
}

// served is what virt-api lists and acts on: actions as RESOURCE/ACTION, and resources and kinds by their group and version.
func served(t *testing.T) map[string]bool {
	t.Helper()
	server := registrytest.Start(t)
	out := map[string]bool{}
	for _, group := range []string{"subresources.kubevirt.io/v1", "kubevirt.io/v1"} {
		var list metav1.APIResourceList
		if answer := server.Do(registrytest.Admin, http.MethodGet, "/apis/"+group, "", ""); json.Unmarshal(answer.Body, &list) != nil || len(list.APIResources) == 0 {
			t.Fatalf("%s: %d %s", group, answer.Code, answer.Body)
		}
		out[group] = true
		for _, r := range list.APIResources {
			switch {
			case strings.HasPrefix(group, "sub"):
				out[r.Name] = true
			case !strings.Contains(r.Name, "/"):
				out[group+" "+r.Name], out[group+" kind "+r.Kind] = true, true
			}
		}
	}
	for _, a := range support.Actions {
		delete(out, a.Resource) // it is answered with why it is not served
	}
	return out
}

// TestEveryCommandIsServed: behind each command stands something of virt-api's, or the command says that there is nothing yet.
func TestEveryCommandIsServed(t *testing.T) {
	t.Setenv("KUBECONFIG", "/dev/null")
	has := served(t)
	seen := map[string]bool{}
	var each func(*cobra.Command, string)
	each = func(c *cobra.Command, name string) {
		for _, sub := range c.Commands() {
			each(sub, strings.TrimSpace(name+" "+sub.Name()))
		}
		if !c.Runnable() || name == "" || c.Name() == "help" || strings.HasPrefix(name, "completion") {
			return
		}
		line, known := lines[name]
		if seen[name] = true; !known {
			t.Errorf("%s: the test has no command line for it", name)
			return
		}
		if line == "-" {
			return
		}
		asks, lacks := needs(t, name, line), command.Lacks(c)
		if len(asks) == 0 {
			t.Errorf("%s %s asks for nothing: the test shows nothing of it", name, line)
		}
		missing := slices.DeleteFunc(slices.Clone(asks), func(need string) bool { return has[need] })
		switch {
		case lacks == "" && len(missing) > 0:
			t.Errorf("%s asks for %q, which virt-api does not serve: serve it, or mark the command with command.NotYet", name, missing)
		case strings.HasPrefix(lacks, "spec."):
			if where := acts(t, "PermittedHostDevices"); where != "" {
				t.Errorf("%s says that it is not served yet, but %s acts on it: take the mark off", name, where)
			}
		case lacks != "" && has[lacks]:
			t.Errorf("%s says that virt-api does not serve %s, which it does: take the mark off", name, lacks)
		}
		if lacks != "" && (!strings.Contains(c.Long, "Not served yet: ") || !strings.Contains(c.Long, lacks)) {
			t.Errorf("%s: its help does not say that %s is not served yet", name, lacks)
		}
	}
	root := virtctl.NewCommand(command.New(genericiooptions.IOStreams{In: strings.NewReader(""), Out: &bytes.Buffer{}, ErrOut: &bytes.Buffer{}}, "virtctl"))
	each(root, "")
	for name := range lines {
		if !seen[name] {
			t.Errorf("the test has a command line for %s, which is no command", name)
		}
	}
}

// acts names a file of a program that looks at a field, empty if none does.
func acts(t *testing.T, field string) string {
	t.Helper()
	root, err := spec.Root()
	if err != nil {
		t.Fatal(err)
	}
	for _, room := range []string{"pkg/controller", "pkg/node", "launcher", "device-plugin"} {
		found := ""
		err := filepath.WalkDir(filepath.Join(root, room), func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			if bytes.Contains(text, []byte(field)) {
				found = path
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if found != "" {
			return found
		}
	}
	return ""
}

// TestDocumentNamesWhatIsNotServed: docs/virtctl.md lists the commands that have nothing behind them yet, and no others.
func TestDocumentNamesWhatIsNotServed(t *testing.T) {
	root, err := spec.Root()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "docs", "virtctl.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Not served yet\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var want, got []string
	var each func(*cobra.Command, string)
	each = func(c *cobra.Command, name string) {
		for _, sub := range c.Commands() {
			each(sub, strings.TrimSpace(name+" "+sub.Name()))
		}
		if command.Lacks(c) != "" {
			want = append(want, name)
		}
	}
	each(virtctl.NewCommand(command.New(genericiooptions.IOStreams{In: strings.NewReader(""), Out: &bytes.Buffer{}, ErrOut: &bytes.Buffer{}}, "virtctl")), "")
	for _, row := range strings.Split(section, "\n") {
		if cells := strings.Split(row, "|"); len(cells) > 2 {
			for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[1], -1) {
				got = append(got, m[1])
			}
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("docs/virtctl.md lists %q as not served yet, these are marked: %q", got, want)
	}
}
