package cluster

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/virtplane/virtplane/test/cluster/plan"
	"github.com/virtplane/virtplane/test/image"
)

// upTimeout is for a machine whose cache has the foreign programs, and that is busy with other tests.
const upTimeout = 4 * time.Minute

// local drives a cluster in a folder of its own by the command that users run.
type local struct {
	program, dir string
}

func (l *local) command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, l.program, append([]string{"--dir", l.dir}, args...)...)
}

func (l *local) run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), upTimeout)
	defer cancel()
	out, err := l.command(ctx, args...).CombinedOutput()
	return string(out), err
}

func (l *local) must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := l.run(t, args...)
	if err != nil {
		t.Fatalf("cluster %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (l *local) kubectl(t *testing.T, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	d := plan.Dir(l.dir)
	cmd := exec.CommandContext(ctx, filepath.Join(d.Bin(), "kubectl"), append([]string{"--kubeconfig", d.Kubeconfig()}, args...)...)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (l *local) mustKubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := l.kubectl(t, args...)
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func build(t *testing.T, dir, pkg string) string {
	t.Helper()
	out := filepath.Join(dir, filepath.Base(pkg))
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", out, pkg)
	cmd.Dir = "../../.."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", pkg, err, b)
	}
	return out
}

const probeImage = plan.Registry + "/virtplane/netprobe:devel"

func buildProbe(t *testing.T, dir string) string {
	t.Helper()
	archive := filepath.Join(dir, "netprobe.tar")
	_, err := image.Build(image.Spec{
		Ref:        probeImage,
		Files:      []image.File{{Path: "/usr/bin/netprobe", Mode: 0o755, Source: build(t, dir, "./test/cluster/cmd/netprobe")}},
		Entrypoint: []string{"/usr/bin/netprobe"},
	}, archive)
	if err != nil {
		t.Fatal(err)
	}
	return archive
}

func TestCluster(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to make namespaces")
	}
	tools := t.TempDir()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	l := &local{program: build(t, tools, "./test/cluster/cmd/cluster"), dir: filepath.Join(dir, "c")}
	before := traces(t, l.dir)
	t.Cleanup(func() {
		if t.Failed() {
			showLogs(t, l.dir)
		}
		if out, err := l.run(t, "down"); err != nil {
			t.Errorf("down: %v\n%s", err, out)
		}
	})

	t.Run("down without a cluster", func(t *testing.T) {
		if out := l.must(t, "down"); !strings.Contains(out, "there was none") {
			t.Errorf("down said %q", out)
		}
	})
	t.Run("up killed at any moment leaves nothing after down", func(t *testing.T) {
		for _, step := range []string{"✓ foreign programs", "✓ certificates", "✓ machines", "✓ images in every node", "✓ DNS installed"} {
			l.killUpAfter(t, step)
			l.must(t, "down")
			checkClean(t, before, l.dir)
		}
	})
	if t.Failed() {
		return
	}
	l.killUpAfter(t, "✓ machines")
	if out := l.must(t, "up", "--nodes", "2"); !strings.Contains(out, "removed what an earlier cluster left") {
		t.Errorf("up after a crash did not clean up:\n%s", out)
	}
	t.Run("up again does nothing", func(t *testing.T) {
		if out := l.must(t, "up", "--nodes", "2"); !strings.Contains(out, "up already") {
			t.Errorf("up said %q", out)
		}
		if out, err := l.run(t, "up", "--nodes", "3"); err == nil || !strings.Contains(out, "2 nodes, not 3") {
			t.Errorf("up with another number of nodes: %v\n%s", err, out)
		}
	})
	l.must(t, "load-image", buildProbe(t, tools))
	l.startProbes(t)
	t.Run("network", l.testNetwork)
	t.Run("streams", l.testStreams)
	t.Run("store disk", l.testStoreDisk)
	t.Run("killed services", l.testKilledServices)
	t.Run("dead machine", l.testDeadMachine)
	l.must(t, "down")
	checkClean(t, before, l.dir)
}

// killUpAfter starts up and kills it as soon as it has printed a step.
func (l *local) killUpAfter(t *testing.T, step string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), upTimeout)
	defer cancel()
	cmd := l.command(ctx, "up", "--nodes", "2")
	seen := make(chan struct{})
	out := &watcher{want: step, seen: seen}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-seen:
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-ended
	case err := <-ended:
		t.Fatalf("up ended before it printed %q: %v\n%s", step, err, out.all.String())
	}
}

// watcher closes seen when want has been written.
type watcher struct {
	want string
	seen chan struct{}
	all  bytes.Buffer
}

func (w *watcher) Write(b []byte) (int, error) {
	w.all.Write(b)
	if w.want != "" && strings.Contains(w.all.String(), w.want) {
		w.want = ""
		close(w.seen)
	}
	return len(b), nil
}

// probes are two pods for each node, each with a Service, and with their image as a volume. On the second node
// the image is pulled from the cluster's registry.
const probes = `
apiVersion: v1
kind: Pod
metadata: {name: probe-%[1]d, labels: {probe: "%[1]d"}}
spec:
  nodeName: node-%[1]d
  terminationGracePeriodSeconds: 0
  securityContext: {runAsUser: 1000}
  containers:
  - name: probe
    image: %[2]s
    imagePullPolicy: %[3]s
    args: [serve, ":80"]
    volumeMounts: [{name: image, mountPath: /image}]
  volumes: [{name: image, image: {reference: %[2]q}}]
---
apiVersion: v1
kind: Service
metadata: {name: service-%[1]d}
spec: {selector: {probe: "%[1]d"}, ports: [{port: 8080, targetPort: 80}]}
---
`

func (l *local) startProbes(t *testing.T) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "probes.yaml")
	text := fmt.Sprintf(probes, 1, probeImage, "Never") + fmt.Sprintf(probes, 2, probeImage, "Always")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l.mustKubectl(t, "apply", "--filename", file)
	l.mustKubectl(t, "wait", "--for=condition=Ready", "pod/probe-1", "pod/probe-2", "--timeout=60s")
}

func (l *local) testNetwork(t *testing.T) {
	ip := make(map[int]string)
	for i := 1; i <= 2; i++ {
		ip[i] = l.mustKubectl(t, "get", "pod", fmt.Sprint("probe-", i), "--output=jsonpath={.status.podIP}")
	}
	for from := 1; from <= 2; from++ {
		pod := fmt.Sprint("probe-", from)
		for to := 1; to <= 2; to++ {
			// On the pod's address the peer sees the other pod's own; the way to itself by a Service is hairpin.
			for _, url := range []string{fmt.Sprintf("http://%s", ip[to]), fmt.Sprintf("http://service-%d:8080", to)} {
				got := l.mustKubectl(t, "exec", pod, "--", "netprobe", "get", url)
				if !strings.HasPrefix(got, fmt.Sprint("probe-", to)) {
					t.Errorf("%s of %s answered %q", url, pod, got)
				}
				if from != to && got != fmt.Sprintf("probe-%d to %s", to, ip[from]) {
					t.Errorf("%s of %s: %q, want the pod's own address %s to be seen", url, pod, got, ip[from])
				}
			}
		}
		for name, want := range map[string]string{
			"kubernetes":           plan.KubernetesIP,
			"kube-dns.kube-system": plan.DNSIP,
			"kube-dns.kube-system.svc." + plan.Domain: plan.DNSIP,
			plan.RegistryHost:                         plan.ControlPlaneIP,
		} {
			if got := l.mustKubectl(t, "exec", pod, "--", "netprobe", "lookup", name); got != want {
				t.Errorf("%s in %s = %q, want %s", name, pod, got, want)
			}
		}
		out, err := l.kubectl(t, "exec", pod, "--", "netprobe", "lookup", "www.example.org")
		if err == nil || !strings.Contains(out, "no such host") {
			t.Errorf("a name outside: %q, %v; want to be told at once that there is none", out, err)
		}
	}
	// As kube-apiserver calls an aggregated API server in a pod.
	for i := 1; i <= 2; i++ {
		out := l.must(t, "exec", plan.ControlPlane, "--", "cluster", "wait-for", "tcp:"+ip[i]+":80", "5s")
		if out != "" {
			t.Errorf("control plane to %s: %s", ip[i], out)
		}
	}
}

func (l *local) testStreams(t *testing.T) {
	if got := l.mustKubectl(t, "logs", "probe-2"); got != "probe-2 serves" {
		t.Errorf("logs = %q", got)
	}
	if got := l.mustKubectl(t, "exec", "probe-1", "--", "/image/usr/bin/netprobe", "cat", "/etc/hostname"); got != "probe-1" {
		t.Errorf("program of the image volume printed %q", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	d := plan.Dir(l.dir)
	forward := exec.CommandContext(ctx, filepath.Join(d.Bin(), "kubectl"), "--kubeconfig", d.Kubeconfig(), "port-forward", "pod/probe-2", ":80")
	out, err := forward.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := forward.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); _ = forward.Wait() }()
	line := make([]byte, 200)
	n, err := out.Read(line)
	if err != nil {
		t.Fatalf("port-forward printed nothing: %v", err)
	}
	m := regexp.MustCompile(`127\.0\.0\.1:\d+`).Find(line[:n])
	if m == nil {
		t.Fatalf("port-forward printed %q", line[:n])
	}
	resp, err := http.Get("http://" + string(m))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || !strings.HasPrefix(string(b), "probe-2") {
		t.Errorf("through the forwarded port: %q, %v", b, err)
	}
}

func (l *local) testStoreDisk(t *testing.T) {
	for _, node := range []string{"node-1", "node-2"} {
		out := l.must(t, "exec", node, "--", "sh", "-ec",
			"cd /var/lib/virtplane; stat -f -c %T .; head -c 1048576 /dev/zero > a; cp --reflink=always a b; rm a b")
		if strings.TrimSpace(out) != "xfs" {
			t.Errorf("%s: /var/lib/virtplane is %s", node, out)
		}
	}
}

func (l *local) testKilledServices(t *testing.T) {
	const container = "--output=jsonpath={.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}"
	was := l.mustKubectl(t, "get", "pod", "probe-1", container)
	for _, service := range []string{"containerd", "kubelet", "kube-proxy"} {
		l.must(t, "kill", "node-1", service)
	}
	for _, service := range []string{"kube-apiserver", "etcd", "registry", "proxy"} {
		l.must(t, "kill", plan.ControlPlane, service)
	}
	deadline := time.Now().Add(time.Minute)
	for {
		out, err := l.run(t, "status")
		if err == nil && strings.Count(out, "kubelet(") == 2 && strings.Contains(out, "etcd(") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the cluster is not whole a minute after the kills: %v\n%s", err, out)
		}
		time.Sleep(500 * time.Millisecond)
	}
	// The pod was not touched, and new ones start, with an image that the registry still has.
	if now := l.mustKubectl(t, "get", "pod", "probe-1", container); now != was {
		t.Errorf("container of probe-1 was %s, is %s", was, now)
	}
	l.mustKubectl(t, "run", "later", "--image="+probeImage, "--image-pull-policy=Always",
		`--overrides={"spec":{"nodeName":"node-1","terminationGracePeriodSeconds":0}}`, "--", "serve", ":80")
	l.mustKubectl(t, "wait", "--for=condition=Ready", "pod/later", "--timeout=60s")
	if got := l.mustKubectl(t, "exec", "later", "--", "netprobe", "get", "http://service-2:8080"); !strings.HasPrefix(got, "probe-2") {
		t.Errorf("from a pod started after the kills: %q", got)
	}
}

// testDeadMachine comes last: the cluster is not whole after it.
func (l *local) testDeadMachine(t *testing.T) {
	pid := l.must(t, "exec", "node-2", "--", "sh", "-c", "echo $$")
	if strings.TrimSpace(pid) == "1" {
		t.Fatal("exec became process 1")
	}
	l.must(t, "kill", "node-2", "machine")
	out, err := l.run(t, "status")
	if err == nil || !strings.Contains(out, "machine node-2 has ended") {
		t.Errorf("status after a machine died: %v\n%s", err, out)
	}
}

func showLogs(t *testing.T, dir string) {
	logs, err := filepath.Glob(filepath.Join(dir, "logs", "*", "*.log"))
	if err != nil {
		t.Error(err)
	}
	for _, file := range logs {
		b, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		t.Logf("end of %s:\n%s", file, b[max(0, len(b)-1500):])
	}
}
