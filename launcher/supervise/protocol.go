package supervise

import "time"

// Operations that the launcher asks for.
const (
	opStatus = "status"
	opSpawn  = "spawn"
	opSignal = "signal"
	opFinish = "finish"
)

// request goes from the launcher to the first process.
type request struct {
	ID      uint64   `json:"id"`
	Op      string   `json:"op"`
	Spawn   *Spawn   `json:"spawn,omitempty"`
	Signal  int      `json:"signal,omitempty"`
	Outcome *Outcome `json:"outcome,omitempty"`
}

// reply answers a request, or with id 0 tells of a change.
type reply struct {
	ID     uint64 `json:"id"`
	Error  string `json:"error,omitempty"`
	Status Status `json:"status"`
}

// Spawn says how QEMU is started.
type Spawn struct {
	Path string   `json:"path"`
	Args []string `json:"args"`
	Env  []string `json:"env,omitempty"`
	// Serial is set for a guest with a serial console.
	Serial *Serial `json:"serial,omitempty"`
	// GraceSeconds is how long the guest may take to power down once the pod is told to end. Should the launcher not
	// be there then, the first process waits that long before it ends QEMU.
	GraceSeconds int64 `json:"graceSeconds"`
	// Helpers are started before QEMU, which needs them.
	Helpers []Helper `json:"helpers,omitempty"`
}

// Helper is a process beside QEMU, such as one that shares a folder. It is told to end when QEMU has ended, and not started again: QEMU
// would not take it back.
type Helper struct {
	Name string   `json:"name"`
	Path string   `json:"path"`
	Args []string `json:"args"`
	// Listen is a unix socket that is made for it and that it inherits, listening, as file descriptor HelperFD. QEMU can
	// connect to it at once, however long the helper takes to begin.
	Listen string `json:"listen,omitempty"`
}

// HelperFD is the file descriptor of the socket in a helper.
const HelperFD = 3

// Serial names the sockets of the guest's serial console: QEMU connects to Port when it starts, clients to Clients, or to History if
// they want to see what others have seen before.
type Serial struct {
	Port    string `json:"port"`
	Clients string `json:"clients"`
	History string `json:"history"`
}

// Status is all that the first process knows.
type Status struct {
	// QEMU is nil until it was started.
	QEMU *Process `json:"qemu,omitempty"`
	// TerminateBy is set once the pod was told to end: the moment at which QEMU will be killed.
	TerminateBy *time.Time `json:"terminateBy,omitempty"`
	// Restarts counts how often the launcher was started again.
	Restarts int `json:"restarts"`
}

// Process is QEMU.
type Process struct {
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	// Exit is nil while it runs.
	Exit *Exit `json:"exit,omitempty"`
}

// Exit tells how QEMU ended.
type Exit struct {
	Code   int `json:"code"`
	Signal int `json:"signal,omitempty"`
	// Stderr is the end of what it had to say.
	Stderr string `json:"stderr,omitempty"`
	// Killed says that the first process ended it because the pod's time was up.
	Killed bool `json:"killed,omitempty"`
}

// Outcome is what the launcher makes of the end of QEMU; it goes to the pod's termination message.
type Outcome struct {
	// Expected says that the guest powered down or was killed on request; the pod then succeeds.
	Expected bool   `json:"expected"`
	Reason   string `json:"reason,omitempty"`
	Message  string `json:"message,omitempty"`
}

// Termination is the pod's termination message.
type Termination struct {
	Reason   string `json:"reason"`
	Message  string `json:"message,omitempty"`
	ExitCode int    `json:"exitCode"`
	Signal   int    `json:"signal,omitempty"`
	Stderr   string `json:"stderr,omitempty"`
	// PodTerminated says that the pod was told to end before QEMU had ended.
	PodTerminated bool `json:"podTerminated,omitempty"`
	// Restarts counts how often the launcher was started again.
	Restarts int `json:"restarts,omitempty"`
}
