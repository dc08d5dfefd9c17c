package chaos

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

const (
	// ledgerPause and ledgerMost keep what is written from being a load of its own.
	ledgerPause = 300 * time.Millisecond
	ledgerMost  = 1000
	// ledgerMark labels the machines of the ledger, and is the annotation with the count of writes.
	ledgerMark = "virtplane.test/ledger"
)

// ledger writes objects all the time and remembers what the API has confirmed.
type ledger struct {
	s *site

	mu sync.Mutex
	// uids of created machines by name, counts the last confirmed number written to each.
	uids   map[string]types.UID
	counts map[string]int
	writes int
}

func newLedger(s *site) *ledger {
	return &ledger{s: s, uids: map[string]types.UID{}, counts: map[string]int{}}
}

// write goes on until ctx ends. A write that fails, or whose answer is lost, counts for nothing.
func (l *ledger) write(ctx context.Context) {
	api := l.s.Virt.KubevirtV1().VirtualMachines(l.s.ns)
	for n := 1; ctx.Err() == nil; n++ {
		once, cancel := context.WithTimeout(ctx, 10*time.Second)
		name := fmt.Sprintf("ledger-%04d", n)
		if n <= ledgerMost {
			vm := &virtv1.VirtualMachine{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{ledgerMark: ""}},
				Spec: virtv1.VirtualMachineSpec{RunStrategy: virtv1.RunStrategyHalted, Template: &virtv1.VirtualMachineInstanceTemplateSpec{}}}
			vm.Spec.Template.Spec.Domain.Memory = &virtv1.Memory{Guest: ptr.To(resource.MustParse("64Mi"))}
			if got, err := api.Create(once, vm, metav1.CreateOptions{}); err == nil {
				l.note(func() { l.uids[name] = got.UID })
			}
		}
		// An earlier one is changed, too.
		earlier := fmt.Sprintf("ledger-%04d", 1+n%min(n, ledgerMost))
		patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:"%d"}}}`, ledgerMark, n)
		if _, err := api.Patch(once, earlier, types.MergePatchType, patch, metav1.PatchOptions{}); err == nil {
			l.note(func() { l.counts[earlier] = n })
		}
		cancel()
		select {
		case <-ctx.Done():
		case <-time.After(ledgerPause):
		}
	}
}

func (l *ledger) note(what func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	what()
	l.writes++
}

// verdict compares what is there with what was confirmed.
func (l *ledger) verdict(ctx context.Context) (writes int, lost []string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	list, err := l.s.Virt.KubevirtV1().VirtualMachines(l.s.ns).List(ctx, metav1.ListOptions{LabelSelector: ledgerMark})
	if err != nil {
		return 0, nil, err
	}
	there := map[string]*virtv1.VirtualMachine{}
	for i := range list.Items {
		there[list.Items[i].Name] = &list.Items[i]
	}
	for name, uid := range l.uids {
		if vm := there[name]; vm == nil {
			lost = append(lost, fmt.Sprintf("machine %s was confirmed and is gone", name))
		} else if vm.UID != uid {
			lost = append(lost, fmt.Sprintf("machine %s is another one than was confirmed", name))
		}
	}
	for name, count := range l.counts {
		vm := there[name]
		if vm == nil {
			lost = append(lost, fmt.Sprintf("machine %s was changed and is gone", name))
			continue
		}
		// A later write may have got through with its answer lost.
		if got, err := strconv.Atoi(vm.Annotations[ledgerMark]); err != nil || got < count {
			lost = append(lost, fmt.Sprintf("machine %s: write %d was confirmed, it has %q", name, count, vm.Annotations[ledgerMark]))
		}
	}
	return l.writes, lost, nil
}

// confirmed is how many writes were confirmed so far.
func (l *ledger) confirmed() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.writes
}
