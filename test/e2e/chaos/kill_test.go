package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/virtplane/virtplane/test/e2e/harness"
)

const (
	churning = 10
	// settleLimit is how long the system may take to be whole and at rest after the last kill.
	settleLimit = 5 * time.Minute
	defaultSeed = 1
)

// moment is one kill, some time after the one before.
type moment struct {
	victim victim
	after  time.Duration
}

// session is a row of moments, at whose end everything must be as it should.
type session struct {
	name    string
	moments []moment
}

// sessions plans the kills: two of each program in one row, mixed, or a row for each program when more are asked for.
func sessions(moments int, seed uint64) []session {
	r := rand.New(rand.NewPCG(seed, 0))
	after := func() time.Duration { return 500*time.Millisecond + time.Duration(r.Int64N(int64(6*time.Second))) }
	if moments == 0 {
		mixed := session{name: "each"}
		for range 2 {
			for _, v := range victims {
				mixed.moments = append(mixed.moments, moment{v, after()})
			}
		}
		r.Shuffle(len(mixed.moments), func(i, j int) { mixed.moments[i], mixed.moments[j] = mixed.moments[j], mixed.moments[i] })
		return []session{mixed}
	}
	var all []session
	for _, v := range victims {
		s := session{name: v.name}
		for range moments {
			s.moments = append(s.moments, moment{v, after()})
		}
		all = append(all, s)
	}
	return all
}

func number(t *testing.T, variable string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}

// TestKills kills programs while ten machines start and stop and two others run all the time. VIRTPLANE_CHAOS_MOMENTS is how
// often each program is killed, VIRTPLANE_CHAOS_SEED chooses the moments.
func TestKills(t *testing.T) {
	s := newSite(t)
	seed := number(t, "VIRTPLANE_CHAOS_SEED", defaultSeed)
	t.Logf("seed %d", seed)

	var steady, names []string
	for _, node := range s.Nodes(t) {
		name := "steady-" + node
		s.Apply(t, s.ns, harness.Instance{NodeName: node}.VM(name, "Always"))
		steady = append(steady, name)
	}
	for i := range churning {
		name := fmt.Sprintf("churn-%d", i)
		s.Apply(t, s.ns, harness.Instance{Null: true, Network: i%2 == 0}.VM(name, "Halted"))
		names = append(names, name)
	}
	g := newGuards(s)
	boots := map[string]string{}
	for _, name := range steady {
		s.WaitVMI(t, s.ns, name, "running", harness.BootLimit, harness.Running)
		id, err := s.bootID(t.Context(), name, harness.BootLimit)
		if err != nil {
			t.Fatal(err)
		}
		boots[name] = id
		if err := g.protect(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	l := newLedger(s)
	background, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { g.watch(background) })
	wg.Go(func() { l.write(background) })
	defer func() { stop(); wg.Wait() }()

	m := &machines{s: s, guards: g, runs: map[string]bool{}}
	for i, session := range sessions(int(number(t, "VIRTPLANE_CHAOS_MOMENTS", 0)), seed) {
		ok := t.Run(session.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, uint64(1000+i)))
			rest := m.start(t.Context(), names, seed+uint64(i))
			rested := false
			defer func() {
				if !rested {
					_ = rest() // the failure that brought us here is told already
				}
			}()
			for n, moment := range session.moments {
				s.strike(t, r, moment, fmt.Sprintf("%d/%d", n+1, len(session.moments)))
			}
			last := time.Now()
			rested = true
			if err := rest(); err != nil {
				t.Errorf("%v", err)
			}
			if err := s.waitWhole(t.Context(), backLimit); err != nil {
				t.Errorf("%v", err)
			}
			settled, cancel := context.WithTimeout(t.Context(), settleLimit)
			defer cancel()
			if err := m.resting(settled, steady...); err != nil {
				t.Errorf("%v", err)
			}
			for _, broken := range g.verdict() {
				t.Error(broken)
			}
			for _, name := range steady {
				id, err := s.bootID(settled, name, time.Minute)
				if err != nil || id != boots[name] {
					t.Errorf("guest %s: boot id %q, %v; it was %q", name, id, err, boots[name])
				}
			}
			writes, lost, err := l.verdict(settled)
			if err != nil {
				t.Errorf("reading the ledger: %v", err)
			}
			for _, what := range lost {
				t.Error(what)
			}
			t.Logf("all is well %s after the last kill; %d writes confirmed so far", time.Since(last).Round(time.Second), writes)
		})
		if !ok {
			t.Log(s.Dump(s.ns))
			return // what follows would only repeat it
		}
	}
}

// strike waits for the moment and kills; an instance that is down already is waited for.
func (s *site) strike(t *testing.T, r *rand.Rand, m moment, count string) {
	t.Helper()
	select {
	case <-t.Context().Done():
		return
	case <-time.After(m.after):
	}
	ctx, cancel := context.WithTimeout(t.Context(), backLimit)
	defer cancel()
	began := time.Now()
	var whom string
	err := poll(ctx, m.victim.name+" to run, in order to kill it", func() (err error) {
		whom, err = m.victim.kill(ctx, s, r)
		return err
	})
	if err != nil {
		t.Errorf("moment %s: %v", count, err)
		return
	}
	t.Logf("%s moment %s: killed %s after %s%s", time.Now().Format(time.TimeOnly), count, m.victim.name, m.after.Round(time.Millisecond), waited(began)+" "+whom)
}

func waited(since time.Time) string {
	if d := time.Since(since); d > time.Second {
		return fmt.Sprintf(" and %s until it ran:", d.Round(time.Second))
	}
	return ":"
}
