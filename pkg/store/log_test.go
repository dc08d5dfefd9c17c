package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"regexp"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"k8s.io/klog/v2"

	"github.com/virtplane/virtplane/pkg/logging"
	"github.com/virtplane/virtplane/test/spec"
)

// TestEtcdSpeaksAsWeDo has etcd's logger write lines of the form that all programs share.
func TestEtcdSpeaksAsWeDo(t *testing.T) {
	var out bytes.Buffer
	state := klog.CaptureState()
	defer state.Restore()
	klog.SetLoggerWithOptions(logr.FromSlogHandler(logging.NewHandler(&out, "virt-api", slog.LevelInfo)), klog.ContextualLogger(true))

	log := etcdLogger().With(zap.String("member", "a"))
	log.Info("in good times")
	log.Debug("at any time")
	log.Warn("retrying", zap.Int("attempt", 2), zap.Error(errors.New("it is away")))
	log.Error("lost")

	var got []map[string]any
	for dec := json.NewDecoder(&out); dec.More(); {
		line := map[string]any{}
		if err := dec.Decode(&line); err != nil {
			t.Fatal(err)
		}
		if ok := regexp.MustCompile(`^log_test\.go:\d+$`).MatchString(line["pos"].(string)); !ok {
			t.Errorf("pos is %v", line["pos"])
		}
		delete(line, "pos")
		delete(line, "timestamp")
		got = append(got, line)
	}
	want := []map[string]any{
		{"level": "warning", "msg": "retrying", "component": "virt-api", "logger": "etcd", "member": "a", "attempt": 2.0, "error": "it is away"},
		{"level": "error", "msg": "lost", "component": "virt-api", "logger": "etcd", "member": "a"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	spec.Covers(t, "P4-LOG-09")
}
