package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

func vmAt(name string, revision int, status virtv1.VirtualMachinePrintableStatus) *virtv1.VirtualMachine {
	vm := &virtv1.VirtualMachine{ObjectMeta: metav1.ObjectMeta{Name: name, ResourceVersion: strconv.Itoa(revision)}}
	vm.Status.PrintableStatus = status
	return vm
}

func vmiAt(name string, revision int, phase virtv1.VirtualMachineInstancePhase) *virtv1.VirtualMachineInstance {
	vmi := &virtv1.VirtualMachineInstance{ObjectMeta: metav1.ObjectMeta{Name: name, ResourceVersion: strconv.Itoa(revision)}}
	vmi.Status.Phase = phase
	return vmi
}

func TestTally(t *testing.T) {
	began := time.Now()
	c := newTally(2)
	for _, name := range []string{"a", "b"} {
		c.created(name, began, nil)
	}
	about := func(apiVersion string) *corev1.Event {
		return &corev1.Event{InvolvedObject: corev1.ObjectReference{APIVersion: apiVersion, Kind: "any"}}
	}
	// Each watch tells in the order of its own, so that an instance's write before the end may come after it.
	for i, e := range []watch.Event{
		{Type: watch.Added, Object: vmAt("a", 1, "")},
		{Type: watch.Added, Object: vmAt("b", 2, "")},
		{Type: watch.Modified, Object: vmAt("a", 5, virtv1.VirtualMachineStatusStarting)},
		{Type: watch.Modified, Object: vmAt("a", 9, virtv1.VirtualMachineStatusRunning)},
		{Type: watch.Modified, Object: vmAt("a", 12, virtv1.VirtualMachineStatusRunning)},
		{Type: watch.Added, Object: vmiAt("a", 4, virtv1.Pending)},
		{Type: watch.Modified, Object: vmiAt("a", 6, virtv1.Scheduling)},
		{Type: watch.Modified, Object: vmiAt("a", 8, virtv1.Running)},
		{Type: watch.Modified, Object: vmiAt("a", 11, virtv1.Running)},
		{Type: watch.Added, Object: vmiAt("b", 7, virtv1.Pending)},
		{Type: watch.Modified, Object: vmiAt("b", 13, virtv1.Running)},
		{Type: watch.Added, Object: about("kubevirt.io/v1")},
		{Type: watch.Modified, Object: about("kubevirt.io/v1")},
		{Type: watch.Deleted, Object: about("kubevirt.io/v1")},
		{Type: watch.Added, Object: about("v1")},
		{Type: watch.Modified, Object: vmAt("b", 14, virtv1.VirtualMachineStatusRunning)},
	} {
		if err := c.take(e, began.Add(time.Duration(i)*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-c.done:
	default:
		t.Error("not done although all machines are shown as Running")
	}
	metrics, err := c.metrics()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, m := range metrics {
		got[m.Metric] = m.Value
	}
	want := map[string]float64{"burst50_p50_s": 7, "burst50_p95_s": 10, "writes_per_vm": 3, "creates_per_vm": 1, "events_per_vm": 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
}

// TestTallyFails wants an error wherever a write may have gone uncounted, or a machine failed.
func TestTallyFails(t *testing.T) {
	for _, tc := range []struct {
		name string
		tell func(c *tally, w *watch.FakeWatcher)
		want string
	}{
		{"ended early", func(_ *tally, w *watch.FakeWatcher) { w.Stop() }, "counting writes: " + errWatchEnded.Error()},
		{"error event", func(_ *tally, w *watch.FakeWatcher) {
			w.Error(&metav1.Status{Status: metav1.StatusFailure, Message: "too old resource version", Code: 410})
		}, "counting writes: too old resource version"},
		{"deleted", func(_ *tally, w *watch.FakeWatcher) { w.Delete(vmiAt("a", 5, virtv1.Running)) }, "counting writes: *v1.VirtualMachineInstance a was deleted"},
		{"guest failed", func(_ *tally, w *watch.FakeWatcher) { w.Modify(vmiAt("a", 5, virtv1.Failed)) }, "counting writes: instance a ended as Failed"},
		{"no revision", func(_ *tally, w *watch.FakeWatcher) { w.Modify(&virtv1.VirtualMachine{}) }, "counting writes:  has revision"},
		{"refused", func(c *tally, _ *watch.FakeWatcher) { c.created("a", time.Now(), errors.New("forbidden")) }, "machine a: forbidden"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			c := newTally(1)
			w := watch.NewFakeWithChanSize(10, false)
			tc.tell(c, w)
			go c.follow(ctx, w)
			select {
			case <-c.done:
			case <-ctx.Done():
				t.Fatal("nobody was told")
			}
			if got := fmt.Sprint(c.err()); !strings.HasPrefix(got, tc.want) {
				t.Errorf("error %s, want %s", got, tc.want)
			}
		})
	}
	t.Run("not all in time", func(t *testing.T) {
		if _, err := newTally(1).metrics(); err == nil {
			t.Error("no error although no machine ran")
		}
	})
	t.Run("stopped by us", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		c := newTally(1)
		c.follow(ctx, watch.NewFake())
		if err := c.err(); err != nil {
			t.Errorf("error %v", err)
		}
	})
}
