package storage

import (
	"k8s.io/apiserver/pkg/registry/rest"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/registry/table"
)

func newTable() rest.TableConvertor {
	return table.New(
		table.Age[*virtv1.VirtualMachine](),
		table.Column[*virtv1.VirtualMachine]{Name: "Status", Type: "string", Description: "Where the virtual machine stands, in one word.",
			Cell: func(vm *virtv1.VirtualMachine) any { return string(vm.Status.PrintableStatus) }},
		table.Column[*virtv1.VirtualMachine]{Name: "Ready", Type: "string", Description: "Whether the guest is running and ready.",
			Cell: func(vm *virtv1.VirtualMachine) any {
				for _, c := range vm.Status.Conditions {
					if c.Type == virtv1.VirtualMachineReady {
						return string(c.Status)
					}
				}
				return nil
			}},
	)
}
