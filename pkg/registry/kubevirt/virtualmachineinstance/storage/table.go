package storage

import (
	"k8s.io/apiserver/pkg/registry/rest"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/registry/table"
)

func newTable() rest.TableConvertor {
	return table.New(
		table.Age[*virtv1.VirtualMachineInstance](),
		table.Column[*virtv1.VirtualMachineInstance]{Name: "Phase", Type: "string", Description: "Where the instance stands in its life.",
			Cell: func(vmi *virtv1.VirtualMachineInstance) any { return string(vmi.Status.Phase) }},
		table.Column[*virtv1.VirtualMachineInstance]{Name: "IP", Type: "string", Description: "First address of the first interface.",
			Cell: func(vmi *virtv1.VirtualMachineInstance) any {
				if len(vmi.Status.Interfaces) == 0 {
					return nil
				}
				return vmi.Status.Interfaces[0].IPAddress
			}},
		table.Column[*virtv1.VirtualMachineInstance]{Name: "NodeName", Type: "string", Description: "Node that runs the guest.",
			Cell: func(vmi *virtv1.VirtualMachineInstance) any { return vmi.Status.NodeName }},
		condition("Ready", "Whether the guest is running and ready.", virtv1.VirtualMachineInstanceReady, false),
		condition("Live-Migratable", "Whether the guest can move to another node while it runs.", virtv1.VirtualMachineInstanceIsMigratable, true),
		condition("Paused", "Whether the guest is paused.", virtv1.VirtualMachineInstancePaused, true),
	)
}

func condition(name, description string, wanted virtv1.VirtualMachineInstanceConditionType, wide bool) table.Column[*virtv1.VirtualMachineInstance] {
	return table.Column[*virtv1.VirtualMachineInstance]{Name: name, Type: "string", Description: description, Wide: wide,
		Cell: func(vmi *virtv1.VirtualMachineInstance) any {
			for _, c := range vmi.Status.Conditions {
				if c.Type == wanted {
					return string(c.Status)
				}
			}
			return nil
		}}
}
