// Package credentials holds the commands that change the SSH keys and passwords that the agent in a guest sets. They stand in
// Secrets that the machine names.
package credentials

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/util/retry"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/virtctl/command"
)

// New returns the command credentials.
func New(e *command.Environment) *cobra.Command {
	cmd := &cobra.Command{
		Use: "credentials", Short: "Change the SSH keys and passwords of a machine", Args: command.Args(cobra.NoArgs),
		Long: "Changes the SSH keys and passwords of a machine. They stand in Secrets that spec.template.spec.accessCredentials names; the agent in the guest sets what a Secret that is already named holds, within a minute. A Secret that becomes named takes effect at the next start.",
	}
	cmd.AddCommand(newAddKey(e), newRemoveKey(e), newSetPassword(e))
	return cmd
}

// flags are those that all three commands have.
type flags struct {
	user, secret string
	force        bool
}

func (f *flags) add(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.user, "user", "u", "", "user in the guest")
	cmd.Flags().StringVar(&f.secret, "secret", "", "Secret to change; the first that the machine names for the user if empty")
	cmd.Flags().BoolVar(&f.force, "force", false, "also change a Secret that the machine does not own: other machines may use it")
	_ = cmd.MarkFlagRequired("user")
}

// key is a public key, from a flag or a file.
type key struct{ value, file string }

func (k *key) add(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&k.file, "file", "f", "", "file with the public key")
	cmd.Flags().StringVar(&k.value, "value", "", "the public key itself")
	cmd.MarkFlagsMutuallyExclusive("file", "value")
	cmd.MarkFlagsOneRequired("file", "value")
}

func (k *key) read() (string, error) {
	text := k.value
	if k.file != "" {
		raw, err := os.ReadFile(k.file)
		if err != nil {
			return "", command.Usagef("--file: %w", err)
		}
		text = string(raw)
	}
	text = strings.TrimSpace(text)
	switch {
	case strings.Contains(text, "PRIVATE KEY"):
		return "", command.Usagef("that is a private key: give the public one, whose file ends in .pub")
	case strings.Contains(text, "\n"):
		return "", command.Usagef("that is more than one key: add them one at a time")
	case len(strings.Fields(text)) < 2:
		return "", command.Usagef("that is no public key: it begins with a type such as ssh-ed25519, then the key")
	}
	return text, nil
}

// sameKey compares type and key, not the comment.
func sameKey(line, other string) bool {
	a, b := strings.Fields(line), strings.Fields(other)
	return len(a) >= 2 && len(b) >= 2 && a[0] == b[0] && a[1] == b[1]
}

// keySecrets are the Secrets whose keys the agent gives a user.
func keySecrets(vm *virtv1.VirtualMachine, user string) []string {
	var names []string
	for _, c := range credentialsOf(vm) {
		k := c.SSHPublicKey
		if k == nil || k.Source.Secret == nil || k.PropagationMethod.QemuGuestAgent == nil {
			continue
		}
		if slices.Contains(k.PropagationMethod.QemuGuestAgent.Users, user) && !slices.Contains(names, k.Source.Secret.SecretName) {
			names = append(names, k.Source.Secret.SecretName)
		}
	}
	return names
}

func credentialsOf(vm *virtv1.VirtualMachine) []virtv1.AccessCredential {
	if vm.Spec.Template == nil {
		return nil
	}
	return vm.Spec.Template.Spec.AccessCredentials
}

// choose takes the named Secret, or the first.
func (f *flags) choose(names []string) (string, error) {
	if f.secret == "" {
		return names[0], nil
	}
	if !slices.Contains(names, f.secret) {
		return "", command.Usagef("--secret: the machine does not name Secret %s for this; it names %s", f.secret, strings.Join(names, ", "))
	}
	return f.secret, nil
}

// change changes a Secret, again if someone else did meanwhile. It refuses one that the machine does not own.
func (f *flags) change(ctx context.Context, c *command.Cluster, vm *virtv1.VirtualMachine, name string, edit func(*corev1.Secret) bool) (changed bool, err error) {
	err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		secret, err := c.Kube.CoreV1().Secrets(vm.Namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("reading Secret %s: %w", name, err)
		}
		if changed = edit(secret); !changed {
			return nil
		}
		if !f.force && !owned(secret, vm) {
			return fmt.Errorf("the machine does not own Secret %s, so other machines may use it: change it anyway with --force", name)
		}
		_, err = c.Kube.CoreV1().Secrets(vm.Namespace).Update(ctx, secret, metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		return false, fmt.Errorf("changing the credentials of %s: %w", vm.Name, err)
	}
	return changed, nil
}

func owned(secret *corev1.Secret, vm *virtv1.VirtualMachine) bool {
	return slices.ContainsFunc(secret.OwnerReferences, func(r metav1.OwnerReference) bool { return r.UID == vm.UID })
}

func machine(ctx context.Context, e *command.Environment, name string) (*command.Cluster, *virtv1.VirtualMachine, error) {
	c, err := e.Connect()
	if err != nil {
		return nil, nil, err
	}
	vm, err := c.Virt.KubevirtV1().VirtualMachines(c.Namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, nil, fmt.Errorf("reading machine %s: %w", name, err)
	}
	return c, vm, nil
}

func newAddKey(e *command.Environment) *cobra.Command {
	var f flags
	var k key
	var create, update bool
	cmd := &cobra.Command{
		Use: "add-ssh-key VM", Short: "Let a public key log in to a machine", Args: command.Args(cobra.ExactArgs(1)), ValidArgsFunction: e.CompleteMachines,
		Long: "Adds a public key to the Secret that the machine names for a user, or makes such a Secret when it names none. While the machine runs, a new Secret needs --force and takes effect at the next start.",
		Example: e.Example(`
  # From a file
  {{program}} credentials add-ssh-key web --user debian --file ~/.ssh/id_ed25519.pub

  # Into a Secret of its own
  {{program}} credentials add-ssh-key web --user debian --file key.pub --create-secret --force`),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := k.read()
			if err != nil {
				return err
			}
			c, vm, err := machine(cmd.Context(), e, args[0])
			if err != nil {
				return err
			}
			secrets := keySecrets(vm, f.user)
			if create || !update && len(secrets) == 0 {
				return f.newSecret(cmd.Context(), e, c, vm, text)
			}
			if len(secrets) == 0 {
				return fmt.Errorf("machine %s names no Secret for the keys of %s: leave --update-secret out to make one", vm.Name, f.user)
			}
			secret, err := f.choose(secrets)
			if err != nil {
				return err
			}
			changed, err := f.change(cmd.Context(), c, vm, secret, func(s *corev1.Secret) bool { return addKey(s, text) })
			if err != nil {
				return err
			}
			if !changed {
				fmt.Fprintf(e.Out, "secret/%s unchanged: it holds the key already\n", secret)
				return nil
			}
			fmt.Fprintf(e.Out, "secret/%s key added\n", secret)
			return nil
		},
	}
	f.add(cmd)
	k.add(cmd)
	cmd.Flags().BoolVar(&create, "create-secret", false, "make a new Secret also when the machine names one")
	cmd.Flags().BoolVar(&update, "update-secret", false, "fail when the machine names none, instead of making one")
	cmd.MarkFlagsMutuallyExclusive("create-secret", "update-secret")
	return cmd
}

// newKeyName is a key of a Secret's data that is not taken.
func newKeyName() string { return "ssh-key-" + rand.String(6) }

func addKey(secret *corev1.Secret, text string) bool {
	for _, data := range secret.Data {
		for line := range strings.Lines(string(data)) {
			if sameKey(line, text) {
				return false
			}
		}
	}
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	secret.Data[newKeyName()] = []byte(text)
	return true
}

// newSecret makes a Secret with the key and names it in the machine.
func (f *flags) newSecret(ctx context.Context, e *command.Environment, c *command.Cluster, vm *virtv1.VirtualMachine, text string) error {
	if vm.Status.Created && !f.force {
		return fmt.Errorf("machine %s is running and takes a new Secret at its next start: make it anyway with --force", vm.Name)
	}
	yes := true
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: f.secret, OwnerReferences: []metav1.OwnerReference{{
			APIVersion: virtv1.SchemeGroupVersion.String(), Kind: "VirtualMachine", Name: vm.Name, UID: vm.UID, Controller: &yes,
		}}},
		Data: map[string][]byte{newKeyName(): []byte(text)},
	}
	if f.secret == "" {
		secret.GenerateName = vm.Name + "-ssh-key-"
	}
	secret, err := c.Kube.CoreV1().Secrets(vm.Namespace).Create(ctx, secret, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("making a Secret: %w", err)
	}
	credential := virtv1.AccessCredential{SSHPublicKey: &virtv1.SSHPublicKeyAccessCredential{
		Source:            virtv1.SSHPublicKeyAccessCredentialSource{Secret: &virtv1.AccessCredentialSecretSource{SecretName: secret.Name}},
		PropagationMethod: virtv1.SSHPublicKeyAccessCredentialPropagationMethod{QemuGuestAgent: &virtv1.QemuGuestAgentSSHPublicKeyAccessCredentialPropagation{Users: []string{f.user}}},
	}}
	if err := name(ctx, c, vm, credential); err != nil {
		// A Secret that nothing names would stay behind with the key in it.
		if undo := c.Kube.CoreV1().Secrets(vm.Namespace).Delete(context.WithoutCancel(ctx), secret.Name, metav1.DeleteOptions{}); undo != nil {
			e.Say("Secret %s is left over, delete it: %v", secret.Name, undo)
		}
		return fmt.Errorf("naming Secret %s in machine %s: %w", secret.Name, vm.Name, err)
	}
	fmt.Fprintf(e.Out, "secret/%s created with the key\nvirtualmachine/%s names it for %s\n", secret.Name, vm.Name, f.user)
	if vm.Status.Created {
		e.Say("It takes effect at the next start: %s restart %s", e.Program, vm.Name)
	}
	return nil
}

// name adds a credential to a machine. The test in the patch keeps what someone else wrote meanwhile.
func name(ctx context.Context, c *command.Cluster, vm *virtv1.VirtualMachine, credential virtv1.AccessCredential) error {
	const path = "/spec/template/spec/accessCredentials"
	old := credentialsOf(vm)
	patch := []map[string]any{{"op": "test", "path": path, "value": old}, {"op": "add", "path": path + "/-", "value": credential}}
	if len(old) == 0 {
		patch = []map[string]any{{"op": "test", "path": "/metadata/resourceVersion", "value": vm.ResourceVersion}, {"op": "add", "path": path, "value": []virtv1.AccessCredential{credential}}}
	}
	raw, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	_, err = c.Virt.KubevirtV1().VirtualMachines(vm.Namespace).Patch(ctx, vm.Name, types.JSONPatchType, raw, metav1.PatchOptions{})
	return err
}

func newRemoveKey(e *command.Environment) *cobra.Command {
	var f flags
	var k key
	cmd := &cobra.Command{
		Use: "remove-ssh-key VM", Short: "Keep a public key from logging in to a machine", Args: command.Args(cobra.ExactArgs(1)), ValidArgsFunction: e.CompleteMachines,
		Long: "Removes a public key from all Secrets that the machine names for a user, or from the one of --secret.",
		Example: e.Example(`
  # From a file
  {{program}} credentials remove-ssh-key web --user debian --file old.pub`),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := k.read()
			if err != nil {
				return err
			}
			c, vm, err := machine(cmd.Context(), e, args[0])
			if err != nil {
				return err
			}
			secrets := keySecrets(vm, f.user)
			if len(secrets) == 0 {
				return fmt.Errorf("machine %s names no Secret for the keys of %s", vm.Name, f.user)
			}
			if f.secret != "" {
				one, err := f.choose(secrets)
				if err != nil {
					return err
				}
				secrets = []string{one}
			}
			found := false
			for _, secret := range secrets {
				changed, err := f.change(cmd.Context(), c, vm, secret, func(s *corev1.Secret) bool { return removeKey(s, text) })
				if err != nil {
					return err
				}
				if changed {
					found = true
					fmt.Fprintf(e.Out, "secret/%s key removed\n", secret)
				}
			}
			if !found {
				return fmt.Errorf("the key is in none of the Secrets of %s for %s: %s", vm.Name, f.user, strings.Join(secrets, ", "))
			}
			return nil
		},
	}
	f.add(cmd)
	k.add(cmd)
	return cmd
}

func removeKey(secret *corev1.Secret, text string) bool {
	changed := false
	for field, data := range secret.Data {
		var kept []string
		found := false
		for line := range strings.Lines(string(data)) {
			if sameKey(line, text) {
				found = true
			} else {
				kept = append(kept, line)
			}
		}
		switch {
		case !found:
		case strings.TrimSpace(strings.Join(kept, "")) == "":
			delete(secret.Data, field)
		default:
			secret.Data[field] = []byte(strings.Join(kept, ""))
		}
		changed = changed || found
	}
	return changed
}

func newSetPassword(e *command.Environment) *cobra.Command {
	var f flags
	var password, file string
	cmd := &cobra.Command{
		Use: "set-password VM", Short: "Set the password of a user of a machine", Args: command.Args(cobra.ExactArgs(1)), ValidArgsFunction: e.CompleteMachines,
		Long: "Sets the password of a user in the Secret that the machine names for passwords. A password on the command line is seen by whoever lists processes: prefer --password-file.",
		Example: e.Example(`
  # From a file, or standard input
  {{program}} credentials set-password web --user debian --password-file secret.txt
  pass show web | {{program}} credentials set-password web --user debian --password-file -`),
		RunE: func(cmd *cobra.Command, args []string) error {
			if file != "" {
				raw, err := readFile(e, file)
				if err != nil {
					return err
				}
				password = strings.TrimRight(string(raw), "\r\n")
			}
			if password == "" {
				return command.Usagef("the password is empty")
			}
			c, vm, err := machine(cmd.Context(), e, args[0])
			if err != nil {
				return err
			}
			var secrets []string
			for _, cred := range credentialsOf(vm) {
				if p := cred.UserPassword; p != nil && p.Source.Secret != nil && p.PropagationMethod.QemuGuestAgent != nil {
					secrets = append(secrets, p.Source.Secret.SecretName)
				}
			}
			if len(secrets) == 0 {
				return fmt.Errorf("machine %s names no Secret for passwords: add one to spec.template.spec.accessCredentials, or create it with --access-cred type:password,src:SECRET", vm.Name)
			}
			secret, err := f.choose(secrets)
			if err != nil {
				return err
			}
			changed, err := f.change(cmd.Context(), c, vm, secret, func(s *corev1.Secret) bool {
				if string(s.Data[f.user]) == password {
					return false
				}
				if s.Data == nil {
					s.Data = map[string][]byte{}
				}
				s.Data[f.user] = []byte(password)
				return true
			})
			if err != nil {
				return err
			}
			if !changed {
				fmt.Fprintf(e.Out, "secret/%s unchanged: it holds the password already\n", secret)
				return nil
			}
			fmt.Fprintf(e.Out, "secret/%s password of %s set\n", secret, f.user)
			return nil
		},
	}
	f.add(cmd)
	cmd.Flags().StringVarP(&password, "password", "p", "", "the password")
	cmd.Flags().StringVar(&file, "password-file", "", "file with the password, - for standard input")
	cmd.MarkFlagsMutuallyExclusive("password", "password-file")
	cmd.MarkFlagsOneRequired("password", "password-file")
	return cmd
}
