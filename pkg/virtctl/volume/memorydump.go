package volume

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/virtctl/command"
)

const (
	// dumpOverhead is what a dump holds besides the memory of the guest.
	dumpOverhead = 100 << 20
	// defaultOverhead is the part of a claim that its file system takes, where the cluster does not say.
	defaultOverhead = 0.055
	// dumpCompleted and dumpFailed are the phases that a dump ends in.
	dumpCompleted = virtv1.MemoryDumpPhase("Completed")
	dumpFailed    = virtv1.MemoryDumpPhase("Failed")
	// dumpPoll is how often --wait looks.
	dumpPoll = 2 * time.Second
)

type memoryDump struct {
	env           *command.Environment
	claim, class  string
	mode          string
	create, waits bool
	timeout       time.Duration
}

func newMemoryDump(e *command.Environment) *cobra.Command {
	cmd := &cobra.Command{
		Use: "memory-dump", Short: "Dump the memory of a running machine to a claim", Args: command.Args(cobra.NoArgs),
		Long: "Dumps the memory of a running machine to a claim, for analysis. The machine keeps the claim until memory-dump remove; a further dump overwrites the last.",
	}
	cmd.AddCommand(command.NotYet(newDumpGet(e), "virtualmachines/memorydump"), command.NotYet(newDumpRemove(e), "virtualmachines/removememorydump"))
	return cmd
}

func newDumpGet(e *command.Environment) *cobra.Command {
	d := &memoryDump{env: e}
	cmd := &cobra.Command{
		Use: "get VM", Short: "Dump the memory", Args: command.Args(cobra.ExactArgs(1)), ValidArgsFunction: e.CompleteInstances,
		Example: e.Example(`
  # Into a claim that exists
  {{program}} memory-dump get web --claim-name dump

  # Into a new claim that is large enough, and wait until it is done
  {{program}} memory-dump get web --claim-name dump --create-claim --wait

  # Again, over the last one
  {{program}} memory-dump get web`),
		RunE: func(cmd *cobra.Command, args []string) error { return d.get(cmd.Context(), args[0]) },
	}
	f := cmd.Flags()
	f.StringVar(&d.claim, "claim-name", "", "claim for the dump; that of the last dump if empty")
	f.BoolVar(&d.create, "create-claim", false, "make the claim, large enough")
	f.StringVar(&d.class, "storage-class", "", "storage class of the new claim; the cluster's default if empty")
	f.StringVar(&d.mode, "access-mode", "", "ReadWriteOnce (the default) or ReadWriteMany of the new claim")
	f.BoolVar(&d.waits, "wait", false, "wait until the dump is complete")
	f.DurationVar(&d.timeout, "timeout", 10*time.Minute, "how long --wait waits")
	completeClaims(e, cmd, "claim-name")
	return cmd
}

func newDumpRemove(e *command.Environment) *cobra.Command {
	return &cobra.Command{
		Use: "remove VM", Short: "Take the claim with the dump off the machine; the claim stays", Args: command.Args(cobra.ExactArgs(1)), ValidArgsFunction: e.CompleteMachines,
		Example: e.Example(`
  # So that the next dump can go elsewhere
  {{program}} memory-dump remove web`),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := e.Connect()
			if err != nil {
				return err
			}
			if _, err := c.Put(cmd.Context(), command.Object(c.Namespace, command.Machines, args[0], "removememorydump"), nil); err != nil {
				return fmt.Errorf("removing the memory dump of %s: %w", args[0], err)
			}
			fmt.Fprintf(e.Out, "Successfully submitted remove memory dump association of VM %s\n", args[0])
			return nil
		},
	}
}

func (d *memoryDump) get(ctx context.Context, name string) error {
	switch {
	case d.create && d.claim == "":
		return command.Usagef("--create-claim needs --claim-name")
	case !d.create && (d.class != "" || d.mode != ""):
		return command.Usagef("--storage-class and --access-mode need --create-claim")
	case d.mode != "" && d.mode != string(corev1.ReadWriteOnce) && d.mode != string(corev1.ReadWriteMany):
		return command.Usagef("--access-mode must be ReadWriteOnce or ReadWriteMany, not %q", d.mode)
	}
	c, err := d.env.Connect()
	if err != nil {
		return err
	}
	if err := c.Serves(ctx, command.Machines, "memorydump"); err != nil {
		return err // before a claim is made, which would stay
	}
	var made *corev1.PersistentVolumeClaim
	if d.create {
		if made, err = d.makeClaim(ctx, c, name); err != nil {
			return err
		}
	} else if d.claim != "" {
		if err := d.checkClaim(ctx, c, name); err != nil {
			return err
		}
	}
	asked := metav1.Now()
	if _, err := c.Put(ctx, command.Object(c.Namespace, command.Machines, name, "memorydump"), &virtv1.VirtualMachineMemoryDumpRequest{ClaimName: d.claim}); err != nil {
		err = fmt.Errorf("dumping the memory of %s: %w", name, err)
		if made != nil {
			err = errors.Join(err, d.takeBack(ctx, c, made, err))
		}
		return err
	}
	fmt.Fprintf(d.env.Out, "Successfully submitted memory dump request of VM %s\n", name)
	if d.waits {
		return d.wait(ctx, c, name, asked.Add(-2*time.Second))
	}
	return nil
}

// needed is the size of a claim for a dump of the machine: its memory and 100 MiB, in a file system that takes its part.
func needed(vmi *virtv1.VirtualMachineInstance, overhead float64) resource.Quantity {
	var memory int64
	domain := &vmi.Spec.Domain
	switch {
	case vmi.Status.Memory != nil && vmi.Status.Memory.GuestCurrent != nil:
		memory = vmi.Status.Memory.GuestCurrent.Value()
	case domain.Memory != nil && domain.Memory.Guest != nil:
		memory = domain.Memory.Guest.Value()
	default:
		memory = domain.Resources.Requests.Memory().Value()
	}
	const mebibyte = 1 << 20
	total := math.Ceil(float64(memory+dumpOverhead) / (1 - overhead) / mebibyte)
	return *resource.NewQuantity(int64(total)*mebibyte, resource.BinarySI)
}

// overhead is the part that file systems take of a storage class, as the cluster says it.
func (d *memoryDump) overhead(ctx context.Context, c *command.Cluster) (float64, error) {
	var config struct {
		Status struct {
			FilesystemOverhead struct {
				Global       string            `json:"global"`
				StorageClass map[string]string `json:"storageClass"`
			} `json:"filesystemOverhead"`
		} `json:"status"`
	}
	err := c.GetInto(ctx, "/apis/cdi.kubevirt.io/v1beta1/cdiconfigs/config", &config)
	switch {
	case command.Code(err) == http.StatusNotFound, command.Code(err) == http.StatusForbidden:
		return defaultOverhead, nil
	case err != nil:
		return 0, fmt.Errorf("reading what file systems take: %w", err)
	}
	text := config.Status.FilesystemOverhead.Global
	if own, ok := config.Status.FilesystemOverhead.StorageClass[d.class]; ok && d.class != "" {
		text = own
	}
	part, err := strconv.ParseFloat(text, 64)
	if err != nil || part < 0 || part >= 1 {
		return defaultOverhead, nil
	}
	return part, nil
}

func (d *memoryDump) size(ctx context.Context, c *command.Cluster, name string) (resource.Quantity, error) {
	vmi, err := c.Virt.KubevirtV1().VirtualMachineInstances(c.Namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		target := command.Target{Kind: command.KindVMI, Name: name, Namespace: c.Namespace}
		return resource.Quantity{}, fmt.Errorf("reading instance %s: %w", name, c.Explain(ctx, target, err))
	}
	part, err := d.overhead(ctx, c)
	if err != nil {
		return resource.Quantity{}, err
	}
	return needed(vmi, part), nil
}

// takeBackTime bounds the deletion of a claim whose dump was refused.
const takeBackTime = 15 * time.Second

// takeBack deletes a claim that was made for a dump which the server has refused: it would stay, and stand in the way of the next
// try. Where it is not known whether the dump was begun, the claim stays, and the user is told.
func (d *memoryDump) takeBack(ctx context.Context, c *command.Cluster, made *corev1.PersistentVolumeClaim, because error) error {
	code := command.Code(because)
	refused := code >= http.StatusBadRequest && code < http.StatusInternalServerError || code == http.StatusServiceUnavailable || command.IsUnserved(because)
	if !refused {
		return fmt.Errorf("claim %s was made and stays, for the dump may have begun: look at the machine, then leave --create-claim out, or kubectl delete pvc %s", made.Name, made.Name)
	}
	// Also for a user who does not wait any more.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), takeBackTime)
	defer cancel()
	err := c.Kube.CoreV1().PersistentVolumeClaims(c.Namespace).Delete(ctx, made.Name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(made.UID))})
	if err != nil && command.Code(err) != http.StatusNotFound {
		return fmt.Errorf("claim %s was made for it and stays: kubectl delete pvc %s: %w", made.Name, made.Name, err)
	}
	fmt.Fprintf(d.env.Out, "PVC %s/%s deleted\n", c.Namespace, made.Name)
	return nil
}

func (d *memoryDump) makeClaim(ctx context.Context, c *command.Cluster, name string) (*corev1.PersistentVolumeClaim, error) {
	vm, err := c.Virt.KubevirtV1().VirtualMachines(c.Namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("reading machine %s: %w", name, err)
	}
	if r := vm.Status.MemoryDumpRequest; r != nil {
		return nil, fmt.Errorf("machine %s still has claim %s for its dumps: take it off first with %s memory-dump remove %s", name, r.ClaimName, d.env.Program, name)
	}
	size, err := d.size(ctx, c, name)
	if err != nil {
		return nil, err
	}
	mode := corev1.ReadWriteOnce
	if d.mode != "" {
		mode = corev1.PersistentVolumeAccessMode(d.mode)
	}
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: d.claim}, Spec: corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{mode},
		Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: size}},
	}}
	if d.class != "" {
		claim.Spec.StorageClassName = &d.class
	}
	made, err := c.Kube.CoreV1().PersistentVolumeClaims(c.Namespace).Create(ctx, claim, metav1.CreateOptions{})
	if err != nil {
		if command.Code(err) == http.StatusConflict {
			return nil, fmt.Errorf("claim %s exists already: leave --create-claim out to use it", d.claim)
		}
		return nil, fmt.Errorf("making claim %s: %w", d.claim, err)
	}
	fmt.Fprintf(d.env.Out, "PVC %s/%s created\n", c.Namespace, d.claim)
	return made, nil
}

// checkClaim refuses a claim that cannot hold the dump, instead of letting the dump fail half-way.
func (d *memoryDump) checkClaim(ctx context.Context, c *command.Cluster, name string) error {
	claim, err := c.Kube.CoreV1().PersistentVolumeClaims(c.Namespace).Get(ctx, d.claim, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("reading claim %s: %w", d.claim, err)
	}
	if m := claim.Spec.VolumeMode; m != nil && *m == corev1.PersistentVolumeBlock {
		return fmt.Errorf("claim %s has volumeMode Block; a dump needs Filesystem", d.claim)
	}
	size, err := d.size(ctx, c, name)
	if err != nil {
		return err
	}
	has := claim.Spec.Resources.Requests.Storage()
	if capacity, ok := claim.Status.Capacity[corev1.ResourceStorage]; ok {
		has = &capacity
	}
	if has.Cmp(size) < 0 {
		return fmt.Errorf("claim %s has %s; the dump needs %s", d.claim, has, &size)
	}
	return nil
}

// wait waits for a dump that began after the request was made: the status still tells of the last one at first.
func (d *memoryDump) wait(ctx context.Context, c *command.Cluster, name string, since time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	said := virtv1.MemoryDumpPhase("")
	for {
		vm, err := c.Virt.KubevirtV1().VirtualMachines(c.Namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("reading machine %s: %w", name, err)
		}
		if err == nil && vm.Status.MemoryDumpRequest != nil {
			r := vm.Status.MemoryDumpRequest
			fresh := r.EndTimestamp == nil || r.EndTimestamp.Time.After(since)
			if fresh && r.Phase != said {
				d.env.Say("Memory dump of %s: %s", name, r.Phase)
				said = r.Phase
			}
			switch {
			case fresh && r.Phase == dumpCompleted:
				fmt.Fprintf(d.env.Out, "virtualmachine/%s memory dumped to claim %s, file %s\n", name, r.ClaimName, r.FileName)
				return nil
			case fresh && r.Phase == dumpFailed:
				return fmt.Errorf("the memory dump of %s failed: %s", name, r.Message)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the memory dump of %s is not complete after %s; it is %s and goes on", name, d.timeout, said)
		case <-time.After(dumpPoll):
		}
	}
}
