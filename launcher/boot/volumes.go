package boot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/virtplane/virtplane/launcher/api"
	"github.com/virtplane/virtplane/launcher/convert"
	"github.com/virtplane/virtplane/launcher/disk"
	"github.com/virtplane/virtplane/launcher/media"
	"github.com/virtplane/virtplane/launcher/qemu"
)

// volume makes one volume ready to be opened by QEMU.
func (r *request) volume(ctx context.Context, v convert.Volume) (convert.Image, error) {
	switch {
	case v.ContainerDisk != nil:
		return r.containerDisk(ctx, v.ContainerDisk)
	case v.Empty != nil:
		err := r.tool.Empty(ctx, v.Empty.File, v.Empty.Size)
		return qemuImage(v.Empty.File, qemu.FormatQcow2), err
	case v.CloudInit != nil:
		return r.seed(v.Name, v.CloudInit)
	case v.Config != nil:
		return r.config(v.Config)
	case v.Overlay != nil:
		return r.overlay(ctx, v.Name, v.Overlay)
	case v.HostDisk != nil:
		return r.hostDisk(v.HostDisk)
	case v.Metrics != nil:
		return r.metricsDisk(v.Metrics)
	}
	return r.claim(ctx, v.Name, v.Claim)
}

// containerDisk lays a writable layer over the image, unless the guest only reads.
func (r *request) containerDisk(ctx context.Context, c *convert.ContainerDisk) (convert.Image, error) {
	path, err := disk.FindImage(c.Root, c.Path)
	if err != nil {
		return convert.Image{}, err
	}
	info, err := r.tool.Inspect(ctx, path)
	if err != nil {
		return convert.Image{}, err
	}
	base := qemu.Image{Path: info.Path, Format: qemu.Format(info.Format)}
	if c.ReadOnly {
		// Read through the page cache, which all guests of the image share.
		return convert.Image{Image: base}, nil
	}
	if err := r.tool.Overlay(ctx, c.Overlay, info); err != nil {
		return convert.Image{}, err
	}
	image := qemuImage(c.Overlay, qemu.FormatQcow2)
	image.Backing = &base
	return image, nil
}

// seed writes the disk for cloud-init.
func (r *request) seed(volume string, c *convert.CloudInit) (convert.Image, error) {
	s := media.Seed{
		Kind: media.NoCloud, InstanceID: r.vmi.Name + "." + r.vmi.Namespace, Hostname: convert.Hostname(r.vmi),
		UUID: convert.UUID(r.vmi), UserData: c.UserData, NetworkData: c.NetworkData,
	}
	if c.ConfigDrive {
		s.Kind = media.ConfigDrive
	}
	given := r.cloudInit(volume)
	var err error
	if c.UserSecret != "" {
		if s.UserData, err = secretData(c.UserSecret, given.GetUserData(), c.UserSecretDir, "userdata", "userData"); err != nil {
			return convert.Image{}, err
		}
	}
	if c.NetworkSecret != "" {
		if s.NetworkData, err = secretData(c.NetworkSecret, given.GetNetworkData(), c.NetworkSecretDir, "networkdata", "networkData"); err != nil {
			return convert.Image{}, err
		}
	}
	if err := errors.Join(checkUserData(place(c.UserField, "user data", c.UserSecret), s.UserData), checkNetworkData(place(c.NetworkField, "network data", c.NetworkSecret), s.NetworkData)); err != nil {
		return convert.Image{}, err
	}
	if s.PublicKeys, err = r.publicKeys(c.ConfigDrive); err != nil {
		return convert.Image{}, err
	}
	if err := makePlace(c.File); err != nil {
		return convert.Image{}, err
	}
	if err := media.WriteSeed(c.File, s); err != nil {
		return convert.Image{}, api.Wrap(err, codes.Unavailable, api.ReasonStartFailed)
	}
	return qemuImage(c.File, qemu.FormatRaw), nil
}

// place names where data comes from.
func place(field, what, secret string) string {
	if secret != "" {
		return what + " of Secret " + secret
	}
	return field
}

func (r *request) cloudInit(volume string) *api.CloudInitData {
	for _, c := range r.options.GetCloudInit() {
		if c.GetVolume() == volume {
			return c
		}
	}
	return nil
}

// secretData is the data of a Secret: sent along by the node agent, or mounted into the pod.
func secretData(secret string, sent []byte, dir string, keys ...string) ([]byte, error) {
	if len(sent) > 0 {
		return sent, nil
	}
	for _, key := range keys {
		raw, err := os.ReadFile(filepath.Join(dir, key))
		switch {
		case err == nil && len(raw) > 0:
			return raw, nil
		case err == nil:
			return nil, api.Errorf(codes.FailedPrecondition, api.ReasonCloudInitInvalid, "key %s of Secret %s is empty", key, secret)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, api.Wrap(fmt.Errorf("reading Secret %s: %w", secret, err), codes.Unavailable, api.ReasonSecretMissing)
		}
	}
	return nil, api.Errorf(codes.FailedPrecondition, api.ReasonSecretMissing, "Secret %s is not there or has no key %s", secret, keys[0])
}

// look is one at a claim. It may stay in a system call for as long as the claim's storage is away.
type look struct {
	done  chan struct{}
	image convert.Image
	err   error
}

// claim has openClaim look at a claim for as long as ctx lets it. While that does not come back, the next one waits for the
// same look.
func (r *request) claim(ctx context.Context, volume string, c *convert.Claim) (convert.Image, error) {
	began := time.Now()
	r.mu.Lock()
	l := r.looks[volume]
	if l == nil {
		l = &look{done: make(chan struct{})}
		if r.looks == nil {
			r.looks = map[string]*look{}
		}
		r.looks[volume] = l
		go func() {
			defer close(l.done)
			l.image, l.err = r.openClaim(volume, c)
			r.mu.Lock()
			defer r.mu.Unlock()
			delete(r.looks, volume)
		}()
	}
	r.mu.Unlock()
	select {
	case <-l.done:
		return l.image, l.err
	case <-ctx.Done():
		return convert.Image{}, api.Errorf(codes.Unavailable, api.ReasonClaimUnavailable, "claim %s: its storage has not answered within %s", c.Name, time.Since(began).Round(time.Second))
	}
}

// openClaim finds the image of a claim, and makes one in an empty claim. It is always taken as raw: a guest can write
// whatever header it likes to its disk.
func (r *request) openClaim(volume string, c *convert.Claim) (convert.Image, error) {
	capacity, overhead, block, readOnly, known := c.Capacity, c.Overhead, c.Block, c.ReadOnly, c.Known
	for _, o := range r.options.GetClaims() {
		if o.GetVolume() == volume {
			capacity, overhead, block, known = o.GetCapacityBytes(), o.GetFilesystemOverhead(), o.GetBlock(), true
			readOnly = readOnly || o.GetReadOnly()
		}
	}
	if !known {
		// Which of the two the pod has tells the kind.
		_, err := os.Stat(c.Device)
		block = err == nil
	}
	if block {
		if err := disk.CheckBlock(c.Device, readOnly); err != nil {
			return convert.Image{}, err
		}
		image := qemuImage(c.Device, qemu.FormatRaw)
		image.Block = true
		return image, nil
	}
	part, err := convert.ParseOverhead(overhead)
	if err != nil {
		return convert.Image{}, api.Errorf(codes.InvalidArgument, api.ReasonInvalidSpec, "claim %s: %w", c.Name, err)
	}
	path, err := disk.EnsureClaim(disk.Claim{Dir: c.Dir, Capacity: capacity, Overhead: part, ReadOnly: readOnly})
	if err != nil {
		return convert.Image{}, fmt.Errorf("claim %s: %w", c.Name, err)
	}
	return qemuImage(path, qemu.FormatRaw), nil
}
