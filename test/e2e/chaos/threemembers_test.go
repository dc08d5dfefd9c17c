package chaos

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/virtplane/virtplane/test/e2e/harness"
	"github.com/virtplane/virtplane/test/spec"
)

const (
	members = 3
	// outage is how long one of three members is away while the others go on. A connection to one that only stands still is
	// given up after 15 s.
	outage, stillFor = 15 * time.Second, 30 * time.Second
)

// TestThreeMembers turns the store of one member into one of three, and takes each of them away: for a while, for good,
// and with its data. It leaves three behind, so it is the last of this package: its file's name says so.
func TestThreeMembers(t *testing.T) {
	s := newSite(t)
	if nodes := s.Nodes(t); len(nodes) < members {
		t.Fatalf("needs a cluster with three nodes, but it has %d: run make test-e2e or make chaos, which bring one up in .cluster-chaos", len(nodes))
	}
	root, err := spec.Root()
	if err != nil {
		t.Fatal(err)
	}
	s.Apply(t, s.ns, harness.Instance{}.VM("steady", "Always"))
	s.WaitVMI(t, s.ns, "steady", "running", harness.BootLimit, harness.Running)
	boot, err := s.bootID(t.Context(), "steady", harness.BootLimit)
	if err != nil {
		t.Fatal(err)
	}
	g := newGuards(s)
	if err := g.protect(t.Context(), "steady"); err != nil {
		t.Fatal(err)
	}
	l := newLedger(s)
	background, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { g.watch(background) })
	wg.Go(func() { l.write(background) })
	defer func() { stop(); wg.Wait() }()

	t.Run("one becomes three", func(t *testing.T) {
		s.Kubectl(t, "", "apply", "-k", filepath.Join(root, "manifests/overlays/local-three"))
		s.Kubectl(t, "", "-n", harness.SystemNamespace, "rollout", "status", "--timeout=4m", "statefulset/virt-store")
		s.Kubectl(t, "", "-n", harness.SystemNamespace, "rollout", "status", "--timeout=4m", "deployment/virt-api")
		nodes := map[string]bool{}
		for i := range members {
			nodes[s.member(t, i).Spec.NodeName] = true
		}
		if len(nodes) != members {
			t.Errorf("the members are on %d nodes: %v", len(nodes), nodes)
		}
	})
	for i := range members {
		t.Run(fmt.Sprintf("member %d stands still", i), func(t *testing.T) {
			pid := s.memberPID(t, i)
			if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			defer unix.Kill(pid, unix.SIGCONT)
			s.goesOn(t, l, stillFor)
		})
		s.wholeAgain(t)
		t.Run(fmt.Sprintf("member %d is killed", i), func(t *testing.T) {
			if err := unix.Kill(s.memberPID(t, i), unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
			s.goesOn(t, l, outage)
		})
		s.wholeAgain(t)
		t.Run(fmt.Sprintf("member %d loses its data", i), func(t *testing.T) {
			(&store{s, s.member(t, i).Spec.NodeName}).lose(t, s.memberPID(t, i))
			s.goesOn(t, l, outage)
		})
		s.wholeAgain(t)
	}
	for _, broken := range g.verdict() {
		t.Error(broken)
	}
	if id, err := s.bootID(t.Context(), "steady", time.Minute); err != nil || id != boot {
		t.Errorf("boot id %q, %v; it was %q", id, err, boot)
	}
	writes, lost, err := l.verdict(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, what := range lost {
		t.Error(what)
	}
	t.Logf("%d confirmed writes, %d lost", writes, len(lost))
}

// member is a member's pod.
func (s *site) member(t *testing.T, i int) *corev1.Pod {
	t.Helper()
	pod, err := s.Kube.CoreV1().Pods(harness.SystemNamespace).Get(t.Context(), fmt.Sprintf("virt-store-%d", i), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return pod
}

// memberPID is a member's process, once it runs.
func (s *site) memberPID(t *testing.T, i int) (pid int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), backLimit)
	defer cancel()
	err := poll(ctx, "the member's process", func() error {
		pids, err := processes(string(s.member(t, i).UID), func(args []string) bool { return filepath.Base(args[0]) == "virt-api" })
		if err == nil && len(pids) != 1 {
			err = fmt.Errorf("virt-store-%d has %d processes virt-api", i, len(pids))
		}
		if err == nil {
			pid = pids[0]
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// lose takes a member's data and kills it.
func (s *store) lose(t *testing.T, pid int) {
	t.Helper()
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	err := s.local.Exec(t.Context(), s.node, []string{"rm", "-rf", memberDir}, nil, nil)
	if killErr := unix.Kill(pid, unix.SIGKILL); err == nil {
		err = killErr
	}
	if err != nil {
		t.Fatal(err)
	}
}

// goesOn wants writes to be confirmed while a member is away.
func (s *site) goesOn(t *testing.T, l *ledger, during time.Duration) {
	t.Helper()
	before := l.confirmed()
	time.Sleep(during)
	if n := l.confirmed() - before; n < 5 {
		t.Errorf("only %d writes were confirmed within %s", n, during)
	}
}

// wholeAgain waits for all members.
func (s *site) wholeAgain(t *testing.T) {
	t.Helper()
	if err := s.waitWhole(t.Context(), backLimit); err != nil {
		t.Fatal(err)
	}
	s.Kubectl(t, "", "-n", harness.SystemNamespace, "rollout", "status", "--timeout=4m", "statefulset/virt-store")
}
