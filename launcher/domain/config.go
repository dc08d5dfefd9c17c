package domain

import (
	"context"
	"io"
	"log/slog"
	"syscall"
	"time"

	"github.com/virtplane/virtplane/launcher/agent"
	"github.com/virtplane/virtplane/launcher/api"
	"github.com/virtplane/virtplane/launcher/dhcp"
	"github.com/virtplane/virtplane/launcher/metrics"
	"github.com/virtplane/virtplane/launcher/qmp"
	"github.com/virtplane/virtplane/launcher/supervise"
)

// Guest is a VMI made ready to run. It goes into the state file and so holds no secret.
type Guest struct {
	UID  string   `json:"uid"`
	Args []string `json:"args"`
	// Serial is set for a guest with a serial console.
	Serial    *supervise.Serial `json:"serial,omitempty"`
	Emulation bool              `json:"emulation,omitempty"`
	// Grace is the time to power down that the VMI grants.
	Grace time.Duration `json:"grace"`
	// Paused says that the guest is not to run until somebody asks.
	Paused    bool     `json:"paused,omitempty"`
	LinksDown []string `json:"linksDown,omitempty"`
	// OpenTrays names the CD-ROM drives whose tray is to be opened before the guest runs.
	OpenTrays []string `json:"openTrays,omitempty"`
	// Pins places QEMU's threads on CPUs of the node; nil leaves that to the kernel.
	Pins       *Pins       `json:"pins,omitempty"`
	Interfaces []Interface `json:"interfaces,omitempty"`
	// ClockOffset is what the guest's clock is ahead of the world's.
	ClockOffset time.Duration `json:"clockOffset,omitempty"`
	// Credentials are what the guest agent puts into the guest.
	Credentials []Credential `json:"credentials,omitempty"`
	// Helpers are processes that QEMU needs beside it.
	Helpers []supervise.Helper `json:"helpers,omitempty"`
	// Warnings name the fields of the spec that have no effect on this guest.
	Warnings []string `json:"warnings,omitempty"`
	// Metrics is set for a guest that is shown figures of its node.
	Metrics *metrics.Guest `json:"metrics,omitempty"`
}

// Credential is a Secret that the guest agent keeps in the guest.
type Credential struct {
	// Secret is its name, Dir where it is mounted.
	Secret string `json:"secret"`
	Dir    string `json:"dir"`
	// Users may log in with the SSH keys that the Secret holds. Without any, the Secret holds passwords by user.
	Users []string `json:"users,omitempty"`
}

// Pins places QEMU's threads on CPUs of the node.
type Pins struct {
	// VCPUs has the CPU of each virtual one, IOThreads that of each disk thread that has one for itself.
	VCPUs     []int `json:"vcpus"`
	IOThreads []int `json:"ioThreads,omitempty"`
	// Emulator is where all other threads run.
	Emulator []int `json:"emulator"`
}

// Interface is a network interface of the guest.
type Interface struct {
	Name   string `json:"name"`
	MAC    string `json:"mac"`
	Queues uint32 `json:"queues,omitempty"`
	Down   bool   `json:"down,omitempty"`
	// Bridge and Lease are set where the launcher serves DHCP.
	Bridge string      `json:"bridge,omitempty"`
	Lease  *dhcp.Lease `json:"lease,omitempty"`
}

// Supervisor is the pod's first process.
type Supervisor interface {
	Status(context.Context) (supervise.Status, error)
	Spawn(context.Context, supervise.Spawn) (supervise.Status, error)
	Signal(context.Context, syscall.Signal) error
	Finish(context.Context, supervise.Outcome) error
	Changes() <-chan supervise.Status
}

// SecretWatcher tells that Secrets may have changed.
type SecretWatcher interface {
	Changes() <-chan struct{}
	Close() error
}

// Config is what a Domain needs of the world.
type Config struct {
	// UID is that of the one VMI this launcher was made for; empty takes any.
	UID string
	// QEMU is the program.
	QEMU       string
	StateFile  string
	Supervisor Supervisor
	// Prepare makes a request ready to run. It may be called again after it failed, never while QEMU runs.
	Prepare func(context.Context, *api.SyncRequest) (*Guest, error)
	// Dial connects to QEMU's monitor and waits for it to appear.
	Dial func(context.Context) (*qmp.Client, error)
	// ServeDHCP serves a lease on a bridge until it is closed.
	ServeDHCP func(ctx context.Context, bridge string, l dhcp.Lease, given dhcp.Given) (io.Closer, error)
	// ServeMetrics shows a guest figures of its node until it is closed. pid gives QEMU's process, version its version.
	ServeMetrics func(g metrics.Guest, pid func() int, version func() string) io.Closer
	// Agent connects to the guest agent.
	Agent func(context.Context) (*agent.Client, error)
	// WatchSecrets tells of changes in the folders at which Secrets are mounted.
	WatchSecrets func(dirs []string) (SecretWatcher, error)
	// Threads lists the threads of QEMU, Affinity gives one of them its CPUs; nil asks the kernel.
	Threads  func(pid int) ([]int, error)
	Affinity func(thread int, cpus []int) error
	Log      *slog.Logger
	Times    Times
}

// Times are the intervals of a guest's life.
type Times struct {
	// Press is the time between two presses of the power button.
	Press time.Duration
	// Quit is what QEMU has to end by itself before it is killed.
	Quit time.Duration
	// Spawn bounds the time from QEMU's start until its monitor answers.
	Spawn time.Duration
	// PollSoon and PollLater are the times between two looks at the guest agent, in the first minute and after.
	PollSoon, PollLater time.Duration
	// Retry is the time between two tries to reach a monitor that was lost.
	Retry time.Duration
	// AskAgain is the time between two tries to have the agent do what it did not do.
	AskAgain time.Duration
	// Recheck is the time between two looks at whether the guest still has the keys that it was given.
	Recheck time.Duration
	// Settle is the least time between two changes of what is told of the guest's DHCP, which it can ask for as often as it
	// likes.
	Settle time.Duration
}

// DefaultTimes suit a pod.
func DefaultTimes() Times {
	return Times{
		Press: 5 * time.Second, Quit: 3 * time.Second, Spawn: time.Minute,
		PollSoon: 5 * time.Second, PollLater: 30 * time.Second, Retry: time.Second,
		AskAgain: 5 * time.Second, Recheck: 5 * time.Minute, Settle: time.Minute,
	}
}
