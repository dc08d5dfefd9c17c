// Package bridge is the bridge CNI plugin: it connects a pod to a Linux bridge of its node by a veth pair and, where the configuration says so, gives it addresses by a delegated
// IPAM plugin, a gateway on the bridge, and masquerading. It is executed once for each pod that comes or goes, so it must stay small and quick to start: no Kubernetes
// client, no daemon, no state of its own beside links and nftables. Results go to standard output, everything else to standard error.
package bridge

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/version"
)

// commandTimeout bounds what a single command does with nftables and delegates; runtimes give a plugin minutes.
const commandTimeout = 60 * time.Second

// Plugin holds what the commands need beside their arguments.
type Plugin struct {
	// Log never writes to standard output.
	Log *slog.Logger
}

// Funcs are the commands for the CNI skeleton. The calling goroutine must be locked to its thread and to the node's network namespace.
func (p *Plugin) Funcs() skel.CNIFuncs {
	return skel.CNIFuncs{
		Add:    p.logged("ADD", p.Add),
		Del:    p.logged("DEL", p.Del),
		Check:  p.logged("CHECK", p.Check),
		GC:     p.logged("GC", p.GC),
		Status: p.logged("STATUS", p.Status),
	}
}

// Versions are the versions of the CNI specification that the plugin speaks.
func Versions() version.PluginInfo { return version.All }

func (p *Plugin) logged(command string, run func(context.Context, *skel.CmdArgs) error) func(*skel.CmdArgs) error {
	return func(args *skel.CmdArgs) error {
		ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
		defer cancel()
		start := time.Now()
		err := run(ctx, args)
		log := p.Log.With("command", command, "containerID", args.ContainerID, "ifName", args.IfName, "duration", time.Since(start).Round(time.Millisecond).String())
		if err != nil {
			log.Error("Command failed", "err", err)
		} else {
			log.Debug("Command done")
		}
		return err
	}
}

// undo collects how to take back the steps of a command that may still fail.
type undo struct {
	log   *slog.Logger
	steps []undoStep
}

type undoStep struct {
	what string
	run  func() error
}

func (u *undo) push(what string, run func() error) { u.steps = append(u.steps, undoStep{what, run}) }

// unless takes everything back, last step first, if the command failed. A step that cannot be taken back is reported with the failure, because DEL will meet it again.
func (u *undo) unless(err *error) {
	if *err == nil {
		return
	}
	for i := len(u.steps) - 1; i >= 0; i-- {
		if undoErr := u.steps[i].run(); undoErr != nil {
			u.log.Error("Could not take back a step", "step", u.steps[i].what, "err", undoErr)
			*err = errors.Join(*err, undoErr)
		}
	}
}
