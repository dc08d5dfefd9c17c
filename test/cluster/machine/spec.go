package machine

import (
	"fmt"
	"io/fs"
)

// Spec is what process 1 of a machine is told.
type Spec struct {
	Name string
	// Root is the folder that becomes /. It has been filled with the machine's files.
	Root  string
	Binds []Bind
	// Disk is mounted at a path of the machine when the host can make it.
	Disk *Disk
	// Cgroup is a group that the machine's processes are put into; it exists.
	Cgroup string
	// Sysctls are files below /proc/sys that the machine's processes see with this content instead of the
	// host's: they belong to the whole host, and services would change them.
	Sysctls map[string]string
	Env     []string
	// LogDir is the folder, inside the machine, of the services' logs.
	LogDir   string
	Services []Service
}

// Bind shows a file or folder of the host at a path of the machine.
type Bind struct {
	Source, Target string
	ReadOnly       bool
}

// Disk is a file system in a file, mounted through a loop device.
type Disk struct {
	Image  string
	Target string
	Size   int64
}

// Service is one program that is kept running.
type Service struct {
	Name string
	Args []string
	// WaitFor lists what has to answer before the service is started: unix:PATH or tcp:HOST:PORT for a
	// socket that takes connections, an https URL for the answer 200.
	WaitFor []string
	// Listener passes the listening socket that the machine was started with, as file 3.
	Listener bool
}

func (s *Spec) validate() error {
	if s.Root == "" || s.Name == "" {
		return fmt.Errorf("machine %q: name and root must be set", s.Name)
	}
	seen := make(map[string]bool)
	for _, sv := range s.Services {
		if sv.Name == "" || len(sv.Args) == 0 || seen[sv.Name] {
			return fmt.Errorf("machine %s: service %q: name must be set and unique, args must be set", s.Name, sv.Name)
		}
		seen[sv.Name] = true
	}
	return nil
}

// dirMode is the mode of folders that a machine's root is made of.
const dirMode fs.FileMode = 0o755
