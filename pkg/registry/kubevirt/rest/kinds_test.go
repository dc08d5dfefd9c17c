package rest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	restclient "k8s.io/client-go/rest"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/registry/registrytest"
	"github.com/virtplane/virtplane/test/spec"
)

// kind is a row of the tables that hold for every kind.
type kind struct {
	resource string
	object   func() *unstructured.Unstructured
	// spec changes a field of the spec, and status sets one of the status, by merge patch. A kind without status has none.
	spec, status string
	// field is the one of the status that the tables set.
	field string
	// immutable kinds refuse changes of the spec by users.
	immutable  bool
	finalizers []string
}

// setStatus sets the field that the kind's row names; where that is a number, any.
func (k kind) setStatus(u *unstructured.Unstructured, value string) {
	switch {
	case k.status == "":
	case k.field == "replicas":
		_ = unstructured.SetNestedField(u.Object, int64(7), "status", k.field)
	default:
		_ = unstructured.SetNestedField(u.Object, value, "status", k.field)
	}
}

func (k kind) getStatus(u *unstructured.Unstructured) any {
	v, _, _ := unstructured.NestedFieldNoCopy(u.Object, "status", k.field)
	return v
}

func object(kind, spec string) func() *unstructured.Unstructured {
	return func() *unstructured.Unstructured {
		u := &unstructured.Unstructured{}
		text := fmt.Sprintf(`{"apiVersion":"kubevirt.io/v1","kind":%q,"metadata":{"name":"a","namespace":"default","labels":{"app":"test"}},"spec":%s}`, kind, spec)
		if err := u.UnmarshalJSON([]byte(text)); err != nil {
			panic(err)
		}
		return u
	}
}

var kinds = []kind{
	{resource: "virtualmachines", object: object("VirtualMachine", `{"runStrategy":"Halted","template":{"spec":{"domain":{"devices":{},"memory":{"guest":"1Gi"}}}}}`),
		spec: `{"spec":{"runStrategy":"Manual"}}`, status: `{"status":{"printableStatus":"Stopped"}}`, field: "printableStatus",
		finalizers: []string{"kubevirt.io/virtualMachineControllerFinalize"}},
	{resource: "virtualmachineinstances", object: object("VirtualMachineInstance", `{"domain":{"devices":{},"memory":{"guest":"1Gi"}}}`),
		spec: `{"spec":{"terminationGracePeriodSeconds":3}}`, status: `{"status":{"phase":"Scheduling"}}`, field: "phase", immutable: true,
		finalizers: []string{"kubevirt.io/foregroundDeleteVirtualMachine"}},
	{resource: "virtualmachineinstancemigrations", object: object("VirtualMachineInstanceMigration", `{"vmiName":"b"}`),
		spec: `{"spec":{"vmiName":"c"}}`, status: `{"status":{"phase":"Running"}}`, field: "phase", immutable: true},
	{resource: "virtualmachineinstancereplicasets", object: object("VirtualMachineInstanceReplicaSet", `{"replicas":2,"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"domain":{"devices":{},"memory":{"guest":"1Gi"}}}}}`),
		spec: `{"spec":{"replicas":3}}`, status: `{"status":{"replicas":1}}`, field: "replicas"},
	{resource: "virtualmachineinstancepresets", object: object("VirtualMachineInstancePreset", `{"selector":{"matchLabels":{"a":"b"}}}`),
		spec: `{"spec":{"selector":{"matchLabels":{"a":"c"}}}}`},
	{resource: "kubevirts", object: object("KubeVirt", `{"configuration":{"cpuModel":"host-model"}}`),
		spec: `{"spec":{"configuration":{"cpuModel":"Nehalem"}}}`, status: `{"status":{"phase":"Deployed"}}`, field: "phase"},
}

func dynamicClient(t *testing.T, s *registrytest.Server) dynamic.Interface {
	t.Helper()
	c, err := dynamic.NewForConfig(&restclient.Config{Host: s.URL, QPS: -1})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestEveryKind is the table that nobody may forget for any kind: status is dropped at creation and on the main endpoint,
// the generation begins at 1 and counts changes of the spec and nothing else, and a writer of the status changes neither
// spec nor metadata.
func TestEveryKind(t *testing.T) {
	s := registrytest.Start(t, registrytest.WithMigrations)
	ctx := context.Background()
	client := dynamicClient(t, s)
	for _, k := range kinds {
		t.Run(k.resource, func(t *testing.T) {
			resources := client.Resource(virtv1.SchemeGroupVersion.WithResource(k.resource)).Namespace("default")
			sent := k.object()
			k.setStatus(sent, "Nonsense")
			created, err := resources.Create(ctx, sent, metav1.CreateOptions{})
			if err != nil {
				t.Fatalf("Create: %v", err)
			}
			if k.status != "" && k.getStatus(created) == k.getStatus(sent) {
				t.Errorf("Create kept the status that was sent")
			}
			if created.GetGeneration() != 1 {
				t.Errorf("Generation after create is %d, want 1", created.GetGeneration())
			}
			if diff := cmp.Diff(k.finalizers, created.GetFinalizers()); diff != "" {
				t.Errorf("Finalizers after create (-want +got):\n%s", diff)
			}

			if _, err := resources.Create(ctx, k.object(), metav1.CreateOptions{}); err == nil {
				t.Errorf("A second object of the name was created")
			}

			if k.status == "" {
				k.field = "none"
			}
			labelled, err := resources.Patch(ctx, "a", types.MergePatchType, []byte(`{"metadata":{"labels":{"x":"y"}},"status":`+fmt.Sprintf(`{%q:%s}}`, k.field, map[bool]string{true: "9", false: `"Nonsense"`}[k.field == "replicas"])), metav1.PatchOptions{})
			if err != nil {
				t.Fatalf("Changing a label: %v", err)
			}
			if labelled.GetGeneration() != 1 {
				t.Errorf("Generation after a change of labels is %d, want 1", labelled.GetGeneration())
			}
			if diff := cmp.Diff(created.Object["status"], labelled.Object["status"]); diff != "" {
				t.Errorf("The main endpoint changed the status (-want +got):\n%s", diff)
			}

			changed, err := resources.Patch(ctx, "a", types.MergePatchType, []byte(k.spec), metav1.PatchOptions{})
			switch {
			case k.immutable && err == nil:
				t.Errorf("The spec could be changed, want it refused")
			case !k.immutable && err != nil:
				t.Fatalf("Changing the spec: %v", err)
			case !k.immutable && changed.GetGeneration() != 2:
				t.Errorf("Generation after a change of the spec is %d, want 2", changed.GetGeneration())
			}

			if _, err := resources.Patch(ctx, "a", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil {
				t.Fatalf("Removing finalizers: %v", err)
			}
			before, err := resources.Get(ctx, "a", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(k.finalizers, before.GetFinalizers()); diff != "" {
				t.Errorf("Finalizers after an update that drops them (-want +got):\n%s", diff)
			}

			if k.status != "" {
				patch := fmt.Sprintf(`{"metadata":{"labels":{"stolen":"yes"},"annotations":{"stolen":"yes"},"finalizers":null},%s,%s`, k.spec[1:len(k.spec)-1], k.status[1:])
				after, err := resources.Patch(ctx, "a", types.MergePatchType, []byte(patch), metav1.PatchOptions{}, "status")
				if err != nil {
					t.Fatalf("Changing the status: %v", err)
				}
				if apiequality.Semantic.DeepEqual(before.Object["status"], after.Object["status"]) {
					t.Errorf("The status did not change")
				}
				if diff := cmp.Diff(before.Object["spec"], after.Object["spec"]); diff != "" {
					t.Errorf("/status changed the spec (-want +got):\n%s", diff)
				}
				if after.GetGeneration() != before.GetGeneration() {
					t.Errorf("/status changed the generation from %d to %d", before.GetGeneration(), after.GetGeneration())
				}
				if diff := cmp.Diff([]any{before.GetLabels(), before.GetAnnotations(), before.GetFinalizers()}, []any{after.GetLabels(), after.GetAnnotations(), after.GetFinalizers()}); diff != "" {
					t.Errorf("/status changed metadata (-want +got):\n%s", diff)
				}
			}

			stale := before.DeepCopy()
			stale.SetResourceVersion("")
			if _, err := resources.Update(ctx, stale, metav1.UpdateOptions{}); err == nil {
				t.Errorf("An update without resource version was accepted")
			}
			missing := k.object()
			missing.SetName("missing")
			missing.SetResourceVersion("1")
			if _, err := resources.Update(ctx, missing, metav1.UpdateOptions{}); err == nil {
				t.Errorf("An update created an object")
			}
		})
	}
}

// TestStatusOwnership shows by server-side apply that a writer of the status never owns a part of the spec, and a writer of
// the spec no part of the status, in both versions.
func TestStatusOwnership(t *testing.T) {
	s := registrytest.Start(t, registrytest.WithMigrations)
	ctx := context.Background()
	client := dynamicClient(t, s)
	for _, k := range kinds {
		for _, version := range []string{"v1", "v1alpha3"} {
			t.Run(k.resource+"/"+version, func(t *testing.T) {
				gvr := virtv1.SchemeGroupVersion.WithResource(k.resource)
				gvr.Version = version
				resources := client.Resource(gvr).Namespace("ssa-" + version)
				obj := k.object()
				obj.SetNamespace("")
				if k.resource == "kubevirts" && version != "v1" {
					t.Skip("there is one KubeVirt object only, and v1 has it")
				}
				obj.SetAPIVersion("kubevirt.io/" + version)
				k.setStatus(obj, "Nonsense")
				applied, err := resources.Apply(ctx, "a", obj, metav1.ApplyOptions{FieldManager: "person"})
				if err != nil {
					t.Fatalf("Apply: %v", err)
				}
				for _, e := range applied.GetManagedFields() {
					if e.Manager == "person" && contains(e.FieldsV1, "f:status") {
						t.Errorf("The applier of the main endpoint owns status: %s", e.FieldsV1.GetRawString())
					}
				}
				if k.status == "" {
					return
				}
				status := k.object()
				status.SetNamespace("")
				status.SetAPIVersion("kubevirt.io/" + version)
				k.setStatus(status, "Scheduling")
				after, err := resources.ApplyStatus(ctx, "a", status, metav1.ApplyOptions{FieldManager: "controller", Force: true})
				if err != nil {
					t.Fatalf("Apply of the status: %v", err)
				}
				for _, e := range after.GetManagedFields() {
					if e.Manager == "controller" && (contains(e.FieldsV1, "f:spec") || contains(e.FieldsV1, "f:labels")) {
						t.Errorf("The applier of the status owns more: %s", e.FieldsV1.GetRawString())
					}
				}
			})
		}
	}
}

func contains(f *metav1.FieldsV1, field string) bool {
	var m map[string]any
	if f == nil {
		return false
	}
	if err := json.Unmarshal(f.GetRawBytes(), &m); err != nil {
		return false
	}
	if metadata, ok := m["f:metadata"].(map[string]any); ok {
		if _, ok := metadata[field]; ok {
			return true
		}
	}
	_, ok := m[field]
	return ok
}

// TestNames shows the names by which kubectl finds the kinds, and that all of them are in the category all.
func TestNames(t *testing.T) {
	spec.Covers(t, "P2-X-01", "P2-VMI-01", "P2-VMI-08", "P2-VMI-09", "P2-VMI-17")
	s := registrytest.Start(t)
	want := map[string][]string{
		"virtualmachines":                   {"virtualmachine", "vm", "vms"},
		"virtualmachineinstances":           {"virtualmachineinstance", "vmi", "vmis"},
		"virtualmachineinstancemigrations":  {"virtualmachineinstancemigration", "vmim", "vmims"},
		"virtualmachineinstancereplicasets": {"virtualmachineinstancereplicaset", "vmirs", "vmirss"},
		"virtualmachineinstancepresets":     {"virtualmachineinstancepreset", "vmipreset", "vmipresets"},
		"kubevirts":                         {"kubevirt", "kv", "kvs"},
	}
	for _, version := range []string{"v1", "v1alpha3"} {
		got := map[string][]string{}
		var list metav1.APIResourceList
		if err := json.Unmarshal(s.Do(registrytest.Admin, "GET", "/apis/kubevirt.io/"+version, "", "").Body, &list); err != nil {
			t.Fatal(err)
		}
		for _, r := range list.APIResources {
			if _, ok := want[r.Name]; !ok {
				continue
			}
			got[r.Name] = append([]string{r.SingularName}, r.ShortNames...)
			if diff := cmp.Diff([]string{"all"}, r.Categories); diff != "" {
				t.Errorf("%s: categories (-want +got):\n%s", r.Name, diff)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Names in %s (-want +got):\n%s", version, diff)
		}
	}
}

// TestNeedsName shows that an object without a name is refused (row P2-X-07).
func TestNeedsName(t *testing.T) {
	spec.Covers(t, "P2-X-07")
	s := registrytest.Start(t)
	for _, k := range kinds {
		obj := k.object()
		obj.SetName("")
		body, err := obj.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		a := s.Do(registrytest.Admin, "POST", "/apis/kubevirt.io/v1/namespaces/default/"+k.resource, "application/json", string(body))
		if want := "name or generateName is required"; a.Code != 422 && a.Code != 400 || !strings.Contains(a.Message(), want) {
			t.Errorf("%s without a name: %d %s, want a refusal that says %q", k.resource, a.Code, a.Message(), want)
		}
	}
}

// TestOneKubeVirt shows that a second object of the cluster's configuration is refused in any namespace.
func TestOneKubeVirt(t *testing.T) {
	spec.Covers(t, "P5-GEN-05")
	s := registrytest.Start(t)
	ctx := context.Background()
	client := s.Client(registrytest.Admin).KubevirtV1()
	for _, namespace := range []string{"kubevirt", "other"} {
		_, err := client.KubeVirts(namespace).Create(ctx, &virtv1.KubeVirt{ObjectMeta: metav1.ObjectMeta{Name: "kubevirt"}}, metav1.CreateOptions{})
		if namespace == "kubevirt" {
			if err != nil {
				t.Fatal(err)
			}
			continue
		}
		want := `KubeVirt.kubevirt.io "kubevirt" is invalid: metadata.name: Forbidden: KubeVirt is already created: a cluster has one, kubevirt/kubevirt; change that`
		if err == nil || err.Error() != want {
			t.Errorf("Second KubeVirt: %v, want %s", err, want)
		}
	}
}

// TestScale scales a replica set, keeps the book on who did it, and refuses nonsense.
func TestScale(t *testing.T) {
	s := registrytest.Start(t)
	ctx := context.Background()
	sets := s.Client(registrytest.Admin).KubevirtV1().VirtualMachineInstanceReplicaSets("default")
	created := &virtv1.VirtualMachineInstanceReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: "a"},
		Spec: virtv1.VirtualMachineInstanceReplicaSetSpec{
			Replicas: ptr.To(int32(1)),
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}},
			Template: &virtv1.VirtualMachineInstanceTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"a": "b"}}},
		},
	}
	if _, err := sets.Create(ctx, created, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	scale, err := sets.GetScale(ctx, "a", metav1.GetOptions{})
	if err != nil {
		t.Fatalf("GetScale: %v", err)
	}
	if scale.Spec.Replicas != 1 || scale.Status.Selector != "a=b" {
		t.Errorf("Scale is %d of %q, want 1 of a=b", scale.Spec.Replicas, scale.Status.Selector)
	}
	scale.Spec.Replicas = 5
	if _, err := sets.UpdateScale(ctx, "a", scale, metav1.UpdateOptions{FieldManager: "autoscaler"}); err != nil {
		t.Fatalf("UpdateScale: %v", err)
	}
	got, err := sets.Get(ctx, "a", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if ptr.Deref(got.Spec.Replicas, 0) != 5 || got.Generation != 2 {
		t.Errorf("Replicas %v at generation %d, want 5 at 2", got.Spec.Replicas, got.Generation)
	}
	owned := false
	for _, e := range got.ManagedFields {
		owned = owned || e.Manager == "autoscaler" && e.Subresource == "scale" && e.FieldsV1.GetRawString() == `{"f:spec":{"f:replicas":{}}}`
	}
	if !owned {
		t.Errorf("The autoscaler does not own the replicas: %v", got.ManagedFields)
	}
	scale.Spec.Replicas = 7
	if _, err := sets.UpdateScale(ctx, "a", scale, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
		t.Errorf("UpdateScale of an old version: %v, want a conflict", err)
	}
	if now, err := sets.Get(ctx, "a", metav1.GetOptions{}); err != nil || ptr.Deref(now.Spec.Replicas, 0) != 5 {
		t.Errorf("Replicas are %v after a refused update: %v", now.Spec.Replicas, err)
	}
	scale.Spec.Replicas, scale.ResourceVersion = -1, ""
	if _, err := sets.UpdateScale(ctx, "a", scale, metav1.UpdateOptions{}); err == nil {
		t.Errorf("Replicas of -1 were accepted")
	}
	patched := s.Do(registrytest.Admin, "PATCH", "/apis/kubevirt.io/v1/namespaces/default/virtualmachineinstancereplicasets/a/scale", "application/merge-patch+json", `{"spec":{"replicas":2}}`)
	if patched.Code != 200 {
		t.Errorf("Patch of the scale: %d %s", patched.Code, patched.Message())
	}
}
