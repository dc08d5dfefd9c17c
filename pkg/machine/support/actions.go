package support

// Action is a subresource that clients call and that is not served.
type Action struct {
	// Resource is the resource and the subresource, such as virtualmachines/migrate.
	Resource string
	// Why says what is not there, and what to do instead.
	Why string
}

const (
	noHotplug = "volumes are not added or removed while the guest runs: change spec.template.spec.volumes of the machine and restart it"
	noDump    = "the memory of a guest is not dumped into a claim"
	noBackup  = "changed blocks are not tracked, and no backup is made of a running guest: copy the claims of the stopped machine"
)

// Actions are the subresources that are answered with why they are not served: clients show nothing of an answer that only says
// that there is no such resource.
var Actions = []Action{
	{"virtualmachines/migrate", NoMigrations},
	{"virtualmachines/addvolume", noHotplug},
	{"virtualmachines/removevolume", noHotplug},
	{"virtualmachines/memorydump", noDump},
	{"virtualmachines/removememorydump", noDump},
	{"virtualmachineinstances/addvolume", noHotplug},
	{"virtualmachineinstances/removevolume", noHotplug},
	{"virtualmachineinstances/backup", noBackup},
	{"virtualmachineinstances/redefine-checkpoint", noBackup},
}
