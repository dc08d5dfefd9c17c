package replicaset

import (
	"cmp"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

const (
	// burst is how many instances are created or deleted in one go.
	burst = 250
	// An instance that failed within shortLife is replaced only after patience: it may be the template that is wrong.
	shortLife = time.Minute
	patience  = 10 * time.Second

	hashLength = 5
	// maxBase leaves room for the hash in a name of 253 characters.
	maxBase = 253 - hashLength - 1
)

// plan is what is to be done.
type plan struct {
	// create is how many instances are missing.
	create int
	// remove are the instances that are too many, and ended those that are done with.
	remove, ended []virtv1.VirtualMachineInstance
	// again is when to look again, 0 for never.
	again time.Duration
}

func (p plan) empty() bool { return p.create+len(p.remove)+len(p.ended) == 0 }

// decide compares what there is with what is wanted. It is a pure function.
func decide(set *virtv1.VirtualMachineInstanceReplicaSet, members []virtv1.VirtualMachineInstance, now time.Time) plan {
	var p plan
	var running []virtv1.VirtualMachineInstance
	for _, vmi := range members {
		switch {
		case active(&vmi):
			running = append(running, vmi)
		case vmi.DeletionTimestamp != nil:
		default:
			if left := hold(&vmi, now); left > 0 {
				p.again = max(p.again, left)
			} else if len(p.ended) < burst {
				p.ended = append(p.ended, vmi)
			}
		}
	}
	missing := replicas(set) - len(running)
	switch {
	case missing < 0:
		slices.SortStableFunc(running, leastWanted)
		p.remove = running[:min(-missing, burst)]
	case missing > 0 && p.again == 0:
		p.create = min(missing, burst)
	}
	return p
}

// active says whether an instance counts: it has not ended, and nothing has begun to end it.
func active(vmi *virtv1.VirtualMachineInstance) bool {
	return vmi.DeletionTimestamp == nil && vmi.Status.Phase != virtv1.Failed && vmi.Status.Phase != virtv1.Succeeded && !leaving(vmi)
}

// leaving says whether an instance's pod is being ended.
func leaving(vmi *virtv1.VirtualMachineInstance) bool {
	c := condition(vmi, virtv1.VirtualMachineInstanceReady)
	return c != nil && c.Status == corev1.ConditionFalse && c.Reason == virtv1.PodTerminatingReason
}

func ready(vmi *virtv1.VirtualMachineInstance) bool {
	c := condition(vmi, virtv1.VirtualMachineInstanceReady)
	return c != nil && c.Status == corev1.ConditionTrue
}

func condition(vmi *virtv1.VirtualMachineInstance, t virtv1.VirtualMachineInstanceConditionType) *virtv1.VirtualMachineInstanceCondition {
	for i := range vmi.Status.Conditions {
		if vmi.Status.Conditions[i].Type == t {
			return &vmi.Status.Conditions[i]
		}
	}
	return nil
}

// hold is how long an instance that failed at once still stands in the way of its successor.
func hold(vmi *virtv1.VirtualMachineInstance, now time.Time) time.Duration {
	if vmi.Status.Phase != virtv1.Failed {
		return 0
	}
	for _, t := range vmi.Status.PhaseTransitionTimestamps {
		if end := t.PhaseTransitionTimestamp.Time; t.Phase == virtv1.Failed && end.Sub(vmi.CreationTimestamp.Time) < shortLife {
			return end.Add(patience).Sub(now)
		}
	}
	return 0
}

func replicas(set *virtv1.VirtualMachineInstanceReplicaSet) int {
	if set.Spec.Replicas == nil {
		return 1
	}
	return int(*set.Spec.Replicas)
}

var progress = []virtv1.VirtualMachineInstancePhase{virtv1.VmPhaseUnset, virtv1.Pending, virtv1.Scheduling, virtv1.Scheduled, virtv1.Running}

// leastWanted puts first what is given up first: what runs least far, what is not ready, what is youngest.
func leastWanted(a, b virtv1.VirtualMachineInstance) int {
	number := func(yes bool) int {
		if yes {
			return 1
		}
		return 0
	}
	return cmp.Or(
		cmp.Compare(slices.Index(progress, a.Status.Phase), slices.Index(progress, b.Status.Phase)),
		cmp.Compare(number(ready(&a)), number(ready(&b))),
		b.CreationTimestamp.Compare(a.CreationTimestamp.Time),
		strings.Compare(b.Name, a.Name),
	)
}

// names gives names for new instances, one after the other. They follow from the set and from what is there already, so that
// a controller that crashed, or looks at an old list, asks for the same names again and does not make an instance too many.
func names(set *virtv1.VirtualMachineInstanceReplicaSet, members []virtv1.VirtualMachineInstance) func() string {
	taken := map[string]bool{}
	for i := range members {
		taken[members[i].Name] = true
	}
	base, slot := base(set), 0
	return func() string {
		for {
			sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d", set.UID, slot))
			slot++
			name := base + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:hashLength]
			if !taken[name] {
				taken[name] = true
				return name
			}
		}
	}
}

func base(set *virtv1.VirtualMachineInstanceReplicaSet) string {
	out := cmp.Or(set.Spec.Template.ObjectMeta.Name, set.Spec.Template.ObjectMeta.GenerateName, set.Name)
	if len(out) > maxBase {
		out = out[:maxBase]
	}
	return strings.TrimRight(out, "-.") + "-"
}

// instance renders an instance of a set.
func instance(set *virtv1.VirtualMachineInstanceReplicaSet, name string) *virtv1.VirtualMachineInstance {
	t := set.Spec.Template
	return &virtv1.VirtualMachineInstance{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: set.Namespace,
			Labels: maps.Clone(t.ObjectMeta.Labels), Annotations: maps.Clone(t.ObjectMeta.Annotations),
			OwnerReferences: []metav1.OwnerReference{owner(set)},
		},
		Spec: *t.Spec.DeepCopy(),
	}
}
