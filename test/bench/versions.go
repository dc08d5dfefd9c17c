package main

import (
	"context"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/version"

	"github.com/virtplane/virtplane/test/bench/pods"
)

// etcdModule is what says which etcd a program is, or has inside.
const etcdModule = "go.etcd.io/etcd/server/v3"

// unknown stands for a version that could not be had: a bench does not fail for its head.
const unknown = "unknown"

// clusterVersions says what runs in the cluster under test; qemu is that of a launcher image.
func (t *target) clusterVersions(ctx context.Context, qemu string) []string {
	kubernetes := unknown
	if v, err := t.kube.Discovery().ServerVersion(); err == nil {
		kubernetes = v.GitVersion
	}
	virtplane := unknown
	if raw, err := t.kube.Discovery().RESTClient().Get().AbsPath("/apis/subresources.kubevirt.io/v1/version").DoRaw(ctx); err == nil {
		virtplane = installedCommit(raw)
	}
	return []string{
		"Virtplane " + virtplane,
		fmt.Sprintf("Kubernetes %s on etcd %s", kubernetes, moduleVersion(filepath.Join(t.dir.Bin(), "etcd"), etcdModule)),
		qemu,
	}
}

// installedCommit reads the answer of virt-api to the question for its version.
func installedCommit(answer []byte) string {
	var info version.Info
	if err := json.Unmarshal(answer, &info); err != nil || info.GitCommit == "" {
		return unknown
	}
	return commit(info.GitCommit, info.GitTreeState != "clean")
}

// checkoutCommit is that of the sources which a bench builds by itself.
func checkoutCommit(ctx context.Context, root string) string {
	git := func(args ...string) (string, error) {
		out, err := exec.CommandContext(ctx, "git", append([]string{"-C", root}, args...)...).Output()
		return strings.TrimSpace(string(out)), err
	}
	head, err := git("rev-parse", "HEAD")
	if err != nil {
		return unknown
	}
	changed, err := git("status", "--porcelain", "--untracked-files=no")
	return commit(head, err != nil || changed != "")
}

func commit(id string, changed bool) string {
	id = id[:min(len(id), 12)]
	if changed {
		id += " with changes"
	}
	return id
}

// moduleVersion reads from a Go program which version of a module it was built with.
func moduleVersion(program, module string) string {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return unknown
	}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path == module {
			return m.Version
		}
	}
	return unknown
}

// qemuVersion asks the program that a process runs, in the root of that process: the image's, not the host's.
func qemuVersion(ctx context.Context, pid int) string {
	exe, err := pods.Program(pid)
	if err != nil {
		return unknown + " QEMU"
	}
	out, err := pods.Inside(ctx, pid, exe, "--version").Output()
	if err != nil {
		return unknown + " QEMU"
	}
	first, _, _ := strings.Cut(string(out), "\n")
	return first + ", in the launcher's image"
}
