package domain

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/virtplane/virtplane/launcher/agent"
	"github.com/virtplane/virtplane/launcher/api"
)

// fewInInfo is how many users and file systems are told with the rest.
const fewInInfo = 10

// GuestInfo asks the agent now. While it cannot answer, the guest is described as it was seen last.
func (d *Domain) GuestInfo(ctx context.Context) (*api.GuestInfoResponse, error) {
	out := &api.GuestInfoResponse{}
	d.mu.Lock()
	known, frozen := d.agent.info != nil, d.rec.Frozen
	d.mu.Unlock()
	err := d.agentReady()
	if err == nil && !(frozen && known) {
		err = agentError(d.withAgent(ctx, func(a *agent.Client) error { return d.describeNow(ctx, a, out) }))
	} else if known && api.ReasonOf(err) != api.ReasonEnded {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.rec.Guest == nil || !d.agent.connected {
		return nil, api.Errorf(codes.FailedPrecondition, api.ReasonAgentUnavailable, "the guest agent is not connected")
	}
	out.Agent, out.Interfaces = d.describeAgent(), d.describeInterfaces()
	return out, nil
}

// describeNow asks for everything. An agent that lacks a command leaves its part empty.
func (d *Domain) describeNow(ctx context.Context, a *agent.Client, out *api.GuestInfoResponse) error {
	info, err := a.Query(ctx)
	if err != nil {
		return err
	}
	d.noteInfo(info)
	users, err := a.Users(ctx)
	if err != nil && !refused(err) {
		return err
	}
	out.Users = describeUsers(users[:min(len(users), fewInInfo)])
	filesystems, err := a.Filesystems(ctx)
	if err != nil && !refused(err) {
		return err
	}
	out.Filesystems = describeFilesystems(filesystems[:min(len(filesystems), fewInInfo)])
	return nil
}

// GuestUsers asks the agent who is logged in.
func (d *Domain) GuestUsers(ctx context.Context) (*api.GuestUsersResponse, error) {
	var users []agent.User
	err := d.askAgent(ctx, func(a *agent.Client) (err error) {
		users, err = a.Users(ctx)
		return err
	})
	return &api.GuestUsersResponse{Users: describeUsers(users)}, err
}

// GuestFilesystems asks the agent what is mounted.
func (d *Domain) GuestFilesystems(ctx context.Context) (*api.GuestFilesystemsResponse, error) {
	var filesystems []agent.Filesystem
	err := d.askAgent(ctx, func(a *agent.Client) (err error) {
		filesystems, err = a.Filesystems(ctx)
		return err
	})
	return &api.GuestFilesystemsResponse{Filesystems: describeFilesystems(filesystems)}, err
}

func describeUsers(in []agent.User) []*api.GuestUser {
	var out []*api.GuestUser
	for _, u := range in {
		out = append(out, &api.GuestUser{Name: u.Name, Domain: u.Domain, LoginTime: u.LoginTime})
	}
	return out
}

func describeFilesystems(in []agent.Filesystem) []*api.GuestFilesystem {
	var out []*api.GuestFilesystem
	for _, f := range in {
		one := &api.GuestFilesystem{Name: f.Name, Mountpoint: f.Mountpoint, Type: f.Type, UsedBytes: f.Used, TotalBytes: f.Total}
		for _, disk := range f.Disks {
			one.Disks = append(one.Disks, &api.GuestDisk{Bus: disk.Bus, Serial: disk.Serial})
		}
		out = append(out, one)
	}
	return out
}

// timeTries is how often the guest's clock is tried to be set after its CPUs stood still.
const timeTries = 5

// setGuestTime sets the clock of a guest whose CPUs stood still, if there is an agent to do it. The agent of a frozen guest does
// it once that is thawed.
func (d *Domain) setGuestTime() {
	for try := 1; d.agentReady() == nil; try++ {
		d.mu.Lock()
		frozen := d.rec.Frozen
		d.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), askTime)
		err := d.withAgent(ctx, func(a *agent.Client) error { return a.SetTime(ctx, time.Now().Add(d.clockOffset())) })
		cancel()
		if err == nil {
			return
		}
		if refused(err) && d.clockBehind() {
			return
		}
		// A guest that was frozen when it was asked, and no longer is, may do it now.
		if try == timeTries || refused(err) && !frozen {
			d.Log.Warn("Could not set the guest's clock after a pause", "err", err)
			return
		}
		select {
		case <-d.ended:
			return
		case <-time.After(d.Times.AskAgain):
		}
	}
}

// clockBehind notes that the clock of a frozen guest is still to be set, and says whether the guest is one.
func (d *Domain) clockBehind() bool {
	frozen := false
	d.set(func() {
		if frozen = d.rec.Frozen; frozen && !d.rec.ClockBehind {
			d.rec.ClockBehind = true
			d.save()
		}
	})
	return frozen
}

func (d *Domain) clockOffset() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.rec.Guest == nil {
		return 0
	}
	return d.rec.Guest.ClockOffset
}
