package volume

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/virtctl/command"
	"github.com/virtplane/virtplane/pkg/virtctl/virtctltest"
	"github.com/virtplane/virtplane/test/spec"
)

func kind(k string) metav1.TypeMeta { return metav1.TypeMeta{APIVersion: "kubevirt.io/v1", Kind: k} }

// cluster has a DataVolume data, claims, and a machine web with 1 GiB that has the volume root.
type cluster struct {
	mu     sync.Mutex
	dumps  []*virtv1.VirtualMachineMemoryDumpRequest // what the machine's status tells, one after the other
	made   *corev1.PersistentVolumeClaim
	config string
	older  bool // serves no action of this package
}

// actions are those of this package, by which the server of a cluster is told from an older one.
var actions = []string{"virtualmachines/addvolume", "virtualmachines/removevolume", "virtualmachines/memorydump", "virtualmachines/removememorydump",
	"virtualmachineinstances/addvolume", "virtualmachineinstances/removevolume"}

func (c *cluster) server(t *testing.T) *virtctltest.Server {
	memory := resource.MustParse("1Gi")
	block := corev1.PersistentVolumeBlock
	claim := func(name, size string, mode *corev1.PersistentVolumeMode) corev1.PersistentVolumeClaim {
		return corev1.PersistentVolumeClaim{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolumeClaim"}, ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: corev1.PersistentVolumeClaimSpec{VolumeMode: mode, Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}}}}
	}
	const claims = "/api/v1/namespaces/ns/persistentvolumeclaims"
	return &virtctltest.Server{Answer: func(w http.ResponseWriter, r *http.Request) bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		switch r.URL.Path {
		case command.Group:
			list := metav1.APIResourceList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "APIResourceList"}, APIResources: []metav1.APIResource{{Name: "virtualmachines/start"}}}
			for _, name := range actions {
				if !c.older {
					list.APIResources = append(list.APIResources, metav1.APIResource{Name: name})
				}
			}
			virtctltest.JSON(w, list)
		case "/apis/cdi.kubevirt.io/v1beta1/namespaces/ns/datavolumes/data":
			virtctltest.JSON(w, map[string]any{"kind": "DataVolume"})
		case "/apis/cdi.kubevirt.io/v1beta1/cdiconfigs/config":
			if c.config == "" {
				virtctltest.Refuse(w, 404, "not found")
				return true
			}
			_, _ = w.Write([]byte(c.config))
		case claims + "/small":
			virtctltest.JSON(w, claim("small", "1Gi", nil))
		case claims + "/large":
			virtctltest.JSON(w, claim("large", "2Gi", nil))
		case claims + "/block":
			virtctltest.JSON(w, claim("block", "2Gi", &block))
		case claims:
			c.made = &corev1.PersistentVolumeClaim{}
			virtctltest.Decode(t, r, c.made)
			if c.made.Name == "small" {
				virtctltest.Refuse(w, 409, "exists")
				return true
			}
			virtctltest.JSON(w, c.made)
		case "/apis/kubevirt.io/v1/namespaces/ns/virtualmachines/web":
			vm := virtv1.VirtualMachine{TypeMeta: kind("VirtualMachine"), Spec: virtv1.VirtualMachineSpec{Template: &virtv1.VirtualMachineInstanceTemplateSpec{Spec: virtv1.VirtualMachineInstanceSpec{Volumes: []virtv1.Volume{{Name: "root"}}}}}}
			if len(c.dumps) > 0 {
				vm.Status.MemoryDumpRequest = c.dumps[0]
				if len(c.dumps) > 1 {
					c.dumps = c.dumps[1:]
				}
			}
			virtctltest.JSON(w, vm)
		case "/apis/kubevirt.io/v1/namespaces/ns/virtualmachineinstances/web":
			virtctltest.JSON(w, virtv1.VirtualMachineInstance{TypeMeta: kind("VirtualMachineInstance"), Spec: virtv1.VirtualMachineInstanceSpec{Domain: virtv1.DomainSpec{Memory: &virtv1.Memory{Guest: &memory}}}})
		default:
			if r.Method == http.MethodPut && !c.older {
				return false
			}
			virtctltest.Refuse(w, 404, "the server could not find the requested resource")
		}
		return true
	}}
}

// TestOlderServer says what the server lacks, and leaves no claim behind that only a dump would need.
func TestOlderServer(t *testing.T) {
	for args, want := range map[string]string{
		"addvolume web --volume-name=large":                    "adding volume large to web: the API server of this cluster does not serve virtualmachineinstances/addvolume",
		"addvolume web --volume-name=large --persist":          "adding volume large to web: the API server of this cluster does not serve virtualmachines/addvolume",
		"removevolume web --volume-name=data":                  "removing volume data from web: the API server of this cluster does not serve virtualmachineinstances/removevolume",
		"memory-dump remove web":                               "removing the memory dump of web: the API server of this cluster does not serve virtualmachines/removememorydump",
		"memory-dump get web":                                  "the API server of this cluster does not serve virtualmachines/memorydump",
		"memory-dump get web --claim-name=dump --create-claim": "the API server of this cluster does not serve virtualmachines/memorydump",
	} {
		c := &cluster{older: true}
		_, _, err := virtctltest.Run(t, c.server(t), nil, New, strings.Fields(args)...)
		want += ": update it to a version that does; kubectl get --raw /apis/subresources.kubevirt.io/v1 lists what it serves"
		if err == nil || err.Error() != want {
			t.Errorf("%s: error %v, want %s", args, err, want)
		}
		if c.made != nil {
			t.Errorf("%s: made claim %s", args, c.made.Name)
		}
	}
}

func TestVolumesOnTheWire(t *testing.T) {
	const machines, instances = virtctltest.Base + "virtualmachines/web/", virtctltest.Base + "virtualmachineinstances/web/"
	for _, tc := range []struct {
		args       string
		path, body string
		out        string
	}{
		{"addvolume web --volume-name=data", instances + "addvolume", `{"disk":{"disk":{"bus":"scsi"},"name":"data","serial":"data"},"name":"data","volumeSource":{"dataVolume":{"hotpluggable":true,"name":"data"}}}`, "Successfully submitted add volume request to VM web for volume data\n"},
		{"addvolume web --volume-name=large --persist --serial=12 --cache=none --disk-type=lun --dry-run", machines + "addvolume", `{"disk":{"cache":"none","lun":{"bus":"scsi"},"name":"large","serial":"12"},"dryRun":["All"],"name":"large","volumeSource":{"persistentVolumeClaim":{"claimName":"large","hotpluggable":true}}}`, "Successfully submitted add volume request to VM web for volume large (dry run)\n"},
		{"removevolume web --volume-name=data", instances + "removevolume", `{"name":"data"}`, "Successfully submitted remove volume request to VM web for volume data\n"},
		{"removevolume web --volume-name=root", machines + "removevolume", `{"name":"root"}`, "Successfully submitted remove volume request to VM web for volume root\n"},
		{"removevolume web --volume-name=data --persist --dry-run", machines + "removevolume", `{"dryRun":["All"],"name":"data"}`, "Successfully submitted remove volume request to VM web for volume data (dry run)\n"},
		{"memory-dump remove web", machines + "removememorydump", ``, "Successfully submitted remove memory dump association of VM web\n"},
		{"memory-dump get web", machines + "memorydump", `{"claimName":"","phase":""}`, "Successfully submitted memory dump request of VM web\n"},
		{"memory-dump get web --claim-name=large", machines + "memorydump", `{"claimName":"large","phase":""}`, "Successfully submitted memory dump request of VM web\n"},
	} {
		t.Run(tc.args, func(t *testing.T) {
			s := (&cluster{}).server(t)
			out, _, err := virtctltest.Run(t, s, nil, New, strings.Fields(tc.args)...)
			if err != nil || out != tc.out {
				t.Errorf("printed %q, %v", out, err)
			}
			if diff := cmp.Diff([]string{tc.body}, s.Saw("PUT", tc.path)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.path, diff)
			}
		})
	}
}

func TestMistakes(t *testing.T) {
	for args, want := range map[string]string{
		"addvolume web --volume-name=x --disk-type=tape":                           `--disk-type must be disk, lun or cdrom, not "tape"`,
		"addvolume web --volume-name=x --cache=some":                               `--cache must be none, writethrough or writeback, not "some"`,
		"addvolume web --volume-name=none":                                         `found neither a DataVolume nor a claim none: the server could not find the requested resource`,
		"memory-dump get web --create-claim":                                       `--create-claim needs --claim-name`,
		"memory-dump get web --claim-name=large --storage-class=x":                 `--storage-class and --access-mode need --create-claim`,
		"memory-dump get web --claim-name=x --create-claim --access-mode=ReadOnly": `--access-mode must be ReadWriteOnce or ReadWriteMany, not "ReadOnly"`,
		"memory-dump get web --claim-name=block":                                   `claim block has volumeMode Block; a dump needs Filesystem`,
		"memory-dump get web --claim-name=small":                                   `claim small has 1Gi; the dump needs 1190Mi`,
		"memory-dump get web --claim-name=small --create-claim":                    `claim small exists already: leave --create-claim out to use it`,
	} {
		s := (&cluster{}).server(t)
		_, _, err := virtctltest.Run(t, s, nil, New, strings.Fields(args)...)
		if err == nil || err.Error() != want {
			t.Errorf("%s: error %v, want %s", args, err, want)
		}
		for _, r := range s.Requests() {
			if r.Method == http.MethodPut {
				t.Errorf("%s: sent %+v all the same", args, r)
			}
		}
	}
}

func TestCreateClaim(t *testing.T) {
	for _, tc := range []struct {
		config, args, size string
	}{
		{"", "", "1190Mi"}, // (1024 + 100) / (1 - 0.055)
		{`{"status":{"filesystemOverhead":{"global":"0.06","storageClass":{"fast":"0"}}}}`, "", "1196Mi"},
		{`{"status":{"filesystemOverhead":{"global":"0.06","storageClass":{"fast":"0"}}}}`, "--storage-class=fast --access-mode=ReadWriteMany", "1124Mi"},
	} {
		c := &cluster{config: tc.config}
		out, _, err := virtctltest.Run(t, c.server(t), nil, New, append([]string{"memory-dump", "get", "web", "--claim-name=dump", "--create-claim"}, strings.Fields(tc.args)...)...)
		if err != nil || out != "PVC ns/dump created\nSuccessfully submitted memory dump request of VM web\n" {
			t.Fatalf("printed %q, %v", out, err)
		}
		if got := c.made.Spec.Resources.Requests.Storage().String(); got != tc.size {
			t.Errorf("%s: claim of %s, want %s", tc.args, got, tc.size)
		}
		fast := strings.Contains(tc.args, "fast")
		if (c.made.Spec.StorageClassName != nil) != fast || (c.made.Spec.AccessModes[0] == corev1.ReadWriteMany) != fast {
			t.Errorf("%s: claim %+v", tc.args, c.made.Spec)
		}
	}
	c := &cluster{dumps: []*virtv1.VirtualMachineMemoryDumpRequest{{ClaimName: "old"}}}
	_, _, err := virtctltest.Run(t, c.server(t), nil, New, "memory-dump", "get", "web", "--claim-name=dump", "--create-claim")
	if want := "machine web still has claim old for its dumps: take it off first with virtctl memory-dump remove web"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	spec.Covers(t, "P1-VCTL-27", "P1-VCTL-30")
}

// TestWait is not taken in by the dump before.
func TestWait(t *testing.T) {
	old, now := metav1.NewTime(time.Now().Add(-time.Hour)), metav1.NewTime(time.Now().Add(time.Minute))
	c := &cluster{dumps: []*virtv1.VirtualMachineMemoryDumpRequest{{ClaimName: "large", Phase: dumpCompleted, EndTimestamp: &old, FileName: "old"}, {ClaimName: "large", Phase: "InProgress"}, {ClaimName: "large", Phase: dumpCompleted, EndTimestamp: &now, FileName: "new"}}}
	out, says, err := virtctltest.Run(t, c.server(t), nil, New, "memory-dump", "get", "web", "--wait")
	if err != nil || !strings.HasSuffix(out, "virtualmachine/web memory dumped to claim large, file new\n") || says != "Memory dump of web: InProgress\nMemory dump of web: Completed\n" {
		t.Errorf("printed %q, said %q, %v", out, says, err)
	}
	c = &cluster{dumps: []*virtv1.VirtualMachineMemoryDumpRequest{{Phase: dumpFailed, Message: "no space", EndTimestamp: &now}}}
	_, _, err = virtctltest.Run(t, c.server(t), nil, New, "memory-dump", "get", "web", "--wait")
	if want := "the memory dump of web failed: no space"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	c = &cluster{dumps: []*virtv1.VirtualMachineMemoryDumpRequest{{Phase: "InProgress"}}}
	_, _, err = virtctltest.Run(t, c.server(t), nil, New, "memory-dump", "get", "web", "--wait", "--timeout=50ms")
	if want := "the memory dump of web is not complete after 50ms; it is InProgress and goes on"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

// TestRefusedDumpLeavesNoClaim, so that the same command can be tried again; where the dump may have begun the claim stays.
func TestRefusedDumpLeavesNoClaim(t *testing.T) {
	const claims, dump = "/api/v1/namespaces/ns/persistentvolumeclaims", virtctltest.Base + "virtualmachines/web/memorydump"
	for _, tc := range []struct {
		code    int
		message string
		deleted int // 0: never asked for
		want    string
	}{
		{409, "VM is not running", 200, "dumping the memory of web: VM is not running"},
		{400, "claim of the wrong kind", 200, "dumping the memory of web: claim of the wrong kind"},
		{404, "the server could not find the requested resource", 200, "dumping the memory of web: the server could not find the requested resource"},
		{503, "the node does not answer", 404, "dumping the memory of web: the node does not answer"},
		{409, "VM is not running", 403, "dumping the memory of web: VM is not running\nclaim dump was made for it and stays: kubectl delete pvc dump: not yours"},
		{504, "no answer in time", 0, "dumping the memory of web: no answer in time\nclaim dump was made and stays, for the dump may have begun: look at the machine, then leave --create-claim out, or kubectl delete pvc dump"},
	} {
		c := &cluster{}
		s := c.server(t)
		answer := s.Answer
		deletions := 0
		s.Answer = func(w http.ResponseWriter, r *http.Request) bool {
			switch {
			case r.URL.Path == dump:
				virtctltest.Refuse(w, tc.code, tc.message)
			case r.Method == http.MethodDelete && r.URL.Path == claims+"/dump":
				deletions++
				if tc.deleted != 200 {
					virtctltest.Refuse(w, tc.deleted, "not yours")
					return true
				}
				virtctltest.JSON(w, metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Success"})
			default:
				return answer(w, r)
			}
			return true
		}
		out, _, err := virtctltest.Run(t, s, nil, New, "memory-dump", "get", "web", "--claim-name=dump", "--create-claim")
		if err == nil || err.Error() != tc.want {
			t.Errorf("%d %s: error %v, want %s", tc.code, tc.message, err, tc.want)
		}
		if (deletions > 0) != (tc.deleted > 0) || (tc.deleted == 200) != strings.HasSuffix(out, "PVC ns/dump deleted\n") && tc.deleted != 404 {
			t.Errorf("%d %s: %d deletions, printed %q", tc.code, tc.message, deletions, out)
		}
	}
}
