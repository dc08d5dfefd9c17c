package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"k8s.io/klog/v2"

	"github.com/virtplane/virtplane/device-plugin/kvmprobe"
	"github.com/virtplane/virtplane/device-plugin/plugin"
	"github.com/virtplane/virtplane/pkg/machine"
	"github.com/virtplane/virtplane/pkg/node"
	"github.com/virtplane/virtplane/pkg/node/nodestatus"
)

// resourceSEV is shown on every node, with 0 until confidential guests are built.
const resourceSEV = "devices.kubevirt.io/sev"

// self is this program, which can probe KVM as a child of itself.
const self = "/proc/self/exe"

// reasonTrusted stands in the condition of a node whose device nobody has measured.
const reasonTrusted = "Trusted"

var errSEV = errors.New("confidential guests are not supported yet")

// pluginConfig describes the devices; found is told whether KVM is usable.
func pluginConfig(o *Options, own *nodestatus.Node, found func(bool)) plugin.Config {
	j := &judge{options: o, own: own, found: found}
	return plugin.Config{
		Dir: o.DevicePluginDir, DevRoot: o.DevRoot, SysRoot: o.SysRoot, Count: o.VirtualDevices, Judge: j.judge,
		Devices: []plugin.Device{
			{Resource: machine.ResourceKVM, Node: "kvm", Class: "class/misc/kvm"},
			{Resource: machine.ResourceTun, Node: "net/tun", Class: "class/misc/tun"},
			{Resource: machine.ResourceVhostNet, Node: "vhost-net", Class: "class/misc/vhost-net"},
			{Resource: machine.ResourceVhostVSOCK, Node: "vhost-vsock", Class: "class/misc/vhost-vsock"},
			{Resource: resourceSEV, Node: "sev", Class: "class/misc/sev"},
		},
	}
}

// judge decides which devices are good enough to be offered.
type judge struct {
	options *Options
	own     *nodestatus.Node
	found   func(usable bool)

	mu   sync.Mutex
	stop context.CancelFunc // of the condition that is being written
}

func (j *judge) judge(ctx context.Context, resource string, missing error) error {
	switch resource {
	case resourceSEV:
		return errSEV
	case machine.ResourceKVM:
		return j.kvm(ctx, missing)
	}
	return nil
}

// kvm tells the log, the metrics and the node's conditions what the probe has found.
func (j *judge) kvm(ctx context.Context, missing error) error {
	result := kvmprobe.Result{Reason: "DeviceMissing"}
	switch {
	case missing != nil:
		result.Message = missing.Error()
	case j.options.TrustKVM:
		result = kvmprobe.Result{Usable: true, Reason: reasonTrusted, Message: "--trust-kvm: the device is offered without being measured"}
	default:
		result = kvmprobe.Run(ctx, j.options.ProbeDeadline, self, kvmprobe.Subcommand, filepath.Join(j.options.DevRoot, "kvm"))
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	klog.FromContext(ctx).Info("Probed KVM", "usable", result.Usable, "reason", result.Reason, "best", result.Best, "result", result.Message)
	j.found(result.Usable)
	node.KVMProbe.Reset()
	node.KVMProbe.WithLabelValues(result.Reason).Set(result.Best.Seconds())
	j.mu.Lock()
	if j.stop != nil {
		j.stop()
	}
	write, stop := context.WithCancel(ctx)
	j.stop = stop
	j.mu.Unlock()
	go j.own.Condition(write, result.Usable, result.Reason, result.Message)
	if !result.Usable {
		return fmt.Errorf("%s: %s", result.Reason, result.Message)
	}
	return nil
}
