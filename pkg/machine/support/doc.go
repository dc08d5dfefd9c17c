// Package support is the table of what users may write and this version, or this installation, cannot do: by field, with the
// reason and what to do instead. A line leaves the table when its feature comes.
//
// Rules that no version can do without (a PCI address that two devices have) are not here: package validation refuses such
// objects. What stands here is accepted, since a manifest may be meant for another release, and told at once:
//
//   - virt-api gives each Reason as a warning when an object is written (Warnings).
//
//   - virt-controller makes no pod for an instance that cannot start. It sets the condition Synchronized to False:
//
//     reasons := support.Instance(vmi.Annotations, &vmi.Spec, support.InstallationOf(&configuration))
//     if reason, message, blocked := support.Synchronized(reasons); blocked { … no pod … }
//
//     For a VirtualMachine it is support.Machine(vm, installation): the same with the fields of the machine, and what concerns
//     the machine alone, such as its dataVolumeTemplates. support.Find picks the reason of one field.
//
//   - The launcher and virt-handler refuse by the same table what an older virt-api let through.
//
// The documents of what is not there are made from the table (Rows, ClusterRows). Everything here is pure.
package support
