package pool

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"
)

const (
	recordVersion = 1
	recordSuffix  = ".json"
	tempSuffix    = ".tmp"
	maxRecord     = 1 << 20
)

// Mode is the shape in which a volume reaches a pod.
type Mode string

// Filesystem volumes are directories.
const Filesystem Mode = "Filesystem"

type phase string

const (
	phaseCreating phase = "creating"
	phaseReady    phase = "ready"
	phaseDeleting phase = "deleting"
)

// record is what is known of a volume; it is stored beside it as JSON.
type record struct {
	Version int    `json:"version"`
	ID      string `json:"id"`
	Name    string `json:"name"`
	Mode    Mode   `json:"mode"`
	// Size is what was promised, 0 when that is not known any more.
	Size    int64     `json:"size"`
	Phase   phase     `json:"phase"`
	Created time.Time `json:"created"`
	// Published says whether any pod has ever had the volume: what nobody had holds nothing.
	Published bool `json:"published"`
}

var errNewerRecord = errors.New("record was written by a newer version")

// idPattern keeps an id a plain file name. The last character of the first class keeps hidden names and options out.
var idPattern = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]{0,126}[a-z0-9])?$`)

func validID(id string) bool { return idPattern.MatchString(id) }

// VolumeID is the id of the volume of that name: the name itself if that is a plain one, as those that Kubernetes gives are, otherwise its hash. It is the same each time, so a request that is
// repeated after a crash finds the volume that the first one made.
func VolumeID(name string) string {
	if validID(name) {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return "vol-" + hex.EncodeToString(sum[:16])
}

func recordFile(id string) string { return dirState + "/" + id + recordSuffix }

func readRecord(files files, id string) (*record, error) {
	if !validID(id) {
		return nil, fmt.Errorf("record %q: not the name of a volume", id)
	}
	data, err := files.Read(recordFile(id), maxRecord)
	if err != nil {
		return nil, fmt.Errorf("reading record of volume %q: %w", id, err)
	}
	return parseRecord(id, data)
}

func parseRecord(id string, data []byte) (*record, error) {
	r := &record{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("record of volume %q: %w", id, err)
	}
	switch {
	case r.Version > recordVersion:
		return nil, fmt.Errorf("record of volume %q: version %d, this program knows up to %d: %w", id, r.Version, recordVersion, errNewerRecord)
	case r.Version < 1:
		return nil, fmt.Errorf("record of volume %q: version %d is none", id, r.Version)
	case r.ID != id:
		return nil, fmt.Errorf("record of volume %q: says that it belongs to %q", id, r.ID)
	case r.Mode != Filesystem:
		return nil, fmt.Errorf("record of volume %q: mode %q is not known", id, r.Mode)
	case r.Size < 0:
		return nil, fmt.Errorf("record of volume %q: size %d is negative", id, r.Size)
	case r.Phase != phaseCreating && r.Phase != phaseReady && r.Phase != phaseDeleting:
		return nil, fmt.Errorf("record of volume %q: phase %q is not known", id, r.Phase)
	}
	return r, nil
}

func (r *record) write(files files) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("record of volume %q: %w", r.ID, err)
	}
	temp := dirState + "/." + r.ID + tempSuffix
	if err := files.Write(temp, append(data, '\n')); err != nil {
		return fmt.Errorf("writing record of volume %q: %w", r.ID, err)
	}
	if err := files.Rename(temp, recordFile(r.ID)); err != nil {
		return fmt.Errorf("writing record of volume %q: %w", r.ID, err)
	}
	return nil
}
