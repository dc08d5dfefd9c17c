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
		for _, s := range append([]string{info.Version, info.Hostname, info.OS.Name}, info.Commands...) {
			if !utf8.ValidString(s) || len(s) > maxText || strings.ContainsAny(s, "\n\x1b\x00") {
				t.Errorf("unclean: %q", s)
			}
		}
	})
}
