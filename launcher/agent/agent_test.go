package agent

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// guest plays the agent behind a socket. answers maps a command to its line; before is what is still in the channel.
func guest(t *testing.T, before string, answers map[string]string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "qga.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		io.WriteString(conn, before)
		lines := bufio.NewReader(conn)
		for {
			line, err := lines.ReadBytes('\n')
			if err != nil {
				return
			}
			if line[0] == sentinel {
				line = line[1:]
			}
			var cmd struct {
				Execute   string
				Arguments struct{ ID int64 }
			}
			if json.Unmarshal(line, &cmd) != nil {
				return
			}
			switch a, ok := answers[cmd.Execute]; {
			case cmd.Execute == "guest-sync-delimited":
				fmt.Fprintf(conn, "\xff{\"return\": %d}\n", cmd.Arguments.ID)
			case a == "close":
				return
			case !ok:
				io.WriteString(conn, `{"error": {"class": "CommandNotFound", "desc": "The command `+cmd.Execute+` has not been found"}}`+"\n")
			default:
				io.WriteString(conn, a+"\n")
			}
		}
	}()
	return path
}

func TestQuery(t *testing.T) {
	path := guest(t, "half an answer of ear\xff{\"return\": 77}\n", map[string]string{
		"guest-info":                   `{"return": {"version": "7.2.22", "supported_commands": [{"name": "guest-ping", "enabled": true}, {"name": "guest-exec", "enabled": false}, {"name": "guest-info", "enabled": true}]}}`,
		"guest-get-host-name":          `{"return": {"host-name": "vm\u0007"}}`,
		"guest-get-osinfo":             `{"return": {"id": "debian", "pretty-name": "Debian GNU/Linux 12 (bookworm)", "kernel-release": "6.1.0", "machine": "x86_64"}}`,
		"guest-network-get-interfaces": `{"return": [{"name": "lo", "ip-addresses": [{"ip-address": "127.0.0.1"}], "hardware-address": "00:00:00:00:00:00"}, {"name": "enp1s0", "hardware-address": "02:00:00:AB:CD:EF", "ip-addresses": [{"ip-address": "fe80::1"}, {"ip-address": "fd10:0:2::2"}, {"ip-address": "10.0.2.2"}, {"ip-address": "nonsense"}]}, {"name": "tun0"}]}`,
	})
	c, err := Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got, err := c.Query(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := Info{
		Version: "7.2.22", Commands: []string{"guest-info", "guest-ping"}, Hostname: "vm",
		OS:         OS{ID: "debian", PrettyName: "Debian GNU/Linux 12 (bookworm)", KernelRelease: "6.1.0", Machine: "x86_64"},
		Interfaces: []Interface{{Name: "enp1s0", MAC: "02:00:00:ab:cd:ef", IPs: []string{"10.0.2.2", "fd10:0:2::2"}}, {Name: "tun0"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	var refused *Error
	if err := c.Ping(t.Context()); !errors.As(err, &refused) || refused.Error() != "guest agent: guest-ping: The command guest-ping has not been found (CommandNotFound)" {
		t.Errorf("Ping: %v", err)
	}
	if err := c.Shutdown(t.Context(), Reboot); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

func TestFailures(t *testing.T) {
	t.Run("closed", func(t *testing.T) {
		c, err := Dial(t.Context(), guest(t, "", map[string]string{"guest-ping": "close"}))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.Ping(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("Ping: %v", err)
		}
	})
	t.Run("endless", func(t *testing.T) {
		c, err := Dial(t.Context(), guest(t, "", map[string]string{"guest-ping": strings.Repeat("x", maxAnswer+10000)}))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.Ping(t.Context()); !errors.Is(err, ErrAnswer) {
			t.Errorf("Ping: %v", err)
		}
	})
	t.Run("deaf", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "s")
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			conn, err := l.Accept()
			if err == nil {
				bufio.NewReader(conn).ReadBytes('\n')
				cancel()
			}
		}()
		if _, err := Dial(ctx, path); !errors.Is(err, ErrTimeout) || !errors.Is(err, context.Canceled) {
			t.Errorf("Dial: %v", err)
		}
	})
	t.Run("no channel", func(t *testing.T) {
		if _, err := Dial(t.Context(), filepath.Join(t.TempDir(), "s")); err == nil {
			t.Error("connected to nothing")
		}
	})
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"Debian 12":                      "Debian 12",
		"a\x1b[31mb\n\tc\xff\u202e":      "a[31mbc",
		strings.Repeat("ü", 200):         strings.Repeat("ü", 128),
		strings.Repeat("x", 255) + "üzz": strings.Repeat("x", 255),
	} {
		if got := Clean(in); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
}

// asked is an agent that keeps what it was asked.
func asked(t *testing.T, answers map[string]string, do func(context.Context, *Client)) []string {
	t.Helper()
	ours, theirs := net.Pipe()
	var got []string
	done := make(chan struct{})
	go func() {
		defer close(done)
		lines := bufio.NewReader(theirs)
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			got = append(got, strings.TrimSpace(line))
			var cmd struct{ Execute string }
			if json.Unmarshal([]byte(line), &cmd) != nil {
				return
			}
			answer, ok := answers[cmd.Execute]
			if !ok {
				answer = "{}"
			}
			fmt.Fprintf(theirs, `{"return": %s}`+"\n", answer)
		}
	}()
	c := New(ours)
	do(t.Context(), c)
	c.Close()
	<-done
	return got
}

// TestCommands compares what goes over the channel with the schema of the agent's commands.
func TestCommands(t *testing.T) {
	got := asked(t, map[string]string{
		"guest-fsfreeze-status": `"frozen"`, "guest-fsfreeze-freeze": "2", "guest-fsfreeze-thaw": "2", "guest-exec": `{"pid": 12}`,
		"guest-exec-status": `{"exited": true, "signal": 9, "out-data": "b3V0", "err-data": "ZXJy"}`, "guest-ssh-get-authorized-keys": `{"keys": ["ssh-rsa A"]}`,
	}, func(ctx context.Context, c *Client) {
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Error(err)
			}
		}
		frozen, err := c.Frozen(ctx)
		must(err)
		if !frozen {
			t.Error("frozen is read as thawed")
		}
		n, err := c.Freeze(ctx)
		must(err)
		if n != 2 {
			t.Errorf("%d file systems are frozen", n)
		}
		_, err = c.Thaw(ctx)
		must(err)
		must(c.SetTime(ctx, time.Unix(1, 5)))
		p, err := c.Start(ctx, []string{"cat", "-"}, []byte("in"))
		must(err)
		exit, over, err := c.Wait(ctx, p)
		must(err)
		if diff := cmp.Diff(Exit{Signal: 9, Output: []byte("outerr")}, exit); diff != "" || !over {
			t.Error(diff, over)
		}
		must(c.AddAuthorizedKeys(ctx, "ann", []string{"ssh-rsa B"}))
		_, err = c.AuthorizedKeys(ctx, "ann")
		must(err)
		must(c.RemoveAuthorizedKeys(ctx, "ann", []string{"ssh-rsa A"}))
		must(c.SetPassword(ctx, "ann", "pass"))
		if _, err := c.Start(ctx, nil, nil); err == nil {
			t.Error("ran no command")
		}
	})
	want := []string{
		`{"execute":"guest-fsfreeze-status"}`,
		`{"execute":"guest-fsfreeze-freeze"}`,
		`{"execute":"guest-fsfreeze-thaw"}`,
		`{"execute":"guest-set-time","arguments":{"time":1000000005}}`,
		`{"execute":"guest-exec","arguments":{"arg":["-"],"capture-output":true,"input-data":"aW4=","path":"cat"}}`,
		`{"execute":"guest-exec-status","arguments":{"pid":12}}`,
		`{"execute":"guest-ssh-add-authorized-keys","arguments":{"keys":["ssh-rsa B"],"reset":false,"username":"ann"}}`,
		`{"execute":"guest-ssh-get-authorized-keys","arguments":{"username":"ann"}}`,
		`{"execute":"guest-ssh-remove-authorized-keys","arguments":{"keys":["ssh-rsa A"],"username":"ann"}}`,
		`{"execute":"guest-set-user-password","arguments":{"crypted":false,"password":"cGFzcw==","username":"ann"}}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Commands (-want +got):\n%s", diff)
	}
}

// TestHostileLists bounds what a guest may show of itself.
func TestHostileLists(t *testing.T) {
	list := func(one string) string { return "[" + strings.Repeat(one+",", 2000) + one + "]" }
	asked(t, map[string]string{
		"guest-get-users": list(`{"user": "\u001b[2Jroot", "login-time": 1e300}`),
		"guest-exec":      `{"pid": -1}`,
	}, func(ctx context.Context, c *Client) {
		users, err := c.Users(ctx)
		if err != nil || len(users) != maxUsers || users[0].Name != "[2Jroot" {
			t.Errorf("%d users, %v", len(users), err)
		}
		if _, err := c.Start(ctx, []string{"a"}, nil); !errors.Is(err, ErrAnswer) {
			t.Errorf("a process without a number: %v", err)
		}
	})
	asked(t, map[string]string{"guest-get-fsinfo": list(`{"name": "a\nb", "used-bytes": -5, "disk": [` + strings.Repeat(`{"serial": "\u0000s"},`, 50) + `{}]}`)}, func(ctx context.Context, c *Client) {
		filesystems, err := c.Filesystems(ctx)
		if err != nil || len(filesystems) != maxFilesystems || len(filesystems[0].Disks) != maxDisks {
			t.Fatalf("%d file systems, %v", len(filesystems), err)
		}
		if f := filesystems[0]; f.Name != "ab" || f.Used != 0 || f.Disks[0].Serial != "s" {
			t.Errorf("file system %+v", f)
		}
	})
}

// FuzzAnswers feeds what a hostile guest may write into the channel.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte(`{"return": {"version": "7", "supported_commands": null}}` + "\n"))
	f.Add([]byte(`{"return": [{"name": 3}]}` + "\n\xff\n{}\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		ours, theirs := net.Pipe()
		go func() { io.Copy(io.Discard, theirs) }()
		go func() { theirs.Write(raw); theirs.Close() }()
		c := New(ours)
		defer c.Close()
		info, _ := c.Query(t.Context())
		users, _ := c.Users(t.Context())
		filesystems, _ := c.Filesystems(t.Context())
		_, _ = c.Frozen(t.Context())
		exit, _, _ := c.Wait(t.Context(), 1)
		_, _ = c.AuthorizedKeys(t.Context(), "ann")
		if len(users) > maxUsers || len(filesystems) > maxFilesystems || len(exit.Output) > 2*maxOutput {
			t.Errorf("%d users, %d file systems, %d bytes", len(users), len(filesystems), len(exit.Output))
		}
		for _, u := range users {
			info.Commands = append(info.Commands, u.Name, u.Domain)
		}
		for _, f := range filesystems {
			info.Commands = append(info.Commands, f.Name, f.Mountpoint, f.Type)
		}
		for _, s := range append([]string{info.Version, info.Hostname, info.OS.Name}, info.Commands...) {
			if !utf8.ValidString(s) || len(s) > maxText || strings.ContainsAny(s, "\n\x1b\x00") {
				t.Errorf("unclean: %q", s)
			}
		}
	})
}
