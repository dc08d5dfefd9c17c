package virtapi

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/virtplane/virtplane/test/integration/harness"
)

// storeCommand runs virt-api store NAME as an administrator does in the pod of the store.
func storeCommand(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	args = append([]string{"store", name}, args...)
	args = append(args, env.store.Flags(filepath.Join(env.Dir, "store-certs"), env.storeFile)...)
	out, err := exec.CommandContext(t.Context(), env.Program("virt-api"), args...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	return string(out), err
}

// available waits until kube-apiserver forwards requests again.
func available(t *testing.T) {
	t.Helper()
	if err := env.api.WaitReady(time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := env.WaitAvailable(t.Context(), env.api, time.Minute); err != nil {
		t.Fatal(err)
	}
}

func restartStore(t *testing.T) {
	t.Helper()
	if err := env.store.Start(); err != nil {
		t.Fatal(err)
	}
}

func exists(t *testing.T, ns, name string) {
	t.Helper()
	eventually(t, "machine "+name, func(ctx context.Context) error {
		_, err := virt(t, protobuf).KubevirtV1().VirtualMachines(ns).Get(ctx, name, metav1.GetOptions{})
		return err
	})
}

func TestKillLosesNothing(t *testing.T) {
	ns := newNamespace(t)
	ctx := t.Context()
	made := 0
	for _, victim := range []struct {
		name    string
		kill    func()
		restart func() error
	}{
		{"virt-api", env.api.Kill, env.api.Restart},
		{"virt-store", env.store.Kill, env.store.Start},
	} {
		// The kill falls into a stream of creates; what was acknowledged must be there afterwards.
		acknowledged := make(chan string, 1000)
		stop := make(chan struct{})
		go func() {
			defer close(acknowledged)
			c := virt(t, protobuf).KubevirtV1().VirtualMachines(ns)
			for {
				select {
				case <-stop:
					return
				default:
				}
				made++
				name := fmt.Sprintf("vm-%d", made)
				if _, err := c.Create(ctx, machine(name), metav1.CreateOptions{}); err != nil {
					return
				}
				acknowledged <- name
			}
		}()
		<-acknowledged
		<-acknowledged
		victim.kill()
		if err := victim.restart(); err != nil {
			t.Fatal(err)
		}
		close(stop)
		available(t)
		c := virt(t, protobuf).KubevirtV1().VirtualMachines(ns)
		for name := range acknowledged {
			if _, err := c.Get(ctx, name, metav1.GetOptions{}); err != nil {
				t.Errorf("after the kill of %s: %v", victim.name, err)
			}
		}
	}
}

// guest pretends that a virtual machine runs: there is a launcher pod owned by its instance.
func guest(t *testing.T, ns, name string) *corev1.Pod {
	t.Helper()
	vmi := must(virt(t, protobuf).KubevirtV1().VirtualMachineInstances(ns).Create(t.Context(), instance(name), metav1.CreateOptions{}))(t)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: "virt-launcher-" + name, Namespace: ns,
			Labels: map[string]string{"kubevirt.io": "virt-launcher", "kubevirt.io/created-by": string(vmi.UID), "vm.kubevirt.io/name": name},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "kubevirt.io/v1", Kind: "VirtualMachineInstance", Name: vmi.Name, UID: vmi.UID, Controller: ptr.To(true), BlockOwnerDeletion: ptr.To(true),
			}},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "compute", Image: "x"}}, AutomountServiceAccountToken: ptr.To(false), TerminationGracePeriodSeconds: ptr.To(int64(0))},
	}
	eventually(t, "the namespace's service account", func(ctx context.Context) error {
		_, err := kube(t).CoreV1().Pods(ns).Create(ctx, pod, metav1.CreateOptions{})
		return err
	})
	return pod
}

func alive(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	got, err := kube(t).CoreV1().Pods(pod.Namespace).Get(t.Context(), pod.Name, metav1.GetOptions{})
	if err != nil || got.DeletionTimestamp != nil {
		t.Fatalf("the launcher pod of a guest was deleted: %v", err)
	}
}

// provoke has the garbage collector look at a pod's owner now.
func provoke(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	must(kube(t).CoreV1().Pods(pod.Namespace).Patch(t.Context(), pod.Name, "application/merge-patch+json",
		[]byte(fmt.Sprintf(`{"metadata":{"annotations":{"looked":"%d"}}}`, time.Now().UnixNano())), metav1.PatchOptions{}))(t)
}

// unserved checks that objects are answered with 503, directly and through kube-apiserver, and that the reason is told.
func unserved(t *testing.T, ns, reason string) {
	t.Helper()
	_, body, err := env.api.Get("/readyz?verbose")
	if err != nil || !strings.Contains(body, "[-]store failed") {
		t.Errorf("readyz: %s, error %v", body, err)
	}
	direct := must(env.api.Client(env.Admin))(t).KubevirtV1().VirtualMachineInstances(ns)
	_, err = direct.Get(t.Context(), "guest", metav1.GetOptions{})
	wantError(t, err, apierrors.IsServiceUnavailable, reason)
	_, err = virt(t, protobuf).KubevirtV1().VirtualMachineInstances(ns).Get(t.Context(), "guest", metav1.GetOptions{})
	if !apierrors.IsServiceUnavailable(err) {
		t.Errorf("through kube-apiserver: error %v, want 503", err)
	}
}

func copyData(t *testing.T) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(to, os.DirFS(filepath.Join(env.store.Data, "member-data"))); err != nil {
		t.Fatal(err)
	}
	return to
}

// putData replaces the member's data, by nothing if from is empty, and returns what was there.
func putData(t *testing.T, from string) (old string) {
	t.Helper()
	old = filepath.Join(env.TempDir("old"), "data")
	data := filepath.Join(env.store.Data, "member-data")
	if err := os.Rename(data, old); err != nil {
		t.Fatal(err)
	}
	if from != "" {
		if err := os.CopyFS(data, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
	}
	return old
}

func TestReplacedStoreKillsNoGuest(t *testing.T) {
	ns := newNamespace(t)
	env.store.Stop()
	snapshot := copyData(t) // an old copy
	restartStore(t)
	available(t)
	pod := guest(t, ns, "guest")
	again := func() {
		eventually(t, "the instance to be served again", func(ctx context.Context) error {
			_, err := virt(t, protobuf).KubevirtV1().VirtualMachineInstances(ns).Get(ctx, "guest", metav1.GetOptions{})
			return err
		})
	}
	recorded(t)

	for _, tc := range []struct {
		name, data, reason string
		restartAPI         bool
	}{
		{"empty store, virt-api goes on", "", "put the right store back", false},
		{"empty store, virt-api starts anew", "", "the store is empty, but store", true},
		{"old copy, virt-api goes on", snapshot, "put the right store back", false},
		{"old copy, virt-api starts anew", snapshot, "it was set back", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			env.store.Stop()
			if tc.restartAPI {
				env.api.Stop()
			}
			right := putData(t, tc.data)
			restartStore(t)
			if tc.restartAPI {
				if err := env.api.Restart(); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, "virt-api to notice", func(context.Context) error {
				code, body, err := env.api.Get("/readyz?verbose")
				if err != nil || code == 200 || !strings.Contains(body, "[-]store failed") {
					return fmt.Errorf("%d %s %w", code, body, err)
				}
				_, err = must(env.api.Client(env.Admin))(t).KubevirtV1().VirtualMachineInstances(ns).Get(t.Context(), "guest", metav1.GetOptions{})
				if err == nil || !strings.Contains(err.Error(), "virt-api store adopt") {
					return fmt.Errorf("error %w", err)
				}
				return nil
			})
			unserved(t, ns, tc.reason)
			provoke(t, pod)
			time.Sleep(3 * time.Second) // the garbage collector's turn
			unserved(t, ns, tc.reason)
			alive(t, pod)
			eventually(t, "an event to say so", func(ctx context.Context) error {
				events, err := kube(t).CoreV1().Events(harness.Namespace).List(ctx, metav1.ListOptions{FieldSelector: "reason=StoreNotServed"})
				if err == nil && len(events.Items) == 0 {
					err = fmt.Errorf("there is none")
				}
				return err
			})

			// The way out: the right data comes back.
			env.store.Stop()
			putData(t, right)
			restartStore(t)
			available(t)
			again()
			alive(t, pod)
		})
	}
}

// recorded waits until the ConfigMap knows what has been written.
func recorded(t *testing.T) {
	t.Helper()
	list := must(virt(t, protobuf).KubevirtV1().VirtualMachineInstances("").List(t.Context(), metav1.ListOptions{}))(t)
	eventually(t, "the revision to be recorded", func(ctx context.Context) error {
		cm, err := kube(t).CoreV1().ConfigMaps(harness.Namespace).Get(ctx, "virtplane-store", metav1.GetOptions{})
		if err != nil {
			return err
		}
		var have, want int64
		fmt.Sscan(cm.Data["revision"], &have)
		fmt.Sscan(list.ResourceVersion, &want)
		if have < want {
			return fmt.Errorf("recorded %d, written %d", have, want)
		}
		return nil
	})
}

func TestSnapshotRestoreAdopt(t *testing.T) {
	ns := newNamespace(t)
	ctx := t.Context()
	c := virt(t, protobuf).KubevirtV1()
	known := guest(t, ns, "known")
	must(c.VirtualMachines(ns).Create(ctx, machine("before"), metav1.CreateOptions{}))(t)
	file := filepath.Join(t.TempDir(), "snapshot.db")
	if out, err := storeCommand(t, "snapshot", file); err != nil || !strings.Contains(out, "snapshot of ") {
		t.Fatalf("%s, error %v", out, err)
	}
	newer := guest(t, ns, "newer")
	must(c.VirtualMachines(ns).Create(ctx, machine("after"), metav1.CreateOptions{}))(t)
	watched := must(c.VirtualMachines(ns).List(ctx, metav1.ListOptions{}))(t).ResourceVersion

	// The member that runs takes the restored store over.
	out, err := storeCommand(t, "restore", file, "--data-dir="+env.store.Data)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"does not know 1 virtual machines that run", ns + "/newer (pod virt-launcher-newer)", `objects are served after "virt-api store adopt"`} {
		if !strings.Contains(out, want) {
			t.Errorf("restore said %q, want %q", out, want)
		}
	}
	eventually(t, "virt-api to notice", func(context.Context) error {
		_, body, err := env.api.Get("/readyz?verbose")
		if err == nil && !strings.Contains(body, "[-]store failed") {
			err = fmt.Errorf("%s", body)
		}
		return err
	})
	alive(t, newer)

	// A machine that would be lost is in the way of adopting.
	_, err = storeCommand(t, "adopt")
	if err == nil || !strings.Contains(err.Error(), ns+"/newer") || !strings.Contains(err.Error(), "nothing was changed") {
		t.Fatalf("adopt: %v", err)
	}
	alive(t, newer)
	if err := kube(t).CoreV1().Pods(ns).Delete(ctx, newer.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the pod to be gone", func(ctx context.Context) error {
		_, err := kube(t).CoreV1().Pods(ns).Get(ctx, newer.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("error %w", err)
	})
	if out, err := storeCommand(t, "adopt"); err != nil || !strings.Contains(out, "adopted store") {
		t.Fatalf("%s, error %v", out, err)
	}
	// virt-api had the old store in its caches and ends; something starts it again.
	select {
	case <-env.api.Done():
	case <-time.After(30 * time.Second):
		t.Fatal("virt-api goes on with the caches of the old store")
	}
	if err := env.api.Restart(); err != nil {
		t.Fatal(err)
	}
	available(t)
	exists(t, ns, "before")
	_, err = c.VirtualMachines(ns).Get(ctx, "after", metav1.GetOptions{})
	wantError(t, err, apierrors.IsNotFound, "not found")
	provoke(t, known)
	alive(t, known)
	// Whoever watched the old store must list again.
	w, err := c.VirtualMachines(ns).Watch(ctx, metav1.ListOptions{ResourceVersion: watched})
	if err == nil {
		defer w.Stop()
		err = apierrors.FromObject((<-w.ResultChan()).Object)
	}
	if !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) {
		t.Errorf("a watch from before: error %v, want expired", err)
	}
}
