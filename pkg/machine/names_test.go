package machine

import (
	"strings"
	"testing"
)

// TestLauncherPodNames keeps the kubelet's folder of a pod's logs, which is called NAMESPACE_POD_UID, within what a file system takes.
func TestLauncherPodNames(t *testing.T) {
	const uid = "0b21dd2e-c8a7-44ab-9d7c-8f6f5c1a2b3d"
	for _, namespace := range []string{"a", "default", strings.Repeat("n", 63)} {
		for n := 1; n <= 253; n++ {
			name := strings.Repeat("a", n)
			pod := LauncherPodName(namespace, name, uid, 0)
			if folder := namespace + "_" + pod + "_" + uid; len(folder) > 255 || len(pod) > 253 {
				t.Fatalf("%s and a name of %d characters: the folder has %d, the pod's name %d", namespace, n, len(folder), len(pod))
			}
			if whole := "virt-launcher-" + name; len(namespace)+len(whole)+6+38 <= 255 && !strings.HasPrefix(pod, whole+"-") {
				t.Fatalf("%s and a name of %d characters: %s is cut and need not be", namespace, n, pod)
			}
		}
	}
	long := strings.Repeat("a", 245)
	if a, b := LauncherPodName("default", long, uid, 0), LauncherPodName("default", long, uid, 1); a == b {
		t.Error("two attempts have one name")
	}
	if got := LauncherPodName("default", strings.Repeat("a", 190)+"."+strings.Repeat("b", 50), uid, 0); strings.Contains(got, ".-") {
		t.Errorf("%s is no name of a pod", got)
	}
}

// TestFileNames keeps names of files within what a file system takes, and different.
func TestFileNames(t *testing.T) {
	if got := FileName("disk", ".qcow2"); got != "disk.qcow2" {
		t.Error(got)
	}
	a, b := FileName(strings.Repeat("a", 253), ".qcow2"), FileName(strings.Repeat("a", 252)+"b", ".qcow2")
	if len(a) != 255 || len(b) != 255 || a == b || !strings.HasSuffix(a, ".qcow2") {
		t.Errorf("%s and %s", a, b)
	}
}
