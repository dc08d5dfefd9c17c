package convert

import (
	"encoding/base64"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/virtplane/virtplane/launcher/qemu"
	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine"
)

// Paths are the folders of the launcher's pod.
type Paths struct {
	Private, Sockets, Ephemeral, ContainerDisks, KernelBoot, Claims, Secrets, Credentials, Devices, Firmware string
	// Configs has the files of config disks and HostDisks the node's own files, by volume name.
	Configs, HostDisks string
	// State outlives the pod; where it does not exist, no state does.
	State string
}

// DefaultPaths are those of a pod.
func DefaultPaths() Paths {
	return Paths{
		Private: machine.PrivateDir, Sockets: machine.SocketsDir, Ephemeral: machine.EphemeralDir,
		ContainerDisks: machine.ContainerDiskDir, KernelBoot: machine.KernelBootDir, Claims: machine.ClaimDir,
		Secrets: machine.SecretDir, Credentials: machine.CredentialDir, Devices: "/dev", Firmware: "/usr/share/OVMF",
		Configs: machine.ConfigDir, HostDisks: machine.HostDiskDir,
		State: machine.StateDir,
	}
}

// Volume is what a disk needs on the node; one of its sources is set.
type Volume struct {
	Name          string
	ContainerDisk *ContainerDisk
	Empty         *Empty
	CloudInit     *CloudInit
	Claim         *Claim
	Overlay       *Overlay  `json:",omitempty"`
	Config        *Config   `json:",omitempty"`
	HostDisk      *HostDisk `json:",omitempty"`
	Metrics       *Metrics  `json:",omitempty"`
}

// ContainerDisk is a writable layer at Overlay over the image that is mounted at Root.
type ContainerDisk struct {
	Root, Path, Overlay string
	// ReadOnly has the guest read the image itself.
	ReadOnly bool
}

// Empty is an empty image.
type Empty struct {
	File string
	Size int64
}

// CloudInit is a seed to be written to File.
type CloudInit struct {
	File        string
	ConfigDrive bool
	// UserData and NetworkData hold what the VMI says inline, in the fields that are named.
	UserData, NetworkData   []byte
	UserField, NetworkField string
	// UserSecret and NetworkSecret name the Secrets that hold the data instead; the folders are where the pod may
	// have them mounted.
	UserSecret, NetworkSecret       string
	UserSecretDir, NetworkSecretDir string
}

// Claim is a claim, found in Dir or at Device.
type Claim struct {
	Name, Dir, Device string
	ReadOnly          bool
	// Block, Capacity and Overhead come from the status; Known says whether it had them.
	Known    bool
	Block    bool
	Capacity int64
	Overhead string
}

// Volumes plans the volumes that the VMI's disks use, in the order of the disks.
func Volumes(vmi *virtv1.VirtualMachineInstance, paths Paths) ([]Volume, error) {
	var p problems
	byName := map[string]int{}
	for i := range vmi.Spec.Volumes {
		byName[vmi.Spec.Volumes[i].Name] = i
	}
	var out []Volume
	for i, disk := range disksOf(vmi) {
		at, ok := byName[disk.Name]
		if !ok && disk.Cdrom != nil {
			continue // an empty drive
		}
		if !ok {
			p.invalid(fmt.Sprintf("spec.domain.devices.disks[%d].name", i), "there is no volume %q", disk.Name)
			continue
		}
		if v, ok := planVolume(vmi, at, readOnly(&disk), paths, &p); ok {
			out = append(out, v)
		}
	}
	return out, p.err()
}

// disksOf gives the VMI's disks and, as the API has it, one more for each volume that no disk names.
func disksOf(vmi *virtv1.VirtualMachineInstance) []virtv1.Disk {
	disks := slices.Clone(vmi.Spec.Domain.Devices.Disks)
	for i := range vmi.Spec.Volumes {
		v := &vmi.Spec.Volumes[i]
		if shared(vmi, v.Name) || slices.ContainsFunc(disks, func(d virtv1.Disk) bool { return d.Name == v.Name }) {
			continue
		}
		disk := virtv1.Disk{Name: v.Name, Disk: &virtv1.DiskTarget{}}
		switch {
		case v.Sysprep != nil:
			// Setup looks for its answers on removable media only.
			disk = virtv1.Disk{Name: v.Name, Cdrom: &virtv1.CDRomTarget{}}
		case v.DownwardMetrics != nil:
			disk.Disk.Bus = string(qemu.BusVirtio)
		}
		disks = append(disks, disk)
	}
	return disks
}

// readOnly tells whether the guest may not write to the disk.
func readOnly(d *virtv1.Disk) bool {
	switch {
	case d.Cdrom != nil:
		return true
	case d.Lun != nil:
		return isTrue(d.Lun.Readonly)
	case d.Disk != nil:
		return isTrue(d.Disk.Readonly)
	}
	return false
}

func planVolume(vmi *virtv1.VirtualMachineInstance, at int, readOnly bool, paths Paths, p *problems) (Volume, bool) {
	v := &vmi.Spec.Volumes[at]
	field := fmt.Sprintf("spec.volumes[%d]", at)
	file := func(suffix string) string { return filepath.Join(paths.Ephemeral, machine.FileName(v.Name, suffix)) }
	out := Volume{Name: v.Name}
	switch {
	case v.ContainerDisk != nil:
		out.ContainerDisk = &ContainerDisk{
			Root: filepath.Join(paths.ContainerDisks, v.Name), Path: v.ContainerDisk.Path, Overlay: file(".qcow2"), ReadOnly: readOnly,
		}
	case v.EmptyDisk != nil:
		if v.EmptyDisk.Capacity.Sign() <= 0 {
			p.invalid(field+".emptyDisk.capacity", "must be positive")
			return out, false
		}
		out.Empty = &Empty{File: file(".qcow2"), Size: v.EmptyDisk.Capacity.Value()}
	case v.CloudInitNoCloud != nil:
		s := virtv1.CloudInitConfigDriveSource(*v.CloudInitNoCloud)
		return seedVolume(out, &s, field+".cloudInitNoCloud", file(".iso"), paths, p)
	case v.CloudInitConfigDrive != nil:
		out.CloudInit = &CloudInit{ConfigDrive: true}
		return seedVolume(out, v.CloudInitConfigDrive, field+".cloudInitConfigDrive", file(".iso"), paths, p)
	case v.PersistentVolumeClaim != nil:
		claim := v.PersistentVolumeClaim
		out.Claim = planClaim(vmi, v.Name, claim.ClaimName, readOnly || isTrue(claim.ReadOnly), paths)
	case v.DataVolume != nil:
		out.Claim = planClaim(vmi, v.Name, v.DataVolume.Name, readOnly, paths)
	case v.Ephemeral != nil && v.Ephemeral.PersistentVolumeClaim != nil:
		out.Overlay = &Overlay{Claim: planClaim(vmi, v.Name, v.Ephemeral.PersistentVolumeClaim.ClaimName, true, paths), File: file(".qcow2"), ReadOnly: readOnly}
	case v.HostDisk != nil:
		out.HostDisk = planHostDisk(v, readOnly, paths)
	case v.DownwardMetrics != nil:
		out.Metrics = &Metrics{File: file(".vhostmd")}
	default:
		if out.Config = planConfig(v, file(".iso"), paths); out.Config != nil {
			break
		}
		p.unsupported(field, "volume %q is of a kind that is not supported", v.Name)
		return out, false
	}
	return out, true
}

// seedVolume reads the data that a cloud-init volume says inline.
func seedVolume(out Volume, s *virtv1.CloudInitConfigDriveSource, field, file string, paths Paths, p *problems) (Volume, bool) {
	seed := &CloudInit{
		File: file, ConfigDrive: out.CloudInit != nil,
		UserSecretDir: filepath.Join(paths.Secrets, out.Name), NetworkSecretDir: filepath.Join(paths.Secrets, machine.FileName(out.Name, machine.NetworkDataSuffix)),
	}
	out.CloudInit = seed
	if s.SecretRef != nil {
		seed.UserSecret = s.SecretRef.Name
	}
	if s.NetworkDataSecretRef != nil {
		seed.NetworkSecret = s.NetworkDataSecretRef.Name
	}
	userOK := inline(&seed.UserData, &seed.UserField, s.UserData, s.UserDataBase64, seed.UserSecret, field, "userData", p)
	networkOK := inline(&seed.NetworkData, &seed.NetworkField, s.NetworkData, s.NetworkDataBase64, seed.NetworkSecret, field, "networkData", p)
	if userOK && networkOK && seed.UserData == nil && seed.UserSecret == "" && seed.NetworkData == nil && seed.NetworkSecret == "" {
		p.invalid(field, "must have userData, userDataBase64, secretRef or network data")
		return out, false
	}
	return out, userOK && networkOK
}

// inline decodes one of the two spellings of data and wants at most one source of it.
func inline(to *[]byte, at *string, plain, encoded, secret, field, name string, p *problems) bool {
	count := 0
	for _, s := range []string{plain, encoded, secret} {
		if s != "" {
			count++
		}
	}
	switch {
	case count > 1:
		p.invalid(field, "%s, its Base64 form and its Secret exclude one another", name)
		return false
	case plain != "":
		*to, *at = []byte(plain), field+"."+name
	case encoded != "":
		raw, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			p.invalid(field+"."+name+"Base64", "is not Base64: %v", err)
			return false
		}
		*to, *at = raw, field+"."+name+"Base64"
	}
	return true
}

// planClaim takes what the status knows of the claim along.
func planClaim(vmi *virtv1.VirtualMachineInstance, volume, claim string, readOnly bool, paths Paths) *Claim {
	c := &Claim{Name: claim, Dir: filepath.Join(paths.Claims, volume), Device: filepath.Join(paths.Devices, volume), ReadOnly: readOnly}
	for i := range vmi.Status.VolumeStatus {
		s := &vmi.Status.VolumeStatus[i]
		if s.Name != volume || s.PersistentVolumeClaimInfo == nil {
			continue
		}
		info := s.PersistentVolumeClaimInfo
		c.Known = true
		c.Block = info.VolumeMode != nil && *info.VolumeMode == "Block"
		if q, ok := info.Capacity["storage"]; ok {
			c.Capacity = q.Value()
		} else if q, ok := info.Requests["storage"]; ok {
			c.Capacity = q.Value()
		}
		c.Overhead = info.FilesystemOverhead
	}
	return c
}

// defaultOverhead is the part of a file system that a new disk.img leaves free where nobody says another.
const defaultOverhead = 0.06

// ParseOverhead reads a part such as "0.06".
func ParseOverhead(s string) (float64, error) {
	if s == "" {
		return defaultOverhead, nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !(f >= 0 && f < 1) {
		return 0, fmt.Errorf("file system overhead %q must be a number of at least 0 and below 1", s)
	}
	return f, nil
}

func isTrue(b *bool) bool { return b != nil && *b }

// unlessFalse is for what is there unless it is switched off.
func unlessFalse(b *bool) bool { return b == nil || *b }

// feature tells whether a feature is on: naming it is enough.
func feature(s *virtv1.FeatureState) bool { return s != nil && unlessFalse(s.Enabled) }
