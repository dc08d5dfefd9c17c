package credentials

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/virtctl/virtctltest"
)

const (
	keyA = "ssh-ed25519 AAAAkeyA someone@here"
	keyB = "ssh-rsa AAAAkeyB"
)

// store is a cluster with one machine and some Secrets.
type store struct {
	mu      sync.Mutex
	vm      virtv1.VirtualMachine
	secrets map[string]*corev1.Secret
	patches []string
	// refusePatch refuses changes of the machine; conflicts is how many updates of Secrets clash first.
	refusePatch bool
	conflicts   int
}

func sshCredential(secret, user string) virtv1.AccessCredential {
	return virtv1.AccessCredential{SSHPublicKey: &virtv1.SSHPublicKeyAccessCredential{
		Source:            virtv1.SSHPublicKeyAccessCredentialSource{Secret: &virtv1.AccessCredentialSecretSource{SecretName: secret}},
		PropagationMethod: virtv1.SSHPublicKeyAccessCredentialPropagationMethod{QemuGuestAgent: &virtv1.QemuGuestAgentSSHPublicKeyAccessCredentialPropagation{Users: []string{user}}},
	}}
}

func newStore(credentials ...virtv1.AccessCredential) *store {
	s := &store{secrets: map[string]*corev1.Secret{}}
	s.vm = virtv1.VirtualMachine{TypeMeta: metav1.TypeMeta{APIVersion: "kubevirt.io/v1", Kind: "VirtualMachine"}, ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "ns", UID: "u1", ResourceVersion: "7"}}
	s.vm.Spec.Template = &virtv1.VirtualMachineInstanceTemplateSpec{Spec: virtv1.VirtualMachineInstanceSpec{AccessCredentials: credentials}}
	return s
}

func (s *store) secret(name string, owned bool, data map[string]string) *store {
	secret := &corev1.Secret{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "ns"}, Data: map[string][]byte{}}
	if owned {
		secret.OwnerReferences = []metav1.OwnerReference{{Kind: "VirtualMachine", Name: "web", UID: "u1"}}
	}
	for k, v := range data {
		secret.Data[k] = []byte(v)
	}
	s.secrets[name] = secret
	return s
}

func (s *store) server(t *testing.T) *virtctltest.Server {
	return &virtctltest.Server{Answer: func(w http.ResponseWriter, r *http.Request) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		const secrets = "/api/v1/namespaces/ns/secrets"
		name := strings.TrimPrefix(r.URL.Path, secrets+"/")
		var sent corev1.Secret
		if r.Method == http.MethodPost || r.Method == http.MethodPut {
			virtctltest.Decode(t, r, &sent)
			sent.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}
		}
		switch {
		case strings.HasSuffix(r.URL.Path, "/virtualmachines/web") && r.Method == http.MethodGet:
			virtctltest.JSON(w, s.vm)
		case strings.HasSuffix(r.URL.Path, "/virtualmachines/web") && r.Method == http.MethodPatch:
			if s.refusePatch {
				virtctltest.Refuse(w, 403, "you may not")
				return true
			}
			buf := new(strings.Builder)
			var patch any
			_ = json.NewDecoder(r.Body).Decode(&patch)
			_ = json.NewEncoder(buf).Encode(patch)
			s.patches = append(s.patches, strings.TrimSpace(buf.String()))
			virtctltest.JSON(w, s.vm)
		case r.URL.Path == secrets && r.Method == http.MethodPost:
			if sent.Name == "" {
				sent.Name = sent.GenerateName + "x"
			}
			s.secrets[sent.Name] = &sent
			virtctltest.JSON(w, sent)
		case s.secrets[name] == nil:
			virtctltest.Refuse(w, 404, "not found")
		case r.Method == http.MethodGet:
			virtctltest.JSON(w, s.secrets[name])
		case r.Method == http.MethodDelete:
			delete(s.secrets, name)
			virtctltest.JSON(w, metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: "Success"})
		case s.conflicts > 0:
			s.conflicts--
			virtctltest.Refuse(w, 409, "the object has been modified")
		default:
			s.secrets[name] = &sent
			virtctltest.JSON(w, sent)
		}
		return true
	}}
}

// values are the values of a Secret, in any order of their keys.
func (s *store) values(name string) map[string]bool {
	out := map[string]bool{}
	if secret := s.secrets[name]; secret != nil {
		for _, v := range secret.Data {
			out[string(v)] = true
		}
	}
	return out
}

func do(t *testing.T, s *store, args ...string) (out string, err error) {
	t.Helper()
	out, _, err = virtctltest.Run(t, s.server(t), strings.NewReader("from stdin\n"), virtctltest.One(New), append([]string{"credentials"}, args...)...)
	return out, err
}

func fails(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestAddKey(t *testing.T) {
	add := func(extra ...string) []string {
		return append([]string{"add-ssh-key", "web", "--user", "debian", "--value", keyB}, extra...)
	}
	t.Run("into the Secret of the user", func(t *testing.T) {
		s := newStore(sshCredential("other", "root"), sshCredential("keys", "debian")).secret("keys", true, map[string]string{"a": keyA})
		s.conflicts = 2
		out, err := do(t, s, add()...)
		if err != nil || out != "secret/keys key added\n" {
			t.Errorf("printed %q, %v", out, err)
		}
		if diff := cmp.Diff(map[string]bool{keyA: true, keyB: true}, s.values("keys")); diff != "" {
			t.Errorf("Secret (-want +got):\n%s", diff)
		}
		out, err = do(t, s, add()...)
		if err != nil || out != "secret/keys unchanged: it holds the key already\n" {
			t.Errorf("again: printed %q, %v", out, err)
		}
	})
	t.Run("a Secret of others", func(t *testing.T) {
		s := newStore(sshCredential("keys", "debian")).secret("keys", false, nil)
		_, err := do(t, s, add()...)
		fails(t, err, "changing the credentials of web: the machine does not own Secret keys, so other machines may use it: change it anyway with --force")
		if _, err := do(t, s, add("--force")...); err != nil || !s.values("keys")[keyB] {
			t.Errorf("with --force: %v, %v", err, s.values("keys"))
		}
	})
	t.Run("a new Secret", func(t *testing.T) {
		s := newStore()
		out, err := do(t, s, add()...)
		if err != nil || out != "secret/web-ssh-key-x created with the key\nvirtualmachine/web names it for debian\n" {
			t.Errorf("printed %q, %v", out, err)
		}
		made := s.secrets["web-ssh-key-x"]
		if made == nil || len(made.OwnerReferences) != 1 || made.OwnerReferences[0].UID != "u1" || !s.values("web-ssh-key-x")[keyB] {
			t.Errorf("made %+v", made)
		}
		want := `[{"op":"test","path":"/metadata/resourceVersion","value":"7"},{"op":"add","path":"/spec/template/spec/accessCredentials","value":[{"sshPublicKey":{"propagationMethod":{"qemuGuestAgent":{"users":["debian"]}},"source":{"secret":{"secretName":"web-ssh-key-x"}}}}]}]`
		if diff := cmp.Diff([]string{want}, s.patches); diff != "" {
			t.Errorf("patch (-want +got):\n%s", diff)
		}
	})
	t.Run("a further Secret", func(t *testing.T) {
		s := newStore(sshCredential("keys", "debian"))
		if _, err := do(t, s, add("--create-secret", "--secret", "more")...); err != nil {
			t.Fatal(err)
		}
		if len(s.patches) != 1 || !strings.Contains(s.patches[0], `"path":"/spec/template/spec/accessCredentials/-"`) || s.secrets["more"] == nil {
			t.Errorf("patches %v, Secrets %v", s.patches, s.secrets)
		}
	})
	t.Run("while it runs", func(t *testing.T) {
		s := newStore()
		s.vm.Status.Created = true
		_, err := do(t, s, add()...)
		fails(t, err, "machine web is running and takes a new Secret at its next start: make it anyway with --force")
	})
	t.Run("the machine may not be changed", func(t *testing.T) {
		s := newStore()
		s.refusePatch = true
		_, err := do(t, s, add()...)
		fails(t, err, "naming Secret web-ssh-key-x in machine web: you may not")
		if len(s.secrets) != 0 {
			t.Errorf("left behind %v", s.secrets)
		}
	})
	t.Run("mistakes", func(t *testing.T) {
		private := filepath.Join(t.TempDir(), "id")
		if err := os.WriteFile(private, []byte("-----BEGIN OPENSSH PRIVATE KEY-----\nx\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		s := newStore(sshCredential("keys", "debian"))
		_, err := do(t, s, "add-ssh-key", "web", "--user", "debian", "--file", private)
		fails(t, err, "that is a private key: give the public one, whose file ends in .pub")
		_, err = do(t, s, "add-ssh-key", "web", "--user", "debian", "--value", "nonsense")
		fails(t, err, "that is no public key: it begins with a type such as ssh-ed25519, then the key")
		_, err = do(t, s, "add-ssh-key", "web", "--user", "debian", "--value", keyA+"\n"+keyB)
		fails(t, err, "that is more than one key: add them one at a time")
		_, err = do(t, s, add("--secret", "x")...)
		fails(t, err, "--secret: the machine does not name Secret x for this; it names keys")
		_, err = do(t, s, "add-ssh-key", "web", "--user", "root", "--value", keyA, "--update-secret")
		fails(t, err, "machine web names no Secret for the keys of root: leave --update-secret out to make one")
	})
}

func TestRemoveKey(t *testing.T) {
	s := newStore(sshCredential("one", "debian"), sshCredential("two", "debian")).
		secret("one", true, map[string]string{"a": keyA + "\n" + keyB + "\n", "b": "ssh-ed25519 AAAAkeyA other comment"}).
		secret("two", true, map[string]string{"a": keyB})
	out, err := do(t, s, "remove-ssh-key", "web", "--user", "debian", "--value", keyA)
	if err != nil || out != "secret/one key removed\n" {
		t.Errorf("printed %q, %v", out, err)
	}
	if diff := cmp.Diff(map[string]bool{keyB + "\n": true}, s.values("one")); diff != "" {
		t.Errorf("Secret (-want +got):\n%s", diff)
	}
	_, err = do(t, s, "remove-ssh-key", "web", "--user", "debian", "--value", keyA)
	fails(t, err, "the key is in none of the Secrets of web for debian: one, two")
	_, err = do(t, s, "remove-ssh-key", "web", "--user", "root", "--value", keyA)
	fails(t, err, "machine web names no Secret for the keys of root")
}

func TestSetPassword(t *testing.T) {
	passwords := virtv1.AccessCredential{UserPassword: &virtv1.UserPasswordAccessCredential{
		Source:            virtv1.UserPasswordAccessCredentialSource{Secret: &virtv1.AccessCredentialSecretSource{SecretName: "pw"}},
		PropagationMethod: virtv1.UserPasswordAccessCredentialPropagationMethod{QemuGuestAgent: &virtv1.QemuGuestAgentUserPasswordAccessCredentialPropagation{}},
	}}
	s := newStore(passwords).secret("pw", true, map[string]string{"root": "r"})
	out, err := do(t, s, "set-password", "web", "--user", "debian", "--password-file", "-")
	if err != nil || out != "secret/pw password of debian set\n" || string(s.secrets["pw"].Data["debian"]) != "from stdin" || string(s.secrets["pw"].Data["root"]) != "r" {
		t.Errorf("printed %q, %v; Secret %s", out, err, s.secrets["pw"].Data)
	}
	out, err = do(t, s, "set-password", "web", "--user", "root", "--password", "r")
	if err != nil || out != "secret/pw unchanged: it holds the password already\n" {
		t.Errorf("printed %q, %v", out, err)
	}
	_, err = do(t, newStore(), "set-password", "web", "--user", "debian", "--password", "x")
	fails(t, err, "machine web names no Secret for passwords: add one to spec.template.spec.accessCredentials, or create it with --access-cred type:password,src:SECRET")
	_, err = do(t, s, "set-password", "web", "--user", "debian", "--password=")
	fails(t, err, "the password is empty")
}
