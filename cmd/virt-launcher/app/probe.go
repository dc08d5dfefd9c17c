package app

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"time"

	"google.golang.org/grpc/status"

	"github.com/virtplane/virtplane/launcher/api"
	"github.com/virtplane/virtplane/pkg/machine"
)

// runProbe is what the kubelet runs as the exec probe of the pod. It has the launcher ask the guest agent, and ends with the
// exit code of the guest's command.
func runProbe(args []string, stdout, stderr io.Writer) int {
	set := flag.NewFlagSet("virt-launcher probe", flag.ContinueOnError)
	set.SetOutput(stderr)
	dir := set.String("run-dir", machine.SocketsDir, "folder of the launcher's socket")
	timeout := set.Duration("timeout", time.Second, "how long the guest may take to answer")
	if code, done := parse(set, args); done {
		return code
	}
	if *timeout <= 0 {
		return fail(stderr, fmt.Errorf("--timeout=%s must be longer than 0", *timeout))
	}
	client, conn, err := api.NewClient(func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", filepath.Join(*dir, machine.LauncherSocket))
	})
	if err != nil {
		return fail(stderr, err)
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()
	answer, err := client.Probe(ctx, &api.ProbeRequest{Command: set.Args()})
	if err != nil {
		return fail(stderr, fmt.Errorf("asking the guest: %s", status.Convert(err).Message()))
	}
	if why := answer.GetExcused(); why != "" {
		fmt.Fprintln(stdout, "not asked: "+why)
	}
	_, _ = stdout.Write(answer.GetOutput())
	return int(answer.GetExitCode())
}
