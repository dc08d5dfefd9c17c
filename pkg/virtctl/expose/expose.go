// Package expose holds the command that makes a Service for the ports of a machine.
package expose

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/virtctl/command"
)

// replicaSet is the third kind that can be exposed.
const replicaSet = "vmirs"

type expose struct {
	env                                             *command.Environment
	name, portName, targetPort, protocol, kind      string
	clusterIP, externalIP, loadBalancerIP, families string
	familyPolicy                                    string
	port                                            int32
	dryRun                                          bool
	output                                          *command.Output
}

// summary is the form of output that says what was done.
const summary = "text"

// New returns the command expose.
func New(e *command.Environment) *cobra.Command {
	x := &expose{env: e}
	cmd := &cobra.Command{
		Use: "expose (vm|vmi|vmirs) NAME", Short: "Make a Service for the ports of a machine", Args: command.Args(cobra.ExactArgs(2)), ValidArgsFunction: e.CompleteKindAndName,
		Long: "Makes a Service that leads to a machine, an instance or the instances of a replica set. Without --port it has the ports that the interface of the pod network lists. A machine is selected by its name, so the Service works at once and after each restart.",
		Example: e.Example(`
  # SSH from outside the cluster, on a port of each node
  {{program}} expose vm web --name=web-ssh --port=22 --type=NodePort

  # Port 80 of the Service leads to port 8080 of the machine
  {{program}} expose vm web --name=web --port=80 --target-port=8080

  # All ports that the machine lists
  {{program}} expose vmi scratch --name=scratch

  # See it first
  {{program}} expose vm web --name=web --port=80 --dry-run -o yaml`),
		RunE: func(cmd *cobra.Command, args []string) error { return x.run(cmd.Context(), args[0], args[1]) },
	}
	f := cmd.Flags()
	f.StringVar(&x.name, "name", "", "name of the Service")
	_ = cmd.MarkFlagRequired("name")
	f.Int32Var(&x.port, "port", 0, "port of the Service")
	f.StringVar(&x.targetPort, "target-port", "", "port of the machine, by number or name; the same as --port if empty")
	f.StringVar(&x.portName, "port-name", "", "name of the port")
	f.StringVar(&x.protocol, "protocol", "TCP", "TCP, UDP or SCTP")
	f.StringVar(&x.kind, "type", "ClusterIP", "ClusterIP, NodePort or LoadBalancer")
	f.StringVar(&x.clusterIP, "cluster-ip", "", "address of the Service; None makes a headless one; empty takes one that is free")
	f.StringVar(&x.externalIP, "external-ip", "", "further address that nodes accept for the Service")
	f.StringVar(&x.loadBalancerIP, "load-balancer-ip", "", "address to ask the load balancer for")
	f.StringVar(&x.families, "ip-family", "", "ipv4, ipv6, ipv4,ipv6 or ipv6,ipv4")
	f.StringVar(&x.familyPolicy, "ip-family-policy", "", "SingleStack, PreferDualStack or RequireDualStack")
	command.DryRunFlag(cmd, &x.dryRun)
	for flag, values := range map[string][]string{"protocol": {"TCP", "UDP", "SCTP"}, "type": {"ClusterIP", "NodePort", "LoadBalancer"},
		"ip-family": {"ipv4", "ipv6", "ipv4,ipv6", "ipv6,ipv4"}, "ip-family-policy": {"SingleStack", "PreferDualStack", "RequireDualStack"}} {
		_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
	x.output = command.OutputFlag(cmd, summary, command.JSON, command.YAML, command.JSONPath)
	return cmd
}

func (x *expose) run(ctx context.Context, word, name string) error {
	if err := x.output.Check(); err != nil {
		return err
	}
	service, err := x.skeleton()
	if err != nil {
		return err
	}
	kind, err := kindOf(word)
	if err != nil {
		return err
	}
	c, err := x.env.Connect()
	if err != nil {
		return err
	}
	labels, spec, err := find(ctx, c, kind, name)
	if err != nil {
		return err
	}
	service.Namespace, service.Spec.Selector = c.Namespace, labels
	if x.port != 0 {
		service.Spec.Ports = []corev1.ServicePort{{Name: x.portName, Protocol: corev1.Protocol(strings.ToUpper(x.protocol)), Port: x.port, TargetPort: x.target()}}
	} else if service.Spec.Ports = listed(spec); len(service.Spec.Ports) == 0 {
		return command.Usagef("%s/%s lists no ports: say which with --port", kind, name)
	}
	options := metav1.CreateOptions{}
	if x.dryRun {
		options.DryRun = []string{metav1.DryRunAll}
	}
	made, err := c.Kube.CoreV1().Services(c.Namespace).Create(ctx, service, options)
	if err != nil {
		return fmt.Errorf("creating the Service: %w", err)
	}
	if !x.output.Is(summary) {
		made.APIVersion, made.Kind = "v1", "Service"
		return x.output.Print(x.env.Out, made)
	}
	suffix := ""
	if x.dryRun {
		suffix = " (dry run)"
	}
	fmt.Fprintf(x.env.Out, "Service %s successfully exposed for %s %s%s\n", x.name, kind, name, suffix)
	return nil
}

// skeleton is the Service as far as the flags say it.
func (x *expose) skeleton() (*corev1.Service, error) {
	if errs := validation.IsDNS1035Label(x.name); len(errs) > 0 {
		return nil, command.Usagef("--name %q: %s", x.name, errs[0])
	}
	if x.port < 0 || x.port > 65535 {
		return nil, command.Usagef("--port must be from 1 to 65535, not %d", x.port)
	}
	if x.port == 0 && (x.targetPort != "" || x.portName != "") {
		return nil, command.Usagef("--target-port and --port-name need --port")
	}
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: x.name}, Spec: corev1.ServiceSpec{ClusterIP: x.clusterIP, LoadBalancerIP: x.loadBalancerIP}}
	switch strings.ToUpper(x.protocol) {
	case "TCP", "UDP", "SCTP":
	default:
		return nil, command.Usagef("--protocol must be TCP, UDP or SCTP, not %q", x.protocol)
	}
	switch t := corev1.ServiceType(x.kind); t {
	case corev1.ServiceTypeClusterIP, corev1.ServiceTypeNodePort, corev1.ServiceTypeLoadBalancer:
		service.Spec.Type = t
	default:
		return nil, command.Usagef("--type must be ClusterIP, NodePort or LoadBalancer, not %q", x.kind)
	}
	if x.externalIP != "" {
		service.Spec.ExternalIPs = []string{x.externalIP}
	}
	switch p := corev1.IPFamilyPolicy(x.familyPolicy); p {
	case "":
	case corev1.IPFamilyPolicySingleStack, corev1.IPFamilyPolicyPreferDualStack, corev1.IPFamilyPolicyRequireDualStack:
		service.Spec.IPFamilyPolicy = &p
	default:
		return nil, command.Usagef("--ip-family-policy must be SingleStack, PreferDualStack or RequireDualStack, not %q", x.familyPolicy)
	}
	switch strings.ToLower(x.families) {
	case "":
	case "ipv4":
		service.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol}
	case "ipv6":
		service.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv6Protocol}
	case "ipv4,ipv6":
		service.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol}
	case "ipv6,ipv4":
		service.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv6Protocol, corev1.IPv4Protocol}
	default:
		return nil, command.Usagef("--ip-family must be ipv4, ipv6, ipv4,ipv6 or ipv6,ipv4, not %q", x.families)
	}
	if len(service.Spec.IPFamilies) > 1 && service.Spec.IPFamilyPolicy == nil {
		policy := corev1.IPFamilyPolicyPreferDualStack // two families make no sense with the default, one
		service.Spec.IPFamilyPolicy = &policy
	}
	return service, nil
}

func (x *expose) target() intstr.IntOrString {
	if x.targetPort == "" {
		return intstr.FromInt32(x.port)
	}
	return intstr.Parse(x.targetPort)
}

func kindOf(word string) (string, error) {
	switch strings.ToLower(word) {
	case replicaSet, "vmirss", "virtualmachineinstancereplicaset", "virtualmachineinstancereplicasets":
		return replicaSet, nil
	}
	kind, err := command.Kind(word)
	if err != nil {
		return "", command.Usagef("%q is none of vm, vmi and vmirs", word)
	}
	return kind, nil
}

// find reads what is to be exposed: labels that its pods have and no others, and its spec.
func find(ctx context.Context, c *command.Cluster, kind, name string) (map[string]string, *virtv1.VirtualMachineInstanceSpec, error) {
	switch kind {
	case command.KindVM:
		vm, err := c.Virt.KubevirtV1().VirtualMachines(c.Namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return nil, nil, fmt.Errorf("reading machine %s: %w", name, err)
		}
		template := vm.Spec.Template
		if template == nil {
			template = &virtv1.VirtualMachineInstanceTemplateSpec{}
		}
		return selector(name), &template.Spec, nil
	case command.KindVMI:
		vmi, err := c.Virt.KubevirtV1().VirtualMachineInstances(c.Namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return nil, nil, fmt.Errorf("reading instance %s: %w", name, err)
		}
		return selector(name), &vmi.Spec, nil
	}
	set, err := c.Virt.KubevirtV1().VirtualMachineInstanceReplicaSets(c.Namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, nil, fmt.Errorf("reading replica set %s: %w", name, err)
	}
	if set.Spec.Selector == nil || len(set.Spec.Selector.MatchLabels) == 0 || len(set.Spec.Selector.MatchExpressions) > 0 {
		return nil, nil, fmt.Errorf("replica set %s selects by expressions, which a Service cannot: write the Service by hand", name)
	}
	spec := &virtv1.VirtualMachineInstanceSpec{}
	if set.Spec.Template != nil {
		spec = &set.Spec.Template.Spec
	}
	return set.Spec.Selector.MatchLabels, spec, nil
}

// selector selects the pod of one machine, by the label that every launcher pod has.
func selector(name string) map[string]string {
	return map[string]string{virtv1.VirtualMachineInstanceIDLabel: virtv1.InstanceID(name)}
}

// listed gives the ports that the interface on the pod network lists.
func listed(spec *virtv1.VirtualMachineInstanceSpec) []corev1.ServicePort {
	network := ""
	for _, n := range spec.Networks {
		if n.Pod != nil {
			network = n.Name
		}
	}
	var ports []corev1.ServicePort
	for _, i := range spec.Domain.Devices.Interfaces {
		if i.Name != network {
			continue
		}
		for n, p := range i.Ports {
			name := p.Name
			if name == "" {
				name = fmt.Sprintf("port-%d", n+1)
			}
			protocol := corev1.Protocol(p.Protocol)
			if protocol == "" {
				protocol = corev1.ProtocolTCP
			}
			ports = append(ports, corev1.ServicePort{Name: name, Protocol: protocol, Port: p.Port, TargetPort: intstr.FromInt32(p.Port)})
		}
	}
	return ports
}
