package qemu

import "fmt"

// SerialConsole is the first serial port. QEMU connects to a unix socket with it when it starts, and does not start if
// nobody listens there: what a guest writes on a port that QEMU serves itself is lost while no client is connected.
type SerialConsole struct{ Socket string }

// Validate tells what QEMU would not take.
func (s *SerialConsole) Validate() error { return checkSocket("serial console", s.Socket) }

// Args gives the character device and the port.
func (s *SerialConsole) Args() []string {
	return []string{
		"-chardev", "socket,id=serial0,path=" + escape(s.Socket) + ",server=off",
		"-device", newProps("driver", "isa-serial").set("id", "isa-serial0").set("chardev", "serial0").String(),
	}
}

// Names by which the launcher finds the channel of the guest agent again.
const (
	AgentPortID  = "agent0"
	AgentChardev = "agent0"
)

// AgentChannel is the virtio-serial port that the guest agent opens, served on a unix socket.
type AgentChannel struct {
	Socket       string
	Transitional bool
	PCI          PCIAddress
}

func (a *AgentChannel) pciAddress() *PCIAddress { return &a.PCI }
func (a *AgentChannel) pciName() string         { return "guest agent's channel" }

// Validate tells what QEMU would not take.
func (a *AgentChannel) Validate() error { return checkSocket("guest agent's channel", a.Socket) }

// Args gives the controller, the character device and the port.
func (a *AgentChannel) Args() []string {
	return []string{
		"-device", newProps("driver", virtio("virtio-serial", a.Transitional)).set("id", "virtio-serial0").set("addr", a.PCI.String()).String(),
		"-chardev", socketChardev(AgentChardev, a.Socket),
		"-device", newProps("driver", "virtserialport").set("id", AgentPortID).set("bus", "virtio-serial0.0").
			set("chardev", AgentChardev).set("name", "org.qemu.guest_agent.0").String(),
	}
}

// Graphics is a display adapter seen through VNC on a unix socket.
type Graphics struct {
	Socket string
	// Model is "vga", "bochs", "virtio", "cirrus" or "ramfb"; empty means vga.
	Model        string
	Transitional bool
	PCI          PCIAddress
}

var displays = map[string]string{"": "VGA", "vga": "VGA", "bochs": "bochs-display", "virtio": "virtio-vga", "cirrus": "cirrus-vga"}

func (g *Graphics) pciAddress() *PCIAddress {
	if g.Model == "ramfb" {
		return nil
	}
	return &g.PCI
}
func (g *Graphics) pciName() string { return "display" }

// Validate tells what QEMU would not take.
func (g *Graphics) Validate() error {
	if displays[g.Model] == "" && g.Model != "ramfb" {
		return fmt.Errorf("display: model %q must be vga, bochs, virtio, cirrus or ramfb", g.Model)
	}
	return checkSocket("vnc", g.Socket)
}

// Args gives the adapter and the VNC server.
func (g *Graphics) Args() []string {
	var p *props
	if g.Model == "ramfb" {
		p = newProps("driver", "ramfb").set("id", "video0")
	} else {
		p = newProps("driver", displays[g.Model]).set("id", "video0").set("addr", g.PCI.String())
	}
	return []string{"-device", p.String(), "-vnc", "unix:" + escape(g.Socket)}
}

// Monitor is the socket on which QEMU speaks QMP.
type Monitor struct{ Socket string }

// Validate tells what QEMU would not take.
func (m Monitor) Validate() error { return checkSocket("monitor", m.Socket) }

// Args gives the character device and the monitor.
func (m Monitor) Args() []string {
	return []string{"-chardev", socketChardev("monitor", m.Socket), "-mon", "chardev=monitor,mode=control"}
}

func socketChardev(id, path string) string {
	return fmt.Sprintf("socket,id=%s,path=%s,server=on,wait=off", id, escape(path))
}
