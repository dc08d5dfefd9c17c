package server

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"

	launcher "github.com/virtplane/virtplane/launcher/api"
)

func (c *fakeClient) Freeze(_ context.Context, r *launcher.FreezeRequest, _ ...grpc.CallOption) (*launcher.FreezeResponse, error) {
	return nil, c.note("freeze " + r.GetUnfreezeAfter().AsDuration().String())
}
func (c *fakeClient) Unfreeze(context.Context, *launcher.UnfreezeRequest, ...grpc.CallOption) (*launcher.UnfreezeResponse, error) {
	return nil, c.note("unfreeze")
}
func (c *fakeClient) GuestInfo(context.Context, *launcher.GuestInfoRequest, ...grpc.CallOption) (*launcher.GuestInfoResponse, error) {
	return &launcher.GuestInfoResponse{
		Agent: &launcher.GuestAgent{
			Connected: true, Version: "7.2", SupportedCommands: []string{"guest-ping"}, Hostname: "vm", FsFrozen: true,
			Os:       &launcher.OSInfo{Id: "debian", Name: "Debian", PrettyName: "Debian 12", Version: "12 (bookworm)", VersionId: "12", KernelRelease: "6.1", KernelVersion: "#1", Machine: "x86_64"},
			Timezone: &launcher.Timezone{Zone: "CET", OffsetSeconds: 3600},
		},
		Users:       []*launcher.GuestUser{{Name: "root", LoginTime: 1.5}},
		Filesystems: []*launcher.GuestFilesystem{{Name: "vda1", Mountpoint: "/", Type: "ext4", UsedBytes: 1, TotalBytes: 2, Disks: []*launcher.GuestDisk{{Bus: "virtio", Serial: "s"}}}},
	}, c.note("guestInfo")
}
func (c *fakeClient) GuestUsers(context.Context, *launcher.GuestUsersRequest, ...grpc.CallOption) (*launcher.GuestUsersResponse, error) {
	return &launcher.GuestUsersResponse{Users: []*launcher.GuestUser{{Name: "ann", Domain: "OFFICE"}}}, c.note("guestUsers")
}
func (c *fakeClient) GuestFilesystems(context.Context, *launcher.GuestFilesystemsRequest, ...grpc.CallOption) (*launcher.GuestFilesystemsResponse, error) {
	return &launcher.GuestFilesystemsResponse{}, c.note("guestFilesystems")
}

// do sends a request and gives the answer's code and body.
func (l *lab) do(method, path, body string) (int, string) {
	l.t.Helper()
	request, err := http.NewRequestWithContext(l.t.Context(), method, l.url+path, strings.NewReader(body))
	if err != nil {
		l.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		l.t.Fatal(err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		l.t.Fatal(err)
	}
	return response.StatusCode, strings.TrimSpace(string(raw))
}

func TestGuest(t *testing.T) {
	l := newLab(t, nil)
	for _, tc := range []struct {
		method, path, body string
		code               int
		want, called       string
	}{
		{"PUT", "freeze", `{"unfreezeTimeout": "5m"}`, 200, "", "freeze 5m0s"},
		{"PUT", "freeze", `{"unfreezeTimeout": "0s"}`, 200, "", "freeze 0s"},
		{"PUT", "freeze", "", 400, "failed to unmarshal unfreeze timeout: unexpected end of JSON input", ""},
		{"PUT", "freeze", "{}", 400, "Unfreeze timeout in freeze request is not set", ""},
		{"PUT", "freeze", `{"unfreezeTimeout": "soon"}`, 400, "failed to unmarshal unfreeze timeout: time: invalid duration", ""},
		{"PUT", "unfreeze", "", 200, "", "unfreeze"},
		{"GET", "guestosinfo", "", 200, `{"fsFreezeStatus":"frozen","fsInfo":{"disks":[{"disk":[{"busType":"virtio","serial":"s"}],"diskName":"vda1","fileSystemType":"ext4","mountPoint":"/","totalBytes":2,"usedBytes":1}]},` +
			`"guestAgentVersion":"7.2","hostname":"vm","os":{"id":"debian","kernelRelease":"6.1","kernelVersion":"#1","machine":"x86_64","name":"Debian","prettyName":"Debian 12","version":"12 (bookworm)","versionId":"12"},` +
			`"supportedCommands":[{"enabled":true,"name":"guest-ping"}],"timezone":"CET, 3600","userList":[{"loginTime":1.5,"userName":"root"}]}`, "guestInfo"},
		{"GET", "userlist", "", 200, `{"metadata":{},"items":[{"domain":"OFFICE","userName":"ann"}]}`, "guestUsers"},
		{"GET", "filesystemlist", "", 200, `{"metadata":{},"items":[]}`, "guestFilesystems"},
	} {
		l.client.called = nil
		code, got := l.do(tc.method, tc.path, tc.body)
		if code != tc.code || tc.code == 200 && got != tc.want || tc.code != 200 && !strings.Contains(got, tc.want) {
			t.Errorf("%s %s %s: %d\n%s, want\n%s", tc.method, tc.path, tc.body, code, got, tc.want)
		}
		if diff := cmp.Diff(tc.called, strings.Join(l.client.called, " ")); diff != "" {
			t.Errorf("%s: called (-want +got):\n%s", tc.path, diff)
		}
	}
	if code, _ := l.do("PUT", "softreboot", ""); code != 200 || l.machines.rebooted != 1 {
		t.Errorf("softreboot: %d, told %d times", code, l.machines.rebooted)
	}
	l.client.err = launcher.Errorf(9, launcher.ReasonAgentUnavailable, "the guest agent is not connected")
	for _, path := range []string{"guestosinfo", "userlist", "filesystemlist"} {
		if code, got := l.do("GET", path, ""); code != 409 || !strings.Contains(got, "the guest agent is not connected") {
			t.Errorf("%s without an agent: %d %s", path, code, got)
		}
	}
	if code, _ := l.do("PUT", "softreboot", ""); code != 409 || l.machines.rebooted != 1 {
		t.Errorf("a soft reboot that was refused: %d, told %d times", code, l.machines.rebooted)
	}
}

// FuzzUnfreezeTimeout reads whatever may come as the body of a freeze.
func FuzzUnfreezeTimeout(f *testing.F) {
	for _, seed := range []string{"", "{}", `{"unfreezeTimeout":"5m"}`, `{"unfreezeTimeout":5}`, `{"unfreezeTimeout":null}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		if after, err := unfreezeTimeout(strings.NewReader(body)); err != nil && after != time.Duration(0) {
			t.Errorf("%s with %v", after, err)
		}
	})
}
