package v1

// Disk is a disk of the guest. It has at most one of disk, lun and cdrom; without any it is a disk.
type Disk struct {
	// Sizes of the blocks that the guest sees. Default: 512 bytes.
	// +optional
	BlockSize *BlockSize `json:"blockSize,omitempty" protobuf:"bytes,1,opt,name=blockSize"`
	// Place in the order of boot, 1 or more, unique among disks and interfaces. Default: the machine boots from disks in the order of the list.
	// +optional
	BootOrder *int32 `json:"bootOrder,omitempty" protobuf:"varint,2,opt,name=bootOrder"`
	// none, writethrough or writeback. Default: none where the storage can do without the node's page cache, else writethrough.
	// +optional
	Cache string `json:"cache,omitempty" protobuf:"bytes,3,opt,name=cache"`
	// A CD-ROM drive. It may be without volume: empty.
	// +optional
	Cdrom *CDRomTarget `json:"cdrom,omitempty" protobuf:"bytes,4,opt,name=cdrom"`
	// Whether changed blocks are tracked for incremental backups.
	// +optional
	ChangedBlockTracking *bool `json:"changedBlockTracking,omitempty" protobuf:"varint,5,opt,name=changedBlockTracking"`
	// Whether the disk has an I/O thread for itself. Needs the bus virtio. Default: false.
	// +optional
	DedicatedIOThread *bool `json:"dedicatedIOThread,omitempty" protobuf:"varint,6,opt,name=dedicatedIOThread"`
	// A disk.
	// +optional
	Disk *DiskTarget `json:"disk,omitempty" protobuf:"bytes,7,opt,name=disk"`
	// What a failed read or write does: stop pauses the guest, report tells it, ignore hides it, enospace pauses it for lack of space and tells it anything else. Default: stop.
	// +optional
	ErrorPolicy string `json:"errorPolicy,omitempty" protobuf:"bytes,8,opt,name=errorPolicy"`
	// How reads and writes are made: native or threads. Default: native where cache is none and the storage allows it.
	// +optional
	IO string `json:"io,omitempty" protobuf:"bytes,9,opt,name=io"`
	// A SCSI device that is passed to the guest with its commands. Its volume is a DataVolume or a claim.
	// +optional
	Lun *LunTarget `json:"lun,omitempty" protobuf:"bytes,10,opt,name=lun"`
	// Name of the volume that the disk shows: DNS-1123 subdomain, unique among disks.
	// +required
	Name string `json:"name" protobuf:"bytes,11,opt,name=name"`
	// Serial number that the guest sees: up to 256 letters, digits, dots, underscores, plus and minus signs.
	// +optional
	Serial string `json:"serial,omitempty" protobuf:"bytes,12,opt,name=serial"`
	// Whether other instances may use the disk at the same time. Default: false.
	// +optional
	Shareable *bool `json:"shareable,omitempty" protobuf:"varint,13,opt,name=shareable"`
	// Name that cloud-init tells the guest for the disk.
	// +optional
	Tag string `json:"tag,omitempty" protobuf:"bytes,14,opt,name=tag"`
}

// BlockSize is the size of the blocks that the guest sees. It has one of its fields.
type BlockSize struct {
	// The sizes given here.
	// +optional
	Custom *CustomBlockSize `json:"custom,omitempty" protobuf:"bytes,1,opt,name=custom"`
	// The sizes of the storage below.
	// +optional
	MatchVolume *FeatureState `json:"matchVolume,omitempty" protobuf:"bytes,2,opt,name=matchVolume"`
}

// CDRomTarget is a CD-ROM drive.
type CDRomTarget struct {
	// sata, scsi, usb, or virtio for a disk that is only read. Default: sata.
	// +optional
	Bus string `json:"bus,omitempty" protobuf:"bytes,1,opt,name=bus"`
	// Whether the guest cannot write. Default: true.
	// +optional
	Readonly *bool `json:"readonly,omitempty" protobuf:"varint,2,opt,name=readonly"`
	// open or closed. Default: closed.
	// +optional
	Tray string `json:"tray,omitempty" protobuf:"bytes,3,opt,name=tray"`
}

// DiskTarget is a disk.
type DiskTarget struct {
	// virtio, sata, scsi or usb. Default: sata.
	// +optional
	Bus string `json:"bus,omitempty" protobuf:"bytes,1,opt,name=bus"`
	// Place on the guest's PCI bus, such as 0000:00:0a.0. Needs the bus virtio.
	// +optional
	PCIAddress string `json:"pciAddress,omitempty" protobuf:"bytes,2,opt,name=pciAddress"`
	// Whether the guest cannot write. Not possible with sata. Default: false.
	// +optional
	Readonly *bool `json:"readonly,omitempty" protobuf:"varint,3,opt,name=readonly"`
}

// LunTarget is a SCSI device that is passed to the guest.
type LunTarget struct {
	// Only scsi. Default: scsi.
	// +optional
	Bus string `json:"bus,omitempty" protobuf:"bytes,1,opt,name=bus"`
	// Whether the guest cannot write. Default: false.
	// +optional
	Readonly *bool `json:"readonly,omitempty" protobuf:"varint,2,opt,name=readonly"`
	// Whether persistent reservations go through to the storage. Default: false.
	// +optional
	Reservation *bool `json:"reservation,omitempty" protobuf:"varint,3,opt,name=reservation"`
}

// Devices are the devices of the machine.
type Devices struct {
	// Whether there is a display. Default: true.
	// +optional
	AutoattachGraphicsDevice *bool `json:"autoattachGraphicsDevice,omitempty" protobuf:"varint,1,opt,name=autoattachGraphicsDevice"`
	// Whether there is a tablet, for the pointer on the display. Default: false.
	// +optional
	AutoattachInputDevice *bool `json:"autoattachInputDevice,omitempty" protobuf:"varint,2,opt,name=autoattachInputDevice"`
	// Whether the guest reports and returns memory that it does not need. Default: true.
	// +optional
	AutoattachMemBalloon *bool `json:"autoattachMemBalloon,omitempty" protobuf:"varint,3,opt,name=autoattachMemBalloon"`
	// Whether an instance without networks is attached to the pod network. Default: true.
	// +optional
	AutoattachPodInterface *bool `json:"autoattachPodInterface,omitempty" protobuf:"varint,4,opt,name=autoattachPodInterface"`
	// Whether there is a serial console. Default: true.
	// +optional
	AutoattachSerialConsole *bool `json:"autoattachSerialConsole,omitempty" protobuf:"varint,5,opt,name=autoattachSerialConsole"`
	// Whether there is a socket between guest and node. Needs the feature gate VSOCK. Default: false.
	// +optional
	AutoattachVSOCK *bool `json:"autoattachVSOCK,omitempty" protobuf:"varint,6,opt,name=autoattachVSOCK"`
	// Whether disks on virtio have one queue for each CPU. Default: false.
	// +optional
	BlockMultiQueue *bool `json:"blockMultiQueue,omitempty" protobuf:"varint,7,opt,name=blockMultiQueue"`
	// Lets clients attach USB devices of theirs.
	// +optional
	ClientPassthrough *ClientPassthroughDevices `json:"clientPassthrough,omitempty" protobuf:"bytes,8,opt,name=clientPassthrough"`
	// Whether disks cannot be added while the guest runs. Default: false.
	// +optional
	DisableHotplug *bool `json:"disableHotplug,omitempty" protobuf:"varint,9,opt,name=disableHotplug"`
	// Disks. A volume without disk and file system gets a disk.
	// +optional
	Disks []Disk `json:"disks,omitempty" protobuf:"bytes,10,rep,name=disks"`
	// A channel on which the guest reads metrics of the node. Needs the feature gate DownwardMetrics.
	// +optional
	DownwardMetrics *DownwardMetrics `json:"downwardMetrics,omitempty" protobuf:"bytes,11,opt,name=downwardMetrics"`
	// Volumes that the guest mounts by virtiofs.
	// +listType=atomic
	// +optional
	Filesystems []Filesystem `json:"filesystems,omitempty" protobuf:"bytes,12,rep,name=filesystems"`
	// GPUs of the node.
	// +listType=atomic
	// +optional
	GPUs []GPU `json:"gpus,omitempty" protobuf:"bytes,13,rep,name=gpus"`
	// Other devices of the node.
	// +listType=atomic
	// +optional
	HostDevices []HostDevice `json:"hostDevices,omitempty" protobuf:"bytes,14,rep,name=hostDevices"`
	// Input devices.
	// +optional
	Inputs []Input `json:"inputs,omitempty" protobuf:"bytes,15,rep,name=inputs"`
	// Network interfaces, each connected to the network of its name.
	// +optional
	Interfaces []Interface `json:"interfaces,omitempty" protobuf:"bytes,16,rep,name=interfaces"`
	// Whether the serial console's output goes to the log of the pod too. Default: true, unless the cluster's configuration says otherwise.
	// +optional
	LogSerialConsole *bool `json:"logSerialConsole,omitempty" protobuf:"varint,17,opt,name=logSerialConsole"`
	// Whether interfaces of model virtio have one queue for each CPU. Default: false.
	// +optional
	NetworkInterfaceMultiqueue *bool `json:"networkInterfaceMultiqueue,omitempty" protobuf:"varint,18,opt,name=networkInterfaceMultiqueue"`
	// Devices by which the guest tells that it crashed.
	// +optional
	PanicDevices []PanicDevice `json:"panicDevices,omitempty" protobuf:"bytes,19,rep,name=panicDevices"`
	// A source of random numbers. Default: none.
	// +optional
	Rng *Rng `json:"rng,omitempty" protobuf:"bytes,20,opt,name=rng"`
	// A sound card. Default: none.
	// +optional
	Sound *SoundDevice `json:"sound,omitempty" protobuf:"bytes,21,opt,name=sound"`
	// A trusted platform module. Default: none.
	// +optional
	TPM *TPMDevice `json:"tpm,omitempty" protobuf:"bytes,22,opt,name=tpm"`
	// Whether virtio devices also work with drivers from before virtio 1.0. Default: false.
	// +optional
	UseVirtioTransitional *bool `json:"useVirtioTransitional,omitempty" protobuf:"varint,23,opt,name=useVirtioTransitional"`
	// The graphics card. Not without display.
	// +optional
	Video *VideoDevice `json:"video,omitempty" protobuf:"bytes,24,opt,name=video"`
	// Device that acts when the guest hangs. Default: none.
	// +optional
	Watchdog *Watchdog `json:"watchdog,omitempty" protobuf:"bytes,25,opt,name=watchdog"`
}

// CustomBlockSize is block sizes in bytes: powers of 2 from 512 to 2097152, the logical at most the physical.
type CustomBlockSize struct {
	// Size of what can be discarded.
	// +optional
	DiscardGranularity *int32 `json:"discardGranularity,omitempty" protobuf:"varint,1,opt,name=discardGranularity"`
	// Size of the blocks that are addressed.
	// +optional
	Logical *int32 `json:"logical,omitempty" protobuf:"varint,2,opt,name=logical"`
	// Size of the blocks that are written without being read before.
	// +optional
	Physical *int32 `json:"physical,omitempty" protobuf:"varint,3,opt,name=physical"`
}

// FeatureState turns a feature on or off.
type FeatureState struct {
	// Whether it is on. Default: true.
	// +optional
	Enabled *bool `json:"enabled,omitempty" protobuf:"varint,1,opt,name=enabled"`
}

// ClientPassthroughDevices lets clients attach USB devices of theirs. It has no settings.
type ClientPassthroughDevices struct {
}

// DownwardMetrics is a channel on which the guest reads metrics of the node. It has no settings.
type DownwardMetrics struct {
}

// Filesystem is a volume that the guest mounts.
type Filesystem struct {
	// Name of the volume, and the tag that the guest mounts by.
	// +required
	Name string `json:"name" protobuf:"bytes,1,opt,name=name"`
	// Shares it by virtiofs.
	// +required
	Virtiofs FilesystemVirtiofs `json:"virtiofs" protobuf:"bytes,2,opt,name=virtiofs"`
}

// GPU is a GPU of the node. It has either deviceName, or claimName and requestName.
type GPU struct {
	// Claim in resourceClaims that supplies the device.
	// +optional
	ClaimName string `json:"claimName,omitempty" protobuf:"bytes,1,opt,name=claimName"`
	// Resource of a device plugin that supplies the device, as the cluster's configuration permits.
	// +optional
	DeviceName string `json:"deviceName,omitempty" protobuf:"bytes,2,opt,name=deviceName"`
	// Name of the device, unique.
	// +required
	Name string `json:"name" protobuf:"bytes,3,opt,name=name"`
	// Request in the claim that supplies the device.
	// +optional
	RequestName string `json:"requestName,omitempty" protobuf:"bytes,4,opt,name=requestName"`
	// Name that cloud-init tells the guest for the device.
	// +optional
	Tag string `json:"tag,omitempty" protobuf:"bytes,5,opt,name=tag"`
	// Settings of a virtual GPU.
	// +optional
	VirtualGPUOptions *VGPUOptions `json:"virtualGPUOptions,omitempty" protobuf:"bytes,6,opt,name=virtualGPUOptions"`
}

// HostDevice is a device of the node. It has either deviceName, or claimName and requestName.
type HostDevice struct {
	// Claim in resourceClaims that supplies the device.
	// +optional
	ClaimName string `json:"claimName,omitempty" protobuf:"bytes,1,opt,name=claimName"`
	// Resource of a device plugin that supplies the device, as the cluster's configuration permits.
	// +optional
	DeviceName string `json:"deviceName,omitempty" protobuf:"bytes,2,opt,name=deviceName"`
	// Name of the device, unique.
	// +required
	Name string `json:"name" protobuf:"bytes,3,opt,name=name"`
	// Request in the claim that supplies the device.
	// +optional
	RequestName string `json:"requestName,omitempty" protobuf:"bytes,4,opt,name=requestName"`
	// Name that cloud-init tells the guest for the device.
	// +optional
	Tag string `json:"tag,omitempty" protobuf:"bytes,5,opt,name=tag"`
}

// Input is an input device.
type Input struct {
	// usb or virtio. Default: usb.
	// +optional
	Bus string `json:"bus,omitempty" protobuf:"bytes,1,opt,name=bus"`
	// Name of the device, unique.
	// +required
	Name string `json:"name" protobuf:"bytes,2,opt,name=name"`
	// Kind of device: tablet.
	// +required
	Type string `json:"type" protobuf:"bytes,3,opt,name=type"`
}

// Interface is a network interface of the guest. It has at most one binding: bridge, masquerade, sriov, passtBinding, binding or one of those that are deprecated. Without any, the pod network has masquerade and networks of Multus have bridge.
type Interface struct {
	// Number by which the guest names the interface, such as 1 for eno1.
	// +optional
	ACPIIndex *int32 `json:"acpiIndex,omitempty" protobuf:"varint,1,opt,name=acpiIndex"`
	// A binding that the cluster's configuration names.
	// +optional
	Binding *PluginBinding `json:"binding,omitempty" protobuf:"bytes,2,opt,name=binding"`
	// Place in the order of boot, 1 or more, unique among disks and interfaces. Default: the machine does not boot from the network.
	// +optional
	BootOrder *int32 `json:"bootOrder,omitempty" protobuf:"varint,3,opt,name=bootOrder"`
	// Connects the guest to the network on layer 2. On the pod network, the guest takes over the pod's address.
	// +optional
	Bridge *InterfaceBridge `json:"bridge,omitempty" protobuf:"bytes,4,opt,name=bridge"`
	// What the guest is told by DHCP besides its address.
	// +optional
	DHCPOptions *DHCPOptions `json:"dhcpOptions,omitempty" protobuf:"bytes,5,opt,name=dhcpOptions"`
	// MAC address, such as 02:00:00:00:00:01. Default: one is made.
	// +optional
	MACAddress string `json:"macAddress,omitempty" protobuf:"bytes,6,opt,name=macAddress"`
	// A binding that is no longer supported.
	// +optional
	Macvtap *DeprecatedInterfaceMacvtap `json:"macvtap,omitempty" protobuf:"bytes,7,opt,name=macvtap"`
	// Gives the guest an address of its own and translates between it and that of the pod.
	// +optional
	Masquerade *InterfaceMasquerade `json:"masquerade,omitempty" protobuf:"bytes,8,opt,name=masquerade"`
	// virtio, e1000, e1000e, ne2k_pci, pcnet or rtl8139. Default: virtio.
	// +optional
	Model string `json:"model,omitempty" protobuf:"bytes,9,opt,name=model"`
	// Name of the network: letters, digits, hyphens and underscores, unique.
	// +required
	Name string `json:"name" protobuf:"bytes,10,opt,name=name"`
	// A binding that is no longer supported; see passtBinding.
	// +optional
	Passt *DeprecatedInterfacePasst `json:"passt,omitempty" protobuf:"bytes,11,opt,name=passt"`
	// Connects the guest by user-space sockets, with the pod's address.
	// +optional
	PasstBinding *InterfacePasstBinding `json:"passtBinding,omitempty" protobuf:"bytes,12,opt,name=passtBinding"`
	// Place on the guest's PCI bus, such as 0000:00:0a.0.
	// +optional
	PCIAddress string `json:"pciAddress,omitempty" protobuf:"bytes,13,opt,name=pciAddress"`
	// Ranges of ports that are forwarded to the guest, by passtBinding only.
	// +listType=atomic
	// +optional
	PortRanges []PortRange `json:"portRanges,omitempty" protobuf:"bytes,14,rep,name=portRanges"`
	// Ports that are forwarded to the guest, by masquerade and passtBinding. Default: all.
	// +optional
	Ports []Port `json:"ports,omitempty" protobuf:"bytes,15,rep,name=ports"`
	// A binding that is no longer supported.
	// +optional
	Slirp *DeprecatedInterfaceSlirp `json:"slirp,omitempty" protobuf:"bytes,16,opt,name=slirp"`
	// Passes a virtual function of a network card of the node to the guest.
	// +optional
	Sriov *InterfaceSRIOV `json:"sriov,omitempty" protobuf:"bytes,17,opt,name=sriov"`
	// up or down sets the link; absent removes the interface. Default: up.
	// +optional
	State string `json:"state,omitempty" protobuf:"bytes,18,opt,name=state"`
	// Name that cloud-init tells the guest for the interface.
	// +optional
	Tag string `json:"tag,omitempty" protobuf:"bytes,19,opt,name=tag"`
}

// PanicDevice is a device by which the guest tells that it crashed.
type PanicDevice struct {
	// hyperv, isa or pvpanic. Default: isa.
	// +optional
	Model string `json:"model,omitempty" protobuf:"bytes,1,opt,name=model"`
}

// Rng is a source of random numbers. It has no settings.
type Rng struct {
}

// SoundDevice is a sound card.
type SoundDevice struct {
	// ich9 or ac97. Default: ich9.
	// +optional
	Model string `json:"model,omitempty" protobuf:"bytes,1,opt,name=model"`
	// Name of the device.
	// +required
	Name string `json:"name" protobuf:"bytes,2,opt,name=name"`
}

// TPMDevice is a trusted platform module.
type TPMDevice struct {
	// Whether there is one. Default: true.
	// +optional
	Enabled *bool `json:"enabled,omitempty" protobuf:"varint,1,opt,name=enabled"`
	// Whether its state outlives the instance. Default: false.
	// +optional
	Persistent *bool `json:"persistent,omitempty" protobuf:"varint,2,opt,name=persistent"`
}

// VideoDevice is the graphics card.
type VideoDevice struct {
	// vga, cirrus, virtio, ramfb or bochs. Default: what suits architecture and firmware.
	// +optional
	Type string `json:"type,omitempty" protobuf:"bytes,1,opt,name=type"`
}

// Watchdog is a device that acts when the guest hangs. It has at most one model; without any it is an i6300esb.
type Watchdog struct {
	// The watchdog of s390x.
	// +optional
	Diag288 *Diag288Watchdog `json:"diag288,omitempty" protobuf:"bytes,1,opt,name=diag288"`
	// The watchdog Intel 6300ESB.
	// +optional
	I6300ESB *I6300ESBWatchdog `json:"i6300esb,omitempty" protobuf:"bytes,2,opt,name=i6300esb"`
	// Name of the device.
	// +required
	Name string `json:"name" protobuf:"bytes,3,opt,name=name"`
}

// FilesystemVirtiofs shares a volume by virtiofs. It has no settings.
type FilesystemVirtiofs struct {
}

// VGPUOptions are settings of a virtual GPU.
type VGPUOptions struct {
	// The display that the GPU drives.
	// +optional
	Display *VGPUDisplayOptions `json:"display,omitempty" protobuf:"bytes,1,opt,name=display"`
}

// PluginBinding names a binding of the cluster's configuration.
type PluginBinding struct {
	// Its key in network.binding of the configuration.
	// +required
	Name string `json:"name" protobuf:"bytes,1,opt,name=name"`
}

// InterfaceBridge connects an interface by a bridge. It has no settings.
type InterfaceBridge struct {
}

// DHCPOptions is what the guest is told by DHCP besides its address.
type DHCPOptions struct {
	// Option 67, the file to boot from the network.
	// +optional
	BootFileName string `json:"bootFileName,omitempty" protobuf:"bytes,1,opt,name=bootFileName"`
	// Option 42, the IPv4 addresses of time servers.
	// +optional
	NTPServers []string `json:"ntpServers,omitempty" protobuf:"bytes,2,rep,name=ntpServers"`
	// Options for private use.
	// +optional
	PrivateOptions []DHCPPrivateOptions `json:"privateOptions,omitempty" protobuf:"bytes,3,rep,name=privateOptions"`
	// Option 66, the server of the boot file.
	// +optional
	TFTPServerName string `json:"tftpServerName,omitempty" protobuf:"bytes,4,opt,name=tftpServerName"`
}

// DeprecatedInterfaceMacvtap is a binding that is no longer supported.
type DeprecatedInterfaceMacvtap struct {
}

// InterfaceMasquerade connects an interface by address translation. It has no settings.
type InterfaceMasquerade struct {
}

// DeprecatedInterfacePasst is a binding that is no longer supported.
type DeprecatedInterfacePasst struct {
}

// InterfacePasstBinding connects an interface by user-space sockets. It has no settings.
type InterfacePasstBinding struct {
}

// PortRange is a range of ports that are forwarded to the guest.
type PortRange struct {
	// The last port, from start to 65535.
	// +required
	End int32 `json:"end" protobuf:"varint,1,opt,name=end"`
	// TCP or UDP.
	// +required
	Protocol string `json:"protocol" protobuf:"bytes,2,opt,name=protocol"`
	// The first port, from 1 to end.
	// +required
	Start int32 `json:"start" protobuf:"varint,3,opt,name=start"`
}

// Port is a port that is forwarded to the guest.
type Port struct {
	// Name of the port, unique among the interfaces.
	// +optional
	Name string `json:"name,omitempty" protobuf:"bytes,1,opt,name=name"`
	// The port, 1 to 65535.
	// +required
	Port int32 `json:"port" protobuf:"varint,2,opt,name=port"`
	// TCP or UDP. Default: TCP.
	// +optional
	Protocol string `json:"protocol,omitempty" protobuf:"bytes,3,opt,name=protocol"`
}

// DeprecatedInterfaceSlirp is a binding that is no longer supported.
type DeprecatedInterfaceSlirp struct {
}

// InterfaceSRIOV passes a virtual function of a network card. It has no settings.
type InterfaceSRIOV struct {
}

// Diag288Watchdog is the watchdog of s390x.
type Diag288Watchdog struct {
	// What it does to a guest that hangs: poweroff, reset or shutdown. Default: reset.
	// +optional
	Action string `json:"action,omitempty" protobuf:"bytes,1,opt,name=action"`
}

// I6300ESBWatchdog is the watchdog Intel 6300ESB.
type I6300ESBWatchdog struct {
	// What it does to a guest that hangs: poweroff, reset or shutdown. Default: reset.
	// +optional
	Action string `json:"action,omitempty" protobuf:"bytes,1,opt,name=action"`
}

// VGPUDisplayOptions is the display that a virtual GPU drives.
type VGPUDisplayOptions struct {
	// Whether there is one. Default: true.
	// +optional
	Enabled *bool `json:"enabled,omitempty" protobuf:"varint,1,opt,name=enabled"`
	// A simple display until the guest's driver is there. At most one GPU has it. Default: on.
	// +optional
	RamFB *FeatureState `json:"ramFB,omitempty" protobuf:"bytes,2,opt,name=ramFB"`
}

// DHCPPrivateOptions is a DHCP option for private use.
type DHCPPrivateOptions struct {
	// Number of the option, 224 to 254.
	// +required
	Option int32 `json:"option" protobuf:"varint,1,opt,name=option"`
	// Its text.
	// +required
	Value string `json:"value" protobuf:"bytes,2,opt,name=value"`
}
