package virtapi

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/ptr"

	"github.com/virtplane/virtplane/test/spec"
)

const template = `{"spec": {"domain": {"memory": {"guest": "64Mi"}, "devices": {"rng": {}}}}}`

var kinds = []struct {
	resource, kind, spec string
	// merge is a merge patch of the spec, and apply a configuration to be applied beside it.
	merge, apply string
	path         []string
	value        any
}{
	{"virtualmachines", "VirtualMachine", `{"runStrategy": "Halted", "template": ` + template + `}`,
		`{"spec": {"runStrategy": "Manual"}}`, `{"template": {"metadata": {"labels": {"a": "b"}}}}`, []string{"spec", "runStrategy"}, "Manual"},
	{"virtualmachineinstances", "VirtualMachineInstance", `{"domain": {"memory": {"guest": "64Mi"}, "devices": {"rng": {}}}}`,
		`{"metadata": {"labels": {"merged": "yes"}}}`, ``, []string{"metadata", "labels", "merged"}, "yes"},
	{"virtualmachineinstancereplicasets", "VirtualMachineInstanceReplicaSet", `{"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"domain": {"memory": {"guest": "64Mi"}, "devices": {"rng": {}}}}}}`,
		`{"spec": {"replicas": 2}}`, `{"paused": true}`, []string{"spec", "replicas"}, int64(2)},
	{"virtualmachineinstancepresets", "VirtualMachineInstancePreset", `{"selector": {"matchLabels": {"a": "b"}}, "domain": {"devices": {"rng": {}}}}`,
		`{"metadata": {"labels": {"merged": "yes"}}}`, ``, []string{"metadata", "labels", "merged"}, "yes"},
}

// Each kind in each version: create, get, list, watch, merge patch, JSON patch, server-side apply, update, delete, through the
// real aggregator. Both versions share their Go types, so this is run with virt-api built under the race detector.
func TestEveryKind(t *testing.T) {
	spec.Covers(t, "P2-X-02")
	client := anything(t)
	for _, version := range []string{"v1", "v1alpha3"} {
		gv := schema.GroupVersion{Group: "kubevirt.io", Version: version}
		ns := newNamespace(t)
		for _, k := range kinds {
			t.Run(version+"/"+k.kind, func(t *testing.T) {
				c := client.Resource(gv.WithResource(k.resource)).Namespace(ns)
				ctx := t.Context()
				list := must(c.List(ctx, metav1.ListOptions{}))(t)
				w := must(c.Watch(ctx, metav1.ListOptions{ResourceVersion: list.GetResourceVersion()}))(t)
				defer w.Stop()

				created := must(c.Create(ctx, object(gv, k.kind, ns, "x", k.spec), metav1.CreateOptions{}))(t)
				if created.GetUID() == "" || created.GroupVersionKind() != gv.WithKind(k.kind) {
					t.Errorf("created %v", created)
				}
				expect(t, w, watch.Added, gv.WithKind(k.kind))
				_, err := c.Create(ctx, object(gv, k.kind, ns, "x", k.spec), metav1.CreateOptions{})
				wantError(t, err, apierrors.IsAlreadyExists, "already exists")

				patched := must(c.Patch(ctx, "x", types.MergePatchType, []byte(k.merge), metav1.PatchOptions{}))(t)
				if got, _, err := unstructured.NestedFieldNoCopy(patched.Object, k.path...); err != nil || !cmp.Equal(got, k.value) {
					t.Errorf("after the merge patch %v is %v, want %v (%v)", k.path, got, k.value, err)
				}
				expect(t, w, watch.Modified, gv.WithKind(k.kind))

				patched = must(c.Patch(ctx, "x", types.JSONPatchType, []byte(`[{"op": "test", "path": "/metadata/name", "value": "x"}, {"op": "add", "path": "/metadata/annotations", "value": {"json": "patched"}}]`), metav1.PatchOptions{}))(t)
				if patched.GetAnnotations()["json"] != "patched" {
					t.Errorf("after the JSON patch the annotations are %v", patched.GetAnnotations())
				}
				expect(t, w, watch.Modified, gv.WithKind(k.kind))
				_, err = c.Patch(ctx, "x", types.JSONPatchType, []byte(`[{"op": "test", "path": "/metadata/name", "value": "y"}, {"op": "remove", "path": "/metadata/annotations"}]`), metav1.PatchOptions{})
				wantError(t, err, apierrors.IsInvalid, "the server rejected our request due to an error in our request")

				apply := object(gv, k.kind, ns, "x", k.apply)
				apply.SetAnnotations(map[string]string{"applied": "yes"})
				data := must(json.Marshal(apply.Object))(t)
				for range 2 { // the second finds its own fields
					applied := must(c.Patch(ctx, "x", types.ApplyPatchType, data, metav1.PatchOptions{FieldManager: "test"}))(t)
					if applied.GetAnnotations()["applied"] != "yes" {
						t.Errorf("annotations %v", applied.GetAnnotations())
					}
				}
				expect(t, w, watch.Modified, gv.WithKind(k.kind))
				made := must(c.Patch(ctx, "applied", types.ApplyPatchType, must(json.Marshal(object(gv, k.kind, ns, "applied", k.spec).Object))(t), metav1.PatchOptions{FieldManager: "test"}))(t)
				if f := made.GetManagedFields(); len(f) == 0 || f[0].APIVersion != gv.String() {
					t.Errorf("managed fields %v", f)
				}
				expect(t, w, watch.Added, gv.WithKind(k.kind))

				got := must(c.Get(ctx, "x", metav1.GetOptions{}))(t)
				got.SetLabels(map[string]string{"updated": "yes"})
				must(c.Update(ctx, got, metav1.UpdateOptions{}))(t)
				expect(t, w, watch.Modified, gv.WithKind(k.kind))
				got.SetLabels(map[string]string{"updated": "stale"})
				_, err = c.Update(ctx, got, metav1.UpdateOptions{})
				wantError(t, err, apierrors.IsConflict, "the object has been modified")

				listed := must(c.List(ctx, metav1.ListOptions{LabelSelector: "updated=yes"}))(t)
				if len(listed.Items) != 1 || listed.Items[0].GetAPIVersion() != gv.String() {
					t.Errorf("listed %v", listed.Items)
				}

				before := must(c.Get(ctx, "x", metav1.GetOptions{}))(t)
				must(c.Patch(ctx, "x", types.MergePatchType, []byte(`{"metadata":{"labels":{"dry":"run"}}}`), metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}}))(t)
				if diff := cmp.Diff(before.Object, must(c.Get(ctx, "x", metav1.GetOptions{}))(t).Object); diff != "" {
					t.Errorf("a dry run left something behind:\n%s", diff)
				}

				if err := c.Delete(ctx, "x", metav1.DeleteOptions{GracePeriodSeconds: ptr.To(int64(0))}); err != nil {
					t.Fatal(err)
				}
				if len(before.GetFinalizers()) > 0 {
					expect(t, w, watch.Modified, gv.WithKind(k.kind))
					// As its controller does.
					must(c.Patch(ctx, "x", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}))(t)
				}
				expect(t, w, watch.Deleted, gv.WithKind(k.kind))
				_, err = c.Get(ctx, "x", metav1.GetOptions{})
				wantError(t, err, apierrors.IsNotFound, `"x" not found`)
			})
		}
	}
}

// TestMigrationsAreRefused has nobody make an object that no controller acts on and nobody could delete.
func TestMigrationsAreRefused(t *testing.T) {
	client := anything(t)
	ns := newNamespace(t)
	for _, version := range []string{"v1", "v1alpha3"} {
		gv := schema.GroupVersion{Group: "kubevirt.io", Version: version}
		c := client.Resource(gv.WithResource("virtualmachineinstancemigrations")).Namespace(ns)
		_, err := c.Create(t.Context(), object(gv, "VirtualMachineInstanceMigration", ns, "x", `{"vmiName": "some"}`), metav1.CreateOptions{})
		wantError(t, err, apierrors.IsInvalid, "this version does not migrate instances")
		if list := must(c.List(t.Context(), metav1.ListOptions{}))(t); len(list.Items) > 0 {
			t.Errorf("%s: there are %v", version, list.Items)
		}
	}
}

// expect takes the next event of a watch.
func expect(t *testing.T, w watch.Interface, want watch.EventType, gvk schema.GroupVersionKind) {
	t.Helper()
	select {
	case e, ok := <-w.ResultChan():
		if !ok || e.Type != want || e.Object.GetObjectKind().GroupVersionKind() != gvk {
			t.Fatalf("event %v %v; want %v of %v", e.Type, e.Object, want, gvk)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("no event came; want %v of %v", want, gvk)
	}
}
