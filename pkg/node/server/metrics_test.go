package server

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/component-base/metrics/legacyregistry"

	launcher "github.com/virtplane/virtplane/launcher/api"
	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

var registerOnce = sync.OnceFunc(RegisterMetrics)

// connections gives the series with their values.
func connections(t *testing.T) map[string]float64 {
	t.Helper()
	families, err := legacyregistry.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		if f.GetName() != "kubevirt_vmi_last_api_connection_timestamp_seconds" {
			continue
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			all[strings.Join(labels, ",")] = m.GetGauge().GetValue()
		}
	}
	return all
}

func TestLastConnection(t *testing.T) {
	registerOnce()
	lastConnection.Reset()
	l := newLab(t, nil)
	before := float64(time.Now().Unix())
	for _, path := range []string{"console", "vnc"} {
		l.open(path)
		want := fmt.Sprintf("name=testvm,namespace=default,type=%s", path)
		for end := time.Now().Add(waitFor); connections(t)[want] < before; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("waiting for %s: %v", want, connections(t))
			}
		}
	}
	ForgetConnections(types.NamespacedName{Namespace: "default", Name: "other"})
	if all := connections(t); len(all) != 2 {
		t.Errorf("series %v", all)
	}
	ForgetConnections(types.NamespacedName{Namespace: "default", Name: "testvm"})
	if all := connections(t); len(all) != 0 {
		t.Errorf("series %v of an instance that has left", all)
	}
}

// leaving is a node whose instance leaves while a client connects.
type leaving struct {
	fakeMachines
	asked atomic.Int32
}

func (m *leaving) Machine(namespace, name string) (*virtv1.VirtualMachineInstance, types.UID, launcher.LauncherClient, error) {
	if m.asked.Add(1) > 1 {
		return nil, "", nil, apierrors.NewNotFound(virtv1.Resource("virtualmachineinstance"), name)
	}
	return m.fakeMachines.Machine(namespace, name)
}

func TestConnectionOfAnInstanceThatLeaves(t *testing.T) {
	registerOnce()
	lastConnection.Reset()
	m := &leaving{}
	l := newLab(t, func(l *lab) {
		m.fakeMachines = *l.machines
		l.server = New(m, Ways{Socket: l.guest.dial})
	})
	l.open("console")
	for end := time.Now().Add(waitFor); m.asked.Load() < 2; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waiting for the second look at the instance")
		}
	}
	for end := time.Now().Add(waitFor); len(connections(t)) != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("series %v stay", connections(t))
		}
	}
}
