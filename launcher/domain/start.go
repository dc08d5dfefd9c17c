package domain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/virtplane/virtplane/launcher/api"
	"github.com/virtplane/virtplane/launcher/qmp"
	"github.com/virtplane/virtplane/launcher/supervise"
)

// errStopped ends a start that somebody does not want any more.
var errStopped = api.Errorf(codes.FailedPrecondition, api.ReasonStopRequested, "the guest is being stopped")

// takeOverTime is how long Start waits for a QEMU that runs already: who asks afterwards is to hear of its guest at once.
const takeOverTime = 3 * time.Second

// Start finds out what is there, takes over a guest that runs, and watches from then on until ctx ends.
func (d *Domain) Start(ctx context.Context) error {
	status, err := d.Supervisor.Status(ctx)
	if err != nil {
		return fmt.Errorf("asking for the state of QEMU: %w", err)
	}
	d.mu.Lock()
	d.restarts = status.Restarts
	d.mu.Unlock()
	if status.QEMU == nil {
		// What an earlier launcher may have begun did not come to a guest.
		if err := removeRecord(d.StateFile); err != nil {
			return err
		}
	} else if err := d.recall(status.QEMU); err != nil {
		return err
	}
	go d.superviseEnd(ctx, status)
	if status.QEMU == nil || status.QEMU.Exit != nil {
		return nil
	}
	attached := make(chan struct{})
	go func() {
		d.attach(ctx)
		close(attached)
	}()
	select {
	case <-attached:
	case <-time.After(takeOverTime):
		d.Log.Warn("QEMU does not answer yet, serving with what was known of it before")
	case <-ctx.Done():
	}
	return nil
}

// recall reads what an earlier launcher knew. A guest whose record is lost is run on without it.
func (d *Domain) recall(q *supervise.Process) error {
	rec, err := loadRecord(d.StateFile)
	if err != nil {
		d.Log.Error("Could not read state of running guest", "err", err)
	}
	if rec.Guest == nil {
		rec.Guest = &Guest{UID: d.UID, Grace: 30 * time.Second}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rec, d.qemu, d.run = rec, q, rec.Run
	d.publish()
	d.Log.Info("Found QEMU running", "pid", q.PID, "uid", rec.Guest.UID)
	return nil
}

// attach takes over a QEMU that an earlier launcher has started.
func (d *Domain) attach(ctx context.Context) {
	release, err := d.exclusive(ctx)
	if err != nil {
		return
	}
	defer release()
	d.mu.Lock()
	guest := d.rec.Guest
	d.mu.Unlock()
	d.serveDHCP(ctx, guest, func(err error) { d.Log.Error("Could not serve DHCP again", "err", err) })
	d.serveMetrics(guest)
	for {
		mon, err := d.connect(ctx)
		if err == nil {
			err = d.resume(ctx, mon, guest)
		}
		if err == nil {
			d.Log.Info("Took over running guest")
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-d.ended:
			return
		case <-time.After(d.Times.Retry):
			d.Log.Warn("Could not take over running guest, trying again", "err", err)
		}
	}
}

// resume brings a guest that an earlier launcher may have left half started, or half rebooted, to where it belongs.
func (d *Domain) resume(ctx context.Context, mon *qmp.Client, guest *Guest) error {
	s, err := mon.QueryStatus(ctx)
	if err != nil {
		return err
	}
	d.mu.Lock()
	reboot, stop := d.rec.SoftReboot, !d.rec.StopBy.IsZero()
	d.mu.Unlock()
	switch {
	case stop:
	case s.Status == qmp.StatePrelaunch:
		if err := d.release(ctx, mon, guest); err != nil {
			return err
		}
	case s.Status == qmp.StateShutdown && reboot:
		if err := d.finishReboot(ctx, mon); err != nil {
			return err
		}
	}
	if stop {
		d.startStopper(ctx)
	}
	d.startThawer()
	return d.refresh(ctx, mon)
}

// Sync starts the guest of the request. If it runs already there is nothing to do: what the VMI may change while the
// guest runs is not built yet, and the API refuses the rest.
func (d *Domain) Sync(ctx context.Context, req *api.SyncRequest) error {
	release, err := d.exclusive(ctx)
	if err != nil {
		return err
	}
	defer release()
	d.mu.Lock()
	guest, started, ended := d.rec.Guest, d.qemu != nil, d.isEnded()
	d.mu.Unlock()
	switch {
	case ended:
		return api.Errorf(codes.FailedPrecondition, api.ReasonEnded, "the guest has ended; a launcher runs one guest in its life")
	case started:
		if err := d.sameGuest(req, guest); err != nil {
			return err
		}
		return d.ensure(ctx, guest)
	}
	// A start goes on when its caller is gone: the next call finds its result. But it goes on no longer than the caller would
	// have waited, so that what hangs does not keep everybody else away.
	bound, cancel := withinDeadline(ctx)
	defer cancel()
	ctx, abort := context.WithCancelCause(bound)
	defer abort(nil)
	d.set(func() { d.starting, d.abort, d.failure = true, abort, nil })
	err = d.start(ctx, req)
	d.set(func() { d.starting, d.abort, d.failure = false, nil, err })
	return err
}

// answerMargin is what is left of a caller's time for the answer, if that is less than a tenth.
const answerMargin = 2 * time.Second

// withinDeadline keeps the deadline of ctx without its cancellation, less the time in which the caller can still be told why.
func withinDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	free := context.WithoutCancel(ctx)
	by, ok := ctx.Deadline()
	if !ok {
		return free, func() {}
	}
	return context.WithDeadline(free, by.Add(-min(answerMargin, time.Until(by)/10)))
}

// ensure goes on with a start that was interrupted after QEMU had been started.
func (d *Domain) ensure(ctx context.Context, guest *Guest) error {
	d.mu.Lock()
	done := d.mon != nil && (guest.Paused || !d.rec.Started.IsZero())
	d.mu.Unlock()
	if done {
		return nil
	}
	mon, err := d.connect(ctx)
	if err == nil {
		err = d.resume(ctx, mon, guest)
	}
	return api.Wrap(d.blameQEMU(err), codes.Unavailable, api.ReasonUnavailable)
}

// set changes something and publishes the new state.
func (d *Domain) set(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
	d.publish()
}

func (d *Domain) sameGuest(req *api.SyncRequest, guest *Guest) error {
	uid, err := api.UIDOf(req)
	if err != nil {
		return err
	}
	if guest.UID != "" && uid != guest.UID {
		return api.Errorf(codes.FailedPrecondition, api.ReasonWrongInstance, "this launcher runs VMI %s, not %s", guest.UID, uid)
	}
	return nil
}

// start is the way from a VMI to a guest that runs.
func (d *Domain) start(ctx context.Context, req *api.SyncRequest) error {
	var guest *Guest
	var mon *qmp.Client
	err := runSteps(ctx, d.Log, []step{
		{"checking the VMI's identity", func(context.Context) error {
			uid, err := api.UIDOf(req)
			if err == nil && d.UID != "" && uid != d.UID {
				err = api.Errorf(codes.FailedPrecondition, api.ReasonWrongInstance, "this launcher was made for VMI %s, not %s", d.UID, uid)
			}
			return err
		}, nil},
		{"preparing disks and machine", func(ctx context.Context) (err error) {
			guest, err = d.Prepare(ctx, req)
			return err
		}, nil},
		{"recording the guest", func(context.Context) error {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.rec = record{Guest: guest}
			return saveRecord(d.StateFile, d.rec)
		}, func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			if d.qemu != nil {
				return // there is a QEMU to be remembered
			}
			d.rec = record{}
			if err := removeRecord(d.StateFile); err != nil {
				d.Log.Error("Could not undo start", "err", err)
			}
		}},
		{"serving DHCP", func(ctx context.Context) error {
			var errs []error
			d.serveDHCP(context.WithoutCancel(ctx), guest, func(err error) { errs = append(errs, err) })
			return api.Wrap(errors.Join(errs...), codes.Unavailable, api.ReasonNetworkUnavailable)
		}, d.closeServers},
		{"starting QEMU", func(ctx context.Context) error { return d.spawn(ctx, guest) }, nil},
		{"connecting to QEMU", func(ctx context.Context) (err error) {
			mon, err = d.connect(ctx)
			return err
		}, nil},
		{"letting the guest run", func(ctx context.Context) error { return d.release(ctx, mon, guest) }, nil},
	})
	if err != nil && context.Cause(ctx) == errStopped {
		err = errStopped
	}
	return api.Wrap(d.blameQEMU(err), codes.Unavailable, api.ReasonStartFailed)
}

// blameQEMU puts QEMU's last words in the place of an error that is only their consequence. A connection that breaks is
// heard of before the end of the process that has held it.
func (d *Domain) blameQEMU(err error) error {
	var refused *qmp.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused), errors.Is(err, errStopped), errors.Is(err, context.DeadlineExceeded):
	default:
		d.awaitEnd(d.Times.Quit)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.qemu == nil || d.qemu.Exit == nil {
		return err
	}
	_, reason, message := d.final()
	return api.Errorf(codes.FailedPrecondition, reason, "%s", message)
}

// awaitEnd waits for a while for the end of a QEMU that was started.
func (d *Domain) awaitEnd(most time.Duration) {
	d.mu.Lock()
	runs := d.qemu != nil && d.qemu.Exit == nil
	d.mu.Unlock()
	if !runs {
		return
	}
	select {
	case <-d.ended:
	case <-time.After(most):
	}
}

func (d *Domain) spawn(ctx context.Context, guest *Guest) error {
	d.spawning.Lock()
	defer d.spawning.Unlock()
	if ctx.Err() != nil || d.stopAsked() {
		return errStopped
	}
	// Whoever wants no guest any more must know whether there is one: the answer is waited for.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTime)
	defer cancel()
	s, err := d.Supervisor.Spawn(ctx, supervise.Spawn{
		Path: d.QEMU, Args: guest.Args, Serial: guest.Serial, GraceSeconds: int64(guest.Grace / time.Second), Helpers: guest.Helpers,
	})
	if err != nil {
		return err
	}
	d.set(func() { d.observeProcess(s.QEMU) })
	d.serveMetrics(guest)
	return nil
}

// serveMetrics begins to show the guest figures of its node, if it asks for them.
func (d *Domain) serveMetrics(guest *Guest) {
	if guest.Metrics == nil || d.ServeMetrics == nil {
		return
	}
	pid := func() int {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.qemu == nil || d.qemu.Exit != nil {
			return 0
		}
		return d.qemu.PID
	}
	s := d.ServeMetrics(*guest.Metrics, pid, d.QEMUVersion)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.servers = append(d.servers, s)
}

// observeProcess takes what the supervisor says of QEMU, but never takes its end back; mu is held.
func (d *Domain) observeProcess(q *supervise.Process) {
	if q != nil && !d.isEnded() {
		d.qemu = q
	}
}

// connect reaches QEMU's monitor and watches it from then on.
func (d *Domain) connect(ctx context.Context) (*qmp.Client, error) {
	d.connecting.Lock()
	defer d.connecting.Unlock()
	d.mu.Lock()
	there := d.mon
	d.mu.Unlock()
	if there != nil {
		return there, nil
	}
	ctx, cancel := context.WithTimeout(ctx, d.Times.Spawn)
	defer cancel()
	// A QEMU that has ended makes no socket any more.
	go func() {
		select {
		case <-d.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	mon, err := d.Dial(ctx)
	if err != nil {
		return nil, err
	}
	sub := mon.Subscribe(eventBuffer)
	machine, err := mon.MachineType(ctx)
	if err != nil {
		mon.Close()
		return nil, err
	}
	open, err := agentOpen(ctx, mon)
	if err != nil {
		mon.Close()
		return nil, err
	}
	d.mu.Lock()
	if d.connects == 0 {
		close(d.monReady)
	}
	d.connects++
	d.mon, d.machine, d.version = mon, machine, mon.Version().String()
	first := d.connects == 1
	d.mu.Unlock()
	d.agentChanged(open)
	go d.watch(mon, sub)
	if first {
		go d.pollAgent()
		go d.keepCredentials()
	}
	return mon, nil
}

// release sets up what QEMU's command line cannot say and lets the guest run, unless it was asked for paused.
func (d *Domain) release(ctx context.Context, mon *qmp.Client, guest *Guest) error {
	if err := d.pin(ctx, mon, guest.Pins); err != nil {
		return err
	}
	for _, drive := range guest.OpenTrays {
		if err := mon.OpenTray(ctx, drive); err != nil {
			return err
		}
	}
	if guest.Paused {
		return d.refresh(ctx, mon)
	}
	return d.letRun(ctx, mon, guest)
}

// letRun is the last thing before the guest runs.
func (d *Domain) letRun(ctx context.Context, mon *qmp.Client, guest *Guest) error {
	for _, card := range guest.LinksDown {
		if err := mon.SetLink(ctx, card, false); err != nil {
			return err
		}
	}
	d.mu.Lock()
	stop := !d.rec.StopBy.IsZero()
	if !stop {
		d.rec.Started, d.rec.Run = time.Now(), qmp.StateRunning
		d.save()
	}
	d.mu.Unlock()
	if stop {
		return errStopped // the stopper will end QEMU
	}
	if err := mon.Cont(ctx); err != nil {
		return err
	}
	return d.refreshResumed(ctx, mon)
}

// serveDHCP serves each interface that has a lease and tells of those for which it could not.
func (d *Domain) serveDHCP(ctx context.Context, guest *Guest, failed func(error)) {
	for _, i := range guest.Interfaces {
		if i.Lease == nil || i.Bridge == "" {
			continue
		}
		name := i.Name
		s, err := d.ServeDHCP(ctx, i.Bridge, *i.Lease, func(at time.Time, leftOut []string) {
			d.leased(name, at, leftOut)
		})
		if err != nil {
			failed(fmt.Errorf("interface %s: %w", name, err))
			continue
		}
		d.mu.Lock()
		d.servers = append(d.servers, s)
		d.mu.Unlock()
	}
}

func (d *Domain) closeServers() {
	d.mu.Lock()
	servers := d.servers
	d.servers = nil
	d.mu.Unlock()
	for _, s := range servers {
		closeQuietly(s)
	}
}

func closeQuietly(c io.Closer) { _ = c.Close() }
