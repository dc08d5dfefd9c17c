package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

const (
	tinyImage   = "registry.virtplane.local:5000/virtplane/guest-tiny:devel"
	guestMemory = "128Mi"
)

// tiny is the guest that benches run: one vCPU, one NIC, one container disk.
func tiny(name, node string) *virtv1.VirtualMachineInstance {
	memory := resource.MustParse(guestMemory)
	vmi := &virtv1.VirtualMachineInstance{ObjectMeta: metav1.ObjectMeta{Name: name}}
	vmi.Spec.TerminationGracePeriodSeconds = ptr.To(int64(0))
	if node != "" {
		vmi.Spec.NodeSelector = map[string]string{corev1.LabelHostname: node}
	}
	vmi.Spec.Domain.Memory = &virtv1.Memory{Guest: &memory}
	// Fifty at once must fit into a small machine.
	vmi.Spec.Domain.Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("20m")}
	vmi.Spec.Domain.Devices = virtv1.Devices{
		AutoattachGraphicsDevice: ptr.To(false),
		Disks:                    []virtv1.Disk{{Name: "root", Disk: &virtv1.DiskTarget{Bus: "virtio"}}},
		Interfaces:               []virtv1.Interface{{Name: "default", Masquerade: &virtv1.InterfaceMasquerade{}}},
	}
	vmi.Spec.Networks = []virtv1.Network{{Name: "default", Pod: &virtv1.PodNetwork{}}}
	vmi.Spec.Volumes = []virtv1.Volume{{Name: "root", ContainerDisk: &virtv1.ContainerDiskSource{Image: tinyImage, ImagePullPolicy: corev1.PullIfNotPresent}}}
	return vmi
}

// namespace makes a namespace for a bench; the returned function deletes it.
func (t *target) namespace(ctx context.Context) (string, func(), error) {
	ns, err := t.kube.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "bench-"}}, metav1.CreateOptions{})
	if err != nil {
		return "", nil, fmt.Errorf("creating a namespace: %w", err)
	}
	return ns.Name, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
		defer cancel()
		if err := t.kube.CoreV1().Namespaces().Delete(ctx, ns.Name, metav1.DeleteOptions{}); err != nil {
			fmt.Printf("deleting namespace %s: %v\n", ns.Name, err)
			return
		}
		for {
			if _, err := t.kube.CoreV1().Namespaces().Get(ctx, ns.Name, metav1.GetOptions{}); apierrors.IsNotFound(err) {
				return
			}
			select {
			case <-ctx.Done():
				fmt.Printf("namespace %s is not gone in time\n", ns.Name)
				return
			case <-time.After(500 * time.Millisecond):
			}
		}
	}, nil
}

// waitRunning waits until an instance runs.
func (t *target) waitRunning(ctx context.Context, ns, name string, limit time.Duration) (*virtv1.VirtualMachineInstance, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	api := t.virt.KubevirtV1().VirtualMachineInstances(ns)
	for {
		vmi, err := api.Get(ctx, name, metav1.GetOptions{})
		version := ""
		switch {
		case err == nil && vmi.Status.Phase == virtv1.Running:
			return vmi, nil
		case err == nil:
			version = vmi.ResourceVersion
		case !apierrors.IsNotFound(err):
			return nil, fmt.Errorf("waiting for instance %s to run: %w", name, err)
		}
		w, err := api.Watch(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", name).String(), ResourceVersion: version})
		if err != nil {
			return nil, fmt.Errorf("waiting for instance %s to run: %w", name, err)
		}
		for event := range w.ResultChan() {
			if vmi, ok := event.Object.(*virtv1.VirtualMachineInstance); ok && vmi.Status.Phase == virtv1.Running {
				w.Stop()
				return vmi, nil
			}
		}
	}
}

// podOf waits for the launcher pod of an instance.
func (t *target) podOf(ctx context.Context, ns, vmiUID string) (*corev1.Pod, error) {
	for {
		pods, err := t.kube.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{LabelSelector: virtv1.CreatedByLabel + "=" + vmiUID})
		if err != nil {
			return nil, err
		}
		if len(pods.Items) > 0 {
			return &pods.Items[0], nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for the launcher pod: %w", context.Cause(ctx))
		case <-time.After(100 * time.Millisecond):
		}
	}
}
