package media

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var seeds = map[string]struct {
	seed  Seed
	label string
	want  map[string]string
}{
	"NoCloud": {
		Seed{Kind: NoCloud, InstanceID: "vm.default", Hostname: "vm", UUID: "u", UserData: []byte("#cloud-config\n")},
		"cidata",
		map[string]string{"meta-data": `{"instance-id":"vm.default","local-hostname":"vm"}`, "user-data": "#cloud-config\n"},
	},
	"NoCloud with network": {
		Seed{Kind: NoCloud, InstanceID: "vm.default", UserData: []byte("#!/bin/sh\n"), NetworkData: []byte("version: 2\n")},
		"cidata",
		map[string]string{"meta-data": `{"instance-id":"vm.default"}`, "user-data": "#!/bin/sh\n", "network-config": "version: 2\n"},
	},
	// As the manual writes it, with a comment, which stays: what users write is theirs.
	"NoCloud with an address": {
		Seed{Kind: NoCloud, InstanceID: "vm.default", NetworkData: []byte("version: 2\nethernets:\n  eth1: # mine\n    addresses:\n    - 10.10.10.14/24\n")},
		"cidata",
		map[string]string{"meta-data": `{"instance-id":"vm.default"}`, "user-data": "", "network-config": "version: 2\nethernets:\n  eth1: # mine\n    addresses:\n    - 10.10.10.14/24\n"},
	},
	"NoCloud with keys": {
		Seed{Kind: NoCloud, InstanceID: "vm.default", PublicKeys: []string{"ssh-rsa A", "ssh-rsa B"}},
		"cidata",
		map[string]string{"meta-data": `{"instance-id":"vm.default","public-keys":{"0":"ssh-rsa A","1":"ssh-rsa B"}}`, "user-data": ""},
	},
	"ConfigDrive with keys": {
		Seed{Kind: ConfigDrive, InstanceID: "vm.default", PublicKeys: []string{"ssh-rsa A"}},
		"config-2",
		map[string]string{"openstack/latest/meta_data.json": `{"instance_id":"vm.default","public_keys":{"0":"ssh-rsa A"}}`, "openstack/latest/user_data": ""},
	},
	"ConfigDrive": {
		Seed{Kind: ConfigDrive, InstanceID: "vm.default", Hostname: "vm", UUID: "6a1a24a1", UserData: []byte("x"), NetworkData: []byte("{}")},
		"config-2",
		map[string]string{
			"openstack/latest/meta_data.json":    `{"instance_id":"vm.default","local-hostname":"vm","hostname":"vm","uuid":"6a1a24a1"}`,
			"openstack/latest/user_data":         "x",
			"openstack/latest/network_data.json": "{}",
		},
	},
}

func TestWriteSeed(t *testing.T) {
	for name, tc := range seeds {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "seed.iso")
			// A second writing takes the place of the first.
			for range 2 {
				if err := WriteSeed(path, tc.seed); err != nil {
					t.Fatal(err)
				}
			}
			got, label := readISO(t, path)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
			if label != tc.label {
				t.Errorf("label %q, want %q", label, tc.label)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
				t.Errorf("left in %s: %v, %v", dir, left, err)
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 || info.Size() != 1<<20 {
				t.Errorf("mode %v, %d bytes, %v", info.Mode(), info.Size(), err)
			}
		})
	}
}

// blkid is how a guest finds its seed.
func TestBlkidSeesLabel(t *testing.T) {
	blkid, err := exec.LookPath("blkid")
	if err != nil {
		t.Skip("blkid is not installed")
	}
	for name, tc := range seeds {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "seed.iso")
			if err := WriteSeed(path, tc.seed); err != nil {
				t.Fatal(err)
			}
			for tag, want := range map[string]string{"LABEL": tc.label, "TYPE": "iso9660"} {
				out, err := exec.Command(blkid, "-p", "-o", "value", "-s", tag, path).Output()
				if err != nil || strings.TrimSpace(string(out)) != want {
					t.Errorf("%s is %q, %v, want %q", tag, out, err, want)
				}
			}
		})
	}
}

func TestWriteSeedRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, tc := range []struct {
		name, path string
		seed       Seed
		want       string
	}{
		{"kind", dir + "/a", Seed{Kind: "Ignition", InstanceID: "i"}, `seed of unknown kind "Ignition"`},
		{"instance id", dir + "/a", Seed{Kind: NoCloud}, "seed without instance id"},
		{"folder", dir + "/no/a", Seed{Kind: NoCloud, InstanceID: "i"}, "making media: open " + dir + "/no/a.new: no such file or directory"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := WriteSeed(tc.path, tc.seed); err == nil || err.Error() != tc.want {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
}

// FuzzSeed writes whatever users put into their data and reads it back.
func FuzzSeed(f *testing.F) {
	f.Add("vm", []byte("#cloud-config\n"), []byte("version: 2"))
	f.Add("\"\\\x00", []byte{}, bytes.Repeat([]byte("n"), 5000))
	f.Fuzz(func(t *testing.T, host string, user, network []byte) {
		path := filepath.Join(t.TempDir(), "s")
		if err := WriteSeed(path, Seed{Kind: NoCloud, InstanceID: "i", Hostname: host, UserData: user, NetworkData: network}); err != nil {
			t.Fatal(err)
		}
		got, _ := readISO(t, path)
		if got["user-data"] != string(user) || got["network-config"] != string(network) {
			t.Errorf("read %q back", got)
		}
	})
}
