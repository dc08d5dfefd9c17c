package build

// Module is a Go module under test/cluster/programs from which programs of other projects are built.
type Module struct {
	// Name is the folder's name and the first part of the name in the cache.
	Name string
	// From is the module whose required version is stamped and shown; empty for programs of our own.
	From string
	// Stamp lists linker variables; {version} stands for the version of From.
	Stamp    []string
	Tags     string
	Programs []Program
}

// Program is one binary.
type Program struct {
	Name    string
	Package string
}

// Modules are the foreign programs of the local cluster. runc is not among them: it needs cgo and
// libseccomp, so Debian's package is used.
var Modules = []Module{
	{
		Name: "kubernetes",
		From: "k8s.io/kubernetes",
		Stamp: []string{
			"k8s.io/component-base/version.gitVersion={version}",
			"k8s.io/component-base/version.gitMajor=1",
			"k8s.io/component-base/version.gitMinor=37",
		},
		Programs: []Program{
			{"kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"},
			{"kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"},
			{"kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"},
			{"kubelet", "k8s.io/kubernetes/cmd/kubelet"},
			{"kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy"},
			{"kubectl", "k8s.io/kubernetes/cmd/kubectl"},
		},
	},
	{
		Name:     "etcd",
		From:     "go.etcd.io/etcd/server/v3",
		Programs: []Program{{"etcd", "go.etcd.io/etcd/server/v3"}},
	},
	{
		Name:  "containerd",
		From:  "github.com/containerd/containerd/v2",
		Stamp: []string{"github.com/containerd/containerd/v2/version.Version={version}"},
		Tags:  "no_btrfs no_zfs no_devmapper",
		Programs: []Program{
			{"containerd", "github.com/containerd/containerd/v2/cmd/containerd"},
			{"containerd-shim-runc-v2", "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2"},
			{"ctr", "github.com/containerd/containerd/v2/cmd/ctr"},
		},
	},
	{
		Name: "cni-plugins",
		From: "github.com/containernetworking/plugins",
		Programs: []Program{
			{"host-local", "github.com/containernetworking/plugins/plugins/ipam/host-local"},
			{"loopback", "github.com/containernetworking/plugins/plugins/main/loopback"},
			{"portmap", "github.com/containernetworking/plugins/plugins/meta/portmap"},
		},
	},
	{
		Name:     "coredns",
		From:     "github.com/coredns/coredns",
		Programs: []Program{{"coredns", "."}},
	},
	{
		Name:     "pause",
		Programs: []Program{{"pause", "."}},
	},
}
