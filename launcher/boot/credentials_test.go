package boot

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/virtplane/virtplane/launcher/api"
	"github.com/virtplane/virtplane/launcher/domain"
	"github.com/virtplane/virtplane/test/spec"
)

// prepareWith sends a VMI with members of its spec.
func (n *node) prepareWith(members string) (*domain.Guest, error) {
	vmi := `{"metadata":{"name":"testvm","namespace":"default","uid":"the-uid"},"spec":{"domain":{"memory":{"guest":"64Mi"},"clock":{"utc":{"offsetSeconds":3600}},"devices":{"autoattachGraphicsDevice":false}},` + members + `}}`
	return n.Prepare(n.t.Context(), &api.SyncRequest{Vmi: []byte(vmi), Options: &api.SyncOptions{Emulation: true}})
}

// TestKeysOnDisk looks for the keys of a Secret on the disk that cloud-init reads.
func TestKeysOnDisk(t *testing.T) {
	spec.Covers(t, "P2-SSH-08", "P2-SSH-10")
	const volumes = `"volumes":[{"name":"c","cloudInitConfigDrive":{"userData":"#cloud-config"}},{"name":"n","cloudInitNoCloud":{"userData":"#cloud-config"}}]`
	for method, on := range map[string]string{"configDrive": "c", "noCloud": "n"} {
		n := newNode(t)
		n.write("credentials/my-pub-key/key1", "ssh-rsa AAAAkey1 me@here\n")
		n.write("credentials/my-pub-key/key2", "ssh-rsa AAAAkey2 me@there\n")
		members := `"accessCredentials":[{"sshPublicKey":{"source":{"secret":{"secretName":"my-pub-key"}},"propagationMethod":{"` + method + `":{}}}}],` + volumes
		g, err := n.prepareWith(members)
		if err != nil {
			t.Fatal(err)
		}
		if len(g.Credentials) > 0 || g.ClockOffset != time.Hour {
			t.Errorf("%s: guest is %+v", method, g)
		}
		for _, disk := range []string{"c", "n"} {
			raw, err := os.ReadFile(n.dir + "/ephemeral/" + disk + ".iso")
			if err != nil {
				t.Fatal(err)
			}
			for _, key := range []string{"AAAAkey1", "AAAAkey2"} {
				if got := strings.Contains(string(raw), key); got != (disk == on) {
					t.Errorf("%s: disk %s holds %s: %v", method, disk, key, got)
				}
			}
		}
		if err := os.RemoveAll(n.dir + "/credentials"); err != nil {
			t.Fatal(err)
		}
		if _, err := n.prepareWith(members); api.ReasonOf(err) != api.ReasonSecretMissing || !strings.Contains(err.Error(), "Secret my-pub-key of SSH keys") {
			t.Errorf("%s without the Secret: %v", method, err)
		}
	}
}

// TestAgentCredentials leaves to the agent what is the agent's. The guest, which goes into the state file, names Secrets and
// holds none.
func TestAgentCredentials(t *testing.T) {
	n := newNode(t)
	g, err := n.prepareWith(`"accessCredentials":[
		{"sshPublicKey":{"source":{"secret":{"secretName":"keys"}},"propagationMethod":{"qemuGuestAgent":{"users":["ann","bob"]}}}},
		{"userPassword":{"source":{"secret":{"secretName":"passwords"}},"propagationMethod":{"qemuGuestAgent":{}}}}]`)
	if err != nil {
		t.Fatal(err)
	}
	want := []domain.Credential{
		{Secret: "keys", Dir: n.dir + "/credentials/keys", Users: []string{"ann", "bob"}},
		{Secret: "passwords", Dir: n.dir + "/credentials/passwords"},
	}
	if diff := cmp.Diff(want, g.Credentials); diff != "" {
		t.Errorf("Credentials (-want +got):\n%s", diff)
	}
}
