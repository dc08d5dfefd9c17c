package v1

// Disk is documented field by field below.
type Disk struct {
	// +optional
	BlockSize *BlockSize `json:"blockSize,omitempty" protobuf:"bytes,1,opt,name=blockSize"`
	// +optional
	BootOrder *int32 `json:"bootOrder,omitempty" protobuf:"varint,2,opt,name=bootOrder"`
	// +optional
	Cache string `json:"cache,omitempty" protobuf:"bytes,3,opt,name=cache"`
	// +optional
	Cdrom *CDRomTarget `json:"cdrom,omitempty" protobuf:"bytes,4,opt,name=cdrom"`
	// +optional
	ChangedBlockTracking *bool `json:"changedBlockTracking,omitempty" protobuf:"varint,5,opt,name=changedBlockTracking"`
	// +optional
	DedicatedIOThread *bool `json:"dedicatedIOThread,omitempty" protobuf:"varint,6,opt,name=dedicatedIOThread"`
	// +optional
	Disk *DiskTarget `json:"disk,omitempty" protobuf:"bytes,7,opt,name=disk"`
	// +optional
	ErrorPolicy string `json:"errorPolicy,omitempty" protobuf:"bytes,8,opt,name=errorPolicy"`
	// +optional
	IO string `json:"io,omitempty" protobuf:"bytes,9,opt,name=io"`
	// +optional
	Lun *LunTarget `json:"lun,omitempty" protobuf:"bytes,10,opt,name=lun"`
	// +required
	Name string `json:"name" protobuf:"bytes,11,opt,name=name"`
	// +optional
	Serial string `json:"serial,omitempty" protobuf:"bytes,12,opt,name=serial"`
	// +optional
	Shareable *bool `json:"shareable,omitempty" protobuf:"varint,13,opt,name=shareable"`
	// +optional
	Tag string `json:"tag,omitempty" protobuf:"bytes,14,opt,name=tag"`
}

// BlockSize is documented field by field below.
type BlockSize struct {
	// +optional
	Custom *CustomBlockSize `json:"custom,omitempty" protobuf:"bytes,1,opt,name=custom"`
	// +optional
	MatchVolume *FeatureState `json:"matchVolume,omitempty" protobuf:"bytes,2,opt,name=matchVolume"`
}

// CDRomTarget is documented field by field below.
type CDRomTarget struct {
	// +optional
	Bus string `json:"bus,omitempty" protobuf:"bytes,1,opt,name=bus"`
	// +optional
	Readonly *bool `json:"readonly,omitempty" protobuf:"varint,2,opt,name=readonly"`
	// +optional
	Tray string `json:"tray,omitempty" protobuf:"bytes,3,opt,name=tray"`
}

// DiskTarget is documented field by field below.
type DiskTarget struct {
	// +optional
	Bus string `json:"bus,omitempty" protobuf:"bytes,1,opt,name=bus"`
	// +optional
	PCIAddress string `json:"pciAddress,omitempty" protobuf:"bytes,2,opt,name=pciAddress"`
	// +optional
	Readonly *bool `json:"readonly,omitempty" protobuf:"varint,3,opt,name=readonly"`
}

// LunTarget is documented field by field below.
type LunTarget struct {
	// +optional
	Bus string `json:"bus,omitempty" protobuf:"bytes,1,opt,name=bus"`
	// +optional
	Readonly *bool `json:"readonly,omitempty" protobuf:"varint,2,opt,name=readonly"`
	// +optional
	Reservation *bool `json:"reservation,omitempty" protobuf:"varint,3,opt,name=reservation"`
}

// Devices is documented field by field below.
type Devices struct {
	// +optional
	AutoattachGraphicsDevice *bool `json:"autoattachGraphicsDevice,omitempty" protobuf:"varint,1,opt,name=autoattachGraphicsDevice"`
	// +optional
	AutoattachInputDevice *bool `json:"autoattachInputDevice,omitempty" protobuf:"varint,2,opt,name=autoattachInputDevice"`
	// +optional
	AutoattachMemBalloon *bool `json:"autoattachMemBalloon,omitempty" protobuf:"varint,3,opt,name=autoattachMemBalloon"`
	// +optional
	AutoattachPodInterface *bool `json:"autoattachPodInterface,omitempty" protobuf:"varint,4,opt,name=autoattachPodInterface"`
	// +optional
	AutoattachSerialConsole *bool `json:"autoattachSerialConsole,omitempty" protobuf:"varint,5,opt,name=autoattachSerialConsole"`
	// +optional
	AutoattachVSOCK *bool `json:"autoattachVSOCK,omitempty" protobuf:"varint,6,opt,name=autoattachVSOCK"`
	// +optional
	BlockMultiQueue *bool `json:"blockMultiQueue,omitempty" protobuf:"varint,7,opt,name=blockMultiQueue"`
	// +optional
	ClientPassthrough *ClientPassthroughDevices `json:"clientPassthrough,omitempty" protobuf:"bytes,8,opt,name=clientPassthrough"`
	// +optional
	DisableHotplug *bool `json:"disableHotplug,omitempty" protobuf:"varint,9,opt,name=disableHotplug"`
	// +optional
	Disks []Disk `json:"disks,omitempty" protobuf:"bytes,10,rep,name=disks"`
	// +optional
	DownwardMetrics *DownwardMetrics `json:"downwardMetrics,omitempty" protobuf:"bytes,11,opt,name=downwardMetrics"`
	// +listType=atomic
	// +optional
	Filesystems []Filesystem `json:"filesystems,omitempty" protobuf:"bytes,12,rep,name=filesystems"`
	// +listType=atomic
	// +optional
	GPUs []GPU `json:"gpus,omitempty" protobuf:"bytes,13,rep,name=gpus"`
	// +listType=atomic
	// +optional
	HostDevices []HostDevice `json:"hostDevices,omitempty" protobuf:"bytes,14,rep,name=hostDevices"`
	// +optional
	Inputs []Input `json:"inputs,omitempty" protobuf:"bytes,15,rep,name=inputs"`
	// +optional
	Interfaces []Interface `json:"interfaces,omitempty" protobuf:"bytes,16,rep,name=interfaces"`
	// +optional
	LogSerialConsole *bool `json:"logSerialConsole,omitempty" protobuf:"varint,17,opt,name=logSerialConsole"`
	// +optional
	NetworkInterfaceMultiqueue *bool `json:"networkInterfaceMultiqueue,omitempty" protobuf:"varint,18,opt,name=networkInterfaceMultiqueue"`
	// +optional
	PanicDevices []PanicDevice `json:"panicDevices,omitempty" protobuf:"bytes,19,rep,name=panicDevices"`
	// +optional
	Rng *Rng `json:"rng,omitempty" protobuf:"bytes,20,opt,name=rng"`
	// +optional
	Sound *SoundDevice `json:"sound,omitempty" protobuf:"bytes,21,opt,name=sound"`
	// +optional
	TPM *TPMDevice `json:"tpm,omitempty" protobuf:"bytes,22,opt,name=tpm"`
	// +optional
	UseVirtioTransitional *bool `json:"useVirtioTransitional,omitempty" protobuf:"varint,23,opt,name=useVirtioTransitional"`
	// +optional
	Video *VideoDevice `json:"video,omitempty" protobuf:"bytes,24,opt,name=video"`
	// +optional
	Watchdog *Watchdog `json:"watchdog,omitempty" protobuf:"bytes,25,opt,name=watchdog"`
}

// CustomBlockSize is documented field by field below.
type CustomBlockSize struct {
	// +optional
	DiscardGranularity *int32 `json:"discardGranularity,omitempty" protobuf:"varint,1,opt,name=discardGranularity"`
	// +optional
	Logical *int32 `json:"logical,omitempty" protobuf:"varint,2,opt,name=logical"`
	// +optional
	Physical *int32 `json:"physical,omitempty" protobuf:"varint,3,opt,name=physical"`
}

// FeatureState is documented field by field below.
type FeatureState struct {
	// +optional
	Enabled *bool `json:"enabled,omitempty" protobuf:"varint,1,opt,name=enabled"`
}

// ClientPassthroughDevices is documented field by field below.
type ClientPassthroughDevices struct {
}

// DownwardMetrics is documented field by field below.
type DownwardMetrics struct {
}

// Filesystem is documented field by field below.
type Filesystem struct {
	// +required
	Name string `json:"name" protobuf:"bytes,1,opt,name=name"`
	// +required
	Virtiofs FilesystemVirtiofs `json:"virtiofs" protobuf:"bytes,2,opt,name=virtiofs"`
}

// GPU is documented field by field below.
type GPU struct {
	// +optional
	ClaimName string `json:"claimName,omitempty" protobuf:"bytes,1,opt,name=claimName"`
	// +optional
	DeviceName string `json:"deviceName,omitempty" protobuf:"bytes,2,opt,name=deviceName"`
	// +required
	Name string `json:"name" protobuf:"bytes,3,opt,name=name"`
	// +optional
	RequestName string `json:"requestName,omitempty" protobuf:"bytes,4,opt,name=requestName"`
	// +optional
	Tag string `json:"tag,omitempty" protobuf:"bytes,5,opt,name=tag"`
	// +optional
	VirtualGPUOptions *VGPUOptions `json:"virtualGPUOptions,omitempty" protobuf:"bytes,6,opt,name=virtualGPUOptions"`
}

// HostDevice is documented field by field below.
type HostDevice struct {
	// +optional
	ClaimName string `json:"claimName,omitempty" protobuf:"bytes,1,opt,name=claimName"`
	// +optional
	DeviceName string `json:"deviceName,omitempty" protobuf:"bytes,2,opt,name=deviceName"`
	// +required
	Name string `json:"name" protobuf:"bytes,3,opt,name=name"`
	// +optional
	RequestName string `json:"requestName,omitempty" protobuf:"bytes,4,opt,name=requestName"`
	// +optional
	Tag string `json:"tag,omitempty" protobuf:"bytes,5,opt,name=tag"`
}

// Input is documented field by field below.
type Input struct {
	// +optional
	Bus string `json:"bus,omitempty" protobuf:"bytes,1,opt,name=bus"`
	// +required
	Name string `json:"name" protobuf:"bytes,2,opt,name=name"`
	// +required
	Type string `json:"type" protobuf:"bytes,3,opt,name=type"`
}

// Interface is documented field by field below.
type Interface struct {
	// +optional
	ACPIIndex *int32 `json:"acpiIndex,omitempty" protobuf:"varint,1,opt,name=acpiIndex"`
	// +optional
	Binding *PluginBinding `json:"binding,omitempty" protobuf:"bytes,2,opt,name=binding"`
	// +optional
	BootOrder *int32 `json:"bootOrder,omitempty" protobuf:"varint,3,opt,name=bootOrder"`
	// +optional
	Bridge *InterfaceBridge `json:"bridge,omitempty" protobuf:"bytes,4,opt,name=bridge"`
	// +optional
	DHCPOptions *DHCPOptions `json:"dhcpOptions,omitempty" protobuf:"bytes,5,opt,name=dhcpOptions"`
	// +optional
	MACAddress string `json:"macAddress,omitempty" protobuf:"bytes,6,opt,name=macAddress"`
	// +optional
	Macvtap *DeprecatedInterfaceMacvtap `json:"macvtap,omitempty" protobuf:"bytes,7,opt,name=macvtap"`
	// +optional
	Masquerade *InterfaceMasquerade `json:"masquerade,omitempty" protobuf:"bytes,8,opt,name=masquerade"`
	// +optional
	Model string `json:"model,omitempty" protobuf:"bytes,9,opt,name=model"`
	// +required
	Name string `json:"name" protobuf:"bytes,10,opt,name=name"`
	// +optional
	Passt *DeprecatedInterfacePasst `json:"passt,omitempty" protobuf:"bytes,11,opt,name=passt"`
	// +optional
	PasstBinding *InterfacePasstBinding `json:"passtBinding,omitempty" protobuf:"bytes,12,opt,name=passtBinding"`
	// +optional
	PCIAddress string `json:"pciAddress,omitempty" protobuf:"bytes,13,opt,name=pciAddress"`
	// +listType=atomic
	// +optional
	PortRanges []PortRange `json:"portRanges,omitempty" protobuf:"bytes,14,rep,name=portRanges"`
	// +optional
	Ports []Port `json:"ports,omitempty" protobuf:"bytes,15,rep,name=ports"`
	// +optional
	Slirp *DeprecatedInterfaceSlirp `json:"slirp,omitempty" protobuf:"bytes,16,opt,name=slirp"`
	// +optional
	Sriov *InterfaceSRIOV `json:"sriov,omitempty" protobuf:"bytes,17,opt,name=sriov"`
	// +optional
	State string `json:"state,omitempty" protobuf:"bytes,18,opt,name=state"`
	// +optional
	Tag string `json:"tag,omitempty" protobuf:"bytes,19,opt,name=tag"`
}

// PanicDevice is documented field by field below.
type PanicDevice struct {
	// +optional
	Model string `json:"model,omitempty" protobuf:"bytes,1,opt,name=model"`
}

// Rng is documented field by field below.
type Rng struct {
}

// SoundDevice is documented field by field below.
type SoundDevice struct {
	// +optional
	Model string `json:"model,omitempty" protobuf:"bytes,1,opt,name=model"`
	// +required
	Name string `json:"name" protobuf:"bytes,2,opt,name=name"`
}

// TPMDevice is documented field by field below.
type TPMDevice struct {
	// +optional
	Enabled *bool `json:"enabled,omitempty" protobuf:"varint,1,opt,name=enabled"`
	// +optional
	Persistent *bool `json:"persistent,omitempty" protobuf:"varint,2,opt,name=persistent"`
}

// VideoDevice is documented field by field below.
type VideoDevice struct {
	// +optional
	Type string `json:"type,omitempty" protobuf:"bytes,1,opt,name=type"`
}

// Watchdog is documented field by field below.
type Watchdog struct {
	// +optional
	Diag288 *Diag288Watchdog `json:"diag288,omitempty" protobuf:"bytes,1,opt,name=diag288"`
	// +optional
	I6300ESB *I6300ESBWatchdog `json:"i6300esb,omitempty" protobuf:"bytes,2,opt,name=i6300esb"`
	// +required
	Name string `json:"name" protobuf:"bytes,3,opt,name=name"`
}

// FilesystemVirtiofs is documented field by field below.
type FilesystemVirtiofs struct {
}

// VGPUOptions is documented field by field below.
type VGPUOptions struct {
	// +optional
	Display *VGPUDisplayOptions `json:"display,omitempty" protobuf:"bytes,1,opt,name=display"`
}

// PluginBinding is documented field by field below.
type PluginBinding struct {
	// +required
	Name string `json:"name" protobuf:"bytes,1,opt,name=name"`
}

// InterfaceBridge is documented field by field below.
type InterfaceBridge struct {
}

// DHCPOptions is documented field by field below.
type DHCPOptions struct {
	// +optional
	BootFileName string `json:"bootFileName,omitempty" protobuf:"bytes,1,opt,name=bootFileName"`
	// +optional
	NTPServers []string `json:"ntpServers,omitempty" protobuf:"bytes,2,rep,name=ntpServers"`
	// +optional
	PrivateOptions []DHCPPrivateOptions `json:"privateOptions,omitempty" protobuf:"bytes,3,rep,name=privateOptions"`
	// +optional
	TFTPServerName string `json:"tftpServerName,omitempty" protobuf:"bytes,4,opt,name=tftpServerName"`
}

// DeprecatedInterfaceMacvtap is documented field by field below.
type DeprecatedInterfaceMacvtap struct {
}

// InterfaceMasquerade is documented field by field below.
type InterfaceMasquerade struct {
}

// DeprecatedInterfacePasst is documented field by field below.
type DeprecatedInterfacePasst struct {
}

// InterfacePasstBinding is documented field by field below.
type InterfacePasstBinding struct {
}

// PortRange is documented field by field below.
type PortRange struct {
	// +required
	End int32 `json:"end" protobuf:"varint,1,opt,name=end"`
	// +required
	Protocol string `json:"protocol" protobuf:"bytes,2,opt,name=protocol"`
	// +required
	Start int32 `json:"start" protobuf:"varint,3,opt,name=start"`
}

// Port is documented field by field below.
type Port struct {
	// +optional
	Name string `json:"name,omitempty" protobuf:"bytes,1,opt,name=name"`
	// +required
	Port int32 `json:"port" protobuf:"varint,2,opt,name=port"`
	// +optional
	Protocol string `json:"protocol,omitempty" protobuf:"bytes,3,opt,name=protocol"`
}

// DeprecatedInterfaceSlirp is documented field by field below.
type DeprecatedInterfaceSlirp struct {
}

// InterfaceSRIOV is documented field by field below.
type InterfaceSRIOV struct {
}

// Diag288Watchdog is documented field by field below.
type Diag288Watchdog struct {
	// +optional
	Action string `json:"action,omitempty" protobuf:"bytes,1,opt,name=action"`
}

// I6300ESBWatchdog is documented field by field below.
type I6300ESBWatchdog struct {
	// +optional
	Action string `json:"action,omitempty" protobuf:"bytes,1,opt,name=action"`
}

// VGPUDisplayOptions is documented field by field below.
type VGPUDisplayOptions struct {
	// +optional
	Enabled *bool `json:"enabled,omitempty" protobuf:"varint,1,opt,name=enabled"`
	// +optional
	RamFB *FeatureState `json:"ramFB,omitempty" protobuf:"bytes,2,opt,name=ramFB"`
}

// DHCPPrivateOptions is documented field by field below.
type DHCPPrivateOptions struct {
	// +required
	Option int32 `json:"option" protobuf:"varint,1,opt,name=option"`
	// +required
	Value string `json:"value" protobuf:"bytes,2,opt,name=value"`
}
