package create

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/virtctl/command"
)

// vm is what the flags of create vm say, and the machine that becomes of them.
type vm struct {
	env *command.Environment
	cmd *cobra.Command

	name, runStrategy, memory                          string
	gracePeriod                                        int64
	instancetype, instancetypeFrom                     string
	preference, preferenceFrom                         string
	inferInstancetype, inferPreference                 bool
	containerDisks, claims, imports                    []string
	dataSources, clones, blanks                        []string
	sysprep                                            string
	user, passwordFile                                 string
	sshKeys, credentials                               []string
	agentManagesSSH                                    bool
	cloudInit, cloudInitUserData, cloudInitNetworkData string
	output                                             *command.Output

	machine    *virtv1.VirtualMachine
	bootOrders map[int32]string
}

// spec is the spec of the instance.
func (v *vm) spec() *virtv1.VirtualMachineInstanceSpec { return &v.machine.Spec.Template.Spec }

var runStrategies = []virtv1.VirtualMachineRunStrategy{virtv1.RunStrategyAlways, virtv1.RunStrategyManual, virtv1.RunStrategyHalted, virtv1.RunStrategyOnce, virtv1.RunStrategyRerunOnFailure}

func newVM(e *command.Environment) *cobra.Command {
	v := &vm{env: e}
	cmd := &cobra.Command{
		Use: "vm", Aliases: []string{"virtualmachine"}, Short: "Write the manifest of a virtual machine", Args: command.Args(cobra.NoArgs),
		Long: "Writes the manifest of a virtual machine. Volumes boot in this order unless bootorder says otherwise: container disks, claims, then imported ones in the order of --volume-datasource, --volume-clone-pvc, --volume-blank and --volume-import.\n\nWithout --instancetype and --memory, the instance type is inferred from the volume that boots first, if that can carry one, and the preference likewise; a machine whose volume names none gets 512Mi.",
		Example: e.Example(`
  # A machine from a container image, with a user
  {{program}} create vm --name web --memory 1Gi --volume-containerdisk src:registry.example.com/debian:13 --user debian --ssh-key "$(cat ~/.ssh/id_ed25519.pub)" | kubectl apply -f -

  # From a golden image, with the instance type and preference that it names
  {{program}} create vm --name web --volume-import type:ds,src:images/debian,size:20Gi

  # An instance type and a preference of the cluster, or of the namespace
  {{program}} create vm --instancetype u1.small --preference debian --volume-pvc src:root
  {{program}} create vm --instancetype virtualmachineinstancetype/small --volume-pvc src:root

  # A disk from a web server and an empty one
  {{program}} create vm --volume-import type:http,url:https://example.com/disk.qcow2,size:20Gi,bootorder:1 --volume-import type:blank,size:50Gi

  # Passwords and keys from Secrets, which the guest's agent sets
  {{program}} create vm --volume-pvc src:root --user debian --access-cred type:ssh,src:my-keys --access-cred type:password,src:my-passwords

  # Windows with an answer file
  {{program}} create vm --memory 4Gi --volume-pvc src:windows --volume-sysprep src:answers`),
		RunE: func(cmd *cobra.Command, _ []string) error { v.cmd = cmd; return v.run() },
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&v.name, "name", "", "name of the machine; invented if empty")
	f.StringVar(&v.runStrategy, "run-strategy", string(virtv1.RunStrategyAlways), "when it has a running instance: Always, Manual, Halted, Once or RerunOnFailure")
	f.Int64Var(&v.gracePeriod, "termination-grace-period", 180, "seconds that the guest has to shut down")
	f.StringVar(&v.memory, "memory", "512Mi", "memory of the guest")
	f.StringVar(&v.instancetype, "instancetype", "", "instance type: NAME of the cluster, or virtualmachineinstancetype/NAME of the namespace")
	f.BoolVar(&v.inferInstancetype, "infer-instancetype", true, "take the instance type from the volume that boots first")
	f.StringVar(&v.instancetypeFrom, "infer-instancetype-from", "", "take the instance type from this volume")
	cmd.MarkFlagsMutuallyExclusive("memory", "instancetype", "infer-instancetype", "infer-instancetype-from")
	f.StringVar(&v.preference, "preference", "", "preference: NAME of the cluster, or virtualmachinepreference/NAME of the namespace")
	f.BoolVar(&v.inferPreference, "infer-preference", true, "take the preference from the volume that boots first")
	f.StringVar(&v.preferenceFrom, "infer-preference-from", "", "take the preference from this volume")
	cmd.MarkFlagsMutuallyExclusive("preference", "infer-preference", "infer-preference-from")
	f.StringArrayVar(&v.containerDisks, "volume-containerdisk", nil, "container disk: src:IMAGE[,name:NAME][,bootorder:N]; may be given several times")
	f.StringArrayVar(&v.claims, "volume-pvc", nil, "claim: src:CLAIM[,name:NAME][,bootorder:N]; may be given several times")
	f.StringArrayVar(&v.imports, "volume-import", nil, "DataVolume that is made with the machine: type:TYPE,...; may be given several times\n"+importHelp())
	f.StringVar(&v.sysprep, "volume-sysprep", "", "answer file of Windows: src:NAME[,type:configmap|secret]")
	f.StringVar(&v.user, "user", "", "user that cloud-init makes")
	f.StringVar(&v.passwordFile, "password-file", "", "file with the user's password; it stands in the manifest in clear text")
	f.StringSliceVar(&v.sshKeys, "ssh-key", nil, "public key that may log in; may be given several times")
	f.BoolVar(&v.agentManagesSSH, "ga-manage-ssh", false, "let the guest's agent write keys, where SELinux would not")
	f.StringArrayVar(&v.credentials, "access-cred", nil, "Secret with keys or passwords: src:SECRET[,type:ssh|password][,method:ga|nocloud|configdrive][,user:USER]; may be given several times")
	f.StringVar(&v.cloudInit, "cloud-init", noCloud, "kind of disk for cloud-init: nocloud, configdrive or none")
	f.StringVar(&v.cloudInitUserData, "cloud-init-user-data", "", "user data of cloud-init, in base64")
	f.StringVar(&v.cloudInitNetworkData, "cloud-init-network-data", "", "network data of cloud-init, in base64")
	for _, generated := range []string{"user", "password-file", "ssh-key", "ga-manage-ssh"} {
		cmd.MarkFlagsMutuallyExclusive("cloud-init-user-data", generated)
	}
	f.StringArrayVar(&v.dataSources, "volume-datasource", nil, "the older form of --volume-import type:ds,...")
	f.StringArrayVar(&v.clones, "volume-clone-pvc", nil, "the older form of --volume-import type:pvc,...")
	f.StringArrayVar(&v.blanks, "volume-blank", nil, "the older form of --volume-import type:blank,...")
	_ = cmd.RegisterFlagCompletionFunc("run-strategy", cobra.FixedCompletions(strategyNames(), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("cloud-init", cobra.FixedCompletions([]string{noCloud, configDrive, none}, cobra.ShellCompDirectiveNoFileComp))
	v.output = command.OutputFlag(cmd, command.YAML, command.JSON)
	return cmd
}

func strategyNames() []string {
	var names []string
	for _, s := range runStrategies {
		names = append(names, string(s))
	}
	return names
}

// said tells whether the user gave a flag.
func (v *vm) said(flag string) bool { return v.cmd.Flags().Changed(flag) }

func (v *vm) run() error {
	if err := v.output.Check(); err != nil {
		return err
	}
	// Flags may change what later ones mean, so the order matters: volumes give the boot order, from which types are
	// inferred; credentials decide how cloud-init is written.
	for _, step := range []func() error{v.skeleton, v.addContainerDisks, v.addClaims, v.addImports, v.addSysprep, v.addCredentials, v.addCloudInit, v.setInstancetype, v.setPreference} {
		if err := step(); err != nil {
			return err
		}
	}
	return v.output.Print(v.env.Out, v.machine)
}

func (v *vm) skeleton() error {
	namespace, named, err := v.env.Namespace()
	if err != nil {
		return err
	}
	if !named {
		namespace = ""
	}
	if v.name == "" {
		v.name = invented("vm-")
	}
	if errs := validation.IsDNS1123Subdomain(v.name); len(errs) > 0 {
		return command.Usagef("--name %q: %s", v.name, errs[0])
	}
	if v.gracePeriod < 0 {
		return command.Usagef("--termination-grace-period must be 0 or more seconds, not %d", v.gracePeriod)
	}
	memory, err := resource.ParseQuantity(v.memory)
	if err != nil || memory.Sign() <= 0 {
		return command.Usagef("--memory must be a size such as 512Mi, not %q", v.memory)
	}
	v.bootOrders = map[int32]string{}
	v.machine = &virtv1.VirtualMachine{
		TypeMeta:   metav1.TypeMeta{APIVersion: virtv1.SchemeGroupVersion.String(), Kind: "VirtualMachine"},
		ObjectMeta: metav1.ObjectMeta{Name: v.name, Namespace: namespace},
		Spec: virtv1.VirtualMachineSpec{Template: &virtv1.VirtualMachineInstanceTemplateSpec{Spec: virtv1.VirtualMachineInstanceSpec{
			TerminationGracePeriodSeconds: &v.gracePeriod, Domain: virtv1.DomainSpec{Memory: &virtv1.Memory{Guest: &memory}},
		}}},
	}
	for _, s := range runStrategies {
		if strings.EqualFold(string(s), v.runStrategy) {
			v.machine.Spec.RunStrategy = s
			return nil
		}
	}
	return command.Usagef("--run-strategy must be one of %s, not %q", strings.Join(strategyNames(), ", "), v.runStrategy)
}

// matcher reads an instance type or a preference: NAME or KIND/NAME. The kinds are spelt as the resources are, which the server
// takes too.
func matcher(flag, text string, kinds ...string) (kind, name string, err error) {
	kind, name, err = split(flag, text)
	if err != nil {
		return "", "", err
	}
	kind = strings.ToLower(kind)
	if kind != "" && !contains(kinds, kind) {
		return "", "", command.Usagef("--%s: the kind must be %s, not %q", flag, strings.Join(kinds, " or "), kind)
	}
	return kind, name, nil
}

// ignore lets a machine without an instance type start, when nobody asked for one expressly.
const ignore = "Ignore"

func (v *vm) setInstancetype() error {
	if v.instancetype != "" {
		kind, name, err := matcher("instancetype", v.instancetype, "virtualmachineinstancetype", "virtualmachineclusterinstancetype")
		if err != nil {
			return err
		}
		v.spec().Domain.Memory = nil // it comes with the type
		v.machine.Spec.Instancetype = &virtv1.InstancetypeMatcher{Kind: kind, Name: name}
		return nil
	}
	if v.said("memory") || v.said("infer-instancetype") && !v.inferInstancetype {
		return nil
	}
	expressly := v.said("infer-instancetype") || v.instancetypeFrom != ""
	volume, err := v.inferFrom(v.instancetypeFrom)
	switch {
	case err != nil && expressly:
		return err
	case err != nil:
		return nil
	}
	v.machine.Spec.Instancetype = &virtv1.InstancetypeMatcher{InferFromVolume: volume}
	if expressly {
		v.spec().Domain.Memory = nil
	} else {
		v.machine.Spec.Instancetype.InferFromVolumeFailurePolicy = ignore
	}
	return nil
}

func (v *vm) setPreference() error {
	if v.preference != "" {
		kind, name, err := matcher("preference", v.preference, "virtualmachinepreference", "virtualmachineclusterpreference")
		if err != nil {
			return err
		}
		v.machine.Spec.Preference = &virtv1.PreferenceMatcher{Kind: kind, Name: name}
		return nil
	}
	if v.said("infer-preference") && !v.inferPreference {
		return nil
	}
	expressly := v.said("infer-preference") || v.preferenceFrom != ""
	volume, err := v.inferFrom(v.preferenceFrom)
	switch {
	case err != nil && expressly:
		return err
	case err != nil:
		return nil
	}
	v.machine.Spec.Preference = &virtv1.PreferenceMatcher{InferFromVolume: volume}
	if !expressly {
		v.machine.Spec.Preference.InferFromVolumeFailurePolicy = ignore
	}
	return nil
}

// inferFrom is the volume to infer from: the named one, else the first to boot, else the first. Only what has labels of its
// own can name a type.
func (v *vm) inferFrom(name string) (string, error) {
	volumes := v.spec().Volumes
	if name == "" {
		if len(volumes) == 0 {
			return "", command.Usagef("there is no volume to infer from")
		}
		name = volumes[0].Name
		first := int32(0)
		for order, volume := range v.bootOrders {
			if first == 0 || order < first {
				first, name = order, volume
			}
		}
	}
	for i := range volumes {
		if volumes[i].Name != name {
			continue
		}
		if volumes[i].PersistentVolumeClaim != nil || volumes[i].DataVolume != nil && v.carriesLabels(volumes[i].DataVolume.Name) {
			return name, nil
		}
		return "", command.Usagef("volume %s cannot name an instance type or preference: only claims, and imports of type ds, pvc, registry and snapshot can", name)
	}
	return "", command.Usagef("there is no volume %q to infer from", name)
}

func (v *vm) carriesLabels(dataVolume string) bool {
	for i := range v.machine.Spec.DataVolumeTemplates {
		t := &v.machine.Spec.DataVolumeTemplates[i]
		if t.Name == dataVolume {
			s := t.Spec.Source
			return t.Spec.SourceRef != nil || s != nil && (s.PVC != nil || s.Registry != nil || s.Snapshot != nil)
		}
	}
	return false
}

// add adds a volume, and a disk with its boot order if it has one. A volume without a disk gets one from the server, on the
// bus that the preference names.
func (v *vm) add(flag string, volume virtv1.Volume, p params) error {
	if err := label(flag, volume.Name); err != nil {
		return err
	}
	for i := range v.spec().Volumes {
		if v.spec().Volumes[i].Name == volume.Name {
			return command.Usagef("--%s: there is already a volume %s; choose another with name:NAME", flag, volume.Name)
		}
	}
	v.spec().Volumes = append(v.spec().Volumes, volume)
	text, ok := p["bootorder"]
	if !ok {
		return nil
	}
	var order int32
	if n, err := fmt.Sscanf(text, "%d", &order); err != nil || n != 1 || order < 1 || fmt.Sprint(order) != text {
		return command.Usagef("--%s: bootorder must be a number from 1 on, not %q", flag, text)
	}
	if other, taken := v.bootOrders[order]; taken {
		return command.Usagef("--%s: bootorder %d already belongs to %s", flag, order, other)
	}
	v.bootOrders[order] = volume.Name
	v.spec().Domain.Devices.Disks = append(v.spec().Domain.Devices.Disks, virtv1.Disk{Name: volume.Name, BootOrder: &order})
	return nil
}
