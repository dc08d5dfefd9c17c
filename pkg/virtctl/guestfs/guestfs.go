// Package guestfs holds the command that opens a shell with the tools of libguestfs on a claim: it makes a pod for it, attaches
// the terminal, and takes the pod away again.
package guestfs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/virtplane/virtplane/pkg/virtctl/command"
)

// betweenLooks is the shortest time between two looks at a pod that comes up.
const betweenLooks = 200 * time.Millisecond

// removal bounds the deletion of the pod after the shell has ended.
const removal = 30 * time.Second

type guestfs struct {
	env               *command.Environment
	image, pullPolicy string
	kvm, root         bool
	uid, gid, fsGroup int64
	timeout           time.Duration
}

// New returns the command guestfs.
func New(e *command.Environment) *cobra.Command {
	g := &guestfs{env: e}
	cmd := &cobra.Command{
		Use: "guestfs PVC", Short: "Open a shell with libguestfs-tools on a claim", ValidArgsFunction: g.complete,
		Args: command.Args(func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return errors.New("the name of the claim is missing: guestfs PVC")
			case len(args) > 1:
				return fmt.Errorf("guestfs takes one claim, not %d", len(args))
			}
			return nil
		}),
		Long: "Makes a pod with libguestfs-tools, attaches a claim to it and opens a shell: in /disk for a claim with a file system, with the disk as /dev/vda for a block volume. No other pod may use the claim. Nothing keeps a machine from starting on the claim meanwhile: leave the shell first. The pod is deleted when the shell ends.",
		Example: e.Example(`
  # Open the shell
  {{program}} guestfs -n images debian

  # On a cluster without KVM
  {{program}} guestfs debian --kvm=false

  # In it, for a block volume
  virt-df -a /dev/vda -h
  virt-customize -a /dev/vda --ssh-inject root:string:"$KEY"`),
		RunE: func(cmd *cobra.Command, args []string) error { return g.run(cmd.Context(), args[0]) },
	}
	f := cmd.Flags()
	f.StringVar(&g.image, "image", "", "container image; the one that belongs to the cluster's release if empty")
	f.BoolVar(&g.kvm, "kvm", true, "use KVM; without a node that has it, say --kvm=false or the pod waits for ever")
	f.StringVar(&g.pullPolicy, "pull-policy", string(corev1.PullIfNotPresent), "Always, IfNotPresent or Never")
	f.BoolVar(&g.root, "root", false, "run as root, for disks that are not the launchers'")
	f.Int64Var(&g.uid, "uid", launcherUser, "user of the shell")
	f.Int64Var(&g.gid, "gid", launcherUser, "group of the shell")
	f.Int64Var(&g.fsGroup, "fsGroup", launcherUser, "group that the claim's file system is given")
	f.DurationVar(&g.timeout, "timeout", 8*time.Minute, "how long to wait for the pod, with the image to pull")
	_ = cmd.RegisterFlagCompletionFunc("pull-policy", cobra.FixedCompletions([]string{"Always", "IfNotPresent", "Never"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (g *guestfs) complete(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	c, err := g.env.Connect()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	list, err := c.Kube.CoreV1().PersistentVolumeClaims(c.Namespace).List(cmd.Context(), metav1.ListOptions{Limit: 500})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (g *guestfs) run(ctx context.Context, claimName string) error {
	switch corev1.PullPolicy(g.pullPolicy) {
	case corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever:
	default:
		return command.Usagef("--pull-policy must be Always, IfNotPresent or Never, not %q", g.pullPolicy)
	}
	if g.root {
		g.uid, g.gid = 0, 0
	}
	c, err := g.env.Connect()
	if err != nil {
		return err
	}
	claim, err := c.Kube.CoreV1().PersistentVolumeClaims(c.Namespace).Get(ctx, claimName, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("reading claim %s: %w", claimName, err)
	}
	if err := unused(ctx, c, claimName); err != nil {
		return err
	}
	if g.image == "" {
		if g.image, err = imageOf(ctx, c); err != nil {
			return err
		}
	}
	g.env.Say("Using image %s", g.image)
	pod, err := c.Kube.CoreV1().Pods(c.Namespace).Create(ctx, g.pod(claim), metav1.CreateOptions{})
	if err != nil {
		if command.Code(err) == http.StatusConflict {
			return fmt.Errorf("a shell on claim %s is open already: pod %s", claimName, podName(claimName))
		}
		return fmt.Errorf("making the pod: %w", err)
	}
	defer g.remove(ctx, c, pod.Name)
	if err := g.wait(ctx, c, pod.Name); err != nil {
		return err
	}
	if isBlock(claim) {
		g.env.Say("The disk of claim %s is /dev/vda.", claimName)
	} else {
		g.env.Say("Claim %s is mounted at %s.", claimName, diskDir)
	}
	g.env.Say("If you do not see a prompt, press Enter. The pod ends with the shell.")
	return attach(ctx, c, g.env, pod.Name)
}

// unused refuses a claim that a pod uses: two writers would destroy the disk.
func unused(ctx context.Context, c *command.Cluster, claim string) error {
	pods, err := c.Kube.CoreV1().Pods(c.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("looking for pods that use claim %s: %w", claim, err)
	}
	for i := range pods.Items {
		p := &pods.Items[i]
		if p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
			continue
		}
		for _, v := range p.Spec.Volumes {
			if v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == claim {
				return fmt.Errorf("claim %s is used by pod %s: stop its machine or delete the pod first", claim, p.Name)
			}
		}
	}
	return nil
}

// imageOf asks the cluster which image belongs to its release.
func imageOf(ctx context.Context, c *command.Cluster) (string, error) {
	var info struct {
		Registry    string `json:"registry"`
		Tag         string `json:"tag"`
		Digest      string `json:"digest"`
		ImagePrefix string `json:"imagePrefix"`
		// Image names it whole, where the administrator says so.
		Image string `json:"gsImage"`
	}
	if err := c.GetInto(ctx, command.Group+"/guestfs", &info); err != nil {
		return "", fmt.Errorf("asking which image to use: %w; name one with --image", err)
	}
	if info.Image != "" {
		return info.Image, nil
	}
	image := info.ImagePrefix + "libguestfs-tools"
	if info.Registry != "" {
		image = info.Registry + "/" + image
	}
	switch {
	case info.Digest != "":
		return image + "@" + info.Digest, nil
	case info.Tag != "":
		return image + ":" + info.Tag, nil
	}
	return "", errors.New("the server names neither tag nor digest of the image: name one with --image")
}

// wait waits until the shell runs and says what holds it up.
func (g *guestfs) wait(parent context.Context, c *command.Cluster, name string) error {
	ctx, cancel := context.WithTimeout(parent, g.timeout)
	defer cancel()
	said := ""
	for {
		pod, err := c.Kube.CoreV1().Pods(c.Namespace).Get(ctx, name, metav1.GetOptions{})
		if err == nil {
			reason, done, failed := progress(pod)
			if done || failed != nil {
				return failed
			}
			if reason != said && reason != "" {
				g.env.Say("Waiting for pod %s: %s", name, reason)
				said = reason
			}
			err = g.change(ctx, c, pod)
		}
		switch {
		case parent.Err() != nil:
			return context.Cause(parent)
		case ctx.Err() != nil:
			return fmt.Errorf("pod %s does not run after %s: %s", name, g.timeout, said)
		case err != nil:
			return fmt.Errorf("waiting for pod %s: %w", name, err)
		}
	}
}

// change waits until the pod is another than this.
func (g *guestfs) change(ctx context.Context, c *command.Cluster, pod *corev1.Pod) error {
	w, err := c.Kube.CoreV1().Pods(c.Namespace).Watch(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", pod.Name).String(), ResourceVersion: pod.ResourceVersion})
	if err != nil {
		return err
	}
	defer w.Stop()
	select {
	case <-w.ResultChan():
	case <-ctx.Done():
	}
	// A pod that comes up changes several times at once, and a watch may be cut early: do not ask faster than this.
	select {
	case <-time.After(betweenLooks):
	case <-ctx.Done():
	}
	return nil
}

// progress tells what a pod waits for, whether its shell runs, or that it never will.
func progress(pod *corev1.Pod) (reason string, done bool, failed error) {
	switch pod.Status.Phase {
	case corev1.PodRunning:
		return "", true, nil
	case corev1.PodFailed, corev1.PodSucceeded:
		return "", false, fmt.Errorf("pod %s ended before its shell could be used: %s %s", pod.Name, pod.Status.Reason, pod.Status.Message)
	}
	for _, s := range pod.Status.ContainerStatuses {
		if w := s.State.Waiting; w != nil && w.Reason != "" {
			reason = w.Reason
			if w.Message != "" {
				reason += ": " + w.Message
			}
		}
	}
	for _, cond := range pod.Status.Conditions {
		if cond.Type == corev1.PodScheduled && cond.Status == corev1.ConditionFalse {
			reason = cond.Reason + ": " + cond.Message
			if _, kvm := pod.Spec.Containers[0].Resources.Limits[kvmDevice]; kvm {
				reason += " (where no node has KVM, use --kvm=false)"
			}
		}
	}
	return reason, false, nil
}

func (g *guestfs) remove(ctx context.Context, c *command.Cluster, name string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removal)
	defer cancel()
	if err := c.Kube.CoreV1().Pods(c.Namespace).Delete(ctx, name, metav1.DeleteOptions{}); err != nil && command.Code(err) != http.StatusNotFound {
		g.env.Say("Pod %s is left over and keeps the claim; delete it: %v", name, err)
	}
}
