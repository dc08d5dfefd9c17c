package leader

import (
	"context"
	"errors"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

func TestRun(t *testing.T) {
	client := fake.NewClientset()
	runs := make(chan string, 100)
	chore := func(who string) []Chore {
		n := 0
		return []Chore{{Name: "x", Every: time.Millisecond, Retry: time.Millisecond, Do: func(context.Context) error {
			if n++; n == 1 {
				return errors.New("the first time fails")
			}
			select {
			case runs <- who:
			default:
			}
			return nil
		}}}
	}
	first, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Run(first, client, "kubevirt", "virt-api", chore("first")) }()
	if got := <-runs; got != "first" {
		t.Fatalf("%s did a chore", got)
	}
	second, stopSecond := context.WithCancel(t.Context())
	defer stopSecond()
	go func() { _ = Run(second, client, "kubevirt", "virt-api", chore("second")) }()

	// The Lease is given back, so that the next leader need not wait until it ends.
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	lease, err := client.CoordinationV1().Leases("kubevirt").Get(t.Context(), "virt-api", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if h := lease.Spec.HolderIdentity; h != nil && *h != "" && *lease.Spec.LeaseTransitions == 0 {
		t.Errorf("the Lease is still held by %s", *h)
	}
	deadline := time.After(30 * time.Second)
	for {
		select {
		case got := <-runs:
			if got == "second" {
				return
			}
		case <-deadline:
			t.Fatal("the second never became the leader")
		}
	}
}
