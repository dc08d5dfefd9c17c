package component

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/spec"
)

func TestVerbosity(t *testing.T) {
	spec.Covers(t, "P4-LOG-05", "P4-LOG-06", "P4-LOG-10")
	var out bytes.Buffer
	c := NewConfiguration()
	ours.name = "virt-test"
	defer func() { _ = logsapi.ResetForTest(nil) }()
	if err := logsapi.ValidateAndApplyWithOptions(c, &logsapi.LoggingOptions{ErrorStream: &out, InfoStream: &out}, nil); err != nil {
		t.Fatal(err)
	}
	log := newLog(uint32(c.Verbosity))
	if got := out.String(); !strings.Contains(got, `"msg":"set verbosity to 2"`) {
		t.Errorf("at its start a program says %s", got)
	}
	levels := func() string {
		t.Helper()
		out.Reset()
		for n := range 10 {
			klog.V(klog.Level(n)).InfoS("Old", "n", n)
			klog.Background().V(n).Info("New", "n", n)
		}
		var old, now strings.Builder
		for line := range strings.SplitSeq(strings.TrimSpace(out.String()), "\n") {
			var got struct {
				Msg, Component, Pos string
				N                   int
			}
			if err := json.Unmarshal([]byte(line), &got); err != nil || got.Component != "virt-test" || !strings.HasPrefix(got.Pos, "component_test.go:") {
				t.Errorf("line %s: %v", line, err)
			}
			to := &old
			if got.Msg == "New" {
				to = &now
			}
			to.WriteByte(byte('0' + got.N))
		}
		if old.String() != now.String() {
			t.Errorf("klog's functions write levels %s, its loggers %s", &old, &now)
		}
		return now.String()
	}
	if got := levels(); got != "012" {
		t.Errorf("by default levels %s", got)
	}
	log.SetVerbosity(ptr.To(int32(5)))
	if got := levels(); got != "012345" {
		t.Errorf("at 5 levels %s", got)
	}
	log.SetVerbosity(ptr.To(int32(1)))
	if got := levels(); got != "01" {
		t.Errorf("at 1 levels %s", got)
	}
	log.SetVerbosity(nil)
	if got := levels(); got != "012" {
		t.Errorf("back at the flag's levels %s", got)
	}
	out.Reset()
	klog.Background().Error(errors.New("reason"), "Failed", "object", klog.KRef("ns", "web"))
	if got := out.String(); !strings.Contains(got, `"level":"error"`) || !strings.Contains(got, `"err":"reason"`) || !strings.Contains(got, `"object":{"name":"web","namespace":"ns"}`) {
		t.Errorf("an error: %s", got)
	}
}

func TestConfigured(t *testing.T) {
	if got := Configured(nil); got.VirtAPI != nil {
		t.Error(got)
	}
	var c virtv1.KubeVirtConfiguration
	c.DeveloperConfiguration = &virtv1.DeveloperConfiguration{LogVerbosity: &virtv1.LogVerbosity{VirtAPI: ptr.To(int32(7))}}
	if got := Configured(&c); got.VirtAPI == nil || *got.VirtAPI != 7 {
		t.Error(got)
	}
}
