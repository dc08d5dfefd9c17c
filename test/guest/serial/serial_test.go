package serial

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func connect(t *testing.T) (*Console, net.Conn) {
	t.Helper()
	ours, guests := net.Pipe()
	t.Cleanup(func() { ours.Close(); guests.Close() })
	return New(ours), guests
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestExpectConsumes(t *testing.T) {
	c, guest := connect(t)
	go io.WriteString(guest, "one 1\r\ntwo \x1b[1;3")
	got, err := c.Expect(t.Context(), `(\w+) (\d)(x)?\n`)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"one 1\n", "one", "1", ""}, got); diff != "" {
		t.Errorf("first match (-want +got):\n%s", diff)
	}
	// The rest of the escape sequence comes later, and "one" is gone.
	go io.WriteString(guest, "2m2\r\n")
	got, err = c.Expect(t.Context(), `(\w+) (\d)\n`)
	if err != nil {
		t.Fatal(err)
	}
	if got[1] != "two" {
		t.Errorf("second match = %q, want two", got[1])
	}
	if want := "one 1\ntwo 2\n"; c.Transcript() != want {
		t.Errorf("transcript = %q, want %q", c.Transcript(), want)
	}
}

func TestBackspaceOverConsumedText(t *testing.T) {
	c, guest := connect(t)
	go io.WriteString(guest, "$ ab")
	if _, err := c.Expect(t.Context(), `ab`); err != nil {
		t.Fatal(err)
	}
	go io.WriteString(guest, "\b \b\b \bls\n")
	if got, err := c.Expect(t.Context(), `s\n`); err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestExpectFails(t *testing.T) {
	t.Run("deadline", func(t *testing.T) {
		c, guest := connect(t)
		io.WriteString(guest, "Kernel panic\r\n")
		_, err := c.Expect(within(t, 10*time.Millisecond), `login:`)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error = %v, want a deadline", err)
		}
		want := "waiting for \"login:\" on the console: context deadline exceeded; the last lines were:\n  | Kernel panic"
		if err.Error() != want {
			t.Errorf("error = %q, want %q", err, want)
		}
	})
	t.Run("closed", func(t *testing.T) {
		c, guest := connect(t)
		go func() { io.WriteString(guest, "bye"); guest.Close() }()
		_, err := c.Expect(t.Context(), `login:`)
		if !errors.Is(err, io.EOF) {
			t.Errorf("error = %v, want the end of the stream", err)
		}
	})
	t.Run("match before the end", func(t *testing.T) {
		c, guest := connect(t)
		go func() { io.WriteString(guest, "bye"); guest.Close() }()
		if _, err := c.Expect(t.Context(), `bye`); err != nil {
			t.Error(err)
		}
	})
	t.Run("pattern", func(t *testing.T) {
		c, _ := connect(t)
		if _, err := c.Expect(t.Context(), `(`); err == nil {
			t.Error("no error for a broken pattern")
		}
	})
}

func TestKeepsTheEnd(t *testing.T) {
	c, guest := connect(t)
	go func() {
		line := strings.Repeat("x", 1023) + "\n"
		for range 3 * maxKept / len(line) {
			io.WriteString(guest, line)
		}
		io.WriteString(guest, "end\n")
	}()
	if _, err := c.Expect(t.Context(), `end\n`); err != nil {
		t.Fatal(err)
	}
	if got := c.Transcript(); len(got) > maxKept+100 || !strings.HasPrefix(got, "[earlier output dropped]\n") {
		t.Errorf("transcript has %d bytes and starts with %.30q", len(got), got)
	}
}

// shell runs a real shell behind the console, with the echo of a terminal.
func shell(t *testing.T) *Console {
	t.Helper()
	c, guest := connect(t)
	sh := exec.CommandContext(t.Context(), "sh")
	in, err := sh.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	sh.Stdout, sh.Stderr = guest, guest
	if err := sh.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer in.Close()
		lines := bufio.NewReader(guest)
		for {
			line, err := lines.ReadString('\r')
			if err != nil {
				return
			}
			line = strings.TrimSuffix(line, "\r")
			fmt.Fprintf(guest, "$ %s\r\n", line)
			fmt.Fprintln(in, line)
		}
	}()
	t.Cleanup(func() { guest.Close(); _ = sh.Wait() })
	return c
}

func TestRun(t *testing.T) {
	c := shell(t)
	for _, tc := range []struct {
		command, want, status string
	}{
		{"echo hello", "hello", ""},
		{"printf 'a\\nb'", "a\nb", ""},
		{"true", "", ""},
		{"echo no; false", "no", "1"},
		{"(exit 7)", "", "7"},
	} {
		got, err := c.Run(t.Context(), tc.command)
		var exit *ExitError
		status := ""
		if errors.As(err, &exit) {
			status = exit.Status
		} else if err != nil {
			t.Fatal(err)
		}
		if got != tc.want || status != tc.status {
			t.Errorf("Run(%q) = %q, status %q; want %q, status %q", tc.command, got, status, tc.want, tc.status)
		}
	}
}

func TestLogin(t *testing.T) {
	for _, tc := range []struct {
		name, password, want string
	}{
		{"right", "secret", ""},
		{"wrong", "guess", "the login was refused"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, guest := connect(t)
			go func() {
				in := bufio.NewReader(guest)
				answer := func(prompt string) string {
					io.WriteString(guest, prompt)
					s, _ := in.ReadString('\r')
					return strings.TrimSuffix(s, "\r")
				}
				answer("\r\nDebian 12 vm-a ttyS0\r\n\r\nvm-a login: ")
				user := answer("\r\n\r\nvm-a login: ")
				if user == "debian" && answer("Password: ") == "secret" {
					io.WriteString(guest, "\r\nLinux vm-a\r\n\x1b[?2004hdebian@vm-a:~$ ")
					return
				}
				io.WriteString(guest, "\r\nLogin incorrect\r\n")
			}()
			err := c.Login(t.Context(), "vm-a", "debian", tc.password)
			got := ""
			if err != nil {
				got = err.Error()
			}
			if tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
				t.Errorf("error = %q, want %q", got, tc.want)
			}
		})
	}
}

// TestLoginAfterAnother finds the shell that somebody has left, ends it, logs in and out.
func TestLoginAfterAnother(t *testing.T) {
	c, guest := connect(t)
	var typed []string
	done := make(chan struct{})
	go func() {
		defer close(done)
		in := bufio.NewReader(guest)
		for _, answer := range []string{"\r\ndebian@vm-a:~$ ", "\r\nlogout\r\n\r\nvm-a login: ", "Password: ", "\r\ndebian@vm-a:~$ ", "\r\nlogout\r\n\r\nvm-a login: "} {
			s, _ := in.ReadString('\r')
			typed = append(typed, strings.TrimSuffix(s, "\r"))
			io.WriteString(guest, answer)
		}
	}()
	if err := c.Login(t.Context(), "vm-a", "debian", "secret"); err != nil {
		t.Fatal(err)
	}
	if err := c.Logout(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-done
	if want := []string{"", "exit", "debian", "secret", "exit"}; !slices.Equal(typed, want) {
		t.Errorf("typed %q, want %q", typed, want)
	}
}

func TestFilter(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"plain", "a\tb\n", "a\tb\n"},
		{"carriage return", "a\r\nb\r\n", "a\nb\n"},
		{"colour", "[\x1b[0;32m  OK  \x1b[0m]", "[  OK  ]"},
		{"cursor", "\x1b[6n\x1b[2J\x1b[?2004h$ ", "$ "},
		{"title by bell", "\x1b]0;vm\x07$ ", "$ "},
		{"title by string end", "\x1b]0;vm\x1b\\$ ", "$ "},
		{"character set", "\x1b(Bx\x1b)0y", "xy"},
		{"save and restore", "\x1b7a\x1b8b", "ab"},
		{"rubbed out", "ab\b \bc", "ac"},
		{"no further than the line", "a\n\b\bb", "a\nb"},
		{"text beyond ASCII", "grün", "grün"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var whole, split filter
			if got := string(whole.append(nil, []byte(tc.in))); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			var out []byte
			for i := range len(tc.in) {
				out = split.append(out, []byte{tc.in[i]})
			}
			if string(out) != tc.want {
				t.Errorf("byte by byte: got %q, want %q", out, tc.want)
			}
		})
	}
}

func FuzzFilter(f *testing.F) {
	f.Add([]byte("\x1b[0;32mOK\x1b[0m\r\n"), 3)
	f.Add([]byte("\x1b]0;x\x1b\\a\b\b"), 5)
	f.Fuzz(func(t *testing.T, in []byte, at int) {
		var whole, split filter
		want := whole.append(nil, in)
		at = max(0, min(at, len(in)))
		got := split.append(split.append(nil, in[:at]), in[at:])
		if string(got) != string(want) {
			t.Errorf("split at %d: got %q, want %q", at, got, want)
		}
		for _, b := range got {
			if b < ' ' && b != '\n' && b != '\t' || b == 0x7f {
				t.Errorf("control character %#x in %q", b, got)
			}
		}
	})
}

// TestWaitShell has a guest that loses the beginning of what is typed while it boots, so that its shell waits for the end of a
// quotation until it is interrupted.
func TestWaitShell(t *testing.T) {
	c, guest := connect(t)
	go func() {
		lines := bufio.NewReader(guest)
		interrupted := false
		for {
			line, err := lines.ReadString('\r')
			if err != nil {
				return
			}
			if strings.Contains(line, "\x03") {
				interrupted = true
			}
			_, mark, is := strings.Cut(line, `echo "vp"start-`)
			if !interrupted || !is {
				io.WriteString(guest, "> ")
				continue
			}
			mark, _, _ = strings.Cut(mark, ";")
			fmt.Fprintf(guest, "vpstart-%s\r\nvpend-%s=0\r\n", mark, mark)
		}
	}()
	if err := c.WaitShell(within(t, time.Minute)); err != nil {
		t.Error(err)
	}
	mute, silent := connect(t)
	go io.Copy(io.Discard, silent)
	if err := mute.WaitShell(within(t, 50*time.Millisecond)); err == nil || !strings.Contains(err.Error(), "no shell on the console") {
		t.Errorf("of a guest that says nothing: %v", err)
	}
}
