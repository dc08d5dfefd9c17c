package vsock

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const waitFor = 10 * time.Second

// TestConnection goes over TCP: the kernel of a test host may have no VSOCK, and this package does not care.
func TestConnection(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	ctx, cancel := context.WithTimeout(t.Context(), waitFor)
	defer cancel()
	c, err := dial(ctx, unix.AF_INET, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: port}, Addr{3, 1024})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := c.RemoteAddr().Network() + " " + c.RemoteAddr().String(); got != "vsock 3:1024" {
		t.Errorf("remote address %s", got)
	}
	other, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	_ = other.SetDeadline(time.Now().Add(waitFor))
	if _, err := io.WriteString(c, "hello"); err != nil {
		t.Fatal(err)
	}
	if err := c.(*conn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(other); err != nil || string(got) != "hello" {
		t.Errorf("the guest read %q, %v", got, err)
	}
	if _, err := io.WriteString(other, "bye"); err != nil {
		t.Fatal(err)
	}
	other.Close()
	if got, err := io.ReadAll(c); err != nil || string(got) != "bye" {
		t.Errorf("read %q, %v", got, err)
	}
	// A read that waits ends with a deadline, as package net has it.
	if err := c.SetReadDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Error(err)
	}
}

func TestRefused(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	_, err = dial(t.Context(), unix.AF_INET, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: port}, Addr{})
	if !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("got %v", err)
	}
}

// TestDeadline is a guest that never answers: an address of documentation, to which nothing leads.
func TestDeadline(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	c, err := dial(ctx, unix.AF_INET, &unix.SockaddrInet4{Addr: [4]byte{192, 0, 2, 1}, Port: 9}, Addr{})
	if err == nil {
		c.Close()
		t.Skip("192.0.2.1 answers here")
	}
	if took := time.Since(began); took > waitFor {
		t.Errorf("took %s: %v", took, err)
	}
}

// TestNoGuest: an address that no guest has is refused, with or without VSOCK in the kernel.
func TestNoGuest(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), waitFor)
	defer cancel()
	if c, err := Dial(ctx, 4242, 1); err == nil {
		c.Close()
		t.Error("somebody answers")
	} else if ctx.Err() != nil {
		t.Errorf("no answer: %v", err)
	}
}
