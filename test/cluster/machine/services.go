package machine

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// pidDir is where the supervisor notes the numbers of services, as the machine sees them.
const pidDir = "/run/services"

// Running is a service that runs now, with the host's number of its process.
type Running struct {
	Name string
	PID  int
}

// Services lists the services of a machine that run now, by name.
func Services(r Record) ([]Running, error) {
	files, err := filepath.Glob(filepath.Join(Path(r, pidDir), "*.pid"))
	if err != nil {
		return nil, err
	}
	inside := make(map[int]string)
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // ended just now
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
		if err != nil {
			return nil, fmt.Errorf("machine %s: %s: %w", r.Name, f, err)
		}
		inside[pid] = strings.TrimSuffix(filepath.Base(f), ".pid")
	}
	space, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid_for_children", r.PID))
	if err != nil {
		return nil, fmt.Errorf("machine %s: %w", r.Name, err)
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var found []Running
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if in, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", pid)); err != nil || in != space {
			continue
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			continue
		}
		if name, ok := inside[innerPID(string(status))]; ok {
			found = append(found, Running{Name: name, PID: pid})
		}
	}
	sort.Slice(found, func(i, j int) bool { return found[i].Name < found[j].Name })
	return found, nil
}

// innerPID reads, from the text of /proc/PID/status, the number that a process has in its own namespace.
func innerPID(status string) int {
	for _, line := range strings.Split(status, "\n") {
		numbers, ok := strings.CutPrefix(line, "NSpid:")
		if !ok {
			continue
		}
		fields := strings.Fields(numbers)
		if len(fields) == 0 {
			return 0
		}
		pid, err := strconv.Atoi(fields[len(fields)-1])
		if err != nil {
			return 0
		}
		return pid
	}
	return 0
}
