package nodestatus

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

const (
	// KVMUsable is the type of the node condition.
	KVMUsable corev1.NodeConditionType = "KVMUsable"

	interval = time.Minute
	// look is the time between two looks at the agent's own health, which cost nothing.
	look  = time.Second
	retry = 5 * time.Second
	// patience is how long an agent that has just been started may take before it takes the label away that an earlier
	// life may have left.
	patience     = 30 * time.Second
	writeTimeout = 10 * time.Second
	// jitter spreads the heartbeats of many nodes.
	jitter = 0.2
)

// Node writes about one node.
type Node struct {
	client kubernetes.Interface
	name   string
	clock  clock.Clock
	// Seen, if set before the first heartbeat, is given the whole object with each.
	Seen func(*corev1.Node)
}

// New writes about the node of that name.
func New(client kubernetes.Interface, name string, clock clock.Clock) *Node {
	return &Node{client: client, name: name, clock: clock}
}

// Heartbeat says each minute, and at once after a change, whether instances may come: they may while healthy is nil. When
// ctx ends it says that none may: nobody would start them.
func (n *Node) Heartbeat(ctx context.Context, healthy func() error) {
	log := klog.FromContext(ctx)
	began, due := n.clock.Now(), n.clock.Now()
	told := ""
	for ctx.Err() == nil {
		unhealthy, now := healthy(), n.clock.Now()
		state := fmt.Sprint(unhealthy == nil)
		early := told == "" && unhealthy != nil && now.Sub(began) < patience
		if !early && (state != told || !now.Before(due)) {
			if state != told {
				log.Info("Telling whether instances may be scheduled to this node", "schedulable", unhealthy == nil, "reason", fmt.Sprint(unhealthy))
			}
			err := n.schedulable(ctx, unhealthy == nil)
			told, due = state, now.Add(wait.Jitter(interval, jitter))
			if err != nil && ctx.Err() == nil {
				log.Error(err, "Could not write the heartbeat, trying again", "wait", retry)
				due = now.Add(retry)
			}
		}
		select {
		case <-ctx.Done():
		case <-n.clock.After(look):
		}
	}
	if err := n.schedulable(context.WithoutCancel(ctx), false); err != nil {
		log.Error(err, "Could not tell that no instance may be scheduled to this node")
	}
}

func (n *Node) schedulable(ctx context.Context, may bool) error {
	patch := map[string]any{"metadata": map[string]any{
		"labels":      map[string]string{virtv1.NodeSchedulable: fmt.Sprint(may)},
		"annotations": map[string]string{virtv1.VirtHandlerHeartbeat: n.clock.Now().UTC().Format(time.RFC3339)},
	}}
	data, err := json.Marshal(patch)
	if err != nil {
		return fmt.Errorf("encoding the heartbeat: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	node, err := n.client.CoreV1().Nodes().Patch(ctx, n.name, types.MergePatchType, data, metav1.PatchOptions{})
	if err != nil {
		return fmt.Errorf("patching node %s: %w", n.name, err)
	}
	if n.Seen != nil {
		n.Seen(node)
	}
	return nil
}

// Condition writes the condition KVMUsable, again and again until it is written or ctx ends.
func (n *Node) Condition(ctx context.Context, usable bool, reason, message string) {
	log := klog.FromContext(ctx)
	for {
		err := n.condition(ctx, usable, reason, message)
		if err == nil || ctx.Err() != nil {
			return
		}
		log.Error(err, "Could not write the node's condition, trying again", "wait", retry)
		select {
		case <-ctx.Done():
			return
		case <-n.clock.After(retry):
		}
	}
}

func (n *Node) condition(ctx context.Context, usable bool, reason, message string) error {
	status := corev1.ConditionFalse
	if usable {
		status = corev1.ConditionTrue
	}
	now := metav1.NewTime(n.clock.Now())
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	// A strategic merge patch of one element of the list: the kubelet writes the others at the same time.
	patch := map[string]any{"status": map[string]any{"conditions": []corev1.NodeCondition{{
		Type: KVMUsable, Status: status, Reason: reason, Message: message, LastHeartbeatTime: now, LastTransitionTime: now,
	}}}}
	data, err := json.Marshal(patch)
	if err != nil {
		return fmt.Errorf("encoding the condition: %w", err)
	}
	if _, err := n.client.CoreV1().Nodes().Patch(ctx, n.name, types.StrategicMergePatchType, data, metav1.PatchOptions{}, "status"); err != nil {
		return fmt.Errorf("patching the status of node %s: %w", n.name, err)
	}
	return nil
}
