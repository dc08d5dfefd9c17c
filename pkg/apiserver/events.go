package apiserver

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/record"

	"github.com/virtplane/virtplane/pkg/store"
)

// reporter tells administrators by events of the host cluster what requests through kube-apiserver cannot tell: while no
// virt-api is ready, those are answered with a bare 503.
type reporter struct {
	recorder record.EventRecorder
	about    *corev1.ObjectReference
	stop     func()
}

func newReporter(client kubernetes.Interface, namespace string) *reporter {
	broadcaster := record.NewBroadcaster()
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.CoreV1().Events(namespace)})
	return &reporter{
		recorder: broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "virt-api"}),
		about:    &corev1.ObjectReference{APIVersion: "v1", Kind: "ConfigMap", Namespace: namespace, Name: store.ConfigMapName},
		stop:     broadcaster.Shutdown,
	}
}

// store reports that the store is not served, or that it is again.
func (r *reporter) store(reason error) {
	if reason == nil {
		r.recorder.Event(r.about, corev1.EventTypeNormal, "StoreServed", "The store has proved to be the right one: virtual machines are served")
		return
	}
	r.recorder.Event(r.about, corev1.EventTypeWarning, "StoreNotServed", reason.Error())
}

// groups reports why kube-apiserver does not forward to this server.
func (r *reporter) groups(reason error) {
	r.recorder.Event(r.about, corev1.EventTypeWarning, "GroupsNotServed", reason.Error())
}
