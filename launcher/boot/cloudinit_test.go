package boot

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/virtplane/virtplane/launcher/api"
	"github.com/virtplane/virtplane/test/spec"
)

func TestUserData(t *testing.T) {
	for _, tc := range []struct{ name, data, want string }{
		// What the guest's cloud-init takes, or what is its own affair.
		{"head only", "#cloud-config", ""},
		{"empty", "#cloud-config\n---\n", ""},
		{"null", "#cloud-config\n~\n", ""},
		{"password", "#cloud-config\npassword: fedora\nchpasswd: { expire: False }\n", ""},
		{"Windows' lines", "#cloud-config\r\nusers:\r\n- name: a\r\n  sudo: ALL\r\n", ""},
		{"capitals and space", "\n  #Cloud-Config\npackages: [a]\n", ""},
		{"word after the head", "#cloud-config of a team\na: 1\n", ""},
		{"anchors and merges", "#cloud-config\na: &x {b: 1}\nc:\n  <<: *x\n  d: *x\n", ""},
		{"a key twice", "#cloud-config\nruncmd: [a]\nruncmd: [b]\n", ""},
		{"a tag", "#cloud-config\nwrite_files:\n- content: !!binary |\n    not base 64\n  path: /x\n- !own [1]\n", ""},
		{"odd keys", "#cloud-config\n1: a\n~: b\ntrue: c\n2020-01-01: d\n? [a, b]\n: e\n", ""},
		{"block text", "#cloud-config\nruncmd:\n - |\n   \techo {{ x }} %d 'a\n", ""},
		{"two documents", "#cloud-config\na: 1\n---\n- b\n", ""},
		{"byte order mark inside", "#cloud-config\na: \"x\ufeffy\"\n", ""},
		{"emoji", "#cloud-config\nmotd: 🐧 ü\n", ""},
		{"script", "#!/bin/sh\necho 'a: b: c\n", ""},
		{"template", "## template: jinja\n#cloud-config\n{% if x %}\na: b: c\n{% endif %}\n", ""},
		{"archive", "#cloud-config-archive\n- type: text/x-shellscript\n  content: 'a\n", ""},
		{"patch", "#cloud-config-jsonp\n[{\"op\": \"add\"}", ""},
		{"include", "#include\nhttp://a: b: c\n", ""},
		{"multipart", "Content-Type: multipart/mixed; boundary=\"=\"\nMIME-Version: 1.0\n\n--=\n\n#cloud-config\na: b: c\n", ""},
		{"compressed", "\x1f\x8b\x08\x00\x00", ""},
		{"Ignition", `{"ignition": {"version": "3.2.0"}, "passwd": {}`, ""},
		{"no head", "a: b: c", ""},
		{"nothing", "", ""},
		// What no cloud-init takes.
		{"no quote's end", "#cloud-config\nhostname: 'a\n", "line 3: found unexpected end of stream"},
		{"value in a value", "#cloud-config\na: 1\nb: c: d\n", "line 3: mapping values are not allowed in this context"},
		{"tab", "#cloud-config\na:\n\t- b\n", "line 3: found character that cannot start any token"},
		{"bad indentation", "#cloud-config\nusers:\n  - name: a\n shell: b\n", "line 4: did not find expected key"},
		{"unknown anchor", "#cloud-config\na: 1\nb: *nobody\n", "line 3: unknown anchor 'nobody' referenced"},
		{"control character", "#cloud-config\na: \x01\n", "line 2: control characters are not allowed"},
		{"no text", "#cloud-config\na: \xff\n", "line 2: invalid leading UTF-8 octet"},
		{"list", "#cloud-config\n- a\n- b\n", "#cloud-config must hold keys and values, not a list"},
		{"value", "#cloud-config\npassword=fedora\n", "#cloud-config must hold keys and values, not a single value"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			checkText(t, checkUserData("here", []byte(tc.data)), tc.want)
		})
	}
}

func TestNetworkData(t *testing.T) {
	for _, tc := range []struct{ name, data, want string }{
		{"version 2", "version: 2\nethernets:\n  enp1s0: {dhcp4: true}\n", ""},
		{"version 1 below its key", "network:\n  version: 1\n  config: disabled\n", ""},
		{"JSON with tabs", "{\n\t\"links\": [],\n\t\"networks\": []\n}", ""},
		{"template", "## template: jinja\nversion: {{ x }}: y\n", ""},
		{"list", "- a\n", ""}, // cloud-init complains, and goes on without
		{"bad indentation", "version: 2\nethernets:\n  a: {}\n b: {}\n", "line 4: did not find expected key"},
		{"no bracket's end", "version: 2\nethernets: {a: {dhcp4: true}\n", "line 3: did not find expected ',' or '}'"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			checkText(t, checkNetworkData("here", []byte(tc.data)), tc.want)
		})
	}
}

func checkText(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Errorf("refused: %v", err)
		}
		return
	}
	if err == nil || err.Error() != "here: "+want || api.ReasonOf(err) != api.ReasonCloudInitInvalid || status.Code(err) != codes.InvalidArgument {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestCorruptCloudInit tells by which names a user finds what is wrong.
func TestCorruptCloudInit(t *testing.T) {
	const bad = `#cloud-config\na: b: c\n`
	for _, tc := range []struct {
		name, volume string
		given        *api.CloudInitData
		want         string
	}{
		{"inline", `{"name":"c","cloudInitNoCloud":{"userData":"` + bad + `"}}`, nil, "volume c: spec.volumes[0].cloudInitNoCloud.userData: line 2: mapping values are not allowed in this context"},
		{"Base64", `{"name":"c","cloudInitConfigDrive":{"userDataBase64":"I2Nsb3VkLWNvbmZpZwphOiBiOiBjCg=="}}`, nil, "volume c: spec.volumes[0].cloudInitConfigDrive.userDataBase64: line 2: mapping values are not allowed in this context"},
		{"network data", `{"name":"c","cloudInitNoCloud":{"userData":"#!x","networkData":"a: b: c"}}`, nil, "volume c: spec.volumes[0].cloudInitNoCloud.networkData: line 1: mapping values are not allowed in this context"},
		{"Secret", `{"name":"c","cloudInitNoCloud":{"secretRef":{"name":"s"}}}`, &api.CloudInitData{UserData: []byte(strings.ReplaceAll(bad, `\n`, "\n"))}, "volume c: user data of Secret s: line 2: mapping values are not allowed in this context"},
		{"Secret of network data", `{"name":"c","cloudInitNoCloud":{"userData":"#!x","networkDataSecretRef":{"name":"s"}}}`, &api.CloudInitData{NetworkData: []byte("a: b: c")}, "volume c: network data of Secret s: line 1: mapping values are not allowed in this context"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := newNode(t)
			o := &api.SyncOptions{}
			if tc.given != nil {
				tc.given.Volume = "c"
				o.CloudInit = []*api.CloudInitData{tc.given}
			}
			_, err := n.prepare(tc.volume, "", "", o)
			if err == nil || err.Error() != tc.want || api.ReasonOf(err) != api.ReasonCloudInitInvalid {
				t.Errorf("got  %v\nwant %s", err, tc.want)
			}
		})
	}
}

// FuzzUserData wants an answer, and a line with each refusal of syntax.
func FuzzUserData(f *testing.F) {
	f.Add([]byte("a: &x [*x, {b: c}]\n"))
	f.Add([]byte("- |\n  x\n\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		err := checkUserData("here", append([]byte(cloudConfig+"\n"), data...))
		if err != nil && !strings.HasPrefix(err.Error(), "here: line ") && !strings.HasPrefix(err.Error(), "here: "+cloudConfig) {
			t.Errorf("no line: %v", err)
		}
	})
}

// TestNetworkDataReachesTheGuest looks for what a machine says of its network in the image that cloud-init reads, comment and all.
func TestNetworkDataReachesTheGuest(t *testing.T) {
	spec.Covers(t, "P3-IPCFG-02", "P3-IPCFG-05")
	const data = "version: 2\nethernets:\n  eth1: # mine\n    addresses:\n    - 10.10.10.14/24\n"
	volume, err := json.Marshal(map[string]any{"name": "c", "cloudInitNoCloud": map[string]any{"userData": "#cloud-config", "networkData": data}})
	if err != nil {
		t.Fatal(err)
	}
	n := newNode(t)
	if _, err := n.prepare(string(volume), "", "", nil); err != nil {
		t.Fatal(err)
	}
	image, err := os.ReadFile(filepath.Join(n.dir, "ephemeral/c.iso"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(image, []byte(data)) {
		t.Error("the image does not hold the data as it was written")
	}
}
