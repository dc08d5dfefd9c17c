package convert

import (
	"path/filepath"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// Config is a disk to be written to File that holds the files of a folder, as they are when the guest starts.
type Config struct {
	Dir, File string
	// Label is the name of the disk's file system.
	Label string
	// Of names the object that the files come from, for messages.
	Of string
	// Answers says that the files must hold an answer file of Windows Setup.
	Answers bool
}

// Labels of config disks. Setup does not care for that of its answers.
const (
	configLabel  = "cfgdata"
	answersLabel = "unattendCD"
)

// planConfig plans the disk of a volume whose files the kubelet mounts; nil if it is none.
func planConfig(v *virtv1.Volume, file string, paths Paths) *Config {
	c := &Config{Dir: filepath.Join(paths.Configs, v.Name), File: file, Label: configLabel}
	label := func(s string) {
		if s != "" {
			c.Label = s
		}
	}
	switch {
	case v.ConfigMap != nil:
		c.Of = "ConfigMap " + v.ConfigMap.Name
		label(v.ConfigMap.VolumeLabel)
	case v.Secret != nil:
		c.Of = "Secret " + v.Secret.SecretName
		label(v.Secret.VolumeLabel)
	case v.ServiceAccount != nil:
		c.Of = "ServiceAccount " + v.ServiceAccount.ServiceAccountName
	case v.DownwardAPI != nil:
		c.Of = "the downward API"
		label(v.DownwardAPI.VolumeLabel)
	case v.Sysprep != nil && v.Sysprep.ConfigMap != nil:
		c.Of, c.Label, c.Answers = "ConfigMap "+v.Sysprep.ConfigMap.Name, answersLabel, true
	case v.Sysprep != nil && v.Sysprep.Secret != nil:
		c.Of, c.Label, c.Answers = "Secret "+v.Sysprep.Secret.Name, answersLabel, true
	default:
		return nil
	}
	return c
}

// Overlay is a writable layer at File over the disk of a claim, which itself is only read.
type Overlay struct {
	Claim *Claim
	File  string
	// ReadOnly has the guest read the claim itself.
	ReadOnly bool
}

// HostDisk is a file of the node.
type HostDisk struct {
	// File is where the pod has it, Path where the node has it.
	File, Path string
	ReadOnly   bool
	// Create has it made with Capacity bytes if it is not there.
	Create   bool
	Capacity int64
	// Shared says that other guests of the node may have it open too.
	Shared bool
}

func planHostDisk(v *virtv1.Volume, readOnly bool, paths Paths) *HostDisk {
	s := v.HostDisk
	d := &HostDisk{
		File: filepath.Join(paths.HostDisks, v.Name, filepath.Base(s.Path)), Path: filepath.Clean(s.Path),
		ReadOnly: readOnly, Create: s.Type == virtv1.HostDiskExistsOrCreate, Shared: isTrue(s.Shared),
	}
	if s.Capacity != nil {
		d.Capacity = s.Capacity.Value()
	}
	return d
}

// Metrics is a disk at File on which the guest reads figures of its node.
type Metrics struct{ File string }
