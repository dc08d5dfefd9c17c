package guestfs

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/virtplane/virtplane/pkg/virtctl/command"
	"github.com/virtplane/virtplane/pkg/virtctl/virtctltest"
	"github.com/virtplane/virtplane/test/spec"
)

// cluster has claims with a file system and a block volume, and runs the pod of a shell.
type cluster struct {
	mu      sync.Mutex
	info    string
	pods    []corev1.Pod
	made    *corev1.Pod
	deleted []string
	// pending are the states of the pod before it runs; stuck keeps it in the last.
	pending []corev1.PodStatus
	stuck   bool
	// exit is the code that the shell ends with.
	exit string
}

func meta(kind string) metav1.TypeMeta { return metav1.TypeMeta{APIVersion: "v1", Kind: kind} }

func (c *cluster) server(t *testing.T) *virtctltest.Server {
	block := corev1.PersistentVolumeBlock
	const pods = "/api/v1/namespaces/ns/pods"
	return &virtctltest.Server{Answer: func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/attach") {
			c.shell(t, w, r)
			return true
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		switch {
		case strings.HasSuffix(r.URL.Path, "/guestfs"):
			_, _ = w.Write([]byte(c.info))
		case strings.HasSuffix(r.URL.Path, "/persistentvolumeclaims/disk"):
			virtctltest.JSON(w, corev1.PersistentVolumeClaim{TypeMeta: meta("PersistentVolumeClaim"), ObjectMeta: metav1.ObjectMeta{Name: "disk"}})
		case strings.HasSuffix(r.URL.Path, "/persistentvolumeclaims/raw"):
			virtctltest.JSON(w, corev1.PersistentVolumeClaim{TypeMeta: meta("PersistentVolumeClaim"), ObjectMeta: metav1.ObjectMeta{Name: "raw"}, Spec: corev1.PersistentVolumeClaimSpec{VolumeMode: &block}})
		case r.URL.Path == pods && r.URL.Query().Get("watch") != "":
			w.Header().Set("Content-Type", "application/json") // ends at once: as good as a change
		case r.URL.Path == pods && r.Method == http.MethodGet:
			virtctltest.JSON(w, corev1.PodList{TypeMeta: meta("PodList"), Items: c.pods})
		case r.URL.Path == pods && r.Method == http.MethodPost:
			c.made = &corev1.Pod{}
			virtctltest.Decode(t, r, c.made)
			c.made.TypeMeta = meta("Pod")
			virtctltest.JSON(w, c.made)
		case r.Method == http.MethodDelete:
			c.deleted = append(c.deleted, strings.TrimPrefix(r.URL.Path, pods+"/"))
			virtctltest.JSON(w, metav1.Status{TypeMeta: meta("Status"), Status: "Success"})
		case c.made != nil && r.URL.Path == pods+"/"+c.made.Name:
			pod := c.made.DeepCopy()
			pod.Status.Phase = corev1.PodRunning
			if len(c.pending) > 0 {
				pod.Status = c.pending[0]
				if len(c.pending) > 1 || !c.stuck {
					c.pending = c.pending[1:]
				}
			}
			virtctltest.JSON(w, pod)
		default:
			virtctltest.Refuse(w, 404, "not found")
		}
		return true
	}}
}

// shell is the attach protocol of Kubernetes: a byte for the channel before each message; 0 input, 1 output, 3 the end, 255 with
// a channel closes it.
func (c *cluster) shell(t *testing.T, w http.ResponseWriter, r *http.Request) {
	if q := r.URL.Query(); q.Get("container") != container || q.Get("tty") != "true" || q.Get("stdin") != "true" {
		t.Errorf("attaches with %v", q)
	}
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"v5.channel.k8s.io"}})
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.CloseNow()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	for {
		_, data, err := conn.Read(ctx)
		if err != nil {
			t.Errorf("the client is gone: %v", err)
			return
		}
		if len(data) > 1 && data[0] == 0 {
			_ = conn.Write(ctx, websocket.MessageBinary, append([]byte{1}, []byte("you said "+string(data[1:]))...))
			break
		}
	}
	end := metav1.Status{Status: "Success"}
	if c.exit != "" {
		end = metav1.Status{Status: "Failure", Reason: "NonZeroExitCode", Message: "command terminated with exit code " + c.exit, Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: "ExitCode", Message: c.exit}}}}
	}
	text, _ := json.Marshal(end)
	_ = conn.Write(ctx, websocket.MessageBinary, append([]byte{3}, text...))
	conn.Close(websocket.StatusNormalClosure, "")
}

const release = `{"registry":"registry.example.com/kubevirt","tag":"v1.9.0","imagePrefix":""}`

func TestShell(t *testing.T) {
	c := &cluster{info: release, pending: []corev1.PodStatus{
		{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "no kvm"}}},
		{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}}}}},
	}}
	out, says, err := virtctltest.Run(t, c.server(t), strings.NewReader("exit\n"), virtctltest.One(New), "guestfs", "disk")
	if err != nil || out != "you said exit\n" {
		t.Errorf("printed %q, %v", out, err)
	}
	want := "Using image registry.example.com/kubevirt/libguestfs-tools:v1.9.0\nWaiting for pod libguestfs-tools-disk: Unschedulable: no kvm (where no node has KVM, use --kvm=false)\nWaiting for pod libguestfs-tools-disk: ContainerCreating\nClaim disk is mounted at /disk.\nIf you do not see a prompt, press Enter. The pod ends with the shell.\n"
	if says != want {
		t.Errorf("said %q, want %q", says, want)
	}
	if diff := cmp.Diff([]string{"libguestfs-tools-disk"}, c.deleted); diff != "" {
		t.Errorf("deleted (-want +got):\n%s", diff)
	}
	pod := c.made.Spec
	ctr := pod.Containers[0]
	if _, kvm := ctr.Resources.Limits[kvmDevice]; !kvm || ctr.WorkingDir != "/disk" || len(ctr.VolumeDevices) != 0 || !ctr.TTY || !ctr.Stdin || *ctr.SecurityContext.RunAsUser != 107 || !*ctr.SecurityContext.RunAsNonRoot || *pod.SecurityContext.FSGroup != 107 || ctr.ImagePullPolicy != corev1.PullIfNotPresent {
		t.Errorf("made %+v", pod)
	}
	spec.Covers(t, "P1-VCTL-39", "P1-VCTL-41")
}

func TestFlags(t *testing.T) {
	c := &cluster{info: release, exit: "3"}
	_, says, err := virtctltest.Run(t, c.server(t), strings.NewReader("x"), virtctltest.One(New), "guestfs", "raw", "--kvm=false", "--image", "my/image:1", "--pull-policy", "Always", "--root")
	if command.ExitCode(err) != 3 {
		t.Errorf("error %v, want the shell's exit code", err)
	}
	ctr := c.made.Spec.Containers[0]
	if ctr.Image != "my/image:1" || ctr.ImagePullPolicy != corev1.PullAlways || len(ctr.Resources.Limits) != 0 || *ctr.SecurityContext.RunAsUser != 0 || *ctr.SecurityContext.RunAsNonRoot {
		t.Errorf("made %+v", ctr)
	}
	if diff := cmp.Diff([]corev1.VolumeDevice{{Name: "volume", DevicePath: "/dev/vda"}}, ctr.VolumeDevices); diff != "" {
		t.Errorf("devices (-want +got):\n%s", diff)
	}
	if !strings.Contains(says, "The disk of claim raw is /dev/vda.\n") || len(c.deleted) != 1 {
		t.Errorf("said %q, deleted %v", says, c.deleted)
	}
	spec.Covers(t, "P1-VCTL-42", "P1-VCTL-43", "P1-VCTL-44")
}

func TestRefuses(t *testing.T) {
	user := func(name string, phase corev1.PodPhase) corev1.Pod {
		return corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.PodStatus{Phase: phase}, Spec: corev1.PodSpec{Volumes: []corev1.Volume{{VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "disk"}}}}}}
	}
	for _, tc := range []struct {
		name    string
		cluster *cluster
		args    string
		want    string
		deletes int
	}{
		{"in use", &cluster{info: release, pods: []corev1.Pod{user("old", corev1.PodSucceeded), user("virt-launcher-web", corev1.PodRunning)}}, "disk", "claim disk is used by pod virt-launcher-web: stop its machine or delete the pod first", 0},
		{"no such claim", &cluster{info: release}, "gone", "reading claim gone: not found", 0},
		{"no release", &cluster{info: "{}"}, "disk", "the server names neither tag nor digest of the image: name one with --image", 0},
		{"policy", &cluster{}, "disk --pull-policy=Sometimes", `--pull-policy must be Always, IfNotPresent or Never, not "Sometimes"`, 0},
		{"never runs", &cluster{info: release, stuck: true, pending: []corev1.PodStatus{{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "no such image"}}}}}}}, "disk --timeout=100ms", "pod libguestfs-tools-disk does not run after 100ms: ErrImagePull: no such image", 1},
		{"fails", &cluster{info: release, pending: []corev1.PodStatus{{Phase: corev1.PodFailed, Reason: "Evicted", Message: "no memory"}}}, "disk", "pod libguestfs-tools-disk ended before its shell could be used: Evicted no memory", 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, _, err := virtctltest.Run(t, tc.cluster.server(t), nil, virtctltest.One(New), append([]string{"guestfs"}, strings.Fields(tc.args)...)...)
			if err == nil || err.Error() != tc.want {
				t.Errorf("error %v, want %s", err, tc.want)
			}
			if len(tc.cluster.deleted) != tc.deletes {
				t.Errorf("deleted %v", tc.cluster.deleted)
			}
		})
	}
	spec.Covers(t, "P1-VCTL-45")
}

func TestImage(t *testing.T) {
	for info, want := range map[string]string{
		`{"registry":"r","tag":"t","imagePrefix":"p-"}`:  "r/p-libguestfs-tools:t",
		`{"registry":"r","tag":"t","digest":"sha256:1"}`: "r/libguestfs-tools@sha256:1",
		`{"tag":"t","gsImage":"whole/image@sha256:2"}`:   "whole/image@sha256:2",
	} {
		c := &cluster{info: info}
		_, says, err := virtctltest.Run(t, c.server(t), strings.NewReader("x"), virtctltest.One(New), "guestfs", "disk")
		if err != nil || !strings.HasPrefix(says, "Using image "+want+"\n") {
			t.Errorf("%s: said %q, %v", info, says, err)
		}
	}
}
