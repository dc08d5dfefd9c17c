// Package app is the command line of virt-api: flags, wiring and the life of the process, nothing else.
package app

import (
	"context"

	"github.com/spf13/cobra"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apiserver/pkg/features"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/component-base/logs"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/component-base/version/verflag"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/apiserver/options"
	"github.com/virtplane/virtplane/pkg/logging/component"
)

func init() {
	gates := utilfeature.DefaultMutableFeatureGate
	utilruntime.Must(logsapi.AddFeatureGates(gates))
	// Each event would be compressed by itself, anew for each watcher: a percent and more of what a write costs, for a few kilobytes
	// less on a network that carries images.
	utilruntime.Must(gates.OverrideDefault(features.WatchListCompression, false))
}

// NewCommand makes the command; ctx ends with the first signal.
func NewCommand(ctx context.Context) *cobra.Command {
	o := options.New()
	l := component.NewConfiguration()
	cmd := &cobra.Command{
		Use:   "virt-api",
		Short: "Serve virtual machines as Kubernetes objects",
		Long: `virt-api serves the API groups kubevirt.io and subresources.kubevirt.io behind a kube-apiserver (API aggregation).
It keeps its objects in a store of its own: members run by "virt-api store", a folder given with --embedded-etcd, or an etcd
given with --etcd-servers.`,
		SilenceUsage: true,
		Args:         cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			verflag.PrintAndExitIfRequested()
			log, err := component.Apply(l, utilfeature.DefaultFeatureGate, "virt-api")
			if err != nil {
				return err
			}
			return run(ctx, o, log)
		},
	}
	fs := cmd.Flags()
	o.AddFlags(fs)
	logsapi.AddFlags(l, fs)
	utilfeature.DefaultMutableFeatureGate.AddFlag(fs)
	verflag.AddFlags(fs)
	cmd.AddCommand(newStoreCommand(ctx))
	logs.InitLogs()
	return cmd
}

func run(ctx context.Context, o *options.Options, log *component.Log) error {
	if err := o.Complete(); err != nil {
		return err
	}
	if err := o.Validate(); err != nil {
		return err
	}
	holdHeapFloor(64 << 20)
	config, err := o.Config(ctx)
	if err != nil {
		return err
	}
	server, err := config.Complete().New(ctx)
	if err != nil {
		return err
	}
	server.OnConfiguration(func(kv *virtv1.KubeVirt) {
		if kv == nil {
			kv = &virtv1.KubeVirt{}
		}
		log.SetVerbosity(component.Configured(&kv.Spec.Configuration).VirtAPI)
	})
	return server.Run(ctx)
}
