package rest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/registry/registrytest"
	"github.com/virtplane/virtplane/test/spec"
)

func parse(t *testing.T, text string) *virtv1.VirtualMachineInstance {
	t.Helper()
	vmi := &virtv1.VirtualMachineInstance{}
	if err := yaml.UnmarshalStrict([]byte(text), vmi); err != nil {
		t.Fatal(err)
	}
	return vmi
}

const smallest = `{metadata: {name: a}, spec: {domain: {memory: {guest: 64Mi}}}}`

// TestLife takes an instance through its phases by the users who write them, and looks at what the server adds: the first
// phase, the label of the node, the moments of phases.
func TestLife(t *testing.T) {
	spec.Covers(t, "P2-VMI-13", "P2-VMI-16")
	s := registrytest.Start(t)
	ctx := context.Background()
	user, controller, handler := s.Client(registrytest.Admin).KubevirtV1().VirtualMachineInstances("default"),
		s.Client(registrytest.Controller).KubevirtV1().VirtualMachineInstances("default"), s.Client(registrytest.Handler).KubevirtV1().VirtualMachineInstances("default")
	phases := func(vmi *virtv1.VirtualMachineInstance) string {
		var out []string
		for _, p := range vmi.Status.PhaseTransitionTimestamps {
			out = append(out, fmt.Sprintf("%s@%s", p.Phase, p.PhaseTransitionTimestamp.UTC().Format("15:04:05")))
		}
		return strings.Join(out, " ")
	}
	vmi, err := user.Create(ctx, parse(t, smallest), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := phases(vmi); vmi.Status.Phase != virtv1.Pending || got != "Pending@12:00:00" {
		t.Errorf("After create: %s, %s", vmi.Status.Phase, got)
	}

	s.Clock.SetTime(registrytest.Now.Add(time.Second))
	vmi.Status.Phase, vmi.Status.NodeName = virtv1.Scheduling, "node-1"
	if vmi, err = controller.UpdateStatus(ctx, vmi, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := phases(vmi); got != "Pending@12:00:00 Scheduling@12:00:01" || vmi.Labels["kubevirt.io/nodeName"] != "node-1" {
		t.Errorf("After scheduling: %s, labels %v", got, vmi.Labels)
	}

	vmi.Status.Phase = virtv1.Running
	still, err := controller.UpdateStatus(ctx, vmi, metav1.UpdateOptions{})
	if err != nil || still.Status.Phase != virtv1.Scheduling {
		t.Errorf("virt-controller ran a guest: %v, %v", still.Status.Phase, err)
	}
	vmi = still

	// The handler may stamp both phases that it enters in one write.
	vmi.Status.Phase = virtv1.Running
	vmi.Status.PhaseTransitionTimestamps = append(vmi.Status.PhaseTransitionTimestamps,
		virtv1.VirtualMachineInstancePhaseTransitionTimestamp{Phase: virtv1.Scheduled, PhaseTransitionTimestamp: metav1.NewTime(registrytest.Now.Add(2 * time.Second))})
	s.Clock.SetTime(registrytest.Now.Add(3 * time.Second))
	if vmi, err = handler.UpdateStatus(ctx, vmi, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := phases(vmi); got != "Pending@12:00:00 Scheduling@12:00:01 Scheduled@12:00:02 Running@12:00:03" {
		t.Errorf("After running: %s", got)
	}

	back := vmi.DeepCopy()
	back.Status.Phase = virtv1.Pending
	if _, err := user.UpdateStatus(ctx, back, metav1.UpdateOptions{}); err == nil || !strings.Contains(err.Error(), "must not go back from Running") {
		t.Errorf("The phase went back: %v", err)
	}

	// People change labels and annotations, but neither the spec nor what mirrors the status (row P2-VMI-13).
	changed := vmi.DeepCopy()
	changed.Labels, changed.Annotations = map[string]string{"a": "b"}, map[string]string{"c": "d"}
	if vmi, err = user.Update(ctx, changed, metav1.UpdateOptions{}); err != nil {
		t.Fatalf("Changing labels: %v", err)
	}
	if diff := cmp.Diff(map[string]string{"a": "b", "kubevirt.io/nodeName": "node-1"}, vmi.Labels); diff != "" {
		t.Errorf("Labels (-want +got):\n%s", diff)
	}
	changed = vmi.DeepCopy()
	changed.Spec.Hostname = "other"
	if _, err := user.Update(ctx, changed, metav1.UpdateOptions{}); err == nil || !strings.Contains(err.Error(), "update of VMI object is restricted") {
		t.Errorf("A person changed the spec: %v", err)
	}
	if vmi, err = controller.Update(ctx, changed, metav1.UpdateOptions{}); err != nil || vmi.Generation != 2 {
		t.Errorf("virt-controller could not change the spec: %v, generation %d", err, vmi.Generation)
	}

	vmi.Status.Phase, vmi.Status.Reason = virtv1.Failed, "NodeGone"
	if vmi, err = controller.UpdateStatus(ctx, vmi, metav1.UpdateOptions{}); err != nil || vmi.Status.Phase != virtv1.Failed || vmi.Status.Reason != "NodeGone" {
		t.Errorf("virt-controller could not end the instance: %v, %+v", err, vmi.Status)
	}
	vmi.Status.Phase = virtv1.Succeeded
	if _, err := handler.UpdateStatus(ctx, vmi, metav1.UpdateOptions{}); err == nil {
		t.Errorf("An ended instance changed its end")
	}
}

// TestSelectors lists and watches by the fields that node agents use, and refuses others with the ones there are.
func TestSelectors(t *testing.T) {
	s := registrytest.Start(t, registrytest.WithMigrations)
	ctx := context.Background()
	client := s.Client(registrytest.Admin).KubevirtV1()
	instances := client.VirtualMachineInstances("default")
	watcher, err := instances.Watch(ctx, metav1.ListOptions{FieldSelector: "status.nodeName=node-1"})
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Stop()
	for i, node := range []string{"node-0", "node-1", ""} {
		vmi := parse(t, smallest)
		vmi.Name = fmt.Sprintf("vmi-%d", i)
		created, err := instances.Create(ctx, vmi, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if node == "" {
			continue
		}
		created.Status.NodeName, created.Status.Phase = node, virtv1.Scheduling
		created.Status.MigrationState = &virtv1.VirtualMachineInstanceMigrationState{TargetNode: "target-" + node}
		if _, err := instances.UpdateStatus(ctx, created, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for selector, want := range map[string]string{
		"status.nodeName=node-1":                            "vmi-1",
		"status.nodeName=":                                  "vmi-2",
		"status.phase=Scheduling":                           "vmi-0 vmi-1",
		"status.phase!=Scheduling":                          "vmi-2",
		"status.migrationState.targetNode=target-node-0":    "vmi-0",
		"metadata.name=vmi-2":                               "vmi-2",
		"metadata.namespace=default,status.nodeName=node-0": "vmi-0",
		"status.nodeName=node-1,status.phase=Running":       "",
	} {
		list, err := instances.List(ctx, metav1.ListOptions{FieldSelector: selector, ResourceVersion: ""})
		if err != nil {
			t.Errorf("%s: %v", selector, err)
			continue
		}
		var got []string
		for _, i := range list.Items {
			got = append(got, i.Name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s selects %v, want %s", selector, got, want)
		}
	}
	select {
	case e := <-watcher.ResultChan():
		if vmi, ok := e.Object.(*virtv1.VirtualMachineInstance); !ok || e.Type != watch.Added || vmi.Name != "vmi-1" {
			t.Errorf("The watch of node-1 saw %s %v", e.Type, e.Object)
		}
	case <-time.After(30 * time.Second):
		t.Error("The watch of node-1 saw nothing within 30 s")
	}
	if _, err := instances.List(ctx, metav1.ListOptions{FieldSelector: "spec.hostname=a"}); err == nil || !strings.Contains(err.Error(), "use metadata.name, metadata.namespace, status.phase, status.nodeName, status.migrationState.targetNode") {
		t.Errorf("An unknown selector: %v", err)
	}
	for _, name := range []string{"a", "b"} {
		m := &virtv1.VirtualMachineInstanceMigration{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: virtv1.VirtualMachineInstanceMigrationSpec{VMIName: "of-" + name}}
		if _, err := client.VirtualMachineInstanceMigrations("default").Create(ctx, m, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, options := range []metav1.ListOptions{{FieldSelector: "spec.vmiName=of-b"}, {LabelSelector: "kubevirt.io/vmi-name=of-b"}} {
		list, err := client.VirtualMachineInstanceMigrations("default").List(ctx, options)
		if err != nil || len(list.Items) != 1 || list.Items[0].Name != "b" {
			t.Errorf("Migrations of of-b by %v: %v, %v", options, list, err)
		}
	}
}

// TestTables prints each kind as kubectl does.
func TestTables(t *testing.T) {
	spec.Covers(t, "P2-VMI-09", "P2-STATE-09")
	s := registrytest.Start(t, registrytest.WithMigrations)
	ctx := context.Background()
	client := s.Client(registrytest.Admin).KubevirtV1()
	vm := &virtv1.VirtualMachine{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Spec: virtv1.VirtualMachineSpec{RunStrategy: "Manual", Template: &virtv1.VirtualMachineInstanceTemplateSpec{}}}
	vm, err := client.VirtualMachines("default").Create(ctx, vm, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	vm.Status.PrintableStatus = "Paused"
	vm.Status.Conditions = []virtv1.VirtualMachineCondition{{Type: "Ready", Status: "False"}}
	if _, err := client.VirtualMachines("default").UpdateStatus(ctx, vm, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	bare := vm.DeepCopy()
	bare.ObjectMeta = metav1.ObjectMeta{Name: "bare"}
	if _, err := client.VirtualMachines("default").Create(ctx, bare, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	running(t, s, "a", virtv1.Running, func(vmi *virtv1.VirtualMachineInstance) {
		vmi.Status.Interfaces = []virtv1.VirtualMachineInstanceNetworkInterface{{IPAddress: "10.0.0.5"}}
		vmi.Status.Conditions = []virtv1.VirtualMachineInstanceCondition{{Type: "Ready", Status: "True"}, {Type: "LiveMigratable", Status: "False"}, {Type: "Paused", Status: "True"}}
	})
	running(t, s, "bare", virtv1.Pending, nil)
	for _, k := range kinds[2:] {
		if _, err := dynamicClient(t, s).Resource(virtv1.SchemeGroupVersion.WithResource(k.resource)).Namespace("default").Create(ctx, k.object(), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string][]string{
		"virtualmachines":                   {"Name|Age|Status|Ready", "a|AGE|Paused|False", "bare|AGE||<nil>"},
		"virtualmachineinstances":           {"Name|Age|Phase|IP|NodeName|Ready|Live-Migratable*|Paused*", "a|AGE|Running|10.0.0.5|node|True|False|True", "bare|AGE|Pending|<nil>|node|<nil>|<nil>|<nil>"},
		"virtualmachineinstancemigrations":  {"Name|Phase|VMI", "a|Pending|b"},
		"virtualmachineinstancereplicasets": {"Name|Desired|Current|Ready|Age", "a|2|0|0|AGE"},
		"virtualmachineinstancepresets":     {"Name|Age", "a|AGE"},
		"kubevirts":                         {"Name|Age|Phase", "a|AGE|"},
	}
	for resource, rows := range want {
		for _, path := range []string{resource, resource + "/a"} {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/apis/kubevirt.io/v1/namespaces/default/"+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			var table metav1.Table
			err = json.NewDecoder(resp.Body).Decode(&table)
			_ = resp.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			var head []string
			age := -1
			for i, c := range table.ColumnDefinitions {
				name := c.Name
				if c.Priority > 0 {
					name += "*"
				}
				if name == "Age" {
					age = i
				}
				if c.Description == "" || c.Type == "" {
					t.Errorf("%s: column %s has no description or type", resource, name)
				}
				head = append(head, name)
			}
			got := []string{strings.Join(head, "|")}
			for _, r := range table.Rows {
				var cells []string
				for i, c := range r.Cells {
					if i == age {
						if text, ok := c.(string); !ok || !strings.HasSuffix(text, "s") {
							t.Errorf("%s: age is %v", resource, c)
						}
						c = "AGE"
					}
					cells = append(cells, fmt.Sprint(c))
				}
				got = append(got, strings.Join(cells, "|"))
			}
			wanted := rows
			if path != resource {
				wanted = rows[:2]
			}
			if diff := cmp.Diff(wanted, got); diff != "" {
				t.Errorf("Table of %s (-want +got):\n%s", path, diff)
			}
		}
	}
}

// TestDefaults compares the instance that comes of the smallest manifest, and of one that uses everything that has
// defaults, with a golden file; UPDATE_GOLDEN=true writes it anew.
func TestDefaults(t *testing.T) {
	s := registrytest.Start(t)
	ctx := context.Background()
	client := s.Client(registrytest.Admin).KubevirtV1().VirtualMachineInstances("default")
	input, err := os.ReadFile("testdata/defaults-input.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for doc := range strings.SplitSeq(string(input), "---\n") {
		vmi := parse(t, doc)
		var config virtv1.KubeVirt
		if text, ok := vmi.Annotations["config"]; ok {
			if err := yaml.UnmarshalStrict([]byte(text), &config.Spec.Configuration); err != nil {
				t.Fatal(err)
			}
		}
		s.Config.Set(&config)
		created, err := client.Create(ctx, vmi, metav1.CreateOptions{})
		if err != nil {
			t.Fatalf("%s: %v", vmi.Name, err)
		}
		if uuid := created.Spec.Domain.Firmware.UUID; vmi.Spec.Domain.Firmware == nil && len(vmi.OwnerReferences) == 0 {
			if len(uuid) != 36 {
				t.Errorf("%s: UUID is %q", vmi.Name, uuid)
			}
			created.Spec.Domain.Firmware.UUID = "RANDOM"
		}
		text, err := yaml.Marshal(created.Spec)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&got, "# %s\n%s---\n", vmi.Name, text)
		read, err := client.Get(ctx, vmi.Name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		created.Spec.Domain.Firmware.UUID = read.Spec.Domain.Firmware.UUID
		if diff := cmp.Diff(created.Spec, read.Spec); diff != "" {
			t.Errorf("%s: reading it again defaults it again (-created +read):\n%s", vmi.Name, diff)
		}
	}
	const golden = "testdata/defaults.yaml"
	if os.Getenv("UPDATE_GOLDEN") == "true" {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("Defaults are not those of %s (-want +got):\n%s", golden, diff)
	}
}

// TestFirmwareUUID shows that the instances of a machine keep its identity, and that others have one of their own.
func TestFirmwareUUID(t *testing.T) {
	s := registrytest.Start(t)
	ctx := context.Background()
	create := func(namespace, name, owner string) string {
		t.Helper()
		vmi := parse(t, smallest)
		vmi.Name = name
		if owner != "" {
			vmi.OwnerReferences = []metav1.OwnerReference{{APIVersion: "kubevirt.io/v1", Kind: "VirtualMachine", Name: owner, UID: "u", Controller: ptr.To(true)}}
		}
		created, err := s.Client(registrytest.Controller).KubevirtV1().VirtualMachineInstances(namespace).Create(ctx, vmi, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return created.Spec.Domain.Firmware.UUID
	}
	first := create("default", "a", "vm")
	if again := create("default", "b", "vm"); again != first {
		t.Errorf("Two instances of one machine have %s and %s", first, again)
	}
	if other := create("other", "a", "vm"); other == first {
		t.Errorf("Machines of one name in two namespaces have the same UUID %s", other)
	}
	if x, y := create("default", "c", ""), create("default", "d", ""); x == y {
		t.Errorf("Two instances without a machine have the same UUID %s", x)
	}
}
