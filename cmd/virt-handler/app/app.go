// Package app wires virt-handler: flags, clients, the device plugin, the agent and its servers. It holds no policy.
package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/events"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/virtplane/virtplane/device-plugin/kvmprobe"
	"github.com/virtplane/virtplane/device-plugin/plugin"
	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/generated/clientset/versioned"
	"github.com/virtplane/virtplane/pkg/generated/clientset/versioned/scheme"
	"github.com/virtplane/virtplane/pkg/logging/component"
	"github.com/virtplane/virtplane/pkg/node"
	"github.com/virtplane/virtplane/pkg/node/certs"
	"github.com/virtplane/virtplane/pkg/node/labeller"
	"github.com/virtplane/virtplane/pkg/node/nodestatus"
	"github.com/virtplane/virtplane/pkg/node/pod"
	"github.com/virtplane/virtplane/pkg/node/server"
	"github.com/virtplane/virtplane/pkg/node/vsock"
)

// NewCommand returns the command.
func NewCommand(ctx context.Context) *cobra.Command {
	o := NewOptions()
	cmd := &cobra.Command{
		Use: "virt-handler", Short: "Runs the virtual machine instances of a node", SilenceUsage: true, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := o.Validate(); err != nil {
				return err
			}
			log, err := component.Apply(o.Logs, nil, "virt-handler")
			if err != nil {
				return err
			}
			return Run(ctx, o, log)
		},
	}
	o.AddFlags(cmd.Flags())
	cmd.AddCommand(&cobra.Command{
		Use: kvmprobe.Subcommand + " DEVICE", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			_, err := os.Stdout.Write(kvmprobe.Child(args[0]))
			return err
		},
	})
	return cmd
}

// Run runs the agent until ctx ends or a part of it fails for good. Guests go on in either case.
func Run(ctx context.Context, o *Options, lines *component.Log) error {
	node.RegisterMetrics()
	server.RegisterMetrics()
	log := klog.FromContext(ctx)
	config, err := clientConfig(o)
	if err != nil {
		return err
	}
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making the Kubernetes client: %w", err)
	}
	virt, err := versioned.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making the client of our own API: %w", err)
	}
	listener, err := net.Listen("tcp", o.ListenAddress)
	if err != nil {
		return fmt.Errorf("--listen-address: %w", err)
	}
	defer func() { _ = listener.Close() }()
	metrics, err := net.Listen("tcp", o.MetricsAddress)
	if err != nil {
		return fmt.Errorf("--metrics-bind-address: %w", err)
	}
	defer func() { _ = metrics.Close() }()

	group, ctx := errgroup.WithContext(ctx)
	recorder := newRecorder(ctx, kube)
	own := nodestatus.New(kube, o.Node, clock.RealClock{})
	var agent *node.Agent
	labels := labeller.New(labeller.Options{
		Client: kube, Node: o.Node, ProcRoot: "/proc",
		Probe:  func(ctx context.Context, kvm bool) (labeller.Facts, error) { return labeller.Probe(ctx, o.QEMU, kvm) },
		Guests: func() ([]*virtv1.VirtualMachineInstance, error) { return agent.Guests() },
	})
	own.Seen = labels.Seen
	devices, err := plugin.New(pluginConfig(o, own, labels.KVM))
	if err != nil {
		return err
	}
	pods := pod.New(o.PodsDir)
	agent, err = node.New(node.Options{
		Node: o.Node, Namespace: o.Namespace, PodsDir: o.PodsDir, Workers: o.Workers, LauncherTimeout: o.LauncherTimeout,
		StartTimeout: o.StartTimeout, ImageSizeLimit: o.imageSizeLimit, Configured: configured(devices, o, labels, lines), Forgotten: server.ForgetConnections,
	}, node.Dependencies{
		Client: virt, Recorder: recorder, Clock: clock.RealClock{}, Pods: node.NodePods{Pods: pods}, Network: node.PodNetwork{}, Secrets: node.PodSecrets{},
	})
	if err != nil {
		return err
	}
	certificate := certs.New(o.Node, certs.APISigner{Client: kube.CoreV1().RESTClient()}, clock.RealClock{})
	api := server.New(agent, server.Ways{
		Socket: func(ctx context.Context, uid types.UID, socket string) (net.Conn, error) {
			conn, process, err := pods.Dial(ctx, uid, socket)
			if err == nil {
				process.Close()
			}
			return conn, err
		},
		Port: agent.DialPort, VSOCK: vsock.Dial, Certificate: certificate.Certificate,
	})

	group.Go(func() error { return devices.Run(ctx) })
	group.Go(func() error { return agent.Run(ctx) })
	group.Go(func() error { certificate.Run(ctx); return nil })
	group.Go(func() error { labels.Run(ctx); return nil })
	group.Go(func() error { return api.Serve(ctx, listener, certificate.TLS()) })
	group.Go(func() error {
		return serveMetrics(ctx, metrics, certificate, agent.ConfigVersion, protection(o, kube), map[string]func() error{"certificate": certificate.Ready, "instances": agent.Synced})
	})
	group.Go(func() error {
		own.Heartbeat(ctx, func() error { return errors.Join(devices.Registered(), agent.Synced(), certificate.Ready()) })
		return nil
	})
	err = group.Wait()
	log.Info("Stopped; guests go on", "err", err)
	return err
}

func clientConfig(o *Options) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", o.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading the client configuration: %w", err)
	}
	config.QPS, config.Burst, config.UserAgent = o.QPS, o.Burst, "virt-handler"
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	return config, nil
}

func newRecorder(ctx context.Context, kube kubernetes.Interface) events.EventRecorder {
	broadcaster := events.NewBroadcaster(&events.EventSinkImpl{Interface: kube.EventsV1()})
	if err := broadcaster.StartRecordingToSinkWithContext(ctx); err != nil {
		klog.FromContext(ctx).Error(err, "Could not start to record events")
	}
	return broadcaster.NewRecorder(scheme.Scheme, "virt-handler")
}

// configured passes on what of the cluster's configuration concerns the devices and the labels.
func configured(devices *plugin.Plugin, o *Options, labels *labeller.Labeller, lines *component.Log) func(virtv1.KubeVirtConfiguration) {
	return func(c virtv1.KubeVirtConfiguration) {
		labels.Configured(c)
		level := component.Configured(&c)
		if n, own := level.NodeVerbosity[o.Node]; own {
			level.VirtHandler = &n
		}
		lines.SetVerbosity(level.VirtHandler)
		count := o.VirtualDevices
		if n := c.VirtualMachineInstancesPerNode; n != nil {
			count = int(*n)
		}
		devices.SetCount(count)
	}
}
