package vmi

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine"
)

// credentialMode lets the group of the launcher read the keys and passwords, and nobody else.
const credentialMode int32 = 0o440

// accessCredentials mounts the Secrets with keys and passwords for the guest, each once. The kubelet keeps them in step with
// the API while the guest runs.
func (v *podVolumes) accessCredentials(credentials []virtv1.AccessCredential) {
	var seen []string
	for i := range credentials {
		name := credentialSecret(&credentials[i])
		if name == "" || slices.Contains(seen, name) {
			continue
		}
		v.add(fmt.Sprintf("access-credentials-%d", len(seen)), machine.CredentialPath(name), true,
			corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: name, DefaultMode: ptr.To(credentialMode)}})
		seen = append(seen, name)
	}
}

func credentialSecret(c *virtv1.AccessCredential) string {
	switch {
	case c.SSHPublicKey != nil && c.SSHPublicKey.Source.Secret != nil:
		return c.SSHPublicKey.Source.Secret.SecretName
	case c.UserPassword != nil && c.UserPassword.Source.Secret != nil:
		return c.UserPassword.Source.Secret.SecretName
	}
	return ""
}
