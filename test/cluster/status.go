package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/virtplane/virtplane/test/cluster/machine"
)

// Status prints the machines with their services, and the nodes as Kubernetes sees them. It fails if the
// cluster is not whole.
func (c *Cluster) Status(ctx context.Context) error {
	s, records, err := c.running()
	if err != nil {
		return err
	}
	c.Print.Line("cluster %s, kube-apiserver at https://127.0.0.1:%d, up since %s", c.Dir, s.Port, s.Started.Format(time.DateTime))
	for _, name := range machineNames(s.Nodes) {
		services, err := machine.Services(records[name])
		if err != nil {
			return err
		}
		var words []string
		for _, sv := range services {
			words = append(words, fmt.Sprintf("%s(%d)", sv.Name, sv.PID))
		}
		c.Print.Line("%-14s %s", name, strings.Join(words, " "))
	}
	client, err := c.Client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("asking kube-apiserver: %w", err)
	}
	var failed error
	for i := range nodes.Items {
		n := &nodes.Items[i]
		if why := notReady(n); why != "" {
			c.Print.Line("%-14s not ready: %s", n.Name, why)
			failed = errors.New("a node is not ready")
		} else {
			c.Print.Line("%-14s ready", n.Name)
		}
	}
	return failed
}

// Command runs a program inside a machine, in the caller's terminal.
func (c *Cluster) Command(ctx context.Context, machineName string, args ...string) (*exec.Cmd, error) {
	r, err := c.record(machineName)
	if err != nil {
		return nil, err
	}
	return machine.Command(ctx, r, args...), nil
}

// Exec runs Command with this process's streams.
func (c *Cluster) Exec(ctx context.Context, machineName string, args []string, in io.Reader, out io.Writer) error {
	cmd, err := c.Command(ctx, machineName, args...)
	if err != nil {
		return err
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, os.Stderr
	return cmd.Run()
}

func (c *Cluster) record(machineName string) (machine.Record, error) {
	s, records, err := c.running()
	if err != nil {
		return machine.Record{}, err
	}
	names := machineNames(s.Nodes)
	if !slices.Contains(names, machineName) {
		return machine.Record{}, fmt.Errorf("there is no machine %q: the machines are %s", machineName, strings.Join(names, ", "))
	}
	return records[machineName], nil
}

// wholeMachine is what Kill calls all of a machine.
const wholeMachine = "machine"

// Kill sends SIGKILL to a service of a machine, as a crash would end it; the machine starts it again. The service
// "machine" stands for process 1: with it all of the machine ends at once, as in a loss of power, and stays off.
func (c *Cluster) Kill(machineName, service string) error {
	r, err := c.record(machineName)
	if err != nil {
		return err
	}
	if service == wholeMachine {
		ctx, cancel := context.WithTimeout(context.Background(), downTimeout)
		defer cancel()
		return machine.Stop(ctx, r)
	}
	services, err := machine.Services(r)
	if err != nil {
		return err
	}
	for _, s := range services {
		if s.Name == service {
			return unix.Kill(s.PID, unix.SIGKILL)
		}
	}
	return fmt.Errorf("machine %s runs no service %q now", machineName, service)
}
