package app

import (
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/testutil"

	"github.com/virtplane/virtplane/csi-driver/pool"
)

func TestOptions(t *testing.T) {
	t.Setenv("NODE_NAME", "")
	t.Setenv("POD_NAMESPACE", "")
	for _, tc := range []struct {
		name string
		args []string
		want string
	}{
		{"good", []string{"--node-name=n", "--namespace=ns", "--pool=a=/a", "--pool=b=/b"}, ""},
		{"no node", []string{"--namespace=ns", "--pool=a=/a"}, "--node-name: must be set"},
		{"no pool", []string{"--node-name=n", "--namespace=ns"}, "--pool: must be given at least once, as name=path"},
		{"bad pool", []string{"--node-name=n", "--namespace=ns", "--pool=a"}, `--pool: pool "a": must be name=path`},
		{"no namespace", []string{"--node-name=n", "--pool=a=/a"}, "--namespace: must be set unless --provision=false"},
		{"no provisioner", []string{"--node-name=n", "--pool=a=/a", "--provision=false"}, ""},
		{"open metrics with a certificate", []string{"--node-name=n", "--namespace=ns", "--pool=a=/a", "--open-metrics", "--allow-root-filesystem", "--tls-cert-file=c", "--tls-private-key-file=k"}, ""},
		{"certificate without key", []string{"--node-name=n", "--namespace=ns", "--pool=a=/a", "--tls-cert-file=c"}, "--tls-cert-file and --tls-private-key-file: must be given together"},
		{"key without certificate", []string{"--node-name=n", "--namespace=ns", "--pool=a=/a", "--tls-private-key-file=k"}, "--tls-cert-file and --tls-private-key-file: must be given together"},
		{"interval", []string{"--node-name=n", "--namespace=ns", "--pool=a=/a", "--capacity-interval=1ms"}, "--capacity-interval: 1ms must be at least 1s"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := newOptions()
			cmd := NewCommand()
			cmd.ResetFlags()
			o.addFlags(cmd.Flags())
			if err := cmd.Flags().Parse(tc.args); err != nil {
				t.Fatal(err)
			}
			got := ""
			if err := o.complete(); err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("said %q, want %q", got, tc.want)
			}
			if tc.want == "" && o.endpoint != "/var/lib/kubelet/plugins/kubevirt.io.hostpath-provisioner/csi.sock" {
				t.Errorf("endpoint %q", o.endpoint)
			}
		})
	}
}

// TestFlagsHaveHelp wants a text for each flag.
func TestFlagsHaveHelp(t *testing.T) {
	help := NewCommand().UsageString()
	for _, flag := range []string{"pool", "node-name", "namespace", "overcommit-percent", "kubelet-root-dir", "endpoint", "registration-dir", "serve-address", "provision", "allow-root-filesystem", "metrics-bind-address", "open-metrics", "tls-cert-file", "tls-private-key-file", "kubeconfig", "capacity-interval"} {
		f := NewCommand().Flags().Lookup(flag)
		if f == nil || f.Usage == "" || !strings.Contains(help, "--"+flag) {
			t.Errorf("flag %q: %+v", flag, f)
		}
	}
}

func TestReadyz(t *testing.T) {
	bad := errors.New("the kubelet has not registered the driver yet")
	for _, tc := range []struct {
		err  error
		code int
		want string
	}{
		{nil, 200, "[+] registration\n[+] provisioner\n"},
		{bad, 503, "[-] registration: the kubelet has not registered the driver yet\n[+] provisioner\n"},
	} {
		w := httptest.NewRecorder()
		readyz(w, []check{{"registration", func() error { return tc.err }}, {"provisioner", func() error { return nil }}})
		if w.Code != tc.code || w.Body.String() != tc.want {
			t.Errorf("%d %q, want %d %q", w.Code, w.Body, tc.code, tc.want)
		}
	}
}

func TestMetrics(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(bad, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	path := t.TempDir()
	pools, err := pool.New([]pool.Spec{{Name: "local", Path: path}, {Name: "bad", Path: bad}}, 100)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pools.Close() })
	if _, err := pools.Create(t.Context(), pool.CreateRequest{Name: "a", MinSize: 8192}); err != nil {
		t.Fatal(err)
	}
	inside, err := os.OpenRoot(filepath.Join(path, "volumes/a"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = inside.Close() }()
	if err := inside.MkdirAll(strings.Repeat("d/", 2100), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := pools.Usage(t.Context(), "a"); !errors.Is(err, pool.ErrTooDeep) {
		t.Errorf("usage: %v", err)
	}
	registry := metrics.NewKubeRegistry()
	registry.CustomMustRegister(&poolCollector{pools: pools, osDir: path})
	const want = `
# HELP kubevirt_hpp_pool_path_shared_with_os [ALPHA] 1 if a storage pool lies on the root file system or that of the kubelet's directory.
# TYPE kubevirt_hpp_pool_path_shared_with_os gauge
kubevirt_hpp_pool_path_shared_with_os{pool="local"} 1
# HELP virtplane_hostpath_pool_promised_bytes [ALPHA] Sum of the sizes of all volumes of a storage pool.
# TYPE virtplane_hostpath_pool_promised_bytes gauge
virtplane_hostpath_pool_promised_bytes{pool="local"} 8192
# HELP virtplane_hostpath_pool_unmeasured_volumes [ALPHA] Number of volumes of a storage pool that could not be measured, since they have too many files or too deep directories.
# TYPE virtplane_hostpath_pool_unmeasured_volumes gauge
virtplane_hostpath_pool_unmeasured_volumes{pool="local"} 1
# HELP virtplane_hostpath_pool_usable [ALPHA] 1 if the directory of a storage pool can be used.
# TYPE virtplane_hostpath_pool_usable gauge
virtplane_hostpath_pool_usable{pool="bad"} 0
virtplane_hostpath_pool_usable{pool="local"} 1
# HELP virtplane_hostpath_pool_volumes [ALPHA] Number of volumes of a storage pool.
# TYPE virtplane_hostpath_pool_volumes gauge
virtplane_hostpath_pool_volumes{pool="local"} 1
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "kubevirt_hpp_pool_path_shared_with_os",
		"virtplane_hostpath_pool_promised_bytes", "virtplane_hostpath_pool_unmeasured_volumes", "virtplane_hostpath_pool_usable", "virtplane_hostpath_pool_volumes"); err != nil {
		t.Error(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range families {
		names = append(names, f.GetName())
	}
	if diff := cmp.Diff(7, len(names)); diff != "" {
		t.Errorf("metrics %v", names)
	}
}
