package media

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/iso9660"
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

// WriteSeed writes the seed's disk to path, whole or not at all. It uses workDir for files on the way, which it
// removes again, since they hold secrets.
func WriteSeed(path, workDir string, s Seed) error {
	files, err := s.files()
	if err != nil {
		return err
	}
	return writeISO(path, workDir, volumeLabel[s.Kind], files)
}

// A disk is longer than its contents: readers look for other file systems' marks up to some hundred KB and take the
// end of the disk there for a failure. The size suits disks with large blocks as well. Nothing is stored for it.
const (
	padding  = 300 << 10
	sizeStep = 1 << 20
)

// writeISO makes an ISO 9660 disk with the names as Linux (Rock Ridge) and Windows (Joliet) like them.
func writeISO(path, workDir, label string, files map[string][]byte) (err error) {
	stage, err := os.MkdirTemp(workDir, "media-")
	if err != nil {
		return fmt.Errorf("making a place for media: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(stage)) }()
	tree := filepath.Join(stage, "tree")
	for name, content := range files {
		target := filepath.Join(tree, filepath.FromSlash(name))
		// The guest shows these modes; the outer folder keeps everyone else out.
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return fmt.Errorf("staging %s: %w", name, err)
		}
		if err := os.WriteFile(target, content, 0o644); err != nil {
			return fmt.Errorf("staging %s: %w", name, err)
		}
	}
	temp := path + ".new"
	out, err := os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("making media: %w", err)
	}
	defer os.Remove(temp)
	defer out.Close()
	iso, err := iso9660.Create(file.New(out, false), 0, 0, 2048, tree)
	if err != nil {
		return fmt.Errorf("making media: %w", err)
	}
	if err := iso.Finalize(iso9660.FinalizeOptions{RockRidge: true, Joliet: true, VolumeIdentifier: label}); err != nil {
		return fmt.Errorf("writing media: %w", err)
	}
	info, err := out.Stat()
	if err != nil {
		return fmt.Errorf("writing media: %w", err)
	}
	if err := out.Truncate((info.Size() + padding + sizeStep - 1) / sizeStep * sizeStep); err != nil {
		return fmt.Errorf("writing media: %w", err)
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("writing media: %w", err)
	}
	return os.Rename(temp, path)
}
