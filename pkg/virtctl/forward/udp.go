package forward

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

const (
	// maxDatagram is the largest that UDP has.
	maxDatagram = 65535
	// udpIdle is how long a sender may be silent, and hear nothing, before its stream is closed. UDP has no end of its own.
	udpIdle = 2 * time.Minute
	// udpWaiting is how many datagrams of one sender wait while its stream opens; further ones are lost, as UDP may.
	udpWaiting = 64
)

// datagrams forwards one UDP port: each local sender has a stream of its own, one datagram a frame.
type datagrams struct {
	*forwarder
	port forwarded
	conn net.PacketConn

	mu      sync.Mutex
	senders map[string]chan []byte
}

func newDatagrams(f *forwarder, p forwarded, conn net.PacketConn) *datagrams {
	return &datagrams{forwarder: f, port: p, conn: conn, senders: map[string]chan []byte{}}
}

func (d *datagrams) serve(ctx context.Context) error {
	buf := make([]byte, maxDatagram)
	for {
		n, from, err := d.conn.ReadFrom(buf)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("waiting for datagrams: %w", err)
		}
		data := append([]byte(nil), buf[:n]...)
		select {
		case d.sender(ctx, from) <- data:
		default:
			d.env.Trace(4, "lost a datagram of %s: its stream does not keep up", from)
		}
	}
}

// sender is the queue of a local sender, which gets a stream with its first datagram.
func (d *datagrams) sender(ctx context.Context, from net.Addr) chan []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	queue, ok := d.senders[from.String()]
	if !ok {
		queue = make(chan []byte, udpWaiting)
		d.senders[from.String()] = queue
		go func() {
			if err := d.carry(ctx, from, queue); err != nil && ctx.Err() == nil {
				d.env.Say("Datagrams to port %d: %v", d.port.remote, err)
			}
			d.mu.Lock()
			delete(d.senders, from.String())
			d.mu.Unlock()
		}()
	}
	return queue
}

func (d *datagrams) carry(ctx context.Context, from net.Addr, queue <-chan []byte) error {
	stream, err := d.open(ctx, d.port)
	if err != nil {
		return err
	}
	idle := time.AfterFunc(udpIdle, stream.Abort)
	defer idle.Stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			data, err := stream.Datagram()
			if err != nil {
				return
			}
			idle.Reset(udpIdle)
			if _, err := d.conn.WriteTo(data, from); err != nil {
				return
			}
		}
	}()
	defer stream.Abort()
	for {
		select {
		case <-done:
			return nil // silent for too long, or closed by the server: the next datagram begins anew
		case <-ctx.Done():
			return nil
		case data := <-queue:
			idle.Reset(udpIdle)
			if _, err := stream.Write(data); err != nil {
				return err
			}
		}
	}
}
