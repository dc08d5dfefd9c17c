package metrics

import (
	"encoding/xml"
	"fmt"
	"strconv"
	"time"
)

// metric is one figure as vhostmd writes it.
type metric struct {
	Type    string `xml:"type,attr"`
	Context string `xml:"context,attr"`
	Unit    string `xml:"unit,attr,omitempty"`
	Name    string `xml:"name"`
	Value   cdata  `xml:"value"`
}

type cdata struct {
	Text string `xml:",cdata"`
}

type document struct {
	XMLName xml.Name `xml:"metrics"`
	Metrics []metric `xml:"metric"`
}

// Contexts.
const (
	ofHost = "host"
	ofVM   = "vm"
)

func text(context, name, value string) metric {
	return metric{Type: "string", Context: context, Name: name, Value: cdata{value}}
}

func unsigned(context, name, unit string, value uint64) metric {
	return metric{Type: "uint64", Context: context, Name: name, Unit: unit, Value: cdata{strconv.FormatUint(value, 10)}}
}

func signed(context, name, unit string, value int64) metric {
	return metric{Type: "int64", Context: context, Name: name, Unit: unit, Value: cdata{strconv.FormatInt(value, 10)}}
}

func seconds(context, name string, value float64) metric {
	return metric{Type: "real64", Context: context, Name: name, Unit: "s", Value: cdata{fmt.Sprintf("%.6f", value)}}
}

// Guest is what does not change while a guest runs.
type Guest struct {
	// Node is the name of the node, as the cluster has it.
	Node string `json:"node"`
	// VCPUs and MemoryKiB are the guest's.
	VCPUs     int   `json:"vcpus"`
	MemoryKiB int64 `json:"memoryKiB"`
	// Disk is the file of the guest's disk of figures, Socket that of its channel; either may be empty.
	Disk   string `json:"disk,omitempty"`
	Socket string `json:"socket,omitempty"`
}

// Source is where figures come from.
type Source struct {
	Guest
	// Proc and Sys are the kernel's; empty means /proc and /sys.
	Proc, Sys string
	// PID is QEMU's process, 0 for none, and Version its version.
	PID     func() int
	Version func() string
	Now     func() time.Time
}

// Report gives all figures that can be had now as a document.
func (s Source) Report() ([]byte, error) {
	product := "QEMU"
	if v := s.Version(); v != "" {
		product += " " + v
	}
	all := []metric{
		text(ofHost, "HostName", s.Node), text(ofHost, "HostSystemInfo", "linux"),
		text(ofHost, "VirtualizationVendor", "kubevirt.io"), text(ofHost, "VirtProductInfo", product),
	}
	if busy, err := cpuTime(s.proc(), s.PID()); err == nil {
		all = append(all, seconds(ofVM, "TotalCPUTime", busy.Seconds()))
	}
	all = append(all, unsigned(ofVM, "ResourceProcessorLimit", "", uint64(max(s.VCPUs, 0))),
		unsigned(ofVM, "PhysicalMemoryAllocatedToVirtualSystem", "KiB", uint64(max(s.MemoryKiB, 0))),
		unsigned(ofVM, "ResourceMemoryLimit", "KiB", uint64(max(s.MemoryKiB, 0))))
	all = append(all, hostCPUs(s.proc(), s.sys())...)
	all = append(all, hostMemory(s.proc())...)
	all = append(all, signed(ofHost, "Time", "s", s.Now().Unix()))
	raw, err := xml.MarshalIndent(document{Metrics: all}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding metrics: %w", err)
	}
	return raw, nil
}

func (s Source) proc() string {
	if s.Proc == "" {
		return "/proc"
	}
	return s.Proc
}

func (s Source) sys() string {
	if s.Sys == "" {
		return "/sys"
	}
	return s.Sys
}
