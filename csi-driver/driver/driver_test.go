package driver_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/virtplane/virtplane/csi-driver/driver"
	"github.com/virtplane/virtplane/csi-driver/pool"
	"github.com/virtplane/virtplane/test/spec"
)

const mib = 1 << 20

func wantStatus(t *testing.T, err error, code codes.Code, text string) {
	t.Helper()
	if status.Code(err) != code || (text != "" && status.Convert(err).Message() != text) {
		t.Errorf("said %v, want %v %q", err, code, text)
	}
}

func TestCreateVolume(t *testing.T) {
	b := newBox(t)
	request := func(change func(*csi.CreateVolumeRequest)) *csi.CreateVolumeRequest {
		r := &csi.CreateVolumeRequest{
			Name:               "pvc-1",
			CapacityRange:      &csi.CapacityRange{RequiredBytes: mib},
			VolumeCapabilities: []*csi.VolumeCapability{mountCapability(writer)},
			Parameters:         map[string]string{driver.ParameterPool: "local", "csi.storage.k8s.io/pvc/name": "claim"},
		}
		change(r)
		return r
	}
	for _, tc := range []struct {
		name   string
		change func(*csi.CreateVolumeRequest)
		code   codes.Code
		text   string
	}{
		{"good", func(*csi.CreateVolumeRequest) {}, codes.OK, ""},
		{"no name", func(r *csi.CreateVolumeRequest) { r.Name = "" }, codes.InvalidArgument, "name: must be set"},
		{"no capabilities", func(r *csi.CreateVolumeRequest) { r.VolumeCapabilities = nil }, codes.InvalidArgument, "volume_capabilities: must be set"},
		{"block", func(r *csi.CreateVolumeRequest) {
			r.VolumeCapabilities[0].AccessType = &csi.VolumeCapability_Block{Block: &csi.VolumeCapability_BlockVolume{}}
		}, codes.InvalidArgument, "volume_capability.block: volumes of this driver have volumeMode Filesystem"},
		{"shared", func(r *csi.CreateVolumeRequest) {
			r.VolumeCapabilities[0].AccessMode.Mode = csi.VolumeCapability_AccessMode_MULTI_NODE_MULTI_WRITER
		}, codes.InvalidArgument, "volume_capability.access_mode: MULTI_NODE_MULTI_WRITER is not possible, a volume is on one node only; use ReadWriteOnce or ReadWriteOncePod"},
		{"file system", func(r *csi.CreateVolumeRequest) {
			r.VolumeCapabilities[0].GetMount().FsType = "ext4"
		}, codes.InvalidArgument, `volume_capability.mount.fs_type: "ext4" cannot be chosen, the volume is a directory of the pool's file system; leave it empty`},
		{"mount options", func(r *csi.CreateVolumeRequest) {
			r.VolumeCapabilities[0].GetMount().MountFlags = []string{"noatime"}
		}, codes.InvalidArgument, `volume_capability.mount.mount_flags: ["noatime"] cannot be applied to a directory of a pool; remove mountOptions`},
		{"clone", func(r *csi.CreateVolumeRequest) { r.VolumeContentSource = &csi.VolumeContentSource{} }, codes.InvalidArgument, "volume_content_source: this driver makes empty volumes only"},
		{"unknown parameter", func(r *csi.CreateVolumeRequest) { r.Parameters["storagepool"] = "local" }, codes.InvalidArgument, `parameters: "storagepool" is not known, the only one is "storagePool"`},
		{"unknown pool", func(r *csi.CreateVolumeRequest) { r.Parameters[driver.ParameterPool] = "nowhere" }, codes.InvalidArgument, `invalid request: there is no storage pool "nowhere" on this node`},
		{"another node", func(r *csi.CreateVolumeRequest) {
			r.AccessibilityRequirements = &csi.TopologyRequirement{Requisite: []*csi.Topology{{Segments: map[string]string{driver.TopologyKey: "node-2"}}}}
		}, codes.ResourceExhausted, `accessibility_requirements: volumes of this driver instance are on node "node-1", which is not among those asked for`},
		{"too big", func(r *csi.CreateVolumeRequest) { r.Name, r.CapacityRange.RequiredBytes = "pvc-2", 1<<60 }, codes.ResourceExhausted, ""},
		{"other size", func(r *csi.CreateVolumeRequest) { r.CapacityRange.RequiredBytes = 2 * mib }, codes.AlreadyExists, `volume exists with other properties: "pvc-1" has 1048576 bytes, asked for were at least 2097152 and at most 0`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			response, err := b.controller.CreateVolume(t.Context(), request(tc.change))
			wantStatus(t, err, tc.code, tc.text)
			if tc.code == codes.OK {
				want := &csi.Volume{
					VolumeId: "pvc-1", CapacityBytes: mib, VolumeContext: map[string]string{driver.ParameterPool: "local"},
					AccessibleTopology: []*csi.Topology{{Segments: map[string]string{driver.TopologyKey: nodeID}}},
				}
				if diff := cmp.Diff(want, response.GetVolume(), protocmp.Transform()); diff != "" {
					t.Errorf("volume (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// TestPoolOnDisk wants a volume below the path of its pool, and a pool that cannot be written to say so.
func TestPoolOnDisk(t *testing.T) {
	spec.Covers(t, "P3-HPP-04")
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b := newBox(t, pool.Spec{Name: "blocked", Path: blocked})
	v := b.create(t, "pvc-1", mib)
	if info, err := os.Stat(filepath.Join(b.pool, "volumes", v.VolumeId)); err != nil || !info.IsDir() {
		t.Errorf("directory of the volume: %v, %v", info, err)
	}
	_, err := b.controller.CreateVolume(t.Context(), &csi.CreateVolumeRequest{
		Name: "pvc-2", VolumeCapabilities: []*csi.VolumeCapability{mountCapability(writer)}, Parameters: map[string]string{driver.ParameterPool: "blocked"},
	})
	wantStatus(t, err, codes.Unavailable, `storage pool is not usable: pool "blocked": mkdir `+blocked+`: not a directory`)
}

// TestReadOnlyPool has pools on a file system that is read-only: one that is new, one that has been used before, and one that
// becomes so while the driver runs. The driver finds out by writing, as root passes any check of permissions.
func TestReadOnlyPool(t *testing.T) {
	spec.Covers(t, "P3-HPP-05")
	if os.Geteuid() != 0 {
		t.Skip("needs root: mounts")
	}
	dir := t.TempDir()
	used := filepath.Join(dir, "used")
	before, err := pool.New([]pool.Spec{{Name: "used", Path: used}}, 100)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := before.Create(t.Context(), pool.CreateRequest{Name: "pvc-0", Pool: "used"}); err != nil {
		t.Fatal(err)
	}
	if err := before.Close(); err != nil {
		t.Fatal(err)
	}
	bind := func(path string) func(flags uintptr) {
		if err := unix.Mount(path, path, "", unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Unmount(path, unix.MNT_DETACH) })
		return func(flags uintptr) {
			t.Helper()
			if err := unix.Mount("", path, "", unix.MS_BIND|unix.MS_REMOUNT|flags, ""); err != nil {
				t.Fatal(err)
			}
		}
	}
	remount, late := bind(dir), t.TempDir()
	remount(unix.MS_RDONLY)
	b := newBox(t, pool.Spec{Name: "new", Path: filepath.Join(dir, "new")}, pool.Spec{Name: "used", Path: used}, pool.Spec{Name: "late", Path: late})
	create := func(name, in string) error {
		_, err := b.controller.CreateVolume(t.Context(), &csi.CreateVolumeRequest{
			Name: name, VolumeCapabilities: []*csi.VolumeCapability{mountCapability(writer)}, Parameters: map[string]string{driver.ParameterPool: in},
		})
		return err
	}
	if err := create("pvc-1", "late"); err != nil {
		t.Fatal(err)
	}
	// The whole cannot become so while the pool's lock is open in it.
	remountLate := bind(filepath.Join(late, "state"))
	remountLate(unix.MS_RDONLY)
	for in, code := range map[string]codes.Code{"new": codes.Unavailable, "used": codes.Unavailable, "late": codes.Unavailable} {
		if err := create("pvc-2", in); status.Code(err) != code || !strings.Contains(status.Convert(err).Message(), "read-only file system") {
			t.Errorf("pool %s: said %v, want %v and why", in, err, code)
		}
	}
	remount(0)
	remountLate(0)
	for n, in := range []string{"new", "used", "late"} {
		if err := create(fmt.Sprint("pvc-", n+3), in); err != nil {
			t.Errorf("pool %s, writable again: %v", in, err)
		}
	}
}

// TestPublish follows content through two pods.
func TestPublish(t *testing.T) {
	b := newBox(t)
	v := b.create(t, "pvc-1", mib)
	first, second := b.target("first"), b.target("second")
	for range 2 {
		if err := b.publish(t, v.VolumeId, first, writer, false); err != nil {
			t.Fatal(err)
		}
	}
	wantStatus(t, b.publish(t, v.VolumeId, first, writer, true), codes.AlreadyExists, "")
	wantStatus(t, b.publish(t, v.VolumeId, second, csi.VolumeCapability_AccessMode_SINGLE_NODE_SINGLE_WRITER, false), codes.FailedPrecondition,
		`volume "pvc-1" may be used by one pod only and is mounted at `+first)
	_, err := b.controller.DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: v.VolumeId})
	wantStatus(t, err, codes.FailedPrecondition, `volume "pvc-1" is still mounted at `+first)
	real := os.Geteuid() == 0
	if real {
		if err := os.WriteFile(filepath.Join(first, "file"), []byte("kept"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := b.unpublish(t, v.VolumeId, first); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.publish(t, v.VolumeId, second, csi.VolumeCapability_AccessMode_SINGLE_NODE_READER_ONLY, false); err != nil {
		t.Fatal(err)
	}
	if real {
		if content, err := os.ReadFile(filepath.Join(second, "file")); err != nil || string(content) != "kept" {
			t.Errorf("the second pod reads %q, %v", content, err)
		}
		if err := os.WriteFile(filepath.Join(second, "file"), nil, 0o600); err == nil {
			t.Error("a reader could write")
		}
	}
	if err := b.unpublish(t, v.VolumeId, second); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := b.controller.DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: v.VolumeId}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(b.pool, "volumes/pvc-1")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is still there: %v", err)
	}
	wantStatus(t, b.publish(t, v.VolumeId, first, writer, false), codes.NotFound, `volume not found: "pvc-1"`)
	if err := b.unpublish(t, v.VolumeId, first); err != nil {
		t.Errorf("a pod must be able to end without its volume: %v", err)
	}
}

func TestPublishRefuses(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: mounts")
	}
	b := newBox(t)
	v := b.create(t, "pvc-1", mib)
	other := b.create(t, "pvc-2", mib)
	target := b.target("pod")
	if err := b.publish(t, other.VolumeId, target, writer, false); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, b.publish(t, v.VolumeId, target, writer, false), codes.FailedPrecondition, "target_path: something else is mounted at "+target)
	wantStatus(t, b.publish(t, v.VolumeId, "/etc/pod", writer, false), codes.InvalidArgument, "")
	wantStatus(t, b.publish(t, "../pvc-1", b.target("x"), writer, false), codes.NotFound, "")
	if err := b.unpublish(t, other.VolumeId, target); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(b.pool, "volumes/pvc-1")); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, b.publish(t, v.VolumeId, target, writer, false), codes.Unavailable, "")
}

func TestStatsAndHealth(t *testing.T) {
	b := newBox(t)
	v := b.create(t, "pvc-1", 3*mib)
	target := b.target("pod")
	if err := b.publish(t, v.VolumeId, target, writer, false); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.unpublish(t, v.VolumeId, target); err != nil {
			t.Error(err)
		}
	}()
	content := filepath.Join(b.pool, "volumes/pvc-1/disk.img")
	if err := os.WriteFile(content, make([]byte, 2*mib), 0o600); err != nil {
		t.Fatal(err)
	}
	stats, err := b.node.NodeGetVolumeStats(t.Context(), &csi.NodeGetVolumeStatsRequest{VolumeId: v.VolumeId, VolumePath: target})
	if err != nil {
		t.Fatal(err)
	}
	bytes := stats.Usage[0]
	if bytes.Unit != csi.VolumeUsage_BYTES || bytes.Total != 3*mib || bytes.Used < 2*mib || bytes.Used > 2*mib+64<<10 || bytes.Available != bytes.Total-bytes.Used {
		t.Errorf("bytes %v", bytes)
	}
	if inodes := stats.Usage[1]; inodes.Unit != csi.VolumeUsage_INODES || inodes.Used != 2 {
		t.Errorf("inodes %v", inodes)
	}
	health, err := b.node.NodeGetVolumeHealth(t.Context(), &csi.NodeGetVolumeHealthRequest{VolumeId: v.VolumeId})
	if err != nil || len(health.VolumeHealth.HealthStatuses) != 0 {
		t.Errorf("health of a good volume: %v, %v", health, err)
	}
	storage, err := b.node.NodeGetStorageHealth(t.Context(), &csi.NodeGetStorageHealthRequest{})
	if err != nil || len(storage.BackendHealth) != 0 {
		t.Errorf("health of a good pool: %v, %v", storage, err)
	}
}

func TestHealthOfWhatIsBroken(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(broken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b := newBox(t, pool.Spec{Name: "broken", Path: broken}, pool.Spec{Name: "broken-too", Path: broken + "/pool"})
	big, gone, deep := b.create(t, "pvc-big", mib), b.create(t, "pvc-gone", mib), b.create(t, "pvc-deep", mib)
	inside, err := os.OpenRoot(filepath.Join(b.pool, "volumes/pvc-deep"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = inside.Close() }()
	if err := errors.Join(
		inside.MkdirAll(strings.Repeat("d/", 2100), 0o700),
		os.WriteFile(filepath.Join(b.pool, "volumes/pvc-big/disk.img"), make([]byte, 2*mib), 0o600),
		os.Remove(filepath.Join(b.pool, "volumes/pvc-gone")),
	); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]string{big.VolumeId: "DEGRADED OverSize", gone.VolumeId: "DATA_LOSS ContentGone", deep.VolumeId: "DEGRADED TooDeep", "pvc-unknown": "INACCESSIBLE PoolUnusable"} {
		r, err := b.controller.ControllerGetVolumeHealth(t.Context(), &csi.ControllerGetVolumeHealthRequest{VolumeId: id})
		if err != nil {
			t.Errorf("%s: %v", id, err)
			continue
		}
		var got string
		for _, s := range r.VolumeHealth.HealthStatuses {
			got += s.Status.String() + " " + s.Reason
		}
		if got != want {
			t.Errorf("%s: %q, want %q", id, got, want)
		}
	}
	if _, err := b.node.NodeGetVolumeStats(t.Context(), &csi.NodeGetVolumeStatsRequest{VolumeId: deep.VolumeId, VolumePath: b.pool}); status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "nested more than 2048 deep") {
		t.Errorf("stats of a volume that is too deep: %v", err)
	}
	storage, err := b.node.NodeGetStorageHealth(t.Context(), &csi.NodeGetStorageHealthRequest{})
	if err != nil || len(storage.BackendHealth) != 1 || storage.BackendHealth[0].Status != csi.StorageHealthErrorType_STORAGE_UNREACHABLE {
		t.Errorf("health of the pools: %v, %v", storage, err)
	}
}

// TestPoolThatKeepsOff wants users and the scheduler to be told why a pool takes no new volumes, and other nodes to be tried.
func TestPoolThatKeepsOff(t *testing.T) {
	spec.Covers(t, "P3-HPP-06")
	b := newBox(t)
	v := b.create(t, "pvc-old", mib)
	b.pools.KeepOff(func(context.Context, pool.Spec) (string, error) { return "the kubelet", nil })
	parameters := map[string]string{driver.ParameterPool: "local"}
	_, capacity := b.controller.GetCapacity(t.Context(), &csi.GetCapacityRequest{Parameters: parameters})
	_, create := b.controller.CreateVolume(t.Context(), &csi.CreateVolumeRequest{Name: "pvc-new", Parameters: parameters, VolumeCapabilities: []*csi.VolumeCapability{mountCapability(writer)}})
	for what, err := range map[string]error{"capacity": capacity, "create": create} {
		if status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "lies on the file system of the kubelet") {
			t.Errorf("%s: %v", what, err)
		}
	}
	target := b.target("pod")
	if err := errors.Join(b.publish(t, v.VolumeId, target, writer, false), b.unpublish(t, v.VolumeId, target)); err != nil {
		t.Errorf("a volume that is there: %v", err)
	}
	if _, err := b.controller.DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: v.VolumeId}); err != nil {
		t.Error(err)
	}
}

func TestGetCapacity(t *testing.T) {
	b := newBox(t)
	ask := func(change func(*csi.GetCapacityRequest)) (int64, error) {
		r := &csi.GetCapacityRequest{Parameters: map[string]string{driver.ParameterPool: "local"}}
		change(r)
		response, err := b.controller.GetCapacity(t.Context(), r)
		if err == nil && response.MaximumVolumeSize != nil && response.MaximumVolumeSize.Value != response.AvailableCapacity {
			t.Errorf("capacity %v", response)
		}
		return response.GetAvailableCapacity(), err
	}
	if n, err := ask(func(*csi.GetCapacityRequest) {}); err != nil || n <= 0 {
		t.Errorf("here: %d, %v", n, err)
	}
	if n, err := ask(func(r *csi.GetCapacityRequest) {
		r.AccessibleTopology = &csi.Topology{Segments: map[string]string{driver.TopologyKey: "node-2"}}
	}); err != nil || n != 0 {
		t.Errorf("elsewhere: %d, %v", n, err)
	}
	if n, err := ask(func(r *csi.GetCapacityRequest) {
		r.VolumeCapabilities = []*csi.VolumeCapability{mountCapability(csi.VolumeCapability_AccessMode_MULTI_NODE_MULTI_WRITER)}
	}); err != nil || n != 0 {
		t.Errorf("shared: %d, %v", n, err)
	}
	_, err := ask(func(r *csi.GetCapacityRequest) { r.Parameters[driver.ParameterPool] = "nowhere" })
	wantStatus(t, err, codes.InvalidArgument, `invalid request: there is no storage pool "nowhere" on this node`)
}

// TestPages adds and removes volumes between the pages of a list.
func TestPages(t *testing.T) {
	b := newBox(t)
	for _, name := range []string{"pvc-a", "pvc-c", "pvc-e"} {
		b.create(t, name, mib)
	}
	var got []string
	token := ""
	for {
		r, err := b.controller.ListVolumes(t.Context(), &csi.ListVolumesRequest{MaxEntries: 1, StartingToken: token})
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, r.Entries[0].Volume.VolumeId)
		if token = r.NextToken; token == "" {
			break
		}
		if len(got) == 1 {
			b.create(t, "pvc-b", mib)
			if _, err := b.controller.DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: "pvc-a"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if diff := cmp.Diff([]string{"pvc-a", "pvc-b", "pvc-c", "pvc-e"}, got); diff != "" {
		t.Errorf("volumes (-want +got):\n%s", diff)
	}
	_, err := b.controller.ListVolumes(t.Context(), &csi.ListVolumesRequest{StartingToken: "pvc-a"})
	wantStatus(t, err, codes.Aborted, `starting_token: "pvc-a" was not given by this driver`)
	_, err = b.controller.ListVolumes(t.Context(), &csi.ListVolumesRequest{MaxEntries: -1})
	wantStatus(t, err, codes.InvalidArgument, "max_entries: -1 must not be negative")
}

// TestBusy holds a volume's lock while others want it.
func TestBusy(t *testing.T) {
	b := newBox(t)
	unlock, err := b.pools.Lock("pvc-1")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	_, err = b.controller.DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: "pvc-1"})
	wantStatus(t, err, codes.Aborted, `another operation on the volume is running: "pvc-1"`)
	wantStatus(t, b.publish(t, "pvc-1", b.target("pod"), writer, false), codes.Aborted, "")
	wantStatus(t, b.unpublish(t, "pvc-1", b.target("pod")), codes.Aborted, "")
}

func TestListen(t *testing.T) {
	dir, err := os.MkdirTemp("", "csi")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "new/csi.sock")
	first, err := driver.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	// A process that was killed leaves its socket behind.
	first.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := driver.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket %v, %v", info.Mode(), err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := driver.Listen(path); err == nil || err.Error() != "socket "+path+": something else is there, remove it" {
		t.Errorf("a file in the way: %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, id := range []string{"", "node-with-a-name-that-is-longer-than-the-sixty-three-characters-of-a-label"} {
		if _, err := driver.New(id, "test", nil, nil, nil); err == nil {
			t.Errorf("accepted node id %q", id)
		}
	}
}
