package boot

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/virtplane/virtplane/launcher/api"
	"github.com/virtplane/virtplane/launcher/domain"
	"github.com/virtplane/virtplane/launcher/metrics"
	"github.com/virtplane/virtplane/launcher/supervise"
	"github.com/virtplane/virtplane/test/spec"
)

// inspect reads a file of a disk as genisoimage's reader sees it.
func inspect(t *testing.T, iso string, args ...string) string {
	t.Helper()
	out, err := exec.Command("isoinfo", append([]string{"-i", iso}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("isoinfo %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func TestConfigDisks(t *testing.T) {
	for _, tc := range []struct {
		name, volume, devices string
		files                 map[string]string
		label                 string
		want                  []string
	}{
		{"ConfigMap", `{"name":"v","configMap":{"name":"c"}}`, `"disks":[{"name":"v","disk":{"bus":"virtio"},"serial":"D23YZ9"}]`,
			map[string]string{"key": "value", "app.conf": "a=b"}, "cfgdata", []string{`"driver":"virtio-blk-pci-non-transitional","id":"disk-v"`, `"serial":"D23YZ9"`}},
		{"Secret with a label", `{"name":"v","secret":{"secretName":"s","volumeLabel":"SECRETS"}}`, "", map[string]string{"password": "p"}, "SECRETS", []string{`"driver":"ide-hd"`}},
		{"ServiceAccount", `{"name":"v","serviceAccount":{"serviceAccountName":"a"}}`, "", map[string]string{"token": "t", "ca.crt": "c", "namespace": "default"}, "cfgdata", nil},
		{"downward API", `{"name":"v","downwardAPI":{"fields":[{"path":"labels","fieldRef":{"fieldPath":"metadata.labels"}}]}}`, "", map[string]string{"labels": `a="b"`}, "cfgdata", nil},
		{"sysprep", `{"name":"v","sysprep":{"configMap":{"name":"c"}}}`, "", map[string]string{"Autounattend.xml": "<unattend/>", "extra": "x"}, "unattendCD", []string{`"driver":"ide-cd","id":"disk-v"`}},
		{"sysprep of a Secret", `{"name":"v","sysprep":{"secret":{"name":"s"}}}`, `"disks":[{"name":"v","cdrom":{"bus":"scsi"}}]`, map[string]string{"unattend.xml": "<unattend/>"}, "unattendCD", []string{`"driver":"scsi-cd","id":"disk-v"`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := newNode(t)
			for name, content := range tc.files {
				n.write("configs/v/..version/"+name, content)
				if err := os.Symlink("..data/"+name, filepath.Join(n.dir, "configs/v", name)); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Symlink("..version", filepath.Join(n.dir, "configs/v/..data")); err != nil {
				t.Fatal(err)
			}
			var g *domain.Guest
			for range 2 { // preparing again is no harm
				var err error
				if g, err = n.prepare(tc.volume, "", tc.devices, nil); err != nil {
					t.Fatal(err)
				}
			}
			line := strings.Join(g.Args, "\n")
			iso := filepath.Join(n.dir, "ephemeral/v.iso")
			for _, want := range append(tc.want, `"filename":"`+iso+`"`) {
				if !strings.Contains(line, want) {
					t.Errorf("command line lacks %s:\n%s", want, line)
				}
			}
			for name, want := range tc.files {
				if got := inspect(t, iso, "-R", "-x", "/"+name); got != want {
					t.Errorf("%s holds %q", name, got)
				}
			}
			if got := inspect(t, iso, "-d"); !strings.Contains(got, "Volume id: "+tc.label+"\n") {
				t.Errorf("label is not %s:\n%s", tc.label, got)
			}
			if got := strings.Count(inspect(t, iso, "-R", "-f"), "\n"); got != len(tc.files) {
				t.Errorf("the disk has %d files:\n%s", got, inspect(t, iso, "-R", "-f"))
			}
		})
	}
	spec.Covers(t, "P2-ENV-11", "P2-SYSPREP-15")
}

// TestOverlay lays a layer over the disk of a claim, which stays as it is.
func TestOverlay(t *testing.T) {
	n := newNode(t)
	for range 2 {
		g, err := n.prepare(`{"name":"full","ephemeral":{"persistentVolumeClaim":{"claimName":"p"}}}`, "", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		line := strings.Join(g.Args, "\n")
		for _, want := range []string{
			`"driver":"qcow2","node-name":"disk-full","read-only":false`, `"filename":"` + n.dir + `/ephemeral/full.qcow2"`,
			`"backing":{"driver":"raw","node-name":"disk-full-base","read-only":true`, `"filename":"` + n.dir + `/claims/full/disk.img","aio":"threads","discard":"unmap","cache":{"direct":false,"no-flush":false},"read-only":true`,
		} {
			if !strings.Contains(line, want) {
				t.Errorf("command line lacks %s:\n%s", want, line)
			}
		}
	}
	if raw, err := os.ReadFile(filepath.Join(n.dir, "claims/full/disk.img")); err != nil || string(raw) != strings.Repeat("the user's data", 100) {
		t.Errorf("the claim was touched: %v", err)
	}
	g, err := n.prepare(`{"name":"full","ephemeral":{"persistentVolumeClaim":{"claimName":"p"}}}`, "", `"disks":[{"name":"full","disk":{"bus":"virtio","readonly":true}}]`, nil)
	if err != nil {
		t.Fatal(err)
	}
	if line := strings.Join(g.Args, "\n"); !strings.Contains(line, `"driver":"raw","node-name":"disk-full","read-only":true`) {
		t.Errorf("a disk that is only read has a layer:\n%s", line)
	}
}

func TestHostDisk(t *testing.T) {
	n := newNode(t)
	n.write("host-disks/there/disk.raw", strings.Repeat("data", 256))
	n.write("host-disks/made/.keep", "")
	g, err := n.prepare(`{"name":"there","hostDisk":{"path":"/data/disk.raw","type":"Disk","shared":true}},{"name":"made","hostDisk":{"path":"/data/new/disk.img","type":"DiskOrCreate","capacity":"2Mi"}}`,
		"", `"disks":[{"name":"there","disk":{"bus":"virtio"}},{"name":"made","disk":{"bus":"virtio"}}]`, nil)
	if err != nil {
		t.Fatal(err)
	}
	line := strings.Join(g.Args, "\n")
	for _, want := range []string{
		`"filename":"` + n.dir + `/host-disks/there/disk.raw"`, `"filename":"` + n.dir + `/host-disks/made/disk.img"`, `"drive":"disk-there","bootindex":1,"write-cache":"on","share-rw":true`,
	} {
		if !strings.Contains(line, want) {
			t.Errorf("command line lacks %s:\n%s", want, line)
		}
	}
	if info, err := os.Stat(filepath.Join(n.dir, "host-disks/made/disk.img")); err != nil || info.Size() != 2<<20 {
		t.Errorf("new disk: %v, %v", info, err)
	}
}

func TestMetrics(t *testing.T) {
	n := newNode(t)
	g, err := n.prepare(`{"name":"m","downwardMetrics":{}}`, `,"cpu":{"cores":2}`[1:], `"downwardMetrics":{}`, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := &metrics.Guest{VCPUs: 2, MemoryKiB: 65536, Disk: n.dir + "/ephemeral/m.vhostmd", Socket: n.dir + "/private/downwardmetrics.sock"}
	if diff := cmp.Diff(want, g.Metrics); diff != "" {
		t.Error(diff)
	}
	line := strings.Join(g.Args, "\n")
	for _, want := range []string{`"name":"org.github.vhostmd.1"`, `"driver":"virtio-blk-pci-non-transitional","id":"disk-m"`, `"node-name":"disk-m","read-only":true`} {
		if !strings.Contains(line, want) {
			t.Errorf("command line lacks %s:\n%s", want, line)
		}
	}
	if g, err = n.prepare("", "", "", nil); err != nil || g.Metrics != nil || g.Helpers != nil {
		t.Errorf("a plain guest has %+v and %+v, %v", g.Metrics, g.Helpers, err)
	}
}

func TestFilesystems(t *testing.T) {
	n := newNode(t)
	n.write("claims/shared/file", "x")
	n.write("configs/files/key", "x")
	n.FileServer = filepath.Join(n.dir, "virtiofsd")
	n.write("virtiofsd", "")
	g, err := n.prepare(`{"name":"shared","persistentVolumeClaim":{"claimName":"p"}},{"name":"files","configMap":{"name":"c"}}`, "", `"filesystems":[{"name":"shared","virtiofs":{}},{"name":"files","virtiofs":{}}]`, nil)
	if err != nil {
		t.Fatal(err)
	}
	args := func(dir string, more ...string) []string {
		return append([]string{"--fd=3", "--shared-dir=" + dir, "--sandbox=none", "--cache=auto", "--rlimit-nofile=0", "--log-level=warn",
			"--translate-uid=squash-guest:0:107:4294967295", "--translate-uid=host:107:0:1", "--translate-gid=squash-guest:0:107:4294967295", "--translate-gid=host:107:0:1"}, more...)
	}
	want := []supervise.Helper{
		{Name: "virtiofsd of volume shared", Path: n.FileServer, Args: args(n.dir + "/claims/shared"), Listen: n.dir + "/private/virtiofs-0.sock"},
		{Name: "virtiofsd of volume files", Path: n.FileServer, Args: args(n.dir+"/configs/files", "--readonly"), Listen: n.dir + "/private/virtiofs-1.sock"},
	}
	if diff := cmp.Diff(want, g.Helpers); diff != "" {
		t.Error(diff)
	}
	line := strings.Join(g.Args, "\n")
	for _, want := range []string{"memory-backend=pc.ram", `"qom-type":"memory-backend-memfd","id":"pc.ram","size":67108864,"share":true`, `"tag":"shared"`, `"tag":"files"`} {
		if !strings.Contains(line, want) {
			t.Errorf("command line lacks %s:\n%s", want, line)
		}
	}
	if strings.Contains(line, "disk-shared") || strings.Contains(line, "disk-files") {
		t.Errorf("a file system is a disk too:\n%s", line)
	}
}

func TestConfigRefusals(t *testing.T) {
	for _, tc := range []struct {
		name, volume, devices string
		prepare               func(*node)
		reason, text          string
	}{
		{"ConfigMap that is not mounted", `{"name":"v","configMap":{"name":"c"}}`, "", nil, api.ReasonVolumeUnavailable, "volume v: files of ConfigMap c: open DIR/configs/v: no such file or directory"},
		{"no answers", `{"name":"v","sysprep":{"secret":{"name":"s"}}}`, "", func(n *node) { n.write("configs/v/answers.xml", "x") }, api.ReasonSysprepInvalid, "volume v: Secret s has no key autounattend.xml or unattend.xml"},
		{"ephemeral over an empty claim", `{"name":"empty","ephemeral":{"persistentVolumeClaim":{"claimName":"p"}}}`, "", nil, api.ReasonClaimUnavailable, "volume empty: claim p: claim at DIR/claims/empty: has no disk.img and is read-only"},
		{"host disk", `{"name":"v","hostDisk":{"path":"/data/a","type":"Disk"}}`, "", nil, api.ReasonHostDiskUnavailable, "volume v: host disk /data/a: is not there; make it, or use type DiskOrCreate"},
		{"no file server", `{"name":"v","secret":{"secretName":"s"}}`, `"filesystems":[{"name":"v","virtiofs":{}}]`, func(n *node) { n.FileServer = n.dir + "/none" }, api.ReasonVolumeUnavailable,
			"this launcher cannot share file systems: stat DIR/none: no such file or directory"},
		{"block claim as a file system", `{"name":"raw","persistentVolumeClaim":{"claimName":"p"}}`, `"filesystems":[{"name":"raw","virtiofs":{}}]`, func(n *node) { n.FileServer = "/dev/null" }, api.ReasonVolumeUnavailable,
			"volume raw: open DIR/claims/raw: no such file or directory"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := newNode(t)
			if tc.prepare != nil {
				tc.prepare(n)
			}
			_, err := n.prepare(tc.volume, "", tc.devices, nil)
			if err == nil {
				t.Fatal("it was accepted")
			}
			if got := strings.ReplaceAll(err.Error(), n.dir, "DIR"); got != tc.text {
				t.Errorf("got  %s\nwant %s", got, tc.text)
			}
			if got := api.ReasonOf(err); got != tc.reason {
				t.Errorf("reason %s, want %s", got, tc.reason)
			}
		})
	}
}
