package create

import (
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/virtplane/virtplane/pkg/virtctl/command"
)

// instancetypeVersion is the group and version of instance types and preferences, cloneVersion that of clones.
const (
	instancetypeVersion = "instancetype.kubevirt.io/v1beta1"
	cloneVersion        = "clone.kubevirt.io/v1beta1"
)

// manifest is an object as it is printed. Only what the flags say is in it.
type manifest struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Metadata   metadata       `json:"metadata"`
	Spec       map[string]any `json:"spec"`
}

type metadata struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace,omitempty"`
}

// scoped begins a manifest of a kind that exists in the cluster and in namespaces. It is of the namespace when the user
// says so, or names one.
func scoped(e *command.Environment, kind, name string, namespaced bool) (*manifest, error) {
	namespace, named, err := e.Namespace()
	if err != nil {
		return nil, err
	}
	m := &manifest{APIVersion: instancetypeVersion, Kind: "VirtualMachine" + kind, Metadata: metadata{Name: name}, Spec: map[string]any{}}
	prefix := strings.ToLower(kind) + "-"
	if named || namespaced {
		if named {
			m.Metadata.Namespace = namespace
		}
	} else {
		m.Kind, prefix = "VirtualMachineCluster"+kind, "cluster"+prefix
	}
	if name == "" {
		m.Metadata.Name = invented(prefix)
	} else if errs := validation.IsDNS1123Subdomain(name); len(errs) > 0 {
		return nil, command.Usagef("--name %q: %s", name, errs[0])
	}
	return m, nil
}

func newInstancetype(e *command.Environment) *cobra.Command {
	var name, memory, threads string
	var cpus uint32
	var namespaced bool
	var gpus, devices []string
	var output *command.Output
	cmd := &cobra.Command{
		Use: "instancetype", Short: "Write the manifest of an instance type", Args: command.Args(cobra.NoArgs),
		Example: e.Example(`
  # For the whole cluster
  {{program}} create instancetype --name small --cpu 2 --memory 2Gi | kubectl apply -f -

  # For one namespace
  {{program}} create instancetype --namespaced --cpu 2 --memory 2Gi

  # With a GPU
  {{program}} create instancetype --cpu 4 --memory 16Gi --gpu name:gpu1,devicename:nvidia.com/TU104GL_Tesla_T4`),
		RunE: func(*cobra.Command, []string) error {
			if err := output.Check(); err != nil {
				return err
			}
			m, err := scoped(e, "Instancetype", name, namespaced)
			if err != nil {
				return err
			}
			if cpus == 0 {
				return command.Usagef("--cpu must be 1 or more")
			}
			size, err := resource.ParseQuantity(memory)
			if err != nil || size.Sign() <= 0 {
				return command.Usagef("--memory must be a size such as 2Gi, not %q", memory)
			}
			m.Spec["cpu"] = map[string]any{"guest": cpus}
			m.Spec["memory"] = map[string]any{"guest": size}
			switch threads {
			case "":
			case "auto", "shared":
				m.Spec["ioThreadsPolicy"] = threads
			default:
				return command.Usagef("--iothreadspolicy must be auto or shared, not %q", threads)
			}
			for _, list := range []struct {
				flag, field string
				texts       []string
			}{{"gpu", "gpus", gpus}, {"hostdevice", "hostDevices", devices}} {
				var out []any
				for _, text := range list.texts {
					p, err := parseParams(list.flag, text, "name", "devicename")
					if err != nil {
						return err
					}
					if err := p.need(list.flag, "name", "devicename"); err != nil {
						return err
					}
					out = append(out, map[string]any{"name": p["name"], "deviceName": p["devicename"]})
				}
				if out != nil {
					m.Spec[list.field] = out
				}
			}
			return output.Print(e.Out, m)
		},
	}
	f := cmd.Flags()
	f.StringVar(&name, "name", "", "name; invented if empty")
	f.Uint32Var(&cpus, "cpu", 0, "number of CPUs")
	f.StringVar(&memory, "memory", "", "memory of the guest")
	f.StringVar(&threads, "iothreadspolicy", "", "auto or shared")
	f.BoolVar(&namespaced, "namespaced", false, "of a namespace instead of the cluster; so does --namespace")
	f.StringArrayVar(&gpus, "gpu", nil, "GPU: name:NAME,devicename:RESOURCE; may be given several times")
	f.StringArrayVar(&devices, "hostdevice", nil, "host device: name:NAME,devicename:RESOURCE; may be given several times")
	_ = cmd.MarkFlagRequired("cpu")
	_ = cmd.MarkFlagRequired("memory")
	output = command.OutputFlag(cmd, command.YAML, command.JSON)
	return cmd
}

// topologies are the ways in which a guest may see its CPUs, with the older names.
var topologies = []string{"sockets", "cores", "threads", "spread", "any", "preferSockets", "preferCores", "preferThreads", "preferSpread", "preferAny"}

func newPreference(e *command.Environment) *cobra.Command {
	var name, class, machine, topology string
	var namespaced bool
	var output *command.Output
	cmd := &cobra.Command{
		Use: "preference", Short: "Write the manifest of a preference", Args: command.Args(cobra.NoArgs),
		Example: e.Example(`
  # For the whole cluster
  {{program}} create preference --name debian --cpu-topology sockets --volume-storage-class fast | kubectl apply -f -

  # For one namespace
  {{program}} create preference --namespaced --machine-type q35`),
		RunE: func(*cobra.Command, []string) error {
			if err := output.Check(); err != nil {
				return err
			}
			m, err := scoped(e, "Preference", name, namespaced)
			if err != nil {
				return err
			}
			if topology != "" {
				if !contains(topologies, topology) {
					return command.Usagef("--cpu-topology must be one of %s, not %q", strings.Join(topologies, ", "), topology)
				}
				m.Spec["cpu"] = map[string]any{"preferredCPUTopology": topology}
			}
			if machine != "" {
				m.Spec["machine"] = map[string]any{"preferredMachineType": machine}
			}
			if class != "" {
				m.Spec["volumes"] = map[string]any{"preferredStorageClassName": class}
			}
			return output.Print(e.Out, m)
		},
	}
	f := cmd.Flags()
	f.StringVar(&name, "name", "", "name; invented if empty")
	f.BoolVar(&namespaced, "namespaced", false, "of a namespace instead of the cluster; so does --namespace")
	f.StringVar(&topology, "cpu-topology", "", "how the guest sees its CPUs: "+strings.Join(topologies, ", "))
	f.StringVar(&machine, "machine-type", "", "machine type")
	f.StringVar(&class, "volume-storage-class", "", "storage class of its volumes")
	_ = cmd.RegisterFlagCompletionFunc("cpu-topology", cobra.FixedCompletions(topologies, cobra.ShellCompDirectiveNoFileComp))
	output = command.OutputFlag(cmd, command.YAML, command.JSON)
	return cmd
}

func newClone(e *command.Environment) *cobra.Command {
	var name, sourceName, sourceType, targetName, targetType, serial string
	var labels, annotations, templateLabels, templateAnnotations, macs []string
	var output *command.Output
	cmd := &cobra.Command{
		Use: "clone", Short: "Write the manifest of a clone of a machine", Args: command.Args(cobra.NoArgs),
		Example: e.Example(`
  # Clone a machine
  {{program}} create clone --source-name web --target-name web2 | kubectl apply -f -

  # From a snapshot
  {{program}} create clone --source-type vmsnapshot --source-name before-upgrade --target-name web2

  # All labels but one, and a MAC address of its own
  {{program}} create clone --source-name web --label-filter '*' --label-filter '!tier' --new-mac-address default:02-00-00-00-00-01`),
		RunE: func(*cobra.Command, []string) error {
			if err := output.Check(); err != nil {
				return err
			}
			namespace, named, err := e.Namespace()
			if err != nil {
				return err
			}
			if !named {
				namespace = ""
			}
			if name == "" {
				name = invented("clone-")
			}
			if sourceName == "" {
				return command.Usagef("--source-name is empty")
			}
			m := &manifest{APIVersion: cloneVersion, Kind: "VirtualMachineClone", Metadata: metadata{name, namespace}, Spec: map[string]any{}}
			from, err := cloneEnd("source-type", sourceType, sourceName, true)
			if err != nil {
				return err
			}
			to, err := cloneEnd("target-type", targetType, targetName, false)
			if err != nil {
				return err
			}
			m.Spec["source"] = from
			m.Spec["target"] = to
			set(m.Spec, "labelFilters", labels)
			set(m.Spec, "annotationFilters", annotations)
			template := map[string]any{}
			set(template, "labelFilters", templateLabels)
			set(template, "annotationFilters", templateAnnotations)
			if len(template) > 0 {
				m.Spec["template"] = template
			}
			if len(macs) > 0 {
				addresses := map[string]string{}
				for _, text := range macs {
					device, address, ok := strings.Cut(text, ":")
					if !ok || device == "" || address == "" {
						return command.Usagef("--new-mac-address must be INTERFACE:ADDRESS, not %q", text)
					}
					addresses[device] = address
				}
				m.Spec["newMacAddresses"] = addresses
			}
			if serial != "" {
				m.Spec["newSMBiosSerial"] = serial
			}
			return output.Print(e.Out, m)
		},
	}
	f := cmd.Flags()
	f.StringVar(&name, "name", "", "name of the clone object; invented if empty")
	f.StringVar(&sourceName, "source-name", "", "what to clone")
	f.StringVar(&targetName, "target-name", "", "name of the machine that it becomes; invented by the server if empty")
	f.StringVar(&sourceType, "source-type", "vm", "vm or vmsnapshot")
	f.StringVar(&targetType, "target-type", "vm", "vm")
	f.StringArrayVar(&labels, "label-filter", nil, "label to take over, * for all, !LABEL for none of it; may be given several times")
	f.StringArrayVar(&annotations, "annotation-filter", nil, "annotation to take over, likewise")
	f.StringArrayVar(&templateLabels, "template-label-filter", nil, "label of the template to take over, likewise")
	f.StringArrayVar(&templateAnnotations, "template-annotation-filter", nil, "annotation of the template to take over, likewise")
	f.StringArrayVar(&macs, "new-mac-address", nil, "address of an interface: INTERFACE:ADDRESS; may be given several times")
	f.StringVar(&serial, "new-smbios-serial", "", "serial number in the firmware")
	_ = cmd.MarkFlagRequired("source-name")
	output = command.OutputFlag(cmd, command.YAML, command.JSON)
	return cmd
}

func set(spec map[string]any, field string, values []string) {
	if len(values) > 0 {
		spec[field] = values
	}
}

// cloneEnd is the source or the target of a clone.
func cloneEnd(flag, kind, name string, isSource bool) (*corev1.TypedLocalObjectReference, error) {
	group := "kubevirt.io"
	switch strings.ToLower(kind) {
	case "vm", "virtualmachine":
		kind = "VirtualMachine"
	case "snapshot", "vmsnapshot", "virtualmachinesnapshot":
		if !isSource {
			return nil, command.Usagef("--%s must be vm, not %q", flag, kind)
		}
		kind, group = "VirtualMachineSnapshot", "snapshot.kubevirt.io"
	default:
		return nil, command.Usagef("--%s must be vm or, of a source, vmsnapshot, not %q", flag, kind)
	}
	return &corev1.TypedLocalObjectReference{APIGroup: &group, Kind: kind, Name: name}, nil
}
