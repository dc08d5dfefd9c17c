package plugin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"k8s.io/klog/v2"
	kubelet "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

const registerTimeout = 10 * time.Second

// resource serves one Device. What it offers changes by update; the gRPC server around it may come and go.
type resource struct {
	kubelet.UnimplementedDevicePluginServer
	device Device

	mu      sync.Mutex
	count   int
	missing error // why nothing is offered; nil: count devices are
	changed chan struct{}
	refused int // how often the kubelet has refused to take this resource
}

func newResource(device Device) *resource {
	return &resource{device: device, missing: errors.New("not looked at yet"), changed: make(chan struct{})}
}

// update changes what is offered and says whether that is something else than before.
func (r *resource) update(count int, missing error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	same := r.count == count && text(r.missing) == text(missing)
	r.count, r.missing = count, missing
	if !same {
		close(r.changed)
		r.changed = make(chan struct{})
	}
	return !same
}

func (r *resource) offered() (int, <-chan struct{}, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.missing != nil {
		return 0, r.changed, r.missing
	}
	return r.count, r.changed, nil
}

func (r *resource) prefix() string { return r.device.name() + "-" }

// ListAndWatch sends the whole list at once and after each change. A resource without its device has an empty list, so
// that the node shows it with quantity 0.
func (r *resource) ListAndWatch(_ *kubelet.Empty, stream grpc.ServerStreamingServer[kubelet.ListAndWatchResponse]) error {
	for {
		count, changed, _ := r.offered()
		response := &kubelet.ListAndWatchResponse{Devices: make([]*kubelet.Device, 0, count)}
		for i := range count {
			response.Devices = append(response.Devices, &kubelet.Device{ID: r.prefix() + strconv.Itoa(i), Health: kubelet.Healthy})
		}
		if err := stream.Send(response); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

// Allocate gives each container the device node. One id that is not offered fails the whole request: a container must
// not start without its device.
func (r *resource) Allocate(_ context.Context, request *kubelet.AllocateRequest) (*kubelet.AllocateResponse, error) {
	count, _, missing := r.offered()
	if missing != nil {
		return nil, status.Errorf(codes.FailedPrecondition, "%s has no devices now: %v", r.device.Resource, missing)
	}
	response := &kubelet.AllocateResponse{}
	for _, container := range request.GetContainerRequests() {
		for _, id := range container.GetDevicesIds() {
			digits, ours := strings.CutPrefix(id, r.prefix())
			if n, err := strconv.Atoi(digits); !ours || err != nil || n < 0 || n >= count || strconv.Itoa(n) != digits {
				return nil, status.Errorf(codes.NotFound, "%s has no device %q", r.device.Resource, id)
			}
		}
		node := filepath.Join("/dev", r.device.Node)
		response.ContainerResponses = append(response.ContainerResponses, &kubelet.ContainerAllocateResponse{
			Devices: []*kubelet.DeviceSpec{{ContainerPath: node, HostPath: node, Permissions: "rwm"}},
		})
	}
	return response, nil
}

// GetDevicePluginOptions says that none of the optional calls is served.
func (r *resource) GetDevicePluginOptions(context.Context, *kubelet.Empty) (*kubelet.DevicePluginOptions, error) {
	return &kubelet.DevicePluginOptions{}, nil
}

// endpoint is the name of the socket in the kubelet's directory. It is another one after each refusal: a kubelet that has lost
// track of an earlier connection by a name takes no other by that name for as long as it runs.
func (r *resource) endpoint() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refused == 0 {
		return "kubevirt-" + r.device.name() + ".sock"
	}
	return fmt.Sprintf("kubevirt-%s.%d.sock", r.device.name(), r.refused)
}

// others finds the sockets that earlier refusals have left in the kubelet's directory.
func (r *resource) others(dir string) []string {
	found, err := filepath.Glob(filepath.Join(dir, "kubevirt-"+r.device.name()+".[0-9]*.sock"))
	if err != nil {
		return nil // a bad pattern, which this is not
	}
	return slices.DeleteFunc(found, func(path string) bool { return filepath.Base(path) == r.endpoint() })
}

// serve listens in dir, registers with the kubelet there and serves until ctx ends or the server fails. registered is
// called once the kubelet has accepted the resource.
func (r *resource) serve(ctx context.Context, dir string, registered func()) error {
	listener, err := listen(filepath.Join(dir, r.endpoint()))
	if err != nil {
		return fmt.Errorf("listening for the kubelet: %w", err)
	}
	server := grpc.NewServer()
	kubelet.RegisterDevicePluginServer(server, r)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	defer func() {
		server.Stop()
		<-ended
	}()
	if err := r.register(ctx, dir); err != nil {
		if ctx.Err() == nil && status.Code(errors.Unwrap(err)) == codes.Unknown { // the kubelet's own word, not that it is away
			r.mu.Lock()
			r.refused++
			r.mu.Unlock()
		}
		return err
	}
	for _, path := range r.others(dir) {
		_ = os.Remove(path) // nobody serves it any more, and what stays disturbs nobody
	}
	klog.FromContext(ctx).Info("Registered device resource", "resource", r.device.Resource)
	registered()
	select {
	case err := <-ended:
		ended <- err
		return fmt.Errorf("serving %s: %w", r.device.Resource, err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// listen takes the place of a socket that an earlier life left behind. It does so by renaming: removing the old one would
// look like the kubelet's cleaning, after which everything begins again.
func listen(path string) (net.Listener, error) {
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	listener, err := net.Listen("unix", fresh)
	if err != nil {
		return nil, err
	}
	listener.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := os.Rename(fresh, path); err != nil {
		_ = listener.Close()
		return nil, err
	}
	return listener, nil
}

func (r *resource) register(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, registerTimeout)
	defer cancel()
	conn, err := grpc.NewClient("unix://"+filepath.Join(dir, kubeletSocket), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("connecting to the kubelet: %w", err)
	}
	defer func() { _ = conn.Close() }()
	_, err = kubelet.NewRegistrationClient(conn).Register(ctx, &kubelet.RegisterRequest{
		Version:      kubelet.Version,
		Endpoint:     r.endpoint(),
		ResourceName: r.device.Resource,
		Options:      &kubelet.DevicePluginOptions{},
	})
	if err != nil {
		return fmt.Errorf("registering %s with the kubelet: %w", r.device.Resource, err)
	}
	return nil
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
