package app

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"k8s.io/component-base/version"

	"github.com/virtplane/virtplane/launcher/agent"
	"github.com/virtplane/virtplane/launcher/api"
	"github.com/virtplane/virtplane/launcher/boot"
	"github.com/virtplane/virtplane/launcher/convert"
	"github.com/virtplane/virtplane/launcher/credentials"
	"github.com/virtplane/virtplane/launcher/dhcp"
	"github.com/virtplane/virtplane/launcher/domain"
	"github.com/virtplane/virtplane/launcher/footprint"
	"github.com/virtplane/virtplane/launcher/metrics"
	"github.com/virtplane/virtplane/launcher/qmp"
	"github.com/virtplane/virtplane/launcher/server"
	"github.com/virtplane/virtplane/launcher/supervise"
	"github.com/virtplane/virtplane/pkg/machine"
)

// Memory of the launcher. There is one for each guest of a node, and it idles most of the time.
const (
	runGCPercent = 30
	runMemory    = 24 << 20
)

// drainTime is what the node agent has to hear of the guest's end. The first process waits a little longer.
const drainTime = 4 * time.Second

// stateFile is the launcher's memory of a guest that runs.
const stateFile = "state.json"

// options are the flags of run.
type options struct {
	namespace, name, uid string
	paths                convert.Paths
	qemu, qemuImg, swtpm string
	prlimit              string
	virtiofsd            string
	resolvConf           string
	level                string
	supervisorFD         int
	allowedUID           int
}

func (o *options) addFlags(set *flag.FlagSet) {
	paths := convert.DefaultPaths()
	set.StringVar(&o.namespace, "namespace", "", "namespace of the VMI")
	set.StringVar(&o.name, "name", "", "name of the VMI")
	set.StringVar(&o.uid, "uid", "", "uid of the only VMI that is run; empty runs the first that comes")
	set.StringVar(&o.paths.Sockets, "run-dir", paths.Sockets, "folder of the sockets that the node agent opens")
	set.StringVar(&o.paths.Private, "private-dir", paths.Private, "folder of QEMU's and the launcher's own files")
	set.StringVar(&o.paths.Ephemeral, "ephemeral-dir", paths.Ephemeral, "folder of disks that live as long as the pod")
	set.StringVar(&o.paths.ContainerDisks, "container-disk-dir", paths.ContainerDisks, "folder in which images of containerDisk volumes are mounted by volume name")
	set.StringVar(&o.paths.KernelBoot, "kernel-boot-dir", paths.KernelBoot, "folder in which the image of kernelBoot is mounted")
	set.StringVar(&o.paths.Claims, "claim-dir", paths.Claims, "folder in which claims are mounted by volume name")
	set.StringVar(&o.paths.Secrets, "secret-dir", paths.Secrets, "folder in which Secrets of cloud-init volumes are mounted by volume name")
	set.StringVar(&o.paths.Credentials, "credential-dir", paths.Credentials, "folder in which Secrets of access credentials are mounted by their names")
	set.StringVar(&o.paths.Configs, "config-dir", paths.Configs, "folder in which files of ConfigMaps, Secrets and the like are mounted by volume name")
	set.StringVar(&o.paths.HostDisks, "host-disk-dir", paths.HostDisks, "folder in which files of the node are mounted by volume name")
	set.StringVar(&o.paths.Devices, "device-dir", paths.Devices, "folder of the devices of block claims, by volume name")
	set.StringVar(&o.paths.Firmware, "firmware-dir", paths.Firmware, "folder of the UEFI firmware")
	set.StringVar(&o.paths.State, "state-dir", paths.State, "folder of state that outlives the pod; without it none does")
	set.StringVar(&o.qemu, "qemu", "/usr/bin/qemu-system-x86_64", "QEMU")
	set.StringVar(&o.swtpm, "swtpm", "/usr/bin/swtpm", "program that emulates a TPM")
	set.StringVar(&o.qemuImg, "qemu-img", "qemu-img", "program that inspects and makes images")
	set.StringVar(&o.prlimit, "prlimit", "prlimit", "program that limits what qemu-img may use")
	set.StringVar(&o.virtiofsd, "virtiofsd", "/usr/libexec/virtiofsd", "program that shares folders with guests")
	set.StringVar(&o.resolvConf, "resolv-conf", "/etc/resolv.conf", "how the pod resolves names, passed on to the guest")
	set.StringVar(&o.level, "log-level", env("VIRT_LAUNCHER_LOG_LEVEL", "info"), "least level that is logged: debug, info, warn or error; debug shows the talk with QEMU")
	set.IntVar(&o.supervisorFD, "supervisor-fd", supervise.LauncherFD, "file descriptor of the line to the pod's first process")
	set.IntVar(&o.allowedUID, "allow-uid", 0, "user, beside the launcher's own, who may use the socket")
}

func runLauncher(args []string, stderr io.Writer) int {
	var o options
	set := flag.NewFlagSet("virt-launcher run", flag.ContinueOnError)
	set.SetOutput(stderr)
	o.addFlags(set)
	if code, done := parse(set, args); done {
		return code
	}
	if set.NArg() > 0 {
		return fail(stderr, fmt.Errorf("unexpected argument %q", set.Arg(0)))
	}
	log, err := newLogger(stderr, o.level, "launcher")
	if err != nil {
		return fail(stderr, err)
	}
	debug.SetGCPercent(runGCPercent)
	debug.SetMemoryLimit(runMemory)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := o.run(ctx, log.With("namespace", o.namespace, "name", o.name)); err != nil {
		return fail(stderr, err)
	}
	return 0
}

// run serves until the guest has ended and that was told, or ctx ends.
func (o *options) run(ctx context.Context, log *slog.Logger) error {
	super, err := supervise.Attach(o.supervisorFD)
	if err != nil {
		return fmt.Errorf("%w: is it started by virt-launcher init?", err)
	}
	defer super.Close()
	d := domain.New(o.domain(super, log))
	if err := d.Start(ctx); err != nil {
		return err
	}
	l, err := api.Listen(filepath.Join(o.paths.Sockets, machine.LauncherSocket), os.Getuid(), o.allowedUID)
	if err != nil {
		return fmt.Errorf("serving the node agent: %w", err)
	}
	service := server.New(d, func() *api.InfoResponse { return o.info(d) }, log)
	g := api.NewServer()
	api.RegisterLauncherServer(g, service)
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	log.Info("Serving node agent", "socket", l.Addr().String(), "version", version.Get().GitVersion)

	go footprint.Keep(ctx.Done(), trimSoon, trimInterval, func(err error) { log.Warn("Could not give memory back", "err", err) })
	select {
	case err := <-served:
		return fmt.Errorf("serving the node agent: %w", err)
	case <-super.Gone():
		return supervise.ErrGone
	case <-ctx.Done():
		stopServer(g)
		return nil
	case <-d.Ended():
	}
	tell, cancel := context.WithTimeout(ctx, drainTime)
	defer cancel()
	if err := service.Drain(tell); err != nil {
		log.Warn("Node agent was not told of the guest's end", "err", err)
	}
	stopServer(g)
	if err := super.Finish(context.WithoutCancel(ctx), d.Outcome()); err != nil && !errors.Is(err, supervise.ErrGone) {
		return err
	}
	select {
	case <-super.Gone():
	case <-ctx.Done():
	}
	return nil
}

// stopServer lets calls end that are under way, but not for long.
func stopServer(g *grpc.Server) {
	timer := time.AfterFunc(500*time.Millisecond, g.Stop)
	defer timer.Stop()
	g.GracefulStop()
}

func (o *options) info(d *domain.Domain) *api.InfoResponse {
	return &api.InfoResponse{
		ProtocolVersion: api.ProtocolVersion, LauncherVersion: version.Get().GitVersion, QemuVersion: d.QEMUVersion(),
		Namespace: o.namespace, Name: o.name, Uid: o.uid,
	}
}

// domain wires the guest to the world.
func (o *options) domain(super *supervise.Client, log *slog.Logger) domain.Config {
	preparer := &boot.Preparer{
		Paths: o.paths, ResolvConf: o.resolvConf, FileServer: o.virtiofsd, Swtpm: o.swtpm, Log: log, Now: time.Now,
	}
	preparer.Tool.QemuImg, preparer.Tool.Prlimit = o.qemuImg, o.prlimit
	return domain.Config{
		UID: o.uid, QEMU: o.qemu, StateFile: filepath.Join(o.paths.Private, stateFile), Supervisor: super,
		Prepare: func(ctx context.Context, req *api.SyncRequest) (*domain.Guest, error) {
			defer debug.FreeOSMemory() // decoding a VMI is the largest thing that a launcher does
			return preparer.Prepare(ctx, req)
		},
		Dial: func(ctx context.Context) (*qmp.Client, error) {
			return qmp.Dial(ctx, filepath.Join(o.paths.Private, convert.MonitorSocket), qmp.WithTranscript(log))
		},
		ServeDHCP: func(ctx context.Context, bridge string, l dhcp.Lease, given dhcp.Given) (io.Closer, error) {
			return dhcp.Listen(ctx, bridge, l, given, log)
		},
		ServeMetrics: func(g metrics.Guest, pid func() int, version func() string) io.Closer {
			return metrics.Serve(metrics.Source{Guest: g, PID: pid, Version: version, Now: time.Now}, log)
		},
		Agent: func(ctx context.Context) (*agent.Client, error) {
			return agent.Dial(ctx, filepath.Join(o.paths.Private, convert.AgentSocket))
		},
		WatchSecrets: func(dirs []string) (domain.SecretWatcher, error) { return credentials.Watch(dirs) },
		Log:          log, Times: domain.DefaultTimes(),
	}
}
