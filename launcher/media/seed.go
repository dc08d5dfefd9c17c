package media

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// Kind is a data source of cloud-init.
type Kind string

// Kinds of seeds.
const (
	NoCloud     Kind = "NoCloud"
	ConfigDrive Kind = "ConfigDrive"
)

// Seed is what a guest is told at first boot.
type Seed struct {
	Kind Kind
	// InstanceID stays the same as long as the guest is to take itself for the same instance.
	InstanceID string
	Hostname   string
	// UUID is told by ConfigDrive only.
	UUID        string
	UserData    []byte
	NetworkData []byte
	// PublicKeys may log in by SSH as the guest's default user.
	PublicKeys []string
}

// volumeLabel is how cloud-init finds a seed.
var volumeLabel = map[Kind]string{NoCloud: "cidata", ConfigDrive: "config-2"}

// files gives the contents of the disk by path.
func (s Seed) files() (map[string][]byte, error) {
	var meta any
	var metaPath, userPath, networkPath string
	switch s.Kind {
	case NoCloud:
		metaPath, userPath, networkPath = "meta-data", "user-data", "network-config"
		meta = struct {
			InstanceID string `json:"instance-id"`
			Hostname   string `json:"local-hostname,omitempty"`
			// Keys are named by their place, as cloud-init wants a name for each.
			Keys map[string]string `json:"public-keys,omitempty"`
		}{s.InstanceID, s.Hostname, s.keys()}
	case ConfigDrive:
		metaPath, userPath, networkPath = "openstack/latest/meta_data.json", "openstack/latest/user_data", "openstack/latest/network_data.json"
		meta = struct {
			InstanceID string `json:"instance_id"`
			LocalHost  string `json:"local-hostname,omitempty"`
			Hostname   string `json:"hostname,omitempty"`
			UUID       string `json:"uuid,omitempty"`
			// Keys are named by their place, as cloud-init wants a name for each.
			Keys map[string]string `json:"public_keys,omitempty"`
		}{s.InstanceID, s.Hostname, s.Hostname, s.UUID, s.keys()}
	default:
		return nil, fmt.Errorf("seed of unknown kind %q", s.Kind)
	}
	if s.InstanceID == "" {
		return nil, errors.New("seed without instance id")
	}
	raw, err := json.Marshal(meta)
	if err != nil {
		return nil, fmt.Errorf("encoding meta data: %w", err)
	}
	out := map[string][]byte{metaPath: raw, userPath: s.UserData}
	if len(s.NetworkData) > 0 {
		out[networkPath] = s.NetworkData
	}
	return out, nil
}

func (s Seed) keys() map[string]string {
	out := map[string]string{}
	for i, key := range s.PublicKeys {
		out[strconv.Itoa(i)] = key
	}
	return out
}

// WriteSeed writes the seed's disk to path, whole or not at all.
func WriteSeed(path string, s Seed) error {
	files, err := s.files()
	if err != nil {
		return err
	}
	return writeISO(path, volumeLabel[s.Kind], files)
}

// A disk is longer than its contents: readers look for other file systems' marks up to some hundred KB and take the
// end of the disk there for a failure. The size suits disks with large blocks as well. Nothing is stored for it.
const (
	padding  = 300 << 10
	sizeStep = 1 << 20
)

// writeISO makes a disk of ISO 9660, whole or not at all.
func writeISO(path, label string, files map[string][]byte) error {
	d, err := newISO(label, files, time.Now())
	if err != nil {
		return fmt.Errorf("making media: %w", err)
	}
	temp := path + ".new"
	out, err := os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("making media: %w", err)
	}
	defer os.Remove(temp)
	defer out.Close()
	if _, err := out.Write(d.head()); err != nil {
		return fmt.Errorf("writing media: %w", err)
	}
	for _, f := range d.files {
		if _, err := out.WriteAt(f.content, int64(f.extent[rockTree])*sector); err != nil {
			return fmt.Errorf("writing media: %w", err)
		}
	}
	if err := out.Truncate((int64(d.sectors)*sector + padding + sizeStep - 1) / sizeStep * sizeStep); err != nil {
		return fmt.Errorf("writing media: %w", err)
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("writing media: %w", err)
	}
	return os.Rename(temp, path)
}
