package domain

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/virtplane/virtplane/launcher/qmp"
)

// recordVersion grows when an older launcher could misread the file. Both ends are of one image, so it is only a guard.
const recordVersion = 1

// record is what a new launcher process must know of a guest that runs.
type record struct {
	Version int    `json:"version"`
	Guest   *Guest `json:"guest"`
	// Started is when the guest's CPUs ran for the first time.
	Started time.Time `json:"started,omitzero"`
	// Run is what the machine did when it was last asked.
	Run qmp.RunState `json:"run,omitempty"`
	// StopBy is when a guest that was asked to stop will be killed.
	StopBy time.Time `json:"stopBy,omitzero"`
	// Killed is the reason for which QEMU was ended on purpose.
	Killed string `json:"killed,omitempty"`
	// SoftReboot says that the next power-down of the guest is a reboot.
	SoftReboot bool `json:"softReboot,omitempty"`
	// PodTerminated says that the guest was told to stop because the pod was.
	PodTerminated bool `json:"podTerminated,omitempty"`
	// Frozen says that the guest's file systems are frozen, or may be; ThawBy is when that ends by itself, zero if never.
	Frozen bool      `json:"frozen,omitempty"`
	ThawBy time.Time `json:"thawBy,omitzero"`
	// ClockBehind says that the guest's clock is to be set once its file systems are thawed: its CPUs stood still.
	ClockBehind bool `json:"clockBehind,omitempty"`
	// CredentialsSynced says that the guest has had the keys and passwords of its Secrets.
	CredentialsSynced bool `json:"credentialsSynced,omitempty"`
	// LeftOut names what of a lease found no room in the answer to the guest, by interface.
	LeftOut map[string][]string `json:"leftOut,omitempty"`
	// Heard is what QEMU's events have told.
	Heard heard `json:"heard,omitzero"`
}

// heard is what QEMU tells once, and a launcher that comes later must know.
type heard struct {
	Panicked bool   `json:"panicked,omitempty"`
	Watchdog string `json:"watchdog,omitempty"`
	Shutdown string `json:"shutdown,omitempty"`
	// IOError names the disk that failed last, and why.
	IOError string    `json:"ioError,omitempty"`
	Reset   time.Time `json:"reset,omitzero"`
	// Incidents are the last of each reason.
	Incidents []incident `json:"incidents,omitempty"`
}

type incident struct {
	Reason  string    `json:"reason"`
	Message string    `json:"message"`
	At      time.Time `json:"at"`
}

// note keeps an incident in the place of the one before it.
func (h *heard) note(reason, message string, at time.Time) {
	h.Incidents = slices.DeleteFunc(slices.Clone(h.Incidents), func(i incident) bool { return i.Reason == reason })
	h.Incidents = append(h.Incidents, incident{reason, message, at})
}

// saveRecord replaces the file whole: a crash leaves the old one or the new one. It need not outlive the node: then the
// guest is gone as well.
func saveRecord(path string, r record) (err error) {
	r.Version = recordVersion
	raw, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encoding state: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".state-")
	if err != nil {
		return fmt.Errorf("saving state: %w", err)
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = f.Write(raw)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("saving state: %w", err)
	}
	return nil
}

// loadRecord gives no guest where there is no file.
func loadRecord(path string) (record, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return record{}, nil
	}
	if err != nil {
		return record{}, fmt.Errorf("reading state: %w", err)
	}
	var r record
	if err := json.Unmarshal(raw, &r); err != nil {
		return record{}, fmt.Errorf("reading state %s: %w", path, err)
	}
	if r.Version != recordVersion || r.Guest == nil {
		return record{}, fmt.Errorf("state %s is of version %d, this launcher reads %d", path, r.Version, recordVersion)
	}
	return r, nil
}

func removeRecord(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing state: %w", err)
	}
	return nil
}
