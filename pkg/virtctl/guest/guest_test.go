package guest

import (
	"net/http"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/virtctl/virtctltest"
)

func agent() *virtctltest.Server {
	return &virtctltest.Server{Answer: func(w http.ResponseWriter, r *http.Request) bool {
		switch strings.TrimPrefix(r.URL.Path, virtctltest.Base+"virtualmachineinstances/web/") {
		case "guestosinfo":
			virtctltest.JSON(w, virtv1.VirtualMachineInstanceGuestAgentInfo{GuestAgentVersion: "9.2", Hostname: "web", Timezone: "UTC, 0",
				SupportedCommands: []virtv1.GuestAgentCommandInfo{{Name: "guest-ping", Enabled: true}, {Name: "guest-exec"}},
				OS:                virtv1.VirtualMachineInstanceGuestOSInfo{Name: "Debian", PrettyName: "Debian GNU/Linux 13", KernelRelease: "6.12", Machine: "x86_64"}})
		case "filesystemlist":
			virtctltest.JSON(w, virtv1.VirtualMachineInstanceFileSystemList{Items: []virtv1.VirtualMachineInstanceFileSystem{
				{DiskName: "vda1", MountPoint: "/", FileSystemType: "ext4", UsedBytes: 1 << 30, TotalBytes: 3 << 30, Disk: []virtv1.VirtualMachineInstanceFileSystemDisk{{BusType: "virtio", Serial: "s"}}},
				{DiskName: "vda2", MountPoint: "/boot", FileSystemType: "vfat", UsedBytes: 512, TotalBytes: 0}}})
		case "userlist":
			virtctltest.JSON(w, virtv1.VirtualMachineInstanceGuestOSUserList{TypeMeta: metav1.TypeMeta{Kind: "VirtualMachineInstanceGuestOSUserList"}, Items: []virtv1.VirtualMachineInstanceGuestOSUser{
				{UserName: "debian", LoginTime: 1600000000.5}, {UserName: "admin", Domain: "WIN"}}})
		default:
			virtctltest.Refuse(w, 409, "VMI does not have guest agent connected")
		}
		return true
	}}
}

func TestQueries(t *testing.T) {
	for args, want := range map[string]string{
		"guestosinfo web -o table":                        "Host name:          web\nSystem:             Debian GNU/Linux 13\nKernel:             6.12\nArchitecture:       x86_64\nTime zone:          UTC, 0\nAgent:              9.2\nAgent's commands:   1 of 2 enabled\n",
		"fslist web -o table":                             "MOUNTED ON   TYPE   USED   SIZE   USE%     DEVICE   DISK\n/            ext4   1Gi    3Gi    34%      vda1     virtio:s\n/boot        vfat   512    0      <none>   vda2     <none>\n",
		"userlist web -o table":                           "USER     DOMAIN   LOGGED IN\ndebian   <none>   2020-09-13T12:26:40Z\nadmin    WIN      <none>\n",
		"userlist web -o jsonpath={.items[*].userName}":   "debian admin\n",
		"guestosinfo web -o jsonpath={.os.kernelRelease}": "6.12\n",
	} {
		out, _, err := virtctltest.Run(t, agent(), nil, New, strings.Fields(args)...)
		if err != nil || out != want {
			t.Errorf("%s prints\n%q, %v, want\n%q", args, out, err, want)
		}
	}
	out, _, err := virtctltest.Run(t, agent(), nil, New, "fslist", "web")
	if err != nil || !strings.Contains(out, `"mountPoint": "/boot"`) {
		t.Errorf("fslist prints %q, %v; want JSON, as scripts expect", out, err)
	}
	_, _, err = virtctltest.Run(t, agent(), nil, New, "fslist", "other")
	if want := "filesystemlist of other: VMI does not have guest agent connected"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestSize(t *testing.T) {
	for bytes, want := range map[int64]string{0: "0", 1023: "1023", 1024: "1Ki", 1536: "1.5Ki", 10 << 20: "10Mi", 5<<30 + 1<<29: "5.5Gi"} {
		if got := size(bytes); got != want {
			t.Errorf("%d: %s, want %s", bytes, got, want)
		}
	}
}
