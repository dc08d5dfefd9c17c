package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/klog/v2"

	launcher "github.com/virtplane/virtplane/launcher/api"
	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// bodyLimit is far more than what is asked of a guest needs.
const bodyLimit = 64 << 10

// handleGuest adds what goes through the guest's agent.
func (s *Server) handleGuest(mux *http.ServeMux) {
	mux.HandleFunc("PUT "+base+"freeze", s.freeze)
	mux.HandleFunc("PUT "+base+"unfreeze", func(w http.ResponseWriter, r *http.Request) {
		s.act(w, r, func(ctx context.Context, c launcher.LauncherClient) error {
			_, err := c.Unfreeze(ctx, &launcher.UnfreezeRequest{})
			return err
		})
	})
	mux.HandleFunc("PUT "+base+"softreboot", s.softReboot)
	mux.HandleFunc("GET "+base+"guestosinfo", query(s, guestInfo))
	mux.HandleFunc("GET "+base+"userlist", query(s, userList))
	mux.HandleFunc("GET "+base+"filesystemlist", query(s, filesystemList))
}

func (s *Server) freeze(w http.ResponseWriter, r *http.Request) {
	after, err := unfreezeTimeout(r.Body)
	if err != nil {
		fail(w, r, err)
		return
	}
	s.act(w, r, func(ctx context.Context, c launcher.LauncherClient) error {
		_, err := c.Freeze(ctx, &launcher.FreezeRequest{UnfreezeAfter: durationpb.New(after)})
		return err
	})
}

// unfreezeTimeout reads how long a freeze may last; 0 is without end.
func unfreezeTimeout(body io.Reader) (time.Duration, error) {
	raw, err := io.ReadAll(io.LimitReader(body, bodyLimit))
	if err != nil {
		return 0, apierrors.NewBadRequest(fmt.Sprintf("reading the request: %v", err))
	}
	var options virtv1.FreezeUnfreezeTimeout
	if err := json.Unmarshal(raw, &options); err != nil {
		return 0, apierrors.NewBadRequest(fmt.Sprintf("failed to unmarshal unfreeze timeout: %v", err))
	}
	if options.UnfreezeTimeout == nil {
		return 0, apierrors.NewBadRequest("Unfreeze timeout in freeze request is not set")
	}
	return options.UnfreezeTimeout.Duration, nil
}

func (s *Server) softReboot(w http.ResponseWriter, r *http.Request) {
	err := s.call(r, func(ctx context.Context, vmi *virtv1.VirtualMachineInstance, c launcher.LauncherClient) error {
		_, err := c.SoftReboot(ctx, &launcher.SoftRebootRequest{})
		if err == nil {
			s.machines.SoftRebooted(vmi)
		}
		return err
	})
	if err != nil {
		fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// query makes a handler that answers with what ask learns of the guest.
func query[T any](s *Server, ask func(context.Context, launcher.LauncherClient) (T, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var out T
		err := s.call(r, func(ctx context.Context, _ *virtv1.VirtualMachineInstance, c launcher.LauncherClient) (err error) {
			out, err = ask(ctx, c)
			return err
		})
		if err != nil {
			fail(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(out); err != nil && !errors.Is(err, context.Canceled) {
			klog.FromContext(r.Context()).V(2).Info("Could not send an answer", "err", err)
		}
	}
}

func guestInfo(ctx context.Context, c launcher.LauncherClient) (*virtv1.VirtualMachineInstanceGuestAgentInfo, error) {
	info, err := c.GuestInfo(ctx, &launcher.GuestInfoRequest{})
	if err != nil {
		return nil, err
	}
	a, os := info.GetAgent(), info.GetAgent().GetOs()
	out := &virtv1.VirtualMachineInstanceGuestAgentInfo{
		GuestAgentVersion: a.GetVersion(), Hostname: a.GetHostname(),
		OS: virtv1.VirtualMachineInstanceGuestOSInfo{
			ID: os.GetId(), Name: os.GetName(), PrettyName: os.GetPrettyName(), Version: os.GetVersion(), VersionID: os.GetVersionId(),
			KernelRelease: os.GetKernelRelease(), KernelVersion: os.GetKernelVersion(), Machine: os.GetMachine(),
		},
		UserList: users(info.GetUsers()),
		FSInfo:   virtv1.VirtualMachineInstanceFileSystemInfo{Disks: filesystems(info.GetFilesystems())},
	}
	if a.GetFsFrozen() {
		out.FSFreezeStatus = "frozen"
	}
	if zone := a.GetTimezone(); zone != nil {
		out.Timezone = fmt.Sprintf("%s, %d", zone.GetZone(), zone.GetOffsetSeconds())
	}
	for _, name := range a.GetSupportedCommands() {
		out.SupportedCommands = append(out.SupportedCommands, virtv1.GuestAgentCommandInfo{Name: name, Enabled: true})
	}
	return out, nil
}

func userList(ctx context.Context, c launcher.LauncherClient) (*virtv1.VirtualMachineInstanceGuestOSUserList, error) {
	answer, err := c.GuestUsers(ctx, &launcher.GuestUsersRequest{})
	if err != nil {
		return nil, err
	}
	return &virtv1.VirtualMachineInstanceGuestOSUserList{Items: users(answer.GetUsers())}, nil
}

func filesystemList(ctx context.Context, c launcher.LauncherClient) (*virtv1.VirtualMachineInstanceFileSystemList, error) {
	answer, err := c.GuestFilesystems(ctx, &launcher.GuestFilesystemsRequest{})
	if err != nil {
		return nil, err
	}
	return &virtv1.VirtualMachineInstanceFileSystemList{Items: filesystems(answer.GetFilesystems())}, nil
}

func users(in []*launcher.GuestUser) []virtv1.VirtualMachineInstanceGuestOSUser {
	out := []virtv1.VirtualMachineInstanceGuestOSUser{}
	for _, u := range in {
		out = append(out, virtv1.VirtualMachineInstanceGuestOSUser{UserName: u.GetName(), Domain: u.GetDomain(), LoginTime: u.GetLoginTime()})
	}
	return out
}

func filesystems(in []*launcher.GuestFilesystem) []virtv1.VirtualMachineInstanceFileSystem {
	out := []virtv1.VirtualMachineInstanceFileSystem{}
	for _, f := range in {
		one := virtv1.VirtualMachineInstanceFileSystem{
			DiskName: f.GetName(), MountPoint: f.GetMountpoint(), FileSystemType: f.GetType(), UsedBytes: f.GetUsedBytes(), TotalBytes: f.GetTotalBytes(),
		}
		for _, d := range f.GetDisks() {
			one.Disk = append(one.Disk, virtv1.VirtualMachineInstanceFileSystemDisk{BusType: d.GetBus(), Serial: d.GetSerial()})
		}
		out = append(out, one)
	}
	return out
}
