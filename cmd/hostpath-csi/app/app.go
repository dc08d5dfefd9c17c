// Package app wires the program hostpath-csi: flags, the driver and its sockets, the provisioner, health and metrics. It decides nothing about volumes.
package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/component-base/version"
	"k8s.io/klog/v2"

	"github.com/virtplane/virtplane/csi-driver/driver"
	"github.com/virtplane/virtplane/csi-driver/mount"
	"github.com/virtplane/virtplane/csi-driver/pool"
	"github.com/virtplane/virtplane/csi-driver/provisioner"
	"github.com/virtplane/virtplane/csi-driver/registration"
	"github.com/virtplane/virtplane/pkg/logging/component"
)

const (
	userAgent = "hostpath-csi"
	// A node's driver has little to say; more than this would be a fault.
	clientQPS   = 20
	clientBurst = 40
)

// NewCommand returns the program.
func NewCommand() *cobra.Command {
	o := newOptions()
	cmd := &cobra.Command{
		Use:   "hostpath-csi --pool name=path [--pool name=path ...]",
		Short: "The hostpath CSI driver of a node",
		Long: `Keeps volumes as directories in the storage pools of its node, mounts them for pods, registers itself with the
kubelet, and makes and removes the volumes of claims that are scheduled to the node.`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: false,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := component.Apply(o.logging, nil, "hostpath-csi"); err != nil {
				return err
			}
			if err := o.complete(); err != nil {
				return err
			}
			return run(cmd.Context(), o)
		},
	}
	o.addFlags(cmd.Flags())
	return cmd
}

func run(ctx context.Context, o *options) error {
	log := klog.FromContext(ctx)
	log.Info("Starting", "version", version.Get().GitVersion, "node", o.nodeName, "pools", o.specs)
	pools, err := pool.New(o.specs, o.overcommitPercent)
	if err != nil {
		return fmt.Errorf("--pool: %w", err)
	}
	defer func() { _ = pools.Close() }()
	if !o.allowRoot {
		pools.KeepOff(func(ctx context.Context, spec pool.Spec) (string, error) {
			return sharedWith(ctx, pools, spec, o.podsDir())
		})
	}
	mounts, err := mount.Open(o.kubeletDir)
	if err != nil {
		return fmt.Errorf("--kubelet-root-dir: %w", err)
	}
	defer func() { _ = mounts.Close() }()

	registrar := registration.New(o.endpoint)
	var provision *provisioner.Provisioner
	d, err := driver.New(o.nodeName, version.Get().GitVersion, pools, mounts, registrar.Ready)
	if err != nil {
		return fmt.Errorf("--node-name: %w", err)
	}
	if o.provision {
		if provision, err = newProvisioner(o, pools, d); err != nil {
			return err
		}
	}

	legacyregistry.CustomMustRegister(&poolCollector{pools: pools, osDir: o.podsDir()})
	servers, err := listenHTTP(o, checks(registrar, provision))
	if err != nil {
		return err
	}

	// The kubelet calls the driver as soon as it finds the registration's socket, so the driver's comes first.
	csiListener, err := driver.Listen(o.endpoint)
	if err != nil {
		return fmt.Errorf("--endpoint: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return d.Serve(ctx, csiListener) })
	registrationListener, err := driver.Listen(filepath.Join(o.registrationDir, driver.Name+"-reg.sock"))
	if err != nil {
		return errors.Join(fmt.Errorf("--registration-dir: %w", err), csiListener.Close())
	}
	group.Go(func() error { return registrar.Serve(ctx, registrationListener) })
	group.Go(func() error { openPools(ctx, pools, o); return nil })
	if provision != nil {
		group.Go(func() error { return provision.Run(ctx) })
	}
	for _, s := range servers {
		group.Go(func() error { return s.serve(ctx) })
	}
	return group.Wait()
}

// openPools opens the pools at the start, so that what is wrong with one stands in the log before the first volume fails, and ends what a crash interrupted.
func openPools(ctx context.Context, pools *pool.Pools, o *options) {
	log := klog.FromContext(ctx)
	for _, spec := range o.specs {
		user, err := sharedWith(ctx, pools, spec, o.podsDir())
		switch {
		case err != nil:
			log.Error(err, "Could not open a storage pool, every request for it will try again", "pool", spec.Name, "path", spec.Path)
		case user != "" && o.allowRoot:
			log.Info("Pool shares path with OS which can lead to node disk pressure", "pool", spec.Name, "path", spec.Path, "sharedWith", user)
		case user != "":
			log.Error(pools.Accepts(ctx, spec.Name), "Pool shares path with OS which can lead to node disk pressure", "pool", spec.Name, "path", spec.Path)
		}
	}
	if err := pools.Recover(ctx); err != nil {
		log.Error(err, "Could not clear away all leftovers")
	}
	// What volumes fill is needed for the capacity.
	for _, volume := range pools.List(ctx) {
		if _, err := pools.Usage(ctx, volume.ID); err != nil {
			log.Error(err, "Could not measure a volume", "volume", volume.ID)
		}
	}
}

func newProvisioner(o *options, pools *pool.Pools, d *driver.Driver) (*provisioner.Provisioner, error) {
	config, err := clientConfig(o.kubeconfig)
	if err != nil {
		return nil, err
	}
	meta, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	typed := rest.CopyConfig(config)
	typed.ContentType = "application/vnd.kubernetes.protobuf"
	typed.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	client, err := kubernetes.NewForConfig(typed)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	return provisioner.New(provisioner.Config{
		NodeName:         o.nodeName,
		Namespace:        o.namespace,
		Client:           client,
		Metadata:         meta,
		Volumes:          driver.Controller{Driver: d},
		CapacityInterval: o.capacityInterval,
		Local: func(ctx context.Context) []provisioner.LocalVolume {
			var local []provisioner.LocalVolume
			for _, v := range pools.List(ctx) {
				local = append(local, provisioner.LocalVolume{ID: v.ID, Created: v.Created, Published: v.Published})
			}
			return local
		},
	})
}

func clientConfig(kubeconfig string) (*rest.Config, error) {
	var config *rest.Config
	var err error
	if kubeconfig != "" {
		config, err = clientcmd.BuildConfigFromFlags("", kubeconfig)
	} else {
		config, err = rest.InClusterConfig()
	}
	if err != nil {
		return nil, fmt.Errorf("finding the API server: %w", err)
	}
	config.UserAgent = userAgent
	config.QPS, config.Burst = clientQPS, clientBurst
	return config, nil
}
