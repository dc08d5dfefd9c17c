package machine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Record names process 1 of a machine so that it cannot be mistaken for another process that was given the
// same number later, or after the host started again.
type Record struct {
	Name string `json:"name"`
	PID  int    `json:"pid"`
	// StartTime is field 22 of /proc/PID/stat, in ticks since the host started.
	StartTime uint64 `json:"startTime"`
	BootID    string `json:"bootID"`
}

func newRecord(name string, pid int) (Record, error) {
	boot, err := bootID()
	if err != nil {
		return Record{}, err
	}
	start, err := startTime(pid)
	if err != nil {
		return Record{}, err
	}
	return Record{Name: name, PID: pid, StartTime: start, BootID: boot}, nil
}

// Alive tells whether the recorded process still runs. A process that ended but was not waited for does not.
func (r Record) Alive() bool {
	boot, err := bootID()
	if err != nil || boot != r.BootID {
		return false
	}
	start, err := startTime(r.PID)
	return err == nil && start == r.StartTime
}

func bootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b)), err
}

var errEnded = errors.New("process has ended")

func startTime(pid int) (uint64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return parseStartTime(b)
}

// parseStartTime reads /proc/PID/stat. The second field is a name in brackets that may hold anything.
func parseStartTime(stat []byte) (uint64, error) {
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 {
		return 0, errors.New("stat has no name in brackets")
	}
	fields := strings.Fields(string(stat[end+1:]))
	const state, start = 0, 19 // fields 3 and 22 of the whole line
	if len(fields) <= start {
		return 0, fmt.Errorf("stat has %d fields after the name, want more than %d", len(fields), start)
	}
	if fields[state] == "Z" || fields[state] == "X" {
		return 0, errEnded
	}
	return strconv.ParseUint(fields[start], 10, 64)
}

func (r Record) write(file string) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), dirMode); err != nil {
		return err
	}
	tmp := file + ".tmp"
	if err := os.WriteFile(tmp, b, 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, file)
}

// ReadRecord reads a machine's record. The error is fs.ErrNotExist when there is none.
func ReadRecord(file string) (Record, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return Record{}, err
	}
	var r Record
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("reading machine record %s: %w", file, err)
	}
	if r.PID <= 1 {
		return r, fmt.Errorf("reading machine record %s: pid %d is not one of a machine", file, r.PID)
	}
	return r, nil
}

// Records reads all records of a folder; one that is damaged is an error only if no other way is left.
func Records(dir string) ([]Record, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	var found []Record
	var failed error
	for _, f := range files {
		r, err := ReadRecord(f)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			failed = errors.Join(failed, err)
		default:
			found = append(found, r)
		}
	}
	return found, failed
}
