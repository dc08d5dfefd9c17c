package qmp

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"testing"
)

// sentCommands holds a call of each method that sends a command. TestCommandsFitSchema fails if one is missing.
var sentCommands = map[string]func(ctx context.Context, c *Client){
	"query-status":     func(ctx context.Context, c *Client) { c.QueryStatus(ctx) },
	"stop":             func(ctx context.Context, c *Client) { c.Stop(ctx) },
	"cont":             func(ctx context.Context, c *Client) { c.Cont(ctx) },
	"system_powerdown": func(ctx context.Context, c *Client) { c.SystemPowerdown(ctx) },
	"system_reset":     func(ctx context.Context, c *Client) { c.SystemReset(ctx) },
	"quit":             func(ctx context.Context, c *Client) { c.Quit(ctx) },
	"set-action": func(ctx context.Context, c *Client) {
		c.SetShutdownAction(ctx, ShutdownPause)
		c.SetShutdownAction(ctx, ShutdownPoweroff)
	},
	"set_link":           func(ctx context.Context, c *Client) { c.SetLink(ctx, "net0", true) },
	"query-chardev":      func(ctx context.Context, c *Client) { c.QueryChardev(ctx) },
	"qom-get":            func(ctx context.Context, c *Client) { c.MachineType(ctx) },
	"query-cpus-fast":    func(ctx context.Context, c *Client) { c.QueryCPUs(ctx) },
	"query-iothreads":    func(ctx context.Context, c *Client) { c.QueryIOThreads(ctx) },
	"blockdev-open-tray": func(ctx context.Context, c *Client) { c.OpenTray(ctx, "cd") },
	"getfd":              func(ctx context.Context, c *Client) { c.GetFD(ctx, "f", os.Stdin) },
	"closefd":            func(ctx context.Context, c *Client) { c.CloseFD(ctx, "f") },
	"screendump":         func(ctx context.Context, c *Client) { c.Screendump(ctx, "/x.png") },
	"input-send-event":   func(ctx context.Context, c *Client) { c.MovePointer(ctx) },
}

// entity is one entry of query-qmp-schema.
type entity struct {
	Name       string   `json:"name"`
	MetaType   string   `json:"meta-type"`
	JSONType   string   `json:"json-type"`
	ArgType    string   `json:"arg-type"`
	Values     []string `json:"values"`
	Element    string   `json:"element-type"`
	Tag        string   `json:"tag"`
	Deprecated []string `json:"features"`
	Members    []struct {
		Name    string          `json:"name"`
		Type    string          `json:"type"`
		Default json.RawMessage `json:"default"`
	} `json:"members"`
	Variants []struct {
		Case string `json:"case"`
		Type string `json:"type"`
	} `json:"variants"`
}

type schema map[string]entity

// check tells what is wrong with value as the type named typ.
func (s schema) check(typ string, value any, path string) error {
	e, ok := s[typ]
	if !ok {
		return fmt.Errorf("%s: schema has no type %q", path, typ)
	}
	kind := map[bool]string{true: e.JSONType, false: e.MetaType}[e.MetaType == "builtin"]
	switch v := value.(type) {
	case string:
		switch {
		case kind == "string", kind == "value":
		case kind == "enum" && slices.Contains(e.Values, v):
		default:
			return fmt.Errorf("%s: %q is no %s (%s, one of %v)", path, v, typ, kind, e.Values)
		}
	case bool:
		if kind != "boolean" && kind != "value" {
			return fmt.Errorf("%s: a boolean is no %s", path, kind)
		}
	case float64:
		if kind != "int" && kind != "number" && kind != "value" {
			return fmt.Errorf("%s: a number is no %s", path, kind)
		}
	case []any:
		if kind != "array" {
			return fmt.Errorf("%s: a list is no %s", path, kind)
		}
		for i, element := range v {
			if err := s.check(e.Element, element, fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
	case map[string]any:
		if kind != "object" {
			return fmt.Errorf("%s: an object is no %s", path, kind)
		}
		return s.checkObject(e, v, path)
	default:
		return fmt.Errorf("%s: cannot judge %T", path, value)
	}
	return nil
}

func (s schema) checkObject(e entity, v map[string]any, path string) error {
	known := map[string]bool{}
	members := slices.Clone(e.Members)
	for _, variant := range e.Variants {
		if v[e.Tag] == variant.Case {
			members = append(members, s[variant.Type].Members...)
		}
	}
	for _, m := range members {
		known[m.Name] = true
		value, given := v[m.Name]
		if !given && m.Default == nil {
			return fmt.Errorf("%s: member %q is missing", path, m.Name)
		}
		if given {
			if err := s.check(m.Type, value, path+"."+m.Name); err != nil {
				return err
			}
		}
	}
	for name := range v {
		if !known[name] {
			return fmt.Errorf("%s: QEMU knows no member %q", path, name)
		}
	}
	return nil
}

// realQEMU starts a machine without anything and gives a client of it.
func realQEMU(t *testing.T) *Client {
	t.Helper()
	binary, err := exec.LookPath("qemu-system-x86_64")
	if err != nil {
		t.Skip("qemu-system-x86_64 is not installed")
	}
	path := filepath.Join(t.TempDir(), "qmp.sock")
	cmd := exec.Command(binary, "-machine", "none", "-S", "-nodefaults", "-no-user-config", "-display", "none",
		"-chardev", "socket,id=c,path="+path+",server=on,wait=off", "-mon", "chardev=c,mode=control")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	c, err := Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// TestCommandsFitSchema sends each command to a recorder and holds what arrived against the schema of the installed
// QEMU, so that a QEMU that renames something is met here and not at a guest's stop.
func TestCommandsFitSchema(t *testing.T) {
	qemu := realQEMU(t)
	var entities []entity
	if err := qemu.Execute(t.Context(), "query-qmp-schema", nil, &entities); err != nil {
		t.Fatal(err)
	}
	s, commands := schema{}, schema{}
	for _, e := range entities {
		if e.MetaType == "command" {
			commands[e.Name] = e
			continue
		}
		if e.MetaType != "event" {
			s[e.Name] = e
		}
	}
	for name, send := range sentCommands {
		t.Run(name, func(t *testing.T) {
			arrived := record(t, send)
			if len(arrived) == 0 {
				t.Fatal("nothing was sent")
			}
			for _, r := range arrived {
				e, ok := commands[r.Execute]
				if r.Execute != name || !ok {
					t.Fatalf("sent %q; QEMU %s knows it: %v", r.Execute, qemu.Version(), ok)
				}
				args := r.Arguments
				if args == nil {
					args = map[string]any{}
				}
				if err := s.check(e.ArgType, args, name); err != nil {
					t.Error(err)
				}
			}
		})
	}
	known := []string{EventStop, EventResume, EventReset, EventShutdown, EventPowerdown, EventGuestPanicked, EventGuestCrashLoaded,
		EventWatchdog, EventBlockIOError, EventVserportChange, EventNICFilterChanged, EventMemoryFailure, EventDeviceDeleted, EventBlockJobCompleted}
	var events []string
	for _, e := range entities {
		if e.MetaType == "event" {
			events = append(events, e.Name)
		}
	}
	sort.Strings(events)
	for _, e := range known {
		if !slices.Contains(events, e) {
			t.Errorf("QEMU %s has no event %s", qemu.Version(), e)
		}
	}
}

type recorded struct {
	Execute   string         `json:"execute"`
	Arguments map[string]any `json:"arguments"`
}

// record runs send against a server that takes everything and gives what it was sent.
func record(t *testing.T, send func(context.Context, *Client)) []recorded {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan []recorded)
	go func() {
		var all []recorded
		defer func() { done <- all }()
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		io.WriteString(conn, hello)
		d := json.NewDecoder(conn)
		for {
			var r struct {
				recorded
				ID json.RawMessage `json:"id"`
			}
			if d.Decode(&r) != nil {
				return
			}
			if r.Execute != "qmp_capabilities" {
				all = append(all, r.recorded)
			}
			fmt.Fprintf(conn, `{"return": {}, "id": %s}`, r.ID)
		}
	}()
	c, err := Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	send(t.Context(), c)
	c.Close()
	return <-done
}

func TestRealQEMU(t *testing.T) {
	c := realQEMU(t)
	if s, err := c.QueryStatus(t.Context()); err != nil || s.Status != StatePrelaunch {
		t.Errorf("QueryStatus: %+v, %v", s, err)
	}
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := c.GetFD(t.Context(), "null", f); err != nil {
		t.Errorf("GetFD: %v", err)
	}
	if err := c.CloseFD(t.Context(), "null"); err != nil {
		t.Errorf("CloseFD: %v", err)
	}
	if err := c.SetLink(t.Context(), "net9", true); !IsClass(err, ClassDeviceNotFound) {
		t.Errorf("SetLink of nothing: %v", err)
	}
	if err := c.Execute(t.Context(), "no-such-command", nil, nil); !IsClass(err, ClassCommandNotFound) {
		t.Errorf("unknown command: %v", err)
	}
	sub := c.Subscribe(4)
	if err := c.Quit(t.Context()); err != nil {
		t.Errorf("Quit: %v", err)
	}
	var names []string
	for e := range sub.C() {
		names = append(names, e.Name)
		var d ShutdownData
		if e.Decode(&d) != nil || d.Reason != "host-qmp-quit" || d.Guest {
			t.Errorf("SHUTDOWN says %s", e.Data)
		}
	}
	if !slices.Equal(names, []string{EventShutdown}) {
		t.Errorf("events: %v", names)
	}
}
