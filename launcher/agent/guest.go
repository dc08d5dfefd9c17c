package agent

import (
	"context"
	"math"
	"slices"
)

// Bounds of the lists that a guest may show.
const (
	maxUsers       = 1024
	maxFilesystems = 512
	maxDisks       = 32
)

// User is somebody who is logged into the guest.
type User struct {
	Name string
	// Domain is that of a Windows user.
	Domain string
	// LoginTime is in seconds since 1970.
	LoginTime float64
}

// Users lists who is logged in.
func (c *Client) Users(ctx context.Context) ([]User, error) {
	var wire []struct {
		Name   string  `json:"user"`
		Domain string  `json:"domain"`
		Login  float64 `json:"login-time"`
	}
	if err := c.Execute(ctx, "guest-get-users", nil, &wire); err != nil {
		return nil, err
	}
	var out []User
	for _, w := range wire[:min(len(wire), maxUsers)] {
		u := User{Name: Clean(w.Name), Domain: Clean(w.Domain), LoginTime: w.Login}
		if u.LoginTime < 0 || math.IsNaN(u.LoginTime) || math.IsInf(u.LoginTime, 0) {
			u.LoginTime = 0
		}
		if u.Name != "" {
			out = append(out, u)
		}
	}
	return out, nil
}

// Filesystem is one that the guest has mounted.
type Filesystem struct {
	// Name is that of the device in the guest, such as vda1.
	Name, Mountpoint, Type string
	// Used and Total are in bytes; 0 where the agent does not say.
	Used, Total int64
	Disks       []Disk
}

// Disk is one that a file system is on.
type Disk struct {
	// Bus is how the guest sees the disk, such as virtio.
	Bus, Serial string
}

// Filesystems lists what is mounted from disks.
func (c *Client) Filesystems(ctx context.Context) ([]Filesystem, error) {
	var wire []struct {
		Name       string `json:"name"`
		Mountpoint string `json:"mountpoint"`
		Type       string `json:"type"`
		Used       int64  `json:"used-bytes"`
		Total      int64  `json:"total-bytes"`
		Disks      []struct {
			Bus    string `json:"bus-type"`
			Serial string `json:"serial"`
		} `json:"disk"`
	}
	if err := c.Execute(ctx, "guest-get-fsinfo", nil, &wire); err != nil {
		return nil, err
	}
	var out []Filesystem
	for _, w := range wire[:min(len(wire), maxFilesystems)] {
		f := Filesystem{Name: Clean(w.Name), Mountpoint: Clean(w.Mountpoint), Type: Clean(w.Type), Used: max(w.Used, 0), Total: max(w.Total, 0)}
		for _, d := range w.Disks[:min(len(w.Disks), maxDisks)] {
			f.Disks = append(f.Disks, Disk{Bus: Clean(d.Bus), Serial: Clean(d.Serial)})
		}
		out = append(out, f)
	}
	// The agent walks a hash of mounts; readers want the same order each time.
	slices.SortStableFunc(out, func(a, b Filesystem) int {
		switch {
		case a.Mountpoint < b.Mountpoint:
			return -1
		case a.Mountpoint > b.Mountpoint:
			return 1
		}
		return 0
	})
	return out, nil
}
