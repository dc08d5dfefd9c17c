package qmp

// Names of the events that the launcher acts on.
const (
	EventStop              = "STOP"
	EventResume            = "RESUME"
	EventReset             = "RESET"
	EventShutdown          = "SHUTDOWN"
	EventPowerdown         = "POWERDOWN"
	EventGuestPanicked     = "GUEST_PANICKED"
	EventGuestCrashLoaded  = "GUEST_CRASHLOADED"
	EventWatchdog          = "WATCHDOG"
	EventBlockIOError      = "BLOCK_IO_ERROR"
	EventVserportChange    = "VSERPORT_CHANGE"
	EventNICFilterChanged  = "NIC_RX_FILTER_CHANGED"
	EventMemoryFailure     = "MEMORY_FAILURE"
	EventDeviceDeleted     = "DEVICE_DELETED"
	EventBlockJobCompleted = "BLOCK_JOB_COMPLETED"
)

// ShutdownData comes with SHUTDOWN.
type ShutdownData struct {
	// Guest is true when the guest asked for it.
	Guest bool `json:"guest"`
	// Reason is "guest-shutdown", "host-qmp-quit", "host-signal", "guest-panic", "guest-reset" and others.
	Reason string `json:"reason"`
}

// ResetData comes with RESET.
type ResetData struct {
	Guest  bool   `json:"guest"`
	Reason string `json:"reason"`
}

// PanicData comes with GUEST_PANICKED.
type PanicData struct {
	Action string `json:"action"`
}

// WatchdogData comes with WATCHDOG.
type WatchdogData struct {
	Action string `json:"action"`
}

// VserportData comes with VSERPORT_CHANGE.
type VserportData struct {
	ID   string `json:"id"`
	Open bool   `json:"open"`
}

// BlockIOErrorData comes with BLOCK_IO_ERROR.
type BlockIOErrorData struct {
	NodeName  string `json:"node-name"`
	Operation string `json:"operation"`
	Action    string `json:"action"`
	NoSpace   bool   `json:"nospace"`
	Reason    string `json:"reason"`
}
