package vmi

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine"
)

// ReasonLimitRange is that of an instance whose pod the LimitRanges of its namespace do not allow.
const ReasonLimitRange = "LimitRangeViolated"

// edge is a quantity with the name of the LimitRange that it comes from.
type edge struct {
	resource.Quantity
	of string
}

// scope is what all LimitRanges of a namespace say together of one kind of thing: a container, a pod or a claim.
type scope struct {
	min, max, preset, ratio map[corev1.ResourceName]edge
}

// Ranges are what the LimitRanges of a namespace allow.
type Ranges struct {
	container, pod, claim scope
}

// ranges reads the LimitRanges of a namespace.
func (r *Reconciler) ranges(ctx context.Context, namespace string) (Ranges, error) {
	var list corev1.LimitRangeList
	if err := r.Client.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return Ranges{}, fmt.Errorf("listing the limit ranges of namespace %s: %w", namespace, err)
	}
	slices.SortFunc(list.Items, func(a, b corev1.LimitRange) int { return strings.Compare(a.Name, b.Name) })
	var out Ranges
	for i := range list.Items {
		for _, item := range list.Items[i].Spec.Limits {
			switch item.Type {
			case corev1.LimitTypeContainer:
				out.container.add(list.Items[i].Name, &item)
			case corev1.LimitTypePod:
				out.pod.add(list.Items[i].Name, &item)
			case corev1.LimitTypePersistentVolumeClaim:
				out.claim.add(list.Items[i].Name, &item)
			}
		}
	}
	return out, nil
}

// add takes the stricter of what is there and what one more item says. A container without a limit gets the item's default,
// which is its maximum if it has none.
func (s *scope) add(name string, item *corev1.LimitRangeItem) {
	merge := func(to *map[corev1.ResourceName]edge, from corev1.ResourceList, stricter int) {
		for resource, q := range from {
			if *to == nil {
				*to = map[corev1.ResourceName]edge{}
			}
			if was, there := (*to)[resource]; !there || q.Cmp(was.Quantity) == stricter {
				(*to)[resource] = edge{q.DeepCopy(), name}
			}
		}
	}
	merge(&s.min, item.Min, 1)
	merge(&s.max, item.Max, -1)
	merge(&s.ratio, item.MaxLimitRequestRatio, -1)
	merge(&s.preset, item.Default, -1)
	for resource, q := range item.Max {
		if _, there := item.Default[resource]; !there {
			merge(&s.preset, corev1.ResourceList{resource: q}, -1)
		}
	}
}

// fit has the containers of a pod ask for what the ranges want, as far as nobody has asked for something else: users say what
// limits the compute container has, floor what it must have in any case.
func (r *Ranges) fit(pod *corev1.Pod, users, floor corev1.ResourceList) {
	for i := range pod.Spec.Containers {
		c := &pod.Spec.Containers[i]
		compute := c.Name == machine.ComputeContainer
		for name := range c.Resources.Requests {
			_, fixed := users[name]
			r.container.fit(c, name, compute && fixed, quantityOr(floor, name, compute))
		}
	}
	r.fitPod(pod, floor)
}

// fitPod has the containers together ask for what the ranges want of a pod. Those without a limit do not count where limits are
// summed up, so that a helper's small limit stands for all.
func (r *Ranges) fitPod(pod *corev1.Pod, floor corev1.ResourceList) {
	compute, last := &pod.Spec.Containers[0].Resources, &pod.Spec.Containers[len(pod.Spec.Containers)-1].Resources
	for _, bounds := range []map[corev1.ResourceName]edge{r.pod.max, r.pod.ratio} {
		for name := range bounds {
			if sum := total(pod, name, limitsOf); sum.IsZero() {
				most := r.pod.max[name]
				compute.Limits[name] = larger(larger(most.Quantity, compute.Requests[name]), floor[name])
			}
		}
	}
	for name, least := range r.pod.min {
		raise(compute, name, least.Quantity, total(pod, name, requestsOf))
		sum := total(pod, name, limitsOf)
		if limit, limited := last.Limits[name]; limited && last != compute && sum.Cmp(least.Quantity) < 0 {
			lacks := least.DeepCopy()
			lacks.Sub(sum)
			limit.Add(lacks)
			last.Limits[name] = limit
		}
	}
	for name, ratio := range r.pod.ratio {
		raise(compute, name, divided(total(pod, name, limitsOf), ratio.Quantity), total(pod, name, requestsOf))
	}
}

// quantityOr is a quantity of a list, or nothing where the list does not apply.
func quantityOr(list corev1.ResourceList, name corev1.ResourceName, applies bool) resource.Quantity {
	if !applies {
		return resource.Quantity{}
	}
	return list[name]
}

// fit brings one resource of a container into the range. A limit that is fixed stays what it is.
func (s *scope) fit(c *corev1.Container, name corev1.ResourceName, fixed bool, floor resource.Quantity) {
	request := c.Resources.Requests[name]
	limit, limited := c.Resources.Limits[name]
	whole := limited && request.Cmp(limit) == 0
	if least, ok := s.min[name]; ok && request.Cmp(least.Quantity) < 0 {
		request = least.DeepCopy()
	}
	most, bounded := s.max[name]
	preset, given := s.preset[name]
	ratio, proportioned := s.ratio[name]
	switch {
	case fixed:
	case !limited && (given || proportioned):
		limit, limited = larger(larger(preset.Quantity, request), floor), true
	case limited && bounded && limit.Cmp(most.Quantity) > 0:
		limit = larger(most.Quantity, floor)
		if c.Name != machine.ComputeContainer && request.Cmp(limit) > 0 {
			request = limit.DeepCopy() // a helper makes do with less
		}
	}
	if limited && !fixed {
		limit = larger(limit, request)
	}
	if limited && proportioned {
		request = larger(request, divided(limit, ratio.Quantity))
	}
	if limited && (whole && !fixed || request.Cmp(limit) > 0) {
		request = limit.DeepCopy()
	}
	c.Resources.Requests[name] = request
	if limited {
		c.Resources.Limits[name] = limit
	}
}

// raise gives to the compute container what a pod's total lacks.
func raise(compute *corev1.ResourceRequirements, name corev1.ResourceName, want, have resource.Quantity) {
	if want.Cmp(have) <= 0 {
		return
	}
	request := compute.Requests[name]
	want.Sub(have)
	request.Add(want)
	limit, limited := compute.Limits[name]
	if limited && request.Cmp(limit) > 0 {
		request = limit.DeepCopy()
	}
	compute.Requests[name] = request
}

func larger(a, b resource.Quantity) resource.Quantity {
	if a.Cmp(b) < 0 {
		a = b
	}
	return a.DeepCopy()
}

// divided is a limit over the highest ratio that it may have to its request, rounded up.
func divided(limit, ratio resource.Quantity) resource.Quantity {
	r := ratio.AsApproximateFloat64()
	if r < 1 {
		return limit.DeepCopy()
	}
	if limit.MilliValue() < math.MaxInt32 { // a share of a CPU
		return *resource.NewMilliQuantity(int64(math.Ceil(float64(limit.MilliValue())/r)), limit.Format)
	}
	return *resource.NewQuantity(int64(math.Ceil(float64(limit.Value())/r)), limit.Format)
}

func requestsOf(c *corev1.Container) corev1.ResourceList { return c.Resources.Requests }
func limitsOf(c *corev1.Container) corev1.ResourceList   { return c.Resources.Limits }

func total(pod *corev1.Pod, name corev1.ResourceName, of func(*corev1.Container) corev1.ResourceList) resource.Quantity {
	var out resource.Quantity
	for i := range pod.Spec.Containers {
		out.Add(of(&pod.Spec.Containers[i])[name])
	}
	return out
}

// refuses says by which range a pod cannot be, in words for whoever made the machine; empty if none stands in the way.
func (r *Ranges) refuses(pod *corev1.Pod) string {
	for i := range pod.Spec.Containers {
		c := &pod.Spec.Containers[i]
		if text := r.container.refuses("a container", c.Resources.Requests, c.Resources.Limits); text != "" {
			return text
		}
	}
	requested, limited := corev1.ResourceList{}, corev1.ResourceList{}
	for i := range pod.Spec.Containers {
		for name := range pod.Spec.Containers[i].Resources.Requests {
			requested[name] = total(pod, name, requestsOf)
		}
		for name := range pod.Spec.Containers[i].Resources.Limits {
			limited[name] = total(pod, name, limitsOf)
		}
	}
	return r.pod.refuses("a pod", requested, limited)
}

func (s *scope) refuses(what string, requests, limits corev1.ResourceList) string {
	asked := maps.Clone(limits) // a limit alone is requested by Kubernetes
	maps.Copy(asked, requests)
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		request := asked[name]
		limit, limited := limits[name]
		if most, ok := s.max[name]; ok && request.Cmp(most.Quantity) > 0 {
			return fmt.Sprintf("LimitRange %s of this namespace lets %s have at most %s of %s, and the machine needs %s, its overhead included: make it smaller, or have the range changed", most.of, what, most.String(), name, request.String())
		} else if ok && limited && limit.Cmp(most.Quantity) > 0 {
			return fmt.Sprintf("LimitRange %s of this namespace lets %s have a limit of at most %s of %s, and the machine's is %s, its overhead included: lower spec.domain.resources.limits or the machine's size, or have the range changed", most.of, what, most.String(), name, limit.String())
		}
		if least, ok := s.min[name]; ok && request.Cmp(least.Quantity) < 0 {
			return fmt.Sprintf("LimitRange %s of this namespace wants %s to have at least %s of %s, and the machine's limit is %s: raise spec.domain.resources.limits, or have the range changed", least.of, what, least.String(), name, limit.String())
		}
		if ratio, ok := s.ratio[name]; ok && limited && request.Cmp(divided(limit, ratio.Quantity)) < 0 {
			return fmt.Sprintf("LimitRange %s of this namespace lets the limit of %s for %s be at most %s times its request, and the machine's are %s and %s: raise spec.domain.resources.requests, or have the range changed", ratio.of, name, what, ratio.String(), limit.String(), request.String())
		}
	}
	return ""
}

// withoutPod are the instances of a namespace to which its LimitRanges still matter.
func (r *Reconciler) withoutPod(ctx context.Context, o client.Object) []reconcile.Request {
	var list virtv1.VirtualMachineInstanceList
	if err := r.Client.List(ctx, &list, client.InNamespace(o.GetNamespace())); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Could not list the instances of a namespace", "namespace", o.GetNamespace())
		return nil
	}
	var out []reconcile.Request
	for i := range list.Items {
		if c := conditionOf(&list.Items[i].Status, virtv1.VirtualMachineInstanceProvisioning); c != nil && (c.Reason == ReasonLimitRange || c.Reason == ReasonPodCreateFailed) {
			out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
		}
	}
	return out
}

// named adds to an answer of the API which LimitRanges the namespace has, if it speaks of one: it does not say which.
func (r *Reconciler) named(ctx context.Context, namespace string, err error) string {
	text := err.Error()
	if !strings.Contains(text, "usage per Container is") && !strings.Contains(text, "usage per Pod is") && !strings.Contains(text, "limit to request ratio per ") {
		return text
	}
	var list corev1.LimitRangeList
	if r.Client.List(ctx, &list, client.InNamespace(namespace)) != nil || len(list.Items) == 0 {
		return text
	}
	var names []string
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	slices.Sort(names)
	return fmt.Sprintf("%s (LimitRange %s)", text, strings.Join(names, ", "))
}
