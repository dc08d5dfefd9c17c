package v1

// VirtualMachineRunStrategy says when a VirtualMachine has a running instance (rows P1-RUN-01 to -06).
type VirtualMachineRunStrategy string

const (
	// RunStrategyAlways keeps an instance running whatever ended the last one; the same as running: true.
	RunStrategyAlways VirtualMachineRunStrategy = "Always"
	// RunStrategyHalted keeps no instance; the same as running: false.
	RunStrategyHalted VirtualMachineRunStrategy = "Halted"
	// RunStrategyManual starts and stops the instance on request only.
	RunStrategyManual VirtualMachineRunStrategy = "Manual"
	// RunStrategyRerunOnFailure starts a new instance after a failure, none after an orderly shutdown.
	RunStrategyRerunOnFailure VirtualMachineRunStrategy = "RerunOnFailure"
	// RunStrategyOnce runs one instance and never another.
	RunStrategyOnce VirtualMachineRunStrategy = "Once"
	// RunStrategyWaitAsReceiver prepares an instance that receives a migration.
	RunStrategyWaitAsReceiver VirtualMachineRunStrategy = "WaitAsReceiver"
)

// VirtualMachinePrintableStatus is the one word that the table of virtual machines shows.
type VirtualMachinePrintableStatus string

// The printable states.
const (
	VirtualMachineStatusStopped                 VirtualMachinePrintableStatus = "Stopped"
	VirtualMachineStatusProvisioning            VirtualMachinePrintableStatus = "Provisioning"
	VirtualMachineStatusStarting                VirtualMachinePrintableStatus = "Starting"
	VirtualMachineStatusRunning                 VirtualMachinePrintableStatus = "Running"
	VirtualMachineStatusPaused                  VirtualMachinePrintableStatus = "Paused"
	VirtualMachineStatusStopping                VirtualMachinePrintableStatus = "Stopping"
	VirtualMachineStatusTerminating             VirtualMachinePrintableStatus = "Terminating"
	VirtualMachineStatusCrashLoopBackOff        VirtualMachinePrintableStatus = "CrashLoopBackOff"
	VirtualMachineStatusMigrating               VirtualMachinePrintableStatus = "Migrating"
	VirtualMachineStatusUnknown                 VirtualMachinePrintableStatus = "Unknown"
	VirtualMachineStatusUnschedulable           VirtualMachinePrintableStatus = "ErrorUnschedulable"
	VirtualMachineStatusErrImagePull            VirtualMachinePrintableStatus = "ErrImagePull"
	VirtualMachineStatusImagePullBackOff        VirtualMachinePrintableStatus = "ImagePullBackOff"
	VirtualMachineStatusPvcNotFound             VirtualMachinePrintableStatus = "ErrorPvcNotFound"
	VirtualMachineStatusDataVolumeError         VirtualMachinePrintableStatus = "DataVolumeError"
	VirtualMachineStatusWaitingForVolumeBinding VirtualMachinePrintableStatus = "WaitingForVolumeBinding"
	VirtualMachineStatusWaitingForReceiver      VirtualMachinePrintableStatus = "WaitingForReceiver"
)

// VirtualMachineInstancePhase is where an instance stands in its life; it never goes back.
type VirtualMachineInstancePhase string

// The phases of an instance, in order; WaitingForSync and Unknown stand outside it.
const (
	VmPhaseUnset   VirtualMachineInstancePhase = ""
	Pending        VirtualMachineInstancePhase = "Pending"
	Scheduling     VirtualMachineInstancePhase = "Scheduling"
	Scheduled      VirtualMachineInstancePhase = "Scheduled"
	Running        VirtualMachineInstancePhase = "Running"
	Succeeded      VirtualMachineInstancePhase = "Succeeded"
	Failed         VirtualMachineInstancePhase = "Failed"
	WaitingForSync VirtualMachineInstancePhase = "WaitingForSync"
	Unknown        VirtualMachineInstancePhase = "Unknown"
)

// VirtualMachineInstanceMigrationPhase is where a migration stands.
type VirtualMachineInstanceMigrationPhase string

// The phases of a migration.
const (
	MigrationPhaseUnset      VirtualMachineInstanceMigrationPhase = ""
	MigrationPending         VirtualMachineInstanceMigrationPhase = "Pending"
	MigrationScheduling      VirtualMachineInstanceMigrationPhase = "Scheduling"
	MigrationScheduled       VirtualMachineInstanceMigrationPhase = "Scheduled"
	MigrationPreparingTarget VirtualMachineInstanceMigrationPhase = "PreparingTarget"
	MigrationTargetReady     VirtualMachineInstanceMigrationPhase = "TargetReady"
	MigrationRunning         VirtualMachineInstanceMigrationPhase = "Running"
	MigrationSucceeded       VirtualMachineInstanceMigrationPhase = "Succeeded"
	MigrationFailed          VirtualMachineInstanceMigrationPhase = "Failed"
	MigrationWaitingForSync  VirtualMachineInstanceMigrationPhase = "WaitingForSync"
	MigrationSynchronizing   VirtualMachineInstanceMigrationPhase = "Synchronizing"
)

// MigrationMode is how memory moves.
type MigrationMode string

// VirtualMachineInstanceConditionType names a condition of an instance.
type VirtualMachineInstanceConditionType string

// The condition types of an instance.
const (
	VirtualMachineInstanceProvisioning                  VirtualMachineInstanceConditionType = "Provisioning"
	VirtualMachineInstanceReady                         VirtualMachineInstanceConditionType = "Ready"
	VirtualMachineInstanceSynchronized                  VirtualMachineInstanceConditionType = "Synchronized"
	VirtualMachineInstancePaused                        VirtualMachineInstanceConditionType = "Paused"
	VirtualMachineInstanceAgentConnected                VirtualMachineInstanceConditionType = "AgentConnected"
	VirtualMachineInstanceAccessCredentialsSynchronized VirtualMachineInstanceConditionType = "AccessCredentialsSynchronized"
	// VirtualMachineInstanceReadinessProbe is what the kubelet says of the instance's readiness probe; absent until it has passed once.
	VirtualMachineInstanceReadinessProbe VirtualMachineInstanceConditionType = "ReadinessProbe"
	// VirtualMachineInstanceContainersReady is False while the pod of an instance without a readiness probe has a container that is
	// not ready, as the kubelet says, and, with reason PodTerminating, while the pod of any instance is on its way out; absent otherwise.
	VirtualMachineInstanceContainersReady         VirtualMachineInstanceConditionType = "ContainersReady"
	VirtualMachineInstanceUnsupportedAgent        VirtualMachineInstanceConditionType = "AgentVersionNotSupported"
	VirtualMachineInstanceIsMigratable            VirtualMachineInstanceConditionType = "LiveMigratable"
	VirtualMachineInstanceIsStorageLiveMigratable VirtualMachineInstanceConditionType = "StorageLiveMigratable"
	VirtualMachineInstanceVCPUChange              VirtualMachineInstanceConditionType = "HotVCPUChange"
	VirtualMachineInstanceMemoryChange            VirtualMachineInstanceConditionType = "HotMemoryChange"
	VirtualMachineInstanceVolumesChange           VirtualMachineInstanceConditionType = "VolumesChange"
	VirtualMachineInstanceDataVolumesReady        VirtualMachineInstanceConditionType = "DataVolumesReady"
	VirtualMachineInstanceMigrationRequired       VirtualMachineInstanceConditionType = "MigrationRequired"
	VirtualMachineInstanceEvictionRequested       VirtualMachineInstanceConditionType = "EvictionRequested"
	VirtualMachineInstanceSoftwareEmulation       VirtualMachineInstanceConditionType = "SoftwareEmulation"
	// VirtualMachineInstanceBlocked is that of an instance which something outside holds up, in whatever phase, such as a
	// pod of a lost node: the message says what it is and the way out.
	VirtualMachineInstanceBlocked VirtualMachineInstanceConditionType = "Blocked"
	// VirtualMachineInstanceDegraded is that of an instance whose guest runs without some of what its spec asks for: the
	// message says what is missing. It is absent where nothing is.
	VirtualMachineInstanceDegraded VirtualMachineInstanceConditionType = "Degraded"
)

// Reasons of the Ready condition of an instance when it is false.
const (
	PodTerminatingReason      = "PodTerminating"
	PodNotExistsReason        = "PodNotExists"
	PodConditionMissingReason = "PodConditionMissing"
	GuestNotRunningReason     = "GuestNotRunning"
	// NodeUnreachableReason is virt-controller's word for an agent that is silent, on a node that is not ready.
	NodeUnreachableReason = "NodeUnreachable"
)

// VirtualMachineConditionType names a condition of a VirtualMachine.
type VirtualMachineConditionType string

// The condition types that a VirtualMachine has beside those copied from its instance.
const (
	VirtualMachineFailure                VirtualMachineConditionType = "Failure"
	VirtualMachineReady                  VirtualMachineConditionType = "Ready"
	VirtualMachinePaused                 VirtualMachineConditionType = "Paused"
	VirtualMachineRestartRequired        VirtualMachineConditionType = "RestartRequired"
	VirtualMachineManualRecoveryRequired VirtualMachineConditionType = "ManualRecoveryRequired"
	// VirtualMachineEnded says how the last instance has ended, as long as the run strategy starts no other by itself. It
	// outlives the instance.
	VirtualMachineEnded VirtualMachineConditionType = "Ended"
)

// VirtualMachineInstanceMigrationConditionType names a condition of a migration.
type VirtualMachineInstanceMigrationConditionType string

// VirtualMachineInstanceReplicaSetConditionType names a condition of a replica set.
type VirtualMachineInstanceReplicaSetConditionType string

// The condition types of a replica set.
const (
	VirtualMachineInstanceReplicaSetReplicaFailure VirtualMachineInstanceReplicaSetConditionType = "ReplicaFailure"
	VirtualMachineInstanceReplicaSetReplicaPaused  VirtualMachineInstanceReplicaSetConditionType = "ReplicaPaused"
)

// KubeVirtConditionType names a condition of the cluster configuration.
type KubeVirtConditionType string

// The condition types of the cluster configuration.
const (
	KubeVirtConditionCreated      KubeVirtConditionType = "Created"
	KubeVirtConditionAvailable    KubeVirtConditionType = "Available"
	KubeVirtConditionProgressing  KubeVirtConditionType = "Progressing"
	KubeVirtConditionDegraded     KubeVirtConditionType = "Degraded"
	KubeVirtConditionSynchronized KubeVirtConditionType = "Synchronized"
)

// KubeVirtPhase is where the installation stands.
type KubeVirtPhase string

// The phases of the installation.
const (
	KubeVirtPhaseDeploying KubeVirtPhase = "Deploying"
	KubeVirtPhaseDeployed  KubeVirtPhase = "Deployed"
	KubeVirtPhaseDeleting  KubeVirtPhase = "Deleting"
	KubeVirtPhaseDeleted   KubeVirtPhase = "Deleted"
)

// EvictionStrategy says what happens to an instance when its node is drained.
type EvictionStrategy string

// The eviction strategies.
const (
	EvictionStrategyNone                  EvictionStrategy = "None"
	EvictionStrategyLiveMigrate           EvictionStrategy = "LiveMigrate"
	EvictionStrategyLiveMigrateIfPossible EvictionStrategy = "LiveMigrateIfPossible"
	EvictionStrategyExternal              EvictionStrategy = "External"
)

// StartStrategy says how an instance begins.
type StartStrategy string

// StartStrategyPaused starts the guest with its CPUs stopped.
const StartStrategyPaused StartStrategy = "Paused"

// StateChangeRequestAction is what a request in the status of a VirtualMachine asks for.
type StateChangeRequestAction string

// The actions.
const (
	StartRequest StateChangeRequestAction = "Start"
	StopRequest  StateChangeRequestAction = "Stop"
)

// Keys and values of StateChangeRequest data.
const (
	StartRequestDataPausedKey  = "paused"
	StartRequestDataPausedTrue = "true"
)

// VolumePhase is where a hot-plugged volume stands.
type VolumePhase string

// MemoryDumpPhase is where a memory dump stands.
type MemoryDumpPhase string

// HostDiskType says whether a host disk must exist.
type HostDiskType string

// The host disk types.
const (
	HostDiskExistsOrCreate HostDiskType = "DiskOrCreate"
	HostDiskExists         HostDiskType = "Disk"
)

// Labels and annotations that clients, selectors and runbooks rely on.
const (
	AppLabel                      = "kubevirt.io"
	CreatedByLabel                = "kubevirt.io/created-by"
	DomainAnnotation              = "kubevirt.io/domain"
	NodeNameLabel                 = "kubevirt.io/nodeName"
	MigrationTargetNodeNameLabel  = "kubevirt.io/migrationTargetNodeName"
	VirtualMachineNameLabel       = "vm.kubevirt.io/name"
	VirtualMachineInstanceIDLabel = "vmi.kubevirt.io/id"
	NodeSchedulable               = "kubevirt.io/schedulable"
	VirtHandlerHeartbeat          = "kubevirt.io/heartbeat"
	VirtualMachineGeneration      = "kubevirt.io/vm-generation"
	MemoryOverheadAnnotation      = "kubevirt.io/memory-overhead-bytes"
	// FailFastAnnotation of an instance has its launcher fail at once, for tests of what follows from that.
	FailFastAnnotation = "kubevirt.io/func-test-virt-launcher-fail-fast"
	// KeepLauncherAnnotation of an instance leaves its pod alone after a failure, for whoever wants to look into it.
	KeepLauncherAnnotation = "kubevirt.io/keep-launcher-alive-after-failure"

	VirtualMachineInstanceFinalizer   = "kubevirt.io/foregroundDeleteVirtualMachine"
	VirtualMachineControllerFinalizer = "kubevirt.io/virtualMachineControllerFinalize"
	VirtualMachineMigrationFinalizer  = "kubevirt.io/migrationJobFinalize"
	KubeVirtFinalizer                 = "kubevirt.io/virtOperatorFinalizer"
)
