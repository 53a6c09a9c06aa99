package phone

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"capf/internal/plain"
	"capf/runtime/capf"
)

// Fleet is many phones.
type Fleet struct {
	Devices  []string
	Parallel int // sessions at a time; less than 1 means 1
	// Prepare makes the phone of a device when its turn comes, and what gives its resources back, which may
	// be nil. It is called from several goroutines at once, and must be there.
	Prepare func(device string) (*Phone, func() error, error)
	// Finished is told each outcome, one at a time; may be nil.
	Finished func(Outcome)
}

// Summary is what came of a fleet.
type Summary struct {
	Phones      int
	Succeeded   int
	Failed      []Outcome // in the order of the devices
	NotRun      int       // those whose turn did not come before the context ended
	Retried     int       // phones that needed more than one attempt
	Operations  map[capf.Operation]int
	TLSVersions map[uint16]int
	Elapsed     time.Duration
	Latency     Latency // of those that succeeded
}

// Err is nil only if every phone got what it came for.
func (s *Summary) Err() error {
	if s.Succeeded == s.Phones {
		return nil
	}
	err := fmt.Errorf("%d of %s did not get what they asked for", s.Phones-s.Succeeded, plain.Counted(s.Phones, "phone"))
	if s.NotRun > 0 {
		err = fmt.Errorf("%w (%d were not run)", err, s.NotRun)
	}
	if len(s.Failed) > 0 {
		err = fmt.Errorf("%w, the first: %s: %w", err, s.Failed[0].Device, s.Failed[0].Err)
	}
	return err
}

// Latency is how long calls took from the first attempt to the end: that share of them took no longer.
type Latency struct {
	Half, NineTenths, NinetyNine, Longest time.Duration
}

// latencyOf sorts the durations.
func latencyOf(durations []time.Duration) Latency {
	if len(durations) == 0 {
		return Latency{}
	}
	slices.Sort(durations)
	share := func(part float64) time.Duration {
		return durations[int(math.Ceil(part*float64(len(durations))))-1]
	}
	return Latency{share(0.5), share(0.9), share(0.99), durations[len(durations)-1]}
}

// Run has every phone call its server, Parallel at a time. When the context ends, running sessions are
// broken off, and no other begins. Of an outcome only what the summary needs is kept.
func (f *Fleet) Run(ctx context.Context) Summary {
	gathered := gathering{Summary: Summary{Phones: len(f.Devices), NotRun: len(f.Devices),
		Operations: map[capf.Operation]int{}, TLSVersions: map[uint16]int{}}}
	start := time.Now()
	var guard sync.Mutex
	forEach(ctx, len(f.Devices), f.Parallel, func(i int) {
		outcome := f.runOne(ctx, f.Devices[i])
		guard.Lock()
		defer guard.Unlock()
		if f.Finished != nil {
			f.Finished(outcome)
		}
		gathered.add(i, outcome)
	})
	return gathered.finish(time.Since(start))
}

func (f *Fleet) runOne(ctx context.Context, device string) (outcome Outcome) {
	phone, release, err := f.Prepare(device)
	if err != nil {
		return Outcome{Device: device, Operation: capf.OperationNone, Err: err}
	}
	if release != nil {
		defer func() { outcome.Err = errors.Join(outcome.Err, release()) }()
	}
	return phone.Run(ctx)
}

// gathering is a summary that grows.
type gathering struct {
	Summary
	failed    []failure
	durations []time.Duration
}

// failure remembers the place of its device.
type failure struct {
	place   int
	outcome Outcome
}

func (g *gathering) add(place int, outcome Outcome) {
	g.NotRun--
	if outcome.Attempts > 1 {
		g.Retried++
	}
	if outcome.TLSVersion != 0 {
		g.TLSVersions[outcome.TLSVersion]++
	}
	if outcome.Err != nil {
		g.failed = append(g.failed, failure{place, outcome})
		return
	}
	g.Succeeded++
	g.Operations[outcome.Operation]++
	g.durations = append(g.durations, outcome.Duration)
}

func (g *gathering) finish(elapsed time.Duration) Summary {
	slices.SortFunc(g.failed, func(a, b failure) int { return cmp.Compare(a.place, b.place) })
	for _, one := range g.failed {
		g.Failed = append(g.Failed, one.outcome)
	}
	g.Latency, g.Elapsed = latencyOf(g.durations), elapsed
	return g.Summary
}

// forEach calls do for 0 to count-1, that many at a time, and begins no more once the context has ended.
func forEach(ctx context.Context, count, parallel int, do func(i int)) {
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(max(parallel, 1), max(count, 1)) {
		workers.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	defer workers.Wait()
	defer close(next)
	for i := range count {
		if ctx.Err() != nil {
			return
		}
		select {
		case next <- i:
		case <-ctx.Done():
			return
		}
	}
}
