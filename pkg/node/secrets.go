package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	corev1 "k8s.io/api/core/v1"

	launcher "github.com/virtplane/virtplane/launcher/api"
	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine"
)

// SecretSource finds the data of Secrets that the volumes of an instance refer to.
type SecretSource interface {
	// CloudInit gives the data for each cloud-init volume that names a Secret, and none for an instance that does not.
	CloudInit(ctx context.Context, vmi *virtv1.VirtualMachineInstance, process Process) ([]*launcher.CloudInitData, error)
}

// secretLimit is more than a Secret can hold.
const secretLimit = 2 << 20

// PodSecrets reads Secrets where the kubelet has put them, in the launcher's own pod. So a node learns no Secret but those
// of the pods that run on it, and the agent needs no right on Secrets at all.
type PodSecrets struct{}

// CloudInit gives the data for each cloud-init volume that names a Secret.
func (PodSecrets) CloudInit(_ context.Context, vmi *virtv1.VirtualMachineInstance, process Process) ([]*launcher.CloudInitData, error) {
	var all []*launcher.CloudInitData
	for _, v := range vmi.Spec.Volumes {
		var user, network *corev1.LocalObjectReference
		switch {
		case v.CloudInitNoCloud != nil:
			user, network = v.CloudInitNoCloud.SecretRef, v.CloudInitNoCloud.NetworkDataSecretRef
		case v.CloudInitConfigDrive != nil:
			user, network = v.CloudInitConfigDrive.SecretRef, v.CloudInitConfigDrive.NetworkDataSecretRef
		}
		if user == nil && network == nil {
			continue
		}
		data := &launcher.CloudInitData{Volume: v.Name}
		var err error
		if user != nil {
			if data.UserData, err = secretValue(process, machine.UserDataPath(v.Name), user.Name, "userdata", "userData"); err != nil {
				return nil, fmt.Errorf("volume %q: %w", v.Name, err)
			}
		}
		if network != nil {
			if data.NetworkData, err = secretValue(process, machine.NetworkDataPath(v.Name), network.Name, "networkdata", "networkData"); err != nil {
				return nil, fmt.Errorf("volume %q: %w", v.Name, err)
			}
		}
		all = append(all, data)
	}
	return all, nil
}

// secretValue reads the first of the keys that the Secret has.
func secretValue(process Process, dir, name string, keys ...string) ([]byte, error) {
	for _, key := range keys {
		data, err := process.ReadFile(path.Join(dir, key), secretLimit)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading secret %q: %w", name, err)
		}
		return data, nil
	}
	return nil, fmt.Errorf("secret %q has no key %q", name, keys[0])
}
