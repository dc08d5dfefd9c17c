package boot

import (
	"fmt"
	"path/filepath"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/virtplane/virtplane/launcher/api"
	"github.com/virtplane/virtplane/launcher/credentials"
	"github.com/virtplane/virtplane/launcher/domain"
	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// agentCredentials lists what the guest agent is to put into the guest.
func (r *request) agentCredentials() []domain.Credential {
	var out []domain.Credential
	add := func(source *virtv1.AccessCredentialSecretSource, users []string) {
		if source != nil {
			out = append(out, domain.Credential{Secret: source.SecretName, Dir: filepath.Join(r.Paths.Credentials, source.SecretName), Users: users})
		}
	}
	for i := range r.vmi.Spec.AccessCredentials {
		c := &r.vmi.Spec.AccessCredentials[i]
		if k := c.SSHPublicKey; k != nil && k.PropagationMethod.QemuGuestAgent != nil && len(k.PropagationMethod.QemuGuestAgent.Users) > 0 {
			add(k.Source.Secret, k.PropagationMethod.QemuGuestAgent.Users)
		}
		if p := c.UserPassword; p != nil && p.PropagationMethod.QemuGuestAgent != nil {
			add(p.Source.Secret, nil)
		}
	}
	return out
}

// publicKeys reads the SSH keys that cloud-init is to give to the guest's default user, by one of its two kinds of disk.
func (r *request) publicKeys(configDrive bool) ([]string, error) {
	var out []string
	for i := range r.vmi.Spec.AccessCredentials {
		k := r.vmi.Spec.AccessCredentials[i].SSHPublicKey
		if k == nil || k.Source.Secret == nil {
			continue
		}
		if m := k.PropagationMethod; configDrive && m.ConfigDrive == nil || !configDrive && m.NoCloud == nil {
			continue
		}
		name := k.Source.Secret.SecretName
		secret, err := credentials.Read(filepath.Join(r.Paths.Credentials, name))
		if err != nil {
			return nil, api.Wrap(fmt.Errorf("reading Secret %s of SSH keys: %w", name, err), codes.FailedPrecondition, api.ReasonSecretMissing)
		}
		out = append(out, credentials.Keys(secret)...)
	}
	return out, nil
}

// clockOffset is what the spec wants the guest's clock to be ahead.
func clockOffset(vmi *virtv1.VirtualMachineInstance) time.Duration {
	if c := vmi.Spec.Domain.Clock; c != nil && c.UTC != nil && c.UTC.OffsetSeconds != nil {
		return time.Duration(*c.UTC.OffsetSeconds) * time.Second
	}
	return 0
}
