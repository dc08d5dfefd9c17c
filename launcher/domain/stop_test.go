package domain

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/virtplane/virtplane/launcher/api"
	"github.com/virtplane/virtplane/launcher/supervise"
)

func TestShutdown(t *testing.T) {
	t.Run("guest heeds the button", func(t *testing.T) {
		w := newWorld(t)
		d := w.domain()
		mustSync(t, d)
		d.Shutdown(nil)
		awaitState(t, d, shutdown, api.ReasonGuestShutdown)
	})
	t.Run("guest hears it later", func(t *testing.T) {
		w := newWorld(t)
		w.deaf = true
		d := w.domain()
		mustSync(t, d)
		w.sent()
		d.Shutdown(nil)
		if e := awaitState(t, d, stopping, api.ReasonStopRequested); e.StopDeadline == nil {
			t.Errorf("stopping: %v", e)
		}
		if err := d.Pause(t.Context()); api.ReasonOf(err) != api.ReasonStopRequested {
			t.Errorf("Pause of a stopping guest: %v", err)
		}
		for presses := 0; presses < 3; presses += len(w.sent()) {
			time.Sleep(time.Millisecond)
		}
		w.mu.Lock()
		w.deaf = false
		w.mu.Unlock()
		awaitState(t, d, shutdown, api.ReasonGuestShutdown)
	})
	t.Run("deadline is only ever shortened", func(t *testing.T) {
		w := newWorld(t)
		w.deaf = true
		d := w.domain()
		mustSync(t, d)
		d.Shutdown(nil)
		first := awaitState(t, d, stopping, api.ReasonStopRequested).StopDeadline.AsTime()
		long := 100 * time.Hour
		d.Shutdown(&long)
		if e, _ := d.Current(); !e.StopDeadline.AsTime().Equal(first) {
			t.Errorf("deadline moved from %v to %v", first, e.StopDeadline.AsTime())
		}
		short := time.Duration(0)
		d.Shutdown(&short)
		awaitState(t, d, shutdown, api.ReasonGracePeriodExceeded)
		if len(w.signals) != 0 {
			t.Errorf("QEMU was sent %v", w.signals)
		}
	})
	t.Run("QEMU does not even quit", func(t *testing.T) {
		w := newWorld(t)
		w.deafToQuit = true
		d := w.domain()
		mustSync(t, d)
		if err := d.Kill(t.Context()); err != nil {
			t.Fatal(err)
		}
		awaitState(t, d, shutdown, api.ReasonKilled)
		if diff := cmp.Diff([]syscall.Signal{syscall.SIGKILL}, w.signals); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("monitor does not answer", func(t *testing.T) {
		w := newWorld(t)
		d := w.domain()
		mustSync(t, d)
		w.mu.Lock()
		w.mute["quit"], w.deafToQuit = true, true
		w.mu.Unlock()
		if err := d.Kill(t.Context()); err != nil {
			t.Fatal(err)
		}
		awaitState(t, d, shutdown, api.ReasonKilled)
	})
	t.Run("guest that never ran is killed at once", func(t *testing.T) {
		w := newWorld(t)
		d := w.domain(func(c *Config) {
			c.Prepare = func(context.Context, *api.SyncRequest) (*Guest, error) {
				g := aGuest()
				g.Paused = true
				return g, nil
			}
		})
		mustSync(t, d)
		awaitState(t, d, paused, api.ReasonPausedStartStrategy)
		d.Shutdown(nil)
		awaitState(t, d, shutdown, api.ReasonKilled)
	})
	t.Run("halted guest is let run", func(t *testing.T) {
		w := newWorld(t)
		d := w.domain()
		mustSync(t, d)
		if err := d.Pause(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.sent()
		d.Shutdown(nil)
		awaitState(t, d, shutdown, api.ReasonGuestShutdown)
		if diff := cmp.Diff([]string{"cont", "system_powerdown"}, w.sent()[:2]); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("pod is told to end", func(t *testing.T) {
		w := newWorld(t)
		d := w.domain()
		mustSync(t, d)
		if e, _ := d.Current(); e.PodTerminated {
			t.Errorf("before: %v", e)
		}
		w.terminate(time.Now().Add(time.Hour))
		if e := awaitState(t, d, shutdown, api.ReasonGuestShutdown); !e.PodTerminated {
			t.Errorf("last event: %v", e)
		}
	})
	t.Run("pod is told to end after the guest has ended", func(t *testing.T) {
		w := newWorld(t)
		d := w.domain()
		mustSync(t, d)
		w.mu.Lock()
		by := time.Now().Add(time.Hour)
		w.status.TerminateBy = &by
		w.exit(supervise.Exit{})
		w.mu.Unlock()
		if e := awaitState(t, d, shutdown, api.ReasonGuestShutdown); e.PodTerminated {
			t.Errorf("last event: %v", e)
		}
	})
}

func TestKillBeforeQEMU(t *testing.T) {
	t.Run("after a start that failed", func(t *testing.T) {
		w := newWorld(t)
		d := w.domain(func(c *Config) {
			c.Prepare = func(context.Context, *api.SyncRequest) (*Guest, error) {
				return nil, api.Errorf(9, api.ReasonImageTooLarge, "too large")
			}
		})
		if err := d.Sync(t.Context(), aRequest); err == nil {
			t.Fatal("the guest was started")
		}
		for range 2 {
			if err := d.Kill(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		<-d.Ended()
		awaitState(t, d, shutdown, api.ReasonImageTooLarge)
		want := supervise.Outcome{Reason: api.ReasonImageTooLarge, Message: "preparing disks and machine: too large"}
		if diff := cmp.Diff(want, d.Outcome()); diff != "" {
			t.Error(diff)
		}
		if err := d.Sync(t.Context(), aRequest); api.ReasonOf(err) != api.ReasonEnded {
			t.Errorf("Sync after the end: %v", err)
		}
	})
	// A start that does not heed its end, because a system call does not return, starts nothing afterwards.
	t.Run("during a start", func(t *testing.T) {
		w := newWorld(t)
		preparing, goOn := make(chan struct{}), make(chan struct{})
		d := w.domain(func(c *Config) {
			c.Prepare = func(context.Context, *api.SyncRequest) (*Guest, error) {
				close(preparing)
				<-goOn
				return aGuest(), nil
			}
		})
		done := make(chan error)
		go func() { done <- d.Sync(t.Context(), aRequest) }()
		<-preparing
		if err := d.Kill(t.Context()); err != nil {
			t.Fatal(err)
		}
		<-d.Ended()
		close(goOn)
		if err := <-done; api.ReasonOf(err) != api.ReasonStopRequested {
			t.Errorf("Sync: %v", err)
		}
		if len(w.spawned) != 0 {
			t.Error("QEMU was started")
		}
		if e := awaitState(t, d, shutdown, api.ReasonNotStarted); e.Message != "the guest was given up before it was started" {
			t.Errorf("last event: %v", e)
		}
	})
}

func TestSoftReboot(t *testing.T) {
	w := newWorld(t)
	d := w.domain()
	mustSync(t, d)
	w.sent()
	if err := d.SoftReboot(t.Context()); err != nil {
		t.Fatal(err)
	}
	await(t, d, "reset", func(e *api.Event) bool { return e.LastResetAt != nil && e.State == running })
	for range 1000 {
		if rec, _ := loadRecord(d.StateFile); !rec.SoftReboot {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if diff := cmp.Diff([]string{"set-action", "system_powerdown", "system_reset", "set-action", "cont"}, w.sent()); diff != "" {
		t.Error(diff)
	}
	// A stop that comes after a reboot was asked for wins over it.
	w.mu.Lock()
	w.deaf = true
	w.mu.Unlock()
	if err := d.SoftReboot(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	w.deaf = false
	w.mu.Unlock()
	d.Shutdown(nil)
	awaitState(t, d, shutdown, api.ReasonGuestShutdown)
}
