package app

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/clock"

	"github.com/virtplane/virtplane/device-plugin/kvmprobe"
	"github.com/virtplane/virtplane/pkg/node/certs"
	"github.com/virtplane/virtplane/pkg/node/nodestatus"
)

const waitFor = 20 * time.Second

func TestValidate(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Options)
		want   string
	}{
		{"good", func(*Options) {}, ""},
		{"no node", func(o *Options) { o.Node = "" }, "--node-name must be set: the name of the node that this is"},
		{"no namespace", func(o *Options) { o.Namespace = "" }, "--namespace must be set: the namespace that Virtplane is installed in"},
		{"no workers", func(o *Options) { o.Workers = 0 }, "--workers must be at least 1, not 0"},
		{"negative devices", func(o *Options) { o.VirtualDevices = -1 }, "--virtual-devices must not be negative, as -1 is"},
		{"no launcher timeout", func(o *Options) { o.LauncherTimeout = 0 }, "--launcher-timeout must be more than 0, not 0s"},
		{"no start timeout", func(o *Options) { o.StartTimeout = 0 }, "--start-timeout must be more than 0, not 0s"},
		{"no probe deadline", func(o *Options) { o.ProbeDeadline = 0 }, "--kvm-probe-deadline must be more than 0, not 0s"},
		{"bad size", func(o *Options) { o.ImageSizeLimit = "much" }, `--image-size-limit must be a size like 1Ti, not "much"`},
		{"no size", func(o *Options) { o.ImageSizeLimit = "0" }, `--image-size-limit must be a size like 1Ti, not "0"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := NewOptions()
			o.Node, o.Namespace = "node1", "kubevirt"
			tc.change(o)
			got := ""
			if err := o.Validate(); err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	t.Setenv("NODE_NAME", "node1")
	t.Setenv("POD_NAMESPACE", "kubevirt")
	o := NewOptions()
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	if o.imageSizeLimit != 1<<40 || o.ListenAddress != ":8186" || o.VirtualDevices != 1000 {
		t.Errorf("got %+v", o)
	}
}

// TestProbeSubcommand is what the program is asked by itself.
func TestProbeSubcommand(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout := os.Stdout
	os.Stdout = write
	cmd := NewCommand(t.Context())
	cmd.SetArgs([]string{kvmprobe.Subcommand, filepath.Join(t.TempDir(), "kvm")})
	err = cmd.Execute()
	os.Stdout = stdout
	_ = write.Close()
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(read)
	if err != nil {
		t.Fatal(err)
	}
	var report struct{ Error string }
	if err := json.Unmarshal(out, &report); err != nil || !strings.Contains(report.Error, "opening the device") {
		t.Errorf("reported %q, %v", out, err)
	}
	var help bytes.Buffer
	cmd = NewCommand(t.Context())
	cmd.SetOut(&help)
	cmd.SetArgs([]string{"--help"})
	if err := cmd.Execute(); err != nil || strings.Contains(help.String(), kvmprobe.Subcommand) {
		t.Errorf("the subcommand is not hidden: %v\n%s", err, help.String())
	}
}

func TestJudge(t *testing.T) {
	client := fake.NewClientset(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node1"}})
	o := NewOptions()
	o.DevRoot = t.TempDir()
	j := &judge{options: o, own: nodestatus.New(client, "node1", clock.RealClock{}), found: func(bool) {}}
	if err := j.judge(t.Context(), "devices.kubevirt.io/tun", nil); err != nil {
		t.Errorf("tun: %v", err)
	}
	if err := j.judge(t.Context(), "devices.kubevirt.io/sev", nil); err == nil {
		t.Error("SEV is offered")
	}
	missing := errors.New("looking at /dev/kvm: no such file or directory")
	if err := j.judge(t.Context(), "devices.kubevirt.io/kvm", missing); err == nil || err.Error() != "DeviceMissing: looking at /dev/kvm: no such file or directory" {
		t.Errorf("kvm: %v", err)
	}
	for end := time.Now().Add(waitFor); ; time.Sleep(5 * time.Millisecond) {
		node, err := client.CoreV1().Nodes().Get(t.Context(), "node1", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if len(node.Status.Conditions) == 1 {
			if c := node.Status.Conditions[0]; c.Type != "KVMUsable" || c.Status != "False" || c.Reason != "DeviceMissing" {
				t.Errorf("condition %+v", c)
			}
			return
		}
		if time.Now().After(end) {
			t.Fatal("waiting for the node's condition")
		}
	}
}

// TestTrustedDevice is not measured: the one that is named here could not be.
func TestTrustedDevice(t *testing.T) {
	client := fake.NewClientset(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node1"}})
	o := NewOptions()
	o.DevRoot, o.TrustKVM = t.TempDir(), true
	var found []bool
	j := &judge{options: o, own: nodestatus.New(client, "node1", clock.RealClock{}), found: func(usable bool) { found = append(found, usable) }}
	if err := j.judge(t.Context(), "devices.kubevirt.io/kvm", nil); err != nil {
		t.Errorf("a trusted device: %v", err)
	}
	if err := j.judge(t.Context(), "devices.kubevirt.io/kvm", errors.New("it is gone")); fmt.Sprint(err) != "DeviceMissing: it is gone" {
		t.Errorf("one that is not there: %v", err)
	}
	if !slices.Equal(found, []bool{true, false}) {
		t.Errorf("the labels were told %v", found)
	}
}

func TestAnswerReady(t *testing.T) {
	for _, tc := range []struct {
		name string
		err  error
		code int
		body string
	}{
		{"ready", nil, 200, "certificate: ok\ninstances: ok\n"},
		{"not ready", errors.New("there is none"), 503, "certificate: there is none\ninstances: ok\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			answerReady(w, map[string]func() error{"instances": func() error { return nil }, "certificate": func() error { return tc.err }})
			if w.Code != tc.code || w.Body.String() != tc.body {
				t.Errorf("%d %q", w.Code, w.Body)
			}
		})
	}
}

// TestHealthWithoutCertificate is an agent that is asked by its kubelet while virt-api is away.
func TestHealthWithoutCertificate(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- serveMetrics(ctx, listener, certs.New("node1", nil, clock.RealClock{}), func() string { return "12" }, protection(NewOptions(), fake.NewClientset()), map[string]func() error{"certificate": func() error { return errors.New("none") }})
	}()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}, Timeout: waitFor} //nolint:gosec // as kubelets do
	for path, want := range map[string]int{"/livez": 200, "/healthz": 200, "/readyz": 503, "/metrics": 401} {
		response, err := client.Get("https://" + address + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if got := string(body); path == "/healthz" && got != `{"apiserver":{"connectivity":"ok"},"config-resource-version":"12"}` {
			t.Errorf("%s: %s", path, got)
		}
		if response.StatusCode != want {
			t.Errorf("%s: %d", path, response.StatusCode)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
