package app

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/virtplane/virtplane/launcher/api"
	"github.com/virtplane/virtplane/pkg/machine"
	"github.com/virtplane/virtplane/test/spec"
)

// prober is a launcher whose guest answers as the test says.
type prober struct {
	api.UnimplementedLauncherServer
	answer *api.ProbeResponse
	err    error
	hangs  bool
	asked  chan []string
}

func (p *prober) Probe(ctx context.Context, r *api.ProbeRequest) (*api.ProbeResponse, error) {
	p.asked <- r.GetCommand()
	if p.hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return p.answer, p.err
}

// TestProbe runs the program of exec probes against a launcher: by its exit code the kubelet takes the pod for ready or not.
func TestProbe(t *testing.T) {
	spec.Covers(t, "P4-PROBE-20")
	for _, tc := range []struct {
		name     string
		launcher prober
		args     []string
		command  []string
		code     int
		out, err string
	}{
		{"the agent answers", prober{answer: &api.ProbeResponse{}}, nil, nil, 0, "", ""},
		{"no agent", prober{err: status.Error(codes.FailedPrecondition, "the guest agent does not answer")}, nil, nil, 1, "", "asking the guest: the guest agent does not answer"},
		{"an agent that is too slow", prober{hangs: true}, []string{"--timeout=50ms"}, nil, 1, "", "asking the guest: "},
		{"a command that succeeds", prober{answer: &api.ProbeResponse{Output: []byte("up 3 days\n")}}, []string{"--", "uptime", "-p"}, []string{"uptime", "-p"}, 0, "up 3 days\n", ""},
		{"a command that fails", prober{answer: &api.ProbeResponse{ExitCode: 3, Output: []byte("no such file\n")}}, []string{"--", "cat", "/tmp/healthy"}, []string{"cat", "/tmp/healthy"}, 3, "no such file\n", ""},
		{"a guest that cannot be asked", prober{answer: &api.ProbeResponse{Excused: "the guest is paused"}}, nil, nil, 0, "not asked: the guest is paused\n", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "probe") // a socket's path may have 107 bytes, which t.TempDir can exceed
			if err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(dir)
			listener, err := api.Listen(filepath.Join(dir, machine.LauncherSocket), os.Getuid())
			if err != nil {
				t.Fatal(err)
			}
			tc.launcher.asked = make(chan []string, 1)
			server := api.NewServer()
			api.RegisterLauncherServer(server, &tc.launcher)
			ended := make(chan error, 1)
			go func() { ended <- server.Serve(listener) }()
			var out, stderr bytes.Buffer
			args := append([]string{"--run-dir=" + dir, "--timeout=10s"}, tc.args...)
			if code := runProbe(args, &out, &stderr); code != tc.code {
				t.Errorf("exit code %d, want %d", code, tc.code)
			}
			server.Stop()
			if err := <-ended; err != nil {
				t.Errorf("server: %v", err)
			}
			if out.String() != tc.out || !strings.Contains(stderr.String(), tc.err) || (tc.err == "") != (stderr.Len() == 0) {
				t.Errorf("printed %q and %q, want %q and %q", out.String(), stderr.String(), tc.out, tc.err)
			}
			if tc.launcher.hangs {
				return // whether it was asked in this time is the machine's matter
			}
			if diff := cmp.Diff(tc.command, <-tc.launcher.asked); diff != "" {
				t.Errorf("asked for (-want +got):\n%s", diff)
			}
		})
	}
}

// TestProbeWithoutALauncher fails in its time: a pod whose launcher is away is not healthy.
func TestProbeWithoutALauncher(t *testing.T) {
	for args, code := range map[string]int{"--timeout=100ms": 1, "--timeout=0s": 1, "--patience=1s": 2} {
		var out, stderr bytes.Buffer
		if got := runProbe([]string{"--run-dir=" + t.TempDir(), args}, &out, &stderr); got != code {
			t.Errorf("%s: exit code %d, want %d; it says %q", args, got, code, stderr.String())
		}
		if out.Len() > 0 || stderr.Len() == 0 {
			t.Errorf("%s: printed %q and %q", args, out.String(), stderr.String())
		}
	}
}
