package main

import (
	"io/fs"
	"testing"

	"github.com/virtplane/virtplane/device-plugin/kvmprobe"
)

func TestChoose(t *testing.T) {
	missing := &fs.PathError{Op: "stat", Path: "/dev/vhost-net", Err: fs.ErrNotExist}
	for _, tc := range []struct {
		name         string
		kvm          kvmprobe.Result
		vhost        error
		overlay, why string
	}{
		{"fast", kvmprobe.Result{Usable: true, Message: "a loop took 1ms"}, nil, "manifests/overlays/local", "KVM of this machine: usable: a loop took 1ms; guests run on it"},
		{"slow", kvmprobe.Result{Message: "a loop took 2s"}, nil, "manifests/overlays/local-emulation", "KVM of this machine: not usable: a loop took 2s; guests are emulated"},
		{"slow and no vhost-net", kvmprobe.Result{Message: "a loop took 2s"}, missing, "manifests/overlays/local-emulation", "KVM of this machine: not usable: a loop took 2s; guests are emulated"},
		{"fast and no vhost-net", kvmprobe.Result{Usable: true}, missing, "manifests/overlays/local-emulation",
			"KVM of this machine: not usable without vhost-net (modprobe vhost-net): stat /dev/vhost-net: file does not exist; guests are emulated"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if overlay, why := choose(tc.kvm, tc.vhost); overlay != tc.overlay || why != tc.why {
				t.Errorf("%s\n%s\nwant %s\n%s", overlay, why, tc.overlay, tc.why)
			}
		})
	}
}
