package create

import (
	"encoding/base64"
	"os"
	"strings"

	"sigs.k8s.io/yaml"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/virtctl/command"
)

// Kinds of disk that cloud-init reads.
const (
	noCloud     = "nocloud"
	configDrive = "configdrive"
	none        = "none"
	// cloudConfig is the first line of generated user data.
	cloudConfig = "#cloud-config"
	// agentMethod has the guest's agent set keys and passwords.
	agentMethod = "ga"
)

func (v *vm) addCredentials() error {
	const flag = "access-cred"
	for _, text := range v.credentials {
		p, err := parseParams(flag, text, "src", "type", "method", "user")
		if err != nil {
			return err
		}
		if err := p.need(flag, "src"); err != nil {
			return err
		}
		secret, err := local(flag, p["src"])
		if err != nil {
			return err
		}
		var credential virtv1.AccessCredential
		switch kind := strings.ToLower(p["type"]); kind {
		case "", "ssh":
			credential.SSHPublicKey, err = v.sshCredential(p, secret)
		case "password":
			credential.UserPassword, err = passwordCredential(p, secret)
		default:
			err = command.Usagef("--%s: type must be ssh or password, not %q", flag, kind)
		}
		if err != nil {
			return err
		}
		v.spec().AccessCredentials = append(v.spec().AccessCredentials, credential)
	}
	return nil
}

func (v *vm) sshCredential(p params, secret string) (*virtv1.SSHPublicKeyAccessCredential, error) {
	c := &virtv1.SSHPublicKeyAccessCredential{Source: virtv1.SSHPublicKeyAccessCredentialSource{Secret: &virtv1.AccessCredentialSecretSource{SecretName: secret}}}
	method := strings.ToLower(p["method"])
	switch method {
	case "", agentMethod:
		user := p["user"]
		if user == "" {
			user = v.user
		}
		if user == "" {
			return nil, command.Usagef("--access-cred: whose keys are they? Say user:USER, or --user USER")
		}
		c.PropagationMethod.QemuGuestAgent = &virtv1.QemuGuestAgentSSHPublicKeyAccessCredentialPropagation{Users: []string{user}}
		if !v.said("ga-manage-ssh") && v.cloudInitUserData == "" {
			v.agentManagesSSH = true // without, SELinux keeps the agent from writing keys
		}
		return c, nil
	case noCloud:
		c.PropagationMethod.NoCloud = &virtv1.NoCloudSSHPublicKeyAccessCredentialPropagation{}
	case configDrive:
		c.PropagationMethod.ConfigDrive = &virtv1.ConfigDriveSSHPublicKeyAccessCredentialPropagation{}
	default:
		return nil, command.Usagef("--access-cred: method must be ga, nocloud or configdrive, not %q", method)
	}
	if p["user"] != "" {
		return nil, command.Usagef("--access-cred: with method %s, cloud-init chooses the user: leave user out", method)
	}
	if !v.said("cloud-init") {
		v.cloudInit = method
		if err := v.cmd.Flags().Set("cloud-init", method); err != nil {
			return nil, err
		}
	}
	if !strings.EqualFold(v.cloudInit, method) {
		return nil, command.Usagef("--access-cred: method %s does not fit --cloud-init %s", method, v.cloudInit)
	}
	return c, nil
}

func passwordCredential(p params, secret string) (*virtv1.UserPasswordAccessCredential, error) {
	if m := p["method"]; m != "" && !strings.EqualFold(m, agentMethod) {
		return nil, command.Usagef("--access-cred: passwords have the method ga only, not %q", m)
	}
	if p["user"] != "" {
		return nil, command.Usagef("--access-cred: the keys of a Secret with passwords are the users: leave user out")
	}
	return &virtv1.UserPasswordAccessCredential{
		Source:            virtv1.UserPasswordAccessCredentialSource{Secret: &virtv1.AccessCredentialSecretSource{SecretName: secret}},
		PropagationMethod: virtv1.UserPasswordAccessCredentialPropagationMethod{QemuGuestAgent: &virtv1.QemuGuestAgentUserPasswordAccessCredentialPropagation{}},
	}, nil
}

func (v *vm) addCloudInit() error {
	for flag, text := range map[string]string{"cloud-init-user-data": v.cloudInitUserData, "cloud-init-network-data": v.cloudInitNetworkData} {
		if _, err := base64.StdEncoding.DecodeString(text); err != nil {
			return command.Usagef("--%s is not base64: encode the file with base64 -w0 FILE", flag)
		}
	}
	data, err := v.userData()
	if err != nil {
		return err
	}
	asked := v.cloudInitUserData != "" || v.cloudInitNetworkData != "" || data != cloudConfig
	if !asked && !v.said("cloud-init") {
		return nil
	}
	if v.cloudInitUserData != "" {
		data = ""
	}
	volume := virtv1.Volume{Name: cloudInitDisk}
	switch strings.ToLower(v.cloudInit) {
	case noCloud:
		volume.CloudInitNoCloud = &virtv1.CloudInitNoCloudSource{UserData: data, UserDataBase64: v.cloudInitUserData, NetworkDataBase64: v.cloudInitNetworkData}
	case configDrive:
		volume.CloudInitConfigDrive = &virtv1.CloudInitConfigDriveSource{UserData: data, UserDataBase64: v.cloudInitUserData, NetworkDataBase64: v.cloudInitNetworkData}
	case none:
		if asked {
			v.env.Say("Warning: --cloud-init none leaves out what the other flags say about users, keys and cloud-init")
		}
		return nil
	default:
		return command.Usagef("--cloud-init must be nocloud, configdrive or none, not %q", v.cloudInit)
	}
	if v.passwordFile != "" {
		v.env.Say("Warning: the password stands in the manifest in clear text; with --access-cred type:password,src:SECRET it would not")
	}
	return v.add("cloud-init", volume, nil)
}

// userData is the cloud-config of the flags about users and keys.
func (v *vm) userData() (string, error) {
	lines := []string{cloudConfig}
	add := func(key string, value any) error {
		text, err := yaml.Marshal(map[string]any{key: value})
		lines = append(lines, strings.TrimRight(string(text), "\n"))
		return err
	}
	if v.user != "" {
		if err := add("user", v.user); err != nil {
			return "", err
		}
	}
	if v.passwordFile != "" {
		text, err := os.ReadFile(v.passwordFile)
		if err != nil {
			return "", command.Usagef("--password-file: %w", err)
		}
		password := strings.TrimSpace(string(text))
		if password == "" {
			return "", command.Usagef("--password-file: %s is empty", v.passwordFile)
		}
		if err := add("password", password); err != nil {
			return "", err
		}
		if err := add("chpasswd", map[string]bool{"expire": false}); err != nil {
			return "", err
		}
	}
	if len(v.sshKeys) > 0 {
		if err := add("ssh_authorized_keys", v.sshKeys); err != nil {
			return "", err
		}
	}
	if v.agentManagesSSH {
		if err := add("runcmd", [][]string{{"setsebool", "-P", "virt_qemu_ga_manage_ssh", "on"}}); err != nil {
			return "", err
		}
	}
	return strings.Join(lines, "\n"), nil
}
