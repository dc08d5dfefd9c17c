package node

import (
	"fmt"

	"github.com/virtplane/virtplane/test/cluster/plan"
)

// object is a configuration file's content. The kubelet's and kube-proxy's own types would bring their
// packages with them for two small files.
type object map[string]any

func kubeletConfiguration(s Settings) object {
	return object{
		"apiVersion": "kubelet.config.k8s.io/v1beta1",
		"kind":       "KubeletConfiguration",
		"authentication": object{
			"anonymous": object{"enabled": false},
			"webhook":   object{"enabled": true},
			"x509":      object{"clientCAFile": pkiDir + "/ca.crt"},
		},
		"authorization":            object{"mode": "Webhook"},
		"tlsCertFile":              pkiDir + "/kubelet.crt",
		"tlsPrivateKeyFile":        pkiDir + "/kubelet.key",
		"containerRuntimeEndpoint": "unix://" + Socket,
		"clusterDNS":               []string{plan.DNSIP},
		"clusterDomain":            plan.Domain,
		"resolvConf":               "/etc/resolv.conf",
		"cgroupDriver":             "cgroupfs",
		"cgroupRoot":               s.Cgroup,
		"failCgroupV1":             false,
		"failSwapOn":               false,
		"maxPods":                  200,
		"volumePluginDir":          "/var/lib/kubelet/volumeplugins",
		"podLogsDir":               "/var/log/pods",
		// The static policy keeps the CPUs of the reservation, rounded up, for everybody: one of them at least.
		"cpuManagerPolicy": "static",
		"systemReserved":   object{"memory": fmt.Sprintf("%dMi", s.ReservedMemory>>20), "cpu": "100m"},
		// Images were loaded and cannot be had again from outside: a disk that others fill must not make the
		// node throw them away, nor pods.
		"imageGCHighThresholdPercent": 100,
		"imageGCLowThresholdPercent":  99,
		"evictionHard": object{
			"memory.available":  "100Mi",
			"nodefs.available":  "1Gi",
			"imagefs.available": "1Gi",
			"nodefs.inodesFree": "1%",
		},
		// Tests kill and start: waiting for batched status updates would only blur what they see.
		"nodeStatusUpdateFrequency": "5s",
		"syncFrequency":             "20s",
		"volumeStatsAggPeriod":      "10s",
		// A killed program waits as long as after its first crash, also when it is killed again and again.
		"crashLoopBackOff":    object{"maxContainerRestartPeriod": "10s"},
		"serializeImagePulls": false,
		"registryPullQPS":     0,
		"eventRecordQPS":      0,
		"kubeAPIQPS":          100,
		"kubeAPIBurst":        200,
	}
}

func proxyConfiguration(s Settings) object {
	return object{
		"apiVersion":       "kubeproxy.config.k8s.io/v1alpha1",
		"kind":             "KubeProxyConfiguration",
		"clientConnection": object{"kubeconfig": kubeProxyConf},
		"hostnameOverride": s.Name,
		"mode":             "nftables",
		"clusterCIDR":      plan.PodCIDR,
		"detectLocalMode":  "ClusterCIDR",
		// These are the whole host's; a network namespace may not change them.
		"conntrack": object{
			"maxPerCore": 0, "min": 0,
			"tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s",
		},
		"nftables": object{"minSyncPeriod": "100ms", "syncPeriod": "30s"},
	}
}

func networkConfiguration(s Settings) object {
	return object{
		"cniVersion": "1.0.0",
		"name":       "pods",
		"plugins": []object{
			{
				"type":        Bridge,
				"bridge":      "cni0",
				"isGateway":   true,
				"hairpinMode": true,
				"ipam": object{
					"type":    "host-local",
					"dataDir": "/var/lib/cni/networks",
					"ranges":  [][]object{{{"subnet": s.PodCIDR, "gateway": s.PodGateway}}},
					"routes":  []object{{"dst": "0.0.0.0/0"}},
				},
			},
			{
				"type":         "portmap",
				"backend":      "nftables",
				"capabilities": object{"portMappings": true},
				"snat":         true,
			},
		},
	}
}

// containerdConfiguration is for containerd 2. oom_score_adj: a process that may not lower it (no
// CAP_SYS_RESOURCE) could start no pod without restrict_oom_score_adj.
func containerdConfiguration() string {
	return fmt.Sprintf(`version = 3
root = "/var/lib/containerd"
state = "/run/containerd"

[grpc]
  address = %q

[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"

[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = %q

[plugins."io.containerd.cri.v1.images".registry]
  config_path = %q

[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true

[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = [%q]
  conf_dir = "/etc/cni/net.d"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
  SystemdCgroup = false
`, Socket, plan.PauseImage, hostsDir, CNIBin)
}
