package registration

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/testing/protocmp"
	registerapi "k8s.io/kubelet/pkg/apis/pluginregistration/v1"

	"github.com/virtplane/virtplane/csi-driver/driver"
)

const stopWithin = 20 * time.Second

// TestRegistration plays the kubelet.
func TestRegistration(t *testing.T) {
	dir, err := os.MkdirTemp("", "reg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "reg.sock")
	listener, err := driver.Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	s := New("/var/lib/kubelet/plugins/x/csi.sock")
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, listener) }()
	conn, err := grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	kubelet := registerapi.NewRegistrationClient(conn)

	info, err := kubelet.GetInfo(t.Context(), &registerapi.InfoRequest{})
	if err != nil {
		t.Fatal(err)
	}
	want := &registerapi.PluginInfo{Type: "CSIPlugin", Name: "kubevirt.io.hostpath-provisioner", Endpoint: "/var/lib/kubelet/plugins/x/csi.sock", SupportedVersions: []string{"1.0.0"}}
	if diff := cmp.Diff(want, info, protocmp.Transform()); diff != "" {
		t.Errorf("info (-want +got):\n%s", diff)
	}
	for _, step := range []struct {
		status *registerapi.RegistrationStatus
		want   string
	}{
		{nil, "the kubelet has not registered the driver yet"},
		{&registerapi.RegistrationStatus{Error: "no such node"}, "the kubelet refused to register the driver: no such node"},
		{&registerapi.RegistrationStatus{PluginRegistered: true}, ""},
	} {
		if step.status != nil {
			if _, err := kubelet.NotifyRegistrationStatus(t.Context(), step.status); err != nil {
				t.Fatal(err)
			}
		}
		got := ""
		if err := s.Ready(); err != nil {
			got = err.Error()
		}
		if got != step.want {
			t.Errorf("ready says %q, want %q", got, step.want)
		}
	}
	_ = conn.Close()
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(stopWithin):
		t.Errorf("waiting for the server to end: it still runs after %s", stopWithin)
	}
}
