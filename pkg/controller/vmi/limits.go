package vmi

import (
	"context"
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

const (
	// memoryLimitsRatioLabel of a namespace is its memory limit over its memory request, 1 or more, where limits are made.
	memoryLimitsRatioLabel = "alpha.kubevirt.io/auto-memory-limits-ratio"
	// defaultMemoryLimitsRatio is a limit that no guest comes near.
	defaultMemoryLimitsRatio = 2
)

// autoLimits finds out which limits pods of a namespace must have: a quota that counts limits refuses pods without.
func (r *Reconciler) autoLimits(ctx context.Context, namespace string, config *virtv1.KubeVirtConfiguration) (AutoLimits, error) {
	var quotas corev1.ResourceQuotaList
	if err := r.Client.List(ctx, &quotas, client.InNamespace(namespace)); err != nil {
		return AutoLimits{}, fmt.Errorf("listing the quotas of namespace %s: %w", namespace, err)
	}
	var out AutoLimits
	memory := false
	for i := range quotas.Items {
		_, cpus := quotas.Items[i].Spec.Hard[corev1.ResourceLimitsCPU]
		_, bytes := quotas.Items[i].Spec.Hard[corev1.ResourceLimitsMemory]
		out.CPU, memory = out.CPU || cpus, memory || bytes
	}
	selector := config.AutoCPULimitNamespaceLabelSelector
	if !memory && (out.CPU || selector == nil) {
		return out, nil
	}
	var ns corev1.Namespace
	if err := r.Client.Get(ctx, types.NamespacedName{Name: namespace}, &ns); err != nil {
		return AutoLimits{}, fmt.Errorf("reading namespace %s for its limits: %w", namespace, err)
	}
	if memory {
		out.MemoryRatio = memoryLimitsRatio(ctx, &ns)
	}
	if selector != nil && !out.CPU {
		s, err := metav1.LabelSelectorAsSelector(selector)
		if err != nil {
			return AutoLimits{}, fmt.Errorf("configuration.autoCPULimitNamespaceLabelSelector: %w", err)
		}
		out.CPU = s.Matches(labels.Set(ns.Labels))
	}
	return out, nil
}

func memoryLimitsRatio(ctx context.Context, ns *corev1.Namespace) float64 {
	text, ok := ns.Labels[memoryLimitsRatioLabel]
	if !ok {
		return defaultMemoryLimitsRatio
	}
	ratio, err := strconv.ParseFloat(text, 64)
	if err != nil || !(ratio >= 1 && ratio <= 1000) {
		ctrl.LoggerFrom(ctx).Info("A namespace's label is no ratio from 1 to 1000, taking the default", "namespace", ns.Name, "label", memoryLimitsRatioLabel, "value", text, "default", defaultMemoryLimitsRatio)
		return defaultMemoryLimitsRatio
	}
	return ratio
}
