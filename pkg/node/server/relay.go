package server

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

const (
	bufferSize = 64 << 10
	// frameLimit bounds a frame of a client; stock clients send some 10 KiB.
	frameLimit = 1 << 20
	// quiet is how long a client must have sent nothing before a stream is closed whose guest has said its last word: what
	// is on its way to the guest is to get there.
	quiet = 50 * time.Millisecond
	// linger bounds the time in which a guest may take what it was sent last, and end its half of the connection.
	linger = 10 * time.Second
)

// form is how the guest's end of a stream behaves.
type form struct {
	// packets says that each read and each write of the guest's end is one datagram.
	packets bool
	// halves says that the directions end one by one.
	halves bool
}

// relay is one stream on its way.
type relay struct {
	client *websocket.Conn
	guest  net.Conn
	turn   *turn
	form   form

	pingEvery, pongWithin time.Duration
	// moved counts what got through in either direction: a client to which it does lives, though it may be too far behind
	// to have seen a ping.
	moved atomic.Int64
	// heard counts what came from the client.
	heard atomic.Int64
}

// ending is how the WebSocket is to be closed.
type ending struct {
	code   websocket.StatusCode
	reason string
}

// run copies both ways until one side ends or another client takes the turn, and says how it closed the WebSocket.
func (r *relay) run(ctx context.Context) (websocket.StatusCode, string) {
	r.client.SetReadLimit(frameLimit)
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	guestEnds, clientEnds, lost := make(chan ending, 1), make(chan ending, 1), make(chan ending, 1)
	wg.Go(func() { guestEnds <- r.fromGuest(ctx) })
	wg.Go(func() { clientEnds <- r.toGuest(ctx) })
	wg.Go(func() {
		if err := r.ping(ctx); err != nil {
			lost <- ending{websocket.StatusGoingAway, "the client does not answer"}
		}
	})
	var first ending
	finish := false
	select {
	case first = <-guestEnds:
		if r.form.halves && first.code == websocket.StatusNormalClosure {
			r.awaitQuiet(clientEnds, lost)
			finish = true
		}
	case first = <-clientEnds:
		finish = r.form.halves && first.code == websocket.StatusNormalClosure
		if first == errGuestGone.ending {
			first = r.guestsWord(guestEnds)
		}
	case first = <-lost:
	case reason := <-r.turn.evicted:
		first = ending{websocket.StatusGoingAway, reason}
	}
	// The guest's end is given free at once; its copier ends with it. The other copier reads the client's frames, and
	// with them the answer to our closing, and so must go on until that is done.
	if !finish {
		_ = r.guest.Close()
	}
	closed := make(chan struct{})
	go func() {
		_ = r.client.Close(first.code, first.reason)
		close(closed)
	}()
	if finish {
		<-closed
		r.part()
	}
	r.turn.release()
	<-closed
	cancel()
	_ = r.guest.Close()
	wg.Wait()
	return first.code, first.reason
}

// guestsWord is how the guest's end has ended, once what it had said before was passed on: that nothing can be written there
// is only the consequence.
func (r *relay) guestsWord(ends <-chan ending) ending {
	select {
	case end := <-ends:
		return end
	case <-time.After(time.Second):
		return errGuestGone.ending
	}
}

// awaitQuiet waits until the client has nothing more on its way.
func (r *relay) awaitQuiet(ends ...<-chan ending) {
	ticker := time.NewTicker(quiet)
	defer ticker.Stop()
	for before := r.heard.Load(); ; {
		select {
		case <-ends[0]:
			return
		case <-ends[1]:
			return
		case <-r.turn.evicted:
			return
		case <-ticker.C:
		}
		now := r.heard.Load()
		if now == before {
			return
		}
		before = now
	}
}

// part lets the guest have what the client sent last. Closing a connection with something unread in it would tell the other
// side to forget what is on its way.
func (r *relay) part() {
	half, ok := r.guest.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	_ = r.guest.SetReadDeadline(time.Now().Add(linger))
	_, _ = io.Copy(io.Discard, r.guest) // beside the copier, which has nobody left to give it to
}

func (r *relay) fromGuest(ctx context.Context) ending {
	buf := make([]byte, bufferSize)
	for {
		n, err := r.guest.Read(buf)
		if n > 0 || err == nil && r.form.packets {
			if err := r.client.Write(ctx, websocket.MessageBinary, buf[:n]); err != nil {
				return ending{websocket.StatusGoingAway, "the client is gone"}
			}
			r.moved.Add(1)
		}
		switch {
		case err == nil, r.form.packets && lostPacket(err):
		case errors.Is(err, io.EOF):
			return ending{websocket.StatusNormalClosure, ""}
		default:
			return ending{websocket.StatusInternalError, "the guest's end of the connection failed"}
		}
	}
}

func (r *relay) toGuest(ctx context.Context) ending {
	buf := make([]byte, bufferSize)
	for {
		kind, frame, err := r.client.Reader(ctx)
		if err != nil {
			return ending{websocket.StatusNormalClosure, ""}
		}
		switch {
		case kind != websocket.MessageBinary:
			_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, frame, buf)
		case r.form.packets:
			err = r.packet(frame, buf)
		default:
			err = r.bytes(frame, buf)
		}
		r.moved.Add(1)
		var end *endError
		switch {
		case errors.As(err, &end):
			return end.ending
		case err != nil:
			return ending{websocket.StatusNormalClosure, ""}
		}
	}
}

// endError ends a stream in a certain way.
type endError struct{ ending }

func (e *endError) Error() string { return e.reason }

var (
	errGuestGone = &endError{ending{websocket.StatusInternalError, "the guest's end of the connection failed"}}
	errTooLarge  = &endError{ending{websocket.StatusMessageTooBig, "a datagram holds at most 65507 bytes"}}
)

// bytes gives a frame to the guest as it comes.
func (r *relay) bytes(frame io.Reader, buf []byte) error {
	for {
		n, err := frame.Read(buf)
		if n > 0 {
			r.heard.Add(int64(n))
			if _, err := r.guest.Write(buf[:n]); err != nil {
				return errGuestGone
			}
			r.moved.Add(1)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// maxPacket is what a UDP datagram holds.
const maxPacket = 65507

// packet gives a frame to the guest in one piece.
func (r *relay) packet(frame io.Reader, buf []byte) error {
	n, err := io.ReadFull(frame, buf[:maxPacket+1])
	switch {
	case err == nil:
		return errTooLarge
	case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return err
	}
	r.heard.Add(int64(n))
	if _, err := r.guest.Write(buf[:n]); err != nil && !lostPacket(err) {
		return errGuestGone
	}
	return nil
}

// ping keeps proxies in between from ending an idle stream, and notices a client that has gone without a word. While bytes
// move there is nothing to ask.
func (r *relay) ping(ctx context.Context) error {
	ticker := time.NewTicker(r.pingEvery)
	defer ticker.Stop()
	before, alive := r.moved.Load(), time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if now := r.moved.Load(); now != before {
			before, alive = now, time.Now()
			continue
		}
		pingCtx, cancel := context.WithDeadline(ctx, alive.Add(max(r.pongWithin, r.pingEvery)+r.pingEvery))
		err := r.client.Ping(pingCtx)
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			alive = time.Now()
		case r.moved.Load() == before && time.Since(alive) >= r.pongWithin:
			return err
		}
	}
}
