package qmp

import (
	"context"
	"fmt"
	"os"
	"strings"
)

// RunState is QEMU's own word for what the machine does.
type RunState string

// Run states that the launcher tells apart.
const (
	StateRunning       RunState = "running"
	StatePaused        RunState = "paused"
	StatePrelaunch     RunState = "prelaunch"
	StateIOError       RunState = "io-error"
	StateWatchdog      RunState = "watchdog"
	StateShutdown      RunState = "shutdown"
	StateGuestPanicked RunState = "guest-panicked"
	StateInternalError RunState = "internal-error"
)

// Status is the answer to query-status.
type Status struct {
	Running bool     `json:"running"`
	Status  RunState `json:"status"`
}

// QueryStatus asks what the machine does.
func (c *Client) QueryStatus(ctx context.Context) (Status, error) {
	var s Status
	err := c.Execute(ctx, "query-status", nil, &s)
	return s, err
}

// Stop halts the virtual CPUs. On halted ones it does nothing.
func (c *Client) Stop(ctx context.Context) error { return c.Execute(ctx, "stop", nil, nil) }

// Cont lets the virtual CPUs run. On running ones it does nothing.
func (c *Client) Cont(ctx context.Context) error { return c.Execute(ctx, "cont", nil, nil) }

// SystemPowerdown presses the power button.
func (c *Client) SystemPowerdown(ctx context.Context) error {
	return c.Execute(ctx, "system_powerdown", nil, nil)
}

// SystemReset presses the reset button.
func (c *Client) SystemReset(ctx context.Context) error {
	return c.Execute(ctx, "system_reset", nil, nil)
}

// Quit ends QEMU.
func (c *Client) Quit(ctx context.Context) error { return c.Execute(ctx, "quit", nil, nil) }

// ShutdownAction is what QEMU does when the guest has powered down.
type ShutdownAction string

// Values of ShutdownAction.
const (
	ShutdownPoweroff ShutdownAction = "poweroff"
	ShutdownPause    ShutdownAction = "pause"
)

// SetShutdownAction changes what QEMU does when the guest has powered down.
func (c *Client) SetShutdownAction(ctx context.Context, a ShutdownAction) error {
	return c.Execute(ctx, "set-action", map[string]any{"shutdown": a}, nil)
}

// SetLink plugs the cable of a network device in or out.
func (c *Client) SetLink(ctx context.Context, device string, up bool) error {
	return c.Execute(ctx, "set_link", map[string]any{"name": device, "up": up}, nil)
}

// OpenTray opens the tray of a CD-ROM drive, whatever the guest says.
func (c *Client) OpenTray(ctx context.Context, device string) error {
	return c.Execute(ctx, "blockdev-open-tray", map[string]any{"id": device, "force": true}, nil)
}

// CPU is one entry of query-cpus-fast.
type CPU struct {
	Index int `json:"cpu-index"`
	// Thread is the number of the thread that runs it.
	Thread int `json:"thread-id"`
}

// QueryCPUs lists the virtual processors.
func (c *Client) QueryCPUs(ctx context.Context) ([]CPU, error) {
	var out []CPU
	err := c.Execute(ctx, "query-cpus-fast", nil, &out)
	return out, err
}

// IOThread is one entry of query-iothreads.
type IOThread struct {
	ID     string `json:"id"`
	Thread int    `json:"thread-id"`
}

// QueryIOThreads lists the threads that serve disks.
func (c *Client) QueryIOThreads(ctx context.Context) ([]IOThread, error) {
	var out []IOThread
	err := c.Execute(ctx, "query-iothreads", nil, &out)
	return out, err
}

// Chardev is one entry of query-chardev.
type Chardev struct {
	Label        string `json:"label"`
	Filename     string `json:"filename"`
	FrontendOpen bool   `json:"frontend-open"`
}

// QueryChardev lists the character devices; FrontendOpen of a virtio-serial port says whether the guest has it open.
func (c *Client) QueryChardev(ctx context.Context) ([]Chardev, error) {
	var out []Chardev
	err := c.Execute(ctx, "query-chardev", nil, &out)
	return out, err
}

// MachineType tells the versioned machine type behind an alias: "pc-q35-7.2" for "q35".
func (c *Client) MachineType(ctx context.Context) (string, error) {
	var s string
	err := c.Execute(ctx, "qom-get", map[string]any{"path": "/machine", "property": "type"}, &s)
	return strings.TrimSuffix(s, "-machine"), err
}

// GetFD gives QEMU an open file under a name.
func (c *Client) GetFD(ctx context.Context, name string, f *os.File) error {
	if f == nil {
		return fmt.Errorf("qmp getfd %s: no file", name)
	}
	return c.ExecuteFiles(ctx, "getfd", map[string]any{"fdname": name}, nil, f)
}

// CloseFD takes a file of GetFD back.
func (c *Client) CloseFD(ctx context.Context, name string) error {
	return c.Execute(ctx, "closefd", map[string]any{"fdname": name}, nil)
}

// Screendump writes what is on the first screen to a PNG file.
func (c *Client) Screendump(ctx context.Context, path string) error {
	return c.Execute(ctx, "screendump", map[string]any{"filename": path, "format": "png"}, nil)
}

// inputEvent is a movement along an axis: "abs" to a place, "rel" by a distance.
func inputEvent(kind, axis string, value int) map[string]any {
	return map[string]any{"type": kind, "data": map[string]any{"axis": axis, "value": value}}
}

// MovePointer moves the guest's pointer into the corner and a bit out of it, or where it only knows distances, to and fro.
func (c *Client) MovePointer(ctx context.Context) error {
	var err error
	for _, kind := range []string{"abs", "rel"} {
		for _, value := range []int{-64, 64} {
			to := value
			if kind == "abs" {
				to = max(value, 0)
			}
			err = c.Execute(ctx, "input-send-event", map[string]any{"events": []any{inputEvent(kind, "x", to), inputEvent(kind, "y", to)}}, nil)
			if err != nil {
				break
			}
		}
		if err == nil {
			return nil
		}
	}
	return err
}
