package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/e2e/harness"
	"github.com/virtplane/virtplane/test/spec"
	"github.com/virtplane/virtplane/test/wire"
)

// agentGuest is a guest with Debian's agent, keys by agent and on a disk for cloud-init, a password, and a probe that goes
// through the agent.
const agentGuest = `
apiVersion: v1
kind: Secret
metadata: {name: my-pub-key}
stringData: {key1: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTEx first@test"}
---
apiVersion: v1
kind: Secret
metadata: {name: disk-key}
stringData: {key1: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIy disk@test"}
---
apiVersion: v1
kind: Secret
metadata: {name: passwords}
stringData: {debian: first-password}
---
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {name: agent}
spec:
  runStrategy: Always
  template:
    metadata: {labels: {app: agent}}
    spec:
      terminationGracePeriodSeconds: 0
      readinessProbe:
        exec: {command: [test, -e, /run/healthy]}
        periodSeconds: 5
        timeoutSeconds: 4
        failureThreshold: 2
      accessCredentials:
      - sshPublicKey:
          source: {secret: {secretName: my-pub-key}}
          propagationMethod: {qemuGuestAgent: {users: [root]}}
      - sshPublicKey:
          source: {secret: {secretName: disk-key}}
          propagationMethod: {noCloud: {}}
      - userPassword:
          source: {secret: {secretName: passwords}}
          propagationMethod: {qemuGuestAgent: {}}
      domain:
        memory: {guest: 192Mi}
        devices:
          autoattachGraphicsDevice: false
          disks:
          - {name: root, disk: {bus: virtio}}
          - {name: init, disk: {bus: virtio}}
          - {name: data, disk: {bus: virtio}}
          interfaces: [{name: default, masquerade: {}}]
          rng: {}
      networks: [{name: default, pod: {}}]
      volumes:
      - {name: root, containerDisk: {image: "` + harness.TinyAgentImage + `"}}
      - name: init
        cloudInitNoCloud:
          userData: |
            #!/bin/sh
            mke2fs /dev/vdc && mount -t ext4 /dev/vdc /mnt
      - {name: data, emptyDisk: {capacity: 16Mi}}
---
apiVersion: v1
kind: Service
metadata: {name: agent}
spec:
  selector: {app: agent}
  ports: [{port: 22}]
`

// agentLab is the guest with what is asked of it.
type agentLab struct {
	*harness.Cluster
	t         *testing.T
	namespace string
	pod       *corev1.Pod
}

// bootLimit is how long a Debian guest may take until its services answer.
const bootLimit = 6 * time.Minute

// inGuest runs a command as root by the agent, the way exec probes do.
func (l *agentLab) inGuest(t *testing.T, command ...string) string {
	t.Helper()
	return strings.TrimSpace(l.Exec(t, l.namespace, l.pod.Name, "compute", append([]string{"/usr/bin/virt-launcher", "probe", "--timeout=30s", "--"}, command...)...))
}

// tryInGuest is inGuest for a guest that may not answer.
func (l *agentLab) tryInGuest(t *testing.T, command ...string) (string, error) {
	t.Helper()
	out, err := l.TryExec(t, l.namespace, l.pod.Name, "compute", append([]string{"/usr/bin/virt-launcher", "probe", "--timeout=10s", "--"}, command...)...)
	return strings.TrimSpace(out), err
}

// call sends a request to a subresource of the instance, as stock clients do.
func (l *agentLab) call(t *testing.T, method, action, body string) wire.Response {
	t.Helper()
	a, err := l.Wire.Do(t.Context(), method, wire.Subresource("v1", l.namespace, "virtualmachineinstances", "agent", action), body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, action, err)
	}
	return a
}

func (l *agentLab) put(t *testing.T, action, body string) {
	t.Helper()
	if a := l.call(t, http.MethodPut, action, body); a.Code != http.StatusOK {
		t.Fatalf("%s: %d %s", action, a.Code, a.Body)
	}
}

func (l *agentLab) vmi(t *testing.T, what string, limit time.Duration, ok func(*virtv1.VirtualMachineInstance) bool) *virtv1.VirtualMachineInstance {
	t.Helper()
	return l.WaitVMI(t, l.namespace, "agent", what, limit, func(vmi *virtv1.VirtualMachineInstance) bool { return vmi != nil && ok(vmi) })
}

func has(kind virtv1.VirtualMachineInstanceConditionType, value corev1.ConditionStatus) func(*virtv1.VirtualMachineInstance) bool {
	return func(vmi *virtv1.VirtualMachineInstance) bool {
		return slices.ContainsFunc(vmi.Status.Conditions, func(c virtv1.VirtualMachineInstanceCondition) bool { return c.Type == kind && c.Status == value })
	}
}

// eventually looks again and again until look is content.
func eventually(t *testing.T, what string, limit time.Duration, look func() (string, bool)) {
	t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(2 * time.Second) {
		last, ok := look()
		if ok {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s; the last was %q", what, limit, last)
		}
	}
}

// TestGuestAgent starts one guest with Debian's agent and does with it all that goes through that.
func TestGuestAgent(t *testing.T) {
	t.Parallel()
	c := harness.Connect(t)
	ns := c.Namespace(t)
	l := &agentLab{Cluster: c, t: t, namespace: ns}
	c.Apply(t, ns, agentGuest)
	l.vmi(t, "running", harness.BootLimit, func(v *virtv1.VirtualMachineInstance) bool { return v.Status.Phase == virtv1.Running })
	vmi := l.vmi(t, "connected to its agent", harness.BootLimit, has(virtv1.VirtualMachineInstanceAgentConnected, corev1.ConditionTrue))
	l.pod = c.LauncherPod(t, vmi)

	t.Run("the agent answers", func(t *testing.T) {
		// While the guest is still starting, its agent may not come to answer in time.
		eventually(t, "the agent's port is there", harness.BootLimit, func() (string, bool) {
			got, err := l.tryInGuest(t, "ls", "/dev/virtio-ports/org.qemu.guest_agent.0")
			return got, err == nil && got == "/dev/virtio-ports/org.qemu.guest_agent.0"
		})
		eventually(t, "the agent runs in the guest", harness.BootLimit, func() (string, bool) {
			got, err := l.tryInGuest(t, "pidof", "qemu-ga")
			return got, err == nil && got != ""
		})
		spec.Covers(t, "P2-GA-01", "P2-GA-03", "P3-QGA-01", "P3-QGA-03")
	})
	t.Run("status", func(t *testing.T) {
		vmi := l.vmi(t, "told of its system", 2*time.Minute, func(v *virtv1.VirtualMachineInstance) bool { return v.Status.GuestOSInfo.ID == "debian" })
		i := vmi.Status.Interfaces[0]
		if i.InfoSource != "domain, guest-agent" || i.InterfaceName == "" || i.IPAddress != l.pod.Status.PodIP {
			t.Errorf("interface %+v", i)
		}
		if has(virtv1.VirtualMachineInstanceUnsupportedAgent, corev1.ConditionTrue)(vmi) {
			t.Errorf("conditions %+v", vmi.Status.Conditions)
		}
		spec.Covers(t, "P2-GA-02", "P3-QGA-02")
	})
	t.Run("keys and password", func(t *testing.T) {
		l.vmi(t, "given its credentials", 3*time.Minute, has(virtv1.VirtualMachineInstanceAccessCredentialsSynchronized, corev1.ConditionTrue))
		if got := l.inGuest(t, "cat", "/root/.ssh/authorized_keys"); !strings.Contains(got, " first@test ") {
			t.Errorf("root's keys: %q", got)
		}
		// The agent has left out the last line's end.
		l.inGuest(t, "sh", "-c", "printf '\\n# my laptop\\nssh-ed25519 AAAA owner@test\\n' >>/root/.ssh/authorized_keys")
		// Where cloud-init would read it.
		if got := l.inGuest(t, "sh", "-c", "mkdir -p /tmp/seed && mount -t iso9660 -o ro /dev/vdb /tmp/seed && cat /tmp/seed/meta-data && umount /tmp/seed"); !strings.Contains(got, "disk@test") {
			t.Errorf("the disk for cloud-init says %q", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), harness.BootLimit)
		defer cancel()
		console := c.Console(t, ns, "agent")
		if err := console.Login(ctx, "agent", "debian", "first-password"); err != nil {
			t.Fatal(err)
		}
		spec.Covers(t, "P2-SSH-08", "P2-SSH-09")
	})
	t.Run("queries", func(t *testing.T) { l.queries(t) })
	t.Run("a changed Secret", func(t *testing.T) {
		before := l.inGuest(t, "sed", "-n", "s/^debian:\\([^:]*\\):.*/\\1/p", "/etc/shadow")
		c.Apply(t, ns, "apiVersion: v1\nkind: Secret\nmetadata: {name: my-pub-key}\nstringData: {key1: \"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMz second@test\"}\n")
		c.Apply(t, ns, "apiVersion: v1\nkind: Secret\nmetadata: {name: passwords}\nstringData: {debian: second-password}\n")
		// The kubelet may take more than a minute.
		eventually(t, "the guest gets the new key and password", 4*time.Minute, func() (string, bool) {
			keys, err := l.tryInGuest(t, "cat", "/root/.ssh/authorized_keys")
			shadow, serr := l.tryInGuest(t, "sed", "-n", "s/^debian:\\([^:]*\\):.*/\\1/p", "/etc/shadow")
			return keys, err == nil && serr == nil && strings.Contains(keys, " second@test ") && !strings.Contains(keys, "first@test") &&
				strings.Contains(keys, "# my laptop\nssh-ed25519 AAAA owner@test\n") && shadow != before
		})
	})
	t.Run("freeze", func(t *testing.T) {
		frozen := func(v *virtv1.VirtualMachineInstance) bool { return v.Status.FSFreezeStatus == "frozen" }
		thawed := func(v *virtv1.VirtualMachineInstance) bool { return v.Status.FSFreezeStatus == "" }
		l.put(t, "freeze", `{"unfreezeTimeout":"10m"}`)
		l.vmi(t, "frozen", time.Minute, frozen)
		if !frozenInGuest(t, l) {
			t.Error("the agent runs commands, which a frozen guest's does not")
		}
		l.put(t, "unfreeze", "")
		l.vmi(t, "thawed", time.Minute, thawed)
		l.inGuest(t, "touch", "/mnt/thawed")
		l.put(t, "freeze", `{"unfreezeTimeout":"10s"}`)
		l.vmi(t, "frozen again", time.Minute, frozen)
		l.vmi(t, "thawed by itself", time.Minute, thawed)
		l.inGuest(t, "touch", "/mnt/thawed-again")
		spec.Covers(t, "P2-GA-05")
	})
	t.Run("readiness probe in the guest", func(t *testing.T) {
		l.vmi(t, "not ready", time.Minute, has(virtv1.VirtualMachineInstanceReady, corev1.ConditionFalse))
		l.inGuest(t, "touch", "/run/healthy")
		l.vmi(t, "ready", time.Minute, has(virtv1.VirtualMachineInstanceReady, corev1.ConditionTrue))
		l.endpoint(t, true)
		l.inGuest(t, "rm", "/run/healthy")
		l.vmi(t, "not ready", time.Minute, has(virtv1.VirtualMachineInstanceReady, corev1.ConditionFalse))
		l.endpoint(t, false)
		spec.Covers(t, "P4-PROBE-01", "P4-PROBE-02", "P4-PROBE-03", "P4-PROBE-13")
	})
	t.Run("time after a pause", func(t *testing.T) {
		l.put(t, "pause", "{}")
		l.vmi(t, "paused", time.Minute, has(virtv1.VirtualMachineInstancePaused, corev1.ConditionTrue))
		time.Sleep(20 * time.Second)
		l.put(t, "unpause", "{}")
		eventually(t, "the guest's clock is right", time.Minute, func() (string, bool) {
			got, err := l.tryInGuest(t, "date", "+%s")
			seconds, perr := strconv.ParseInt(got, 10, 64)
			return got, err == nil && perr == nil && time.Since(time.Unix(seconds, 0)).Abs() < 10*time.Second
		})
	})
	t.Run("soft reboot", func(t *testing.T) {
		before := l.inGuest(t, "cat", "/proc/sys/kernel/random/boot_id")
		l.put(t, "softreboot", "")
		eventually(t, "the guest boots anew", harness.BootLimit, func() (string, bool) {
			now, err := l.tryInGuest(t, "cat", "/proc/sys/kernel/random/boot_id")
			return now, err == nil && now != "" && now != before
		})
		if now := l.vmi(t, "running", time.Minute, func(*virtv1.VirtualMachineInstance) bool { return true }); now.UID != vmi.UID {
			t.Error("a soft reboot made another instance")
		}
	})
	t.Run("the agent stops", func(t *testing.T) {
		// Later, for the agent cannot stop itself and answer.
		l.inGuest(t, "sh", "-c", "(sleep 2; killall qemu-ga) </dev/null >/dev/null 2>&1 &")
		l.vmi(t, "without its agent", 2*time.Minute, func(v *virtv1.VirtualMachineInstance) bool {
			return !has(virtv1.VirtualMachineInstanceAgentConnected, corev1.ConditionTrue)(v)
		})
		for _, query := range []string{"guestosinfo", "userlist", "filesystemlist"} {
			if a := l.call(t, http.MethodGet, query, ""); a.Code != http.StatusConflict || !strings.Contains(a.Status.Message, "VMI does not have guest agent connected") {
				t.Errorf("%s: %d %s", query, a.Code, a.Body)
			}
		}
	})
}

// frozenInGuest says whether the agent refuses commands: a frozen guest's knows hardly any.
func frozenInGuest(t *testing.T, l *agentLab) bool {
	t.Helper()
	got, err := l.tryInGuest(t, "true")
	return err != nil && strings.Contains(got, "file systems are frozen")
}

// queries asks for what the guest is, through both groups.
func (l *agentLab) queries(t *testing.T) {
	for _, base := range []string{"/apis/subresources.kubevirt.io/v1", "/apis/kubevirt.io/v1"} {
		get := func(query string, into any) {
			t.Helper()
			path := fmt.Sprintf("%s/namespaces/%s/virtualmachineinstances/agent/%s", base, l.namespace, query)
			if err := json.Unmarshal([]byte(l.Kubectl(t, "", "get", "--raw", path)), into); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
		}
		var info virtv1.VirtualMachineInstanceGuestAgentInfo
		get("guestosinfo", &info)
		if info.OS.ID != "debian" || info.OS.Name == "" || info.OS.Version == "" || info.Hostname != "agent" || !regexp.MustCompile(`^\d+\.`).MatchString(info.GuestAgentVersion) || info.Timezone == "" || len(info.SupportedCommands) < 10 {
			t.Errorf("guestosinfo: %+v", info)
		}
		// Who has logged in on the serial console.
		loggedIn := func(users []virtv1.VirtualMachineInstanceGuestOSUser) bool {
			return slices.ContainsFunc(users, func(u virtv1.VirtualMachineInstanceGuestOSUser) bool {
				return u.UserName == "debian" && u.LoginTime > 0
			})
		}
		var users virtv1.VirtualMachineInstanceGuestOSUserList
		get("userlist", &users)
		if !loggedIn(users.Items) || !loggedIn(info.UserList) {
			t.Errorf("userlist: %+v, that of guestosinfo %+v", users.Items, info.UserList)
		}
		var disks virtv1.VirtualMachineInstanceFileSystemList
		get("filesystemlist", &disks)
		if !slices.ContainsFunc(disks.Items, func(f virtv1.VirtualMachineInstanceFileSystem) bool {
			return f.MountPoint == "/mnt" && f.FileSystemType == "ext4" && f.UsedBytes > 0 && f.TotalBytes > f.UsedBytes && len(f.Disk) > 0
		}) {
			t.Errorf("filesystemlist: %+v", disks.Items)
		}
		var graph virtv1.ObjectGraphNode
		get("objectgraph", &graph)
		if len(graph.Children) < 4 || graph.Children[0].ObjectReference.Name != l.pod.Name {
			t.Errorf("objectgraph: %+v", graph)
		}
	}
	spec.Covers(t, "P2-GAINFO-01", "P2-GAINFO-02", "P2-GAINFO-03", "P2-GAINFO-04")
	t.Run("virtctl", func(t *testing.T) {
		for command, want := range map[string]string{"guestosinfo": `"id": "debian"`, "fslist": "ext4", "userlist": `"userName": "debian"`} {
			if out, says, err := virtctl(t, l.namespace, "", command, "agent"); err != nil || !strings.Contains(out, want) {
				t.Errorf("virtctl %s: %v, printed %q, said %q", command, err, out, says)
			}
		}
		spec.Covers(t, "P2-GAINFO-06", "P1-VCTL-34", "P1-VCTL-35", "P1-VCTL-36")
	})
}

// endpoint waits until the guest is, or is not, among the ready endpoints of its Service.
func (l *agentLab) endpoint(t *testing.T, ready bool) {
	t.Helper()
	eventually(t, fmt.Sprintf("the endpoint is ready: %v", ready), time.Minute, func() (string, bool) {
		slices, err := l.Kube.DiscoveryV1().EndpointSlices(l.namespace).List(t.Context(), metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=agent"})
		if err != nil {
			return err.Error(), false
		}
		for _, s := range slices.Items {
			for _, e := range s.Endpoints {
				if is := e.Conditions.Ready != nil && *e.Conditions.Ready; is == ready {
					return "", true
				}
			}
		}
		return fmt.Sprint(len(slices.Items)), false
	})
}

// TestNetworkProbes lets the kubelet reach guests by the pod's network.
func TestNetworkProbes(t *testing.T) {
	t.Parallel()
	c := harness.Connect(t)
	ns := c.Namespace(t)
	const often = "  periodSeconds: 2\n  timeoutSeconds: 1\n  failureThreshold: 3\n"
	c.Apply(t, ns, harness.Instance{Network: true, Extra: "readinessProbe:\n  httpGet: {port: 80, path: /boot-id, httpHeaders: [{name: Custom-Header, value: Awesome}]}\n" + often}.VMI("http"))
	c.Apply(t, ns, harness.Instance{Network: true, Extra: "readinessProbe:\n  tcpSocket: {port: 80}\n" + often}.VMI("tcp"))
	c.Apply(t, ns, harness.Instance{Network: true, Extra: "readinessProbe:\n  tcpSocket: {port: 81}\n" + often}.VMI("closed"))
	c.Apply(t, ns, harness.Instance{Network: true, Extra: "livenessProbe:\n  httpGet: {port: 80, path: /none}\n  initialDelaySeconds: 60\n  periodSeconds: 5\n  failureThreshold: 2\n"}.VM("dead", "Always"))

	t.Run("readiness", func(t *testing.T) {
		for _, name := range []string{"http", "tcp"} {
			c.WaitVMI(t, ns, name, "running and ready", harness.BootLimit, harness.Running)
		}
		c.WaitVMI(t, ns, "closed", "running", harness.BootLimit, func(v *virtv1.VirtualMachineInstance) bool { return v != nil && v.Status.Phase == virtv1.Running })
		console := c.Console(t, ns, "closed")
		harness.Shell(t, console)
		time.Sleep(10 * time.Second)
		if vmi := c.WaitVMI(t, ns, "closed", "there", time.Minute, func(v *virtv1.VirtualMachineInstance) bool { return v != nil }); harness.Running(vmi) {
			t.Errorf("ready although nothing listens: %+v", vmi.Status.Conditions)
		}
		spec.Covers(t, "P4-PROBE-07", "P4-PROBE-09", "P4-PROBE-16")
	})
	t.Run("liveness", func(t *testing.T) {
		first := c.WaitVMI(t, ns, "dead", "running", harness.BootLimit, harness.Running)
		c.WaitVMI(t, ns, "dead", "another instance", 5*time.Minute, func(v *virtv1.VirtualMachineInstance) bool { return v != nil && v.UID != first.UID })
		spec.Covers(t, "P4-PROBE-04", "P4-PROBE-17", "P4-PROBE-18")
	})
}
