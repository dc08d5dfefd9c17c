package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// nodes are those that machines may be put on.
func (t *target) nodes(ctx context.Context) ([]string, error) {
	list, err := t.kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	names := usable(list.Items)
	if len(names) == 0 {
		return nil, errors.New("no node of the cluster is ready and takes pods")
	}
	return names, nil
}

func usable(nodes []corev1.Node) []string {
	var names []string
	for _, n := range nodes {
		ready := slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
			return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
		})
		closed := n.Spec.Unschedulable || slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Effect != corev1.TaintEffectPreferNoSchedule })
		if ready && !closed {
			names = append(names, n.Name)
		}
	}
	slices.Sort(names)
	return names
}

// checkPulls fails if an image was pulled for a pod of a namespace: what was measured with it is void.
func (t *target) checkPulls(ctx context.Context, ns string) error {
	list, err := t.kube.CoreV1().Events(ns).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("looking for pulled images: %w", err)
	}
	return pulls(list.Items)
}

// pulls judges the events of pods. The kubelet tells of each image, also of one that the node had.
func pulls(events []corev1.Event) error {
	told := false
	var pulled []string
	for _, e := range events {
		if e.InvolvedObject.Kind != "Pod" {
			continue
		}
		switch {
		case e.Reason == "Pulled" && strings.Contains(e.Message, "already present on machine"):
			told = true
		case e.Reason == "Pulled", e.Reason == "Pulling":
			pulled = append(pulled, fmt.Sprintf("pod %s: %s", e.InvolvedObject.Name, e.Message))
		}
	}
	switch {
	case len(pulled) > 0:
		return fmt.Errorf("the run is void, an image was pulled: %s", strings.Join(pulled, "; "))
	case !told:
		return errors.New("the run is void: no event tells whether images were pulled")
	}
	return nil
}
