package chaos

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/e2e/harness"
)

const (
	member = "virt-store-0"
	// memberDir is what a member writes, as its node sees it; beside it is room for what the test puts aside.
	storeDir  = "/var/lib/virtplane/store"
	memberDir = storeDir + "/member-data"
	// refusedFor is how long the wrong store is watched being refused: Kubernetes' garbage collector, once its watch is
	// broken, lists the owners of pods anew with a back-off of up to half a minute.
	refusedFor = 45 * time.Second
	serveLimit = 2 * time.Minute
)

// store is the one member of the local cluster's store.
type store struct {
	*site
	node string
}

func (s *site) store(t *testing.T) *store {
	t.Helper()
	pod, err := s.Kube.CoreV1().Pods(harness.SystemNamespace).Get(t.Context(), member, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return &store{s, pod.Spec.NodeName}
}

// pid is the member's process.
func (s *store) pid(ctx context.Context) (int, error) {
	pod, err := s.Kube.CoreV1().Pods(harness.SystemNamespace).Get(ctx, member, metav1.GetOptions{})
	if err != nil {
		return 0, err
	}
	pids, err := processes(string(pod.UID), func(args []string) bool { return filepath.Base(args[0]) == "virt-api" })
	if err == nil && len(pids) != 1 {
		err = fmt.Errorf("pod %s has %d processes virt-api", member, len(pids))
	}
	if err != nil {
		return 0, err
	}
	return pids[0], nil
}

// frozen runs a shell command on the member's node while the member stands still, and kills the member after it if told.
func (s *store) frozen(t *testing.T, kill bool, script string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), backLimit)
	defer cancel()
	var pid int
	if err := poll(ctx, "the store's member to run", func() (err error) { pid, err = s.pid(ctx); return err }); err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	then := unix.SIGCONT
	if kill {
		then = unix.SIGKILL
	}
	var out bytes.Buffer
	err := s.local.Exec(ctx, s.node, []string{"sh", "-ec", script}, nil, &out)
	if killErr := unix.Kill(pid, then); err == nil {
		err = killErr
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out.String())
	}
}

// command runs virt-api store in the member's pod.
func (s *store) command(t *testing.T, stdin []byte, args ...string) (stdout []byte, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "kubectl", append([]string{"-n", harness.SystemNamespace, "exec", "-i", member, "-c", "virt-store", "--", "virt-api", "store"}, args...)...)
	cmd.Stdin = bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err = cmd.Output()
	if err != nil {
		err = fmt.Errorf("store %s: %w: %s%s", strings.Join(args, " "), err, stdout, stderr.Bytes())
	}
	return stdout, err
}

// waitMember waits until the member answers its probes, whatever it holds.
func (s *store) waitMember(t *testing.T) {
	t.Helper()
	s.Kubectl(t, "", "-n", harness.SystemNamespace, "wait", "--for=condition=Ready", "--timeout=110s", "pod/"+member)
}

// refused watches the API refuse to answer: no object may be said to be gone, from the first moment on.
func (s *store) refused(t *testing.T, names []string, during time.Duration) {
	t.Helper()
	machines := fmt.Sprintf("/apis/kubevirt.io/v1/namespaces/%s/virtualmachines", s.ns)
	instances := fmt.Sprintf("/apis/kubevirt.io/v1/namespaces/%s/virtualmachineinstances", s.ns)
	paths := []string{instances}
	for _, name := range names {
		paths = append(paths, machines+"/"+name, instances+"/"+name)
	}
	began, asked, refusals := time.Now(), 0, 0
	for time.Since(began) < during {
		for _, path := range paths {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			resp, err := s.Wire.Do(ctx, http.MethodGet, path, "")
			cancel()
			asked++
			switch {
			case err != nil:
			case resp.Code == http.StatusServiceUnavailable:
				refusals++
			case resp.Code == http.StatusNotFound:
				t.Fatalf("GET %s after %s: code 404: %s", path, time.Since(began), resp.Body)
			case resp.Code == http.StatusOK && time.Since(began) > 20*time.Second:
				t.Fatalf("GET %s after %s is answered from a store that nobody adopted: %s", path, time.Since(began), resp.Body)
			case resp.Code == http.StatusOK: // the right objects, as long as the loss is not known
				for _, name := range names {
					if path == instances && !bytes.Contains(resp.Body, []byte(`"name":"`+name+`"`)) {
						t.Fatalf("the list of instances after %s lacks %s: %s", time.Since(began), name, resp.Body)
					}
				}
			}
		}
		time.Sleep(500 * time.Millisecond)
	}
	if refusals < asked/2 {
		t.Errorf("only %d of %d requests were answered with 503", refusals, asked)
	}
}

// served waits until the API serves the store again.
func (s *store) served(t *testing.T, names []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), serveLimit)
	defer cancel()
	err := poll(ctx, "the store to be served", func() error {
		for _, name := range names {
			if _, err := s.Virt.KubevirtV1().VirtualMachineInstances(s.ns).Get(ctx, name, metav1.GetOptions{}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestStoreReplaced takes the store away under running guests, in three ways.
func TestStoreReplaced(t *testing.T) {
	s := newSite(t).store(t)
	g := newGuards(s.site)
	boots := map[string]string{}
	var names []string
	for _, node := range s.Nodes(t) {
		name := "guest-" + node
		s.Apply(t, s.ns, harness.Instance{NodeName: node}.VM(name, "Always"))
		names = append(names, name)
	}
	for _, name := range names {
		s.WaitVMI(t, s.ns, name, "running", harness.BootLimit, harness.Running)
		id, err := s.bootID(t.Context(), name, harness.BootLimit)
		if err != nil {
			t.Fatal(err)
		}
		boots[name] = id
		if err := g.protect(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	// alive wants the same guests, with nobody having asked for their end.
	alive := func(t *testing.T) {
		t.Helper()
		for _, broken := range g.verdict() {
			t.Error(broken)
		}
		for _, name := range names {
			pods, err := s.Kube.CoreV1().Pods(s.ns).List(t.Context(), metav1.ListOptions{LabelSelector: virtv1.VirtualMachineNameLabel + "=" + name})
			if err != nil || len(pods.Items) != 1 || pods.Items[0].DeletionTimestamp != nil {
				t.Errorf("guest %s has %d pods, or its pod is being deleted (%v)", name, len(pods.Items), err)
			}
		}
	}
	// well wants them reachable, too, and the system able to start and stop others.
	well := func(t *testing.T, name string) {
		t.Helper()
		alive(t)
		for _, guest := range names {
			id, err := s.bootID(t.Context(), guest, 2*time.Minute)
			if err != nil || id != boots[guest] {
				t.Errorf("guest %s: boot id %q, %v; it was %q", guest, id, err, boots[guest])
			}
		}
		s.Apply(t, s.ns, harness.Instance{}.VM(name, "Always"))
		s.WaitVMI(t, s.ns, name, "running", harness.BootLimit, harness.Running)
		s.Kubectl(t, "", "-n", s.ns, "delete", "vm", name, "--timeout=90s")
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.Dump(s.ns))
		}
	})

	t.Run("empty", func(t *testing.T) {
		s.frozen(t, true, fmt.Sprintf("rm -rf %[1]s/test-aside; mv %[2]s %[1]s/test-aside", storeDir, memberDir))
		back := false
		restore := func() {
			if !back {
				back = true
				s.frozen(t, true, fmt.Sprintf("rm -rf %[2]s; mv %[1]s/test-aside %[2]s", storeDir, memberDir))
			}
		}
		defer restore()
		s.refused(t, names, refusedFor)
		alive(t)
		s.waitMember(t)
		out, err := s.command(t, nil, "adopt")
		if err == nil {
			t.Fatalf("an empty store was adopted under running machines: %s", out)
		}
		for _, name := range names {
			if !strings.Contains(err.Error(), s.ns+"/"+name) {
				t.Errorf("the refusal does not name machine %s: %v", name, err)
			}
		}
		restore()
		s.served(t, names)
		well(t, "after-empty")
	})
	t.Run("older", func(t *testing.T) {
		s.frozen(t, false, fmt.Sprintf("rm -rf %[1]s/test-older; cp -a %[2]s %[1]s/test-older", storeDir, memberDir))
		for _, name := range names { // what happens after that is lost
			patch := []byte(`{"metadata":{"annotations":{"virtplane.test/late":"true"}}}`)
			if _, err := s.Virt.KubevirtV1().VirtualMachines(s.ns).Patch(t.Context(), name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(5 * time.Second) // how far the store has come is recorded every two seconds
		s.frozen(t, true, fmt.Sprintf("rm -rf %[2]s; mv %[1]s/test-older %[2]s", storeDir, memberDir))
		s.refused(t, names, refusedFor)
		alive(t)
		s.waitMember(t)
		if out, err := s.command(t, nil, "adopt"); err != nil {
			t.Fatal(err)
		} else if !strings.Contains(string(out), "adopted store") {
			t.Errorf("adopt says %q", out)
		}
		s.served(t, names)
		for _, name := range names {
			vm, err := s.Virt.KubevirtV1().VirtualMachines(s.ns).Get(t.Context(), name, metav1.GetOptions{})
			if err != nil || vm.Annotations["virtplane.test/late"] != "" {
				t.Errorf("machine %s is not the older one: %v", name, err)
			}
		}
		well(t, "after-older")
	})
	t.Run("restored from a snapshot", func(t *testing.T) {
		snapshot, err := s.command(t, nil, "snapshot", "-")
		if err != nil {
			t.Fatal(err)
		}
		s.frozen(t, true, "rm -rf "+memberDir)
		s.refused(t, names, refusedFor/4) // an empty store again
		alive(t)
		s.waitMember(t)
		if _, err := s.command(t, snapshot, "restore", "-"); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), serveLimit)
		defer cancel()
		err = poll(ctx, "the restored store to be adopted", func() error { // the member takes it over first
			_, err := s.command(t, nil, "adopt")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		s.served(t, names)
		well(t, "after-snapshot")
	})
}
