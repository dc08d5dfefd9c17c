package main

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestCountedSeats(t *testing.T) {
	for _, tc := range []struct {
		name, metrics string
		want          float64
		fails         bool
	}{
		{name: "all but exempt", want: 5, metrics: `# TYPE apiserver_flowcontrol_current_executing_seats gauge
apiserver_flowcontrol_current_executing_seats{flow_schema="global-default",priority_level="global-default"} 2
apiserver_flowcontrol_current_executing_seats{flow_schema="exempt",priority_level="exempt"} 30
apiserver_flowcontrol_current_executing_seats{flow_schema="service-accounts",priority_level="workload-low"} 3
apiserver_flowcontrol_current_executing_requests{flow_schema="service-accounts",priority_level="workload-low"} 9
`},
		{name: "none", metrics: "up 1\n", fails: true},
		{name: "no number", metrics: "apiserver_flowcontrol_current_executing_seats{priority_level=\"a\"} many\n", fails: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := countedSeats([]byte(tc.metrics))
			if got != tc.want || (err != nil) != tc.fails {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}

// TestViewer reads pictures from a server that plays QEMU's part.
func TestViewer(t *testing.T) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	go func() {
		defer theirs.Close()
		_, _ = io.WriteString(theirs, "RFB 003.008\n")
		_, _ = io.ReadFull(theirs, make([]byte, 12))
		_, _ = theirs.Write([]byte{1, 1})
		_, _ = io.ReadFull(theirs, make([]byte, 1))
		_, _ = theirs.Write(make([]byte, 4))
		_, _ = io.ReadFull(theirs, make([]byte, 1))
		var b bytes.Buffer
		_ = binary.Write(&b, binary.BigEndian, []uint16{4, 2})
		b.Write(append([]byte{32}, make([]byte, 15)...))
		_ = binary.Write(&b, binary.BigEndian, uint32(2))
		b.WriteString("vm")
		_, _ = theirs.Write(b.Bytes())
		_, _ = io.ReadFull(theirs, make([]byte, 8))
		for range 2 {
			_, _ = io.ReadFull(theirs, make([]byte, 10))
			b.Reset()
			for y := range uint16(2) { // in two messages
				b.Write([]byte{0, 0, 0, 1})
				_ = binary.Write(&b, binary.BigEndian, []uint16{0, y, 4, 1})
				_ = binary.Write(&b, binary.BigEndian, int32(0))
				b.Write(make([]byte, 16))
			}
			_, _ = theirs.Write(b.Bytes())
		}
	}()
	v := &viewer{Reader: ours, Writer: ours}
	if err := v.open(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if n, err := v.picture(); n != 32 || err != nil {
			t.Errorf("a picture of %d bytes, %v", n, err)
		}
	}
	if _, err := v.picture(); err == nil {
		t.Error("a third picture of a server that has gone")
	}
}

func TestScreenPod(t *testing.T) {
	ours := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "compute"}, {Name: "guest-console-log"}}}}
	s := sample{pod: ours, args: append([]string{}, machineArgs...), base: "/disk.qcow2", format: "qcow2"}
	if _, err := screenPod(s, "peer"); err == nil || !strings.Contains(err.Error(), "no VNC server") {
		t.Errorf("without a screen: %v", err)
	}
	s.args = append(s.args, "-vnc", "unix:/var/run/kubevirt/virt-vnc")
	pod, err := screenPod(s, "peer")
	if err != nil {
		t.Fatal(err)
	}
	script := pod.Spec.Containers[0].Command[2]
	if len(pod.Spec.Containers) != 1 || !strings.Contains(script, "'-vnc' '127.0.0.1:0'") || !strings.Contains(script, "server=on,wait=off'") || strings.Contains(script, "wait=on") {
		t.Errorf("script %s", script)
	}
}
