package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

func TestListen(t *testing.T) {
	const said = "[    0.000000] Linux version 6.1\r\n" + initMark
	got, err := listen(strings.NewReader(said+" and more"), time.Now().Add(-time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if got.said != "[    0.000000] L" || got.firstByte < time.Second || got.init < got.firstByte {
		t.Errorf("heard %q after %v and the init after %v", got.said, got.firstByte, got.init)
	}
	if _, err := listen(strings.NewReader("panic"), time.Now()); !strings.Contains(fmt.Sprint(err), `EOF; it said "panic"`) {
		t.Errorf("error %v", err)
	}
}

func TestStartMetrics(t *testing.T) {
	at := func(first, init int, said string) timing {
		return timing{firstByte: time.Duration(first) * time.Second, init: time.Duration(init) * time.Second, said: said}
	}
	machines := []timing{at(3, 9, "boot"), at(2, 6, "boot"), at(9, 7, "boot")}
	plain := []timing{at(1, 5, "boot"), at(2, 4, "boot"), at(3, 6, "boot")}
	metrics, err := startMetrics(machines, plain)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range metrics {
		ratio, _ := m.Ratio()
		got = append(got, fmt.Sprintf("%s %v/%v=%.2f", m.Metric, m.Value, *m.PeerValue, ratio))
	}
	if want := "[serial_first_byte_ratio 3/2=1.50 guest_init_ratio 7/5=1.40]"; fmt.Sprint(got) != want {
		t.Errorf("metrics %v, want %s", got, want)
	}
	for side, all := range map[string][]timing{"machine": machines, "pod": plain} {
		all[1].said = "ot"
		if _, err := startMetrics(machines, plain); !strings.Contains(fmt.Sprint(err), "the run is void") {
			t.Errorf("a %s that was not heard from its beginning: error %v", side, err)
		}
		all[1].said = "boot"
	}
}

func TestNextPod(t *testing.T) {
	late := errors.New("too late")
	status := &metav1.Status{Status: metav1.StatusFailure, Message: "too old", Reason: metav1.StatusReasonExpired, Code: 410}
	for _, tc := range []struct {
		name string
		tell func(w *watch.FakeWatcher, cancel context.CancelCauseFunc)
		want string
	}{
		{"a pod", func(w *watch.FakeWatcher, _ context.CancelCauseFunc) {
			w.Delete(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "earlier"}})
			w.Add(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "next"}})
		}, "next <nil>"},
		{"the watch ends", func(w *watch.FakeWatcher, _ context.CancelCauseFunc) { w.Stop() }, " waiting for the pod: " + errWatchEnded.Error()},
		{"the watch fails", func(w *watch.FakeWatcher, _ context.CancelCauseFunc) { w.Error(status) }, " waiting for the pod: too old"},
		{"no time left", func(_ *watch.FakeWatcher, cancel context.CancelCauseFunc) { cancel(late) }, " waiting for the pod: too late"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			w := watch.NewFakeWithChanSize(10, false)
			tc.tell(w, cancel)
			pod, err := nextPod(ctx, w)
			name := ""
			if pod != nil {
				name = pod.Name
			}
			if got := fmt.Sprintf("%s %v", name, err); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}
