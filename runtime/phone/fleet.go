package phone

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"

	"capf/internal/plain"
	"capf/runtime/capf"
)

// Many phones, and their names.

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
	summary := Summary{Phones: len(f.Devices), NotRun: len(f.Devices), Operations: map[capf.Operation]int{}, TLSVersions: map[uint16]int{}}
	start := time.Now()
	var guard sync.Mutex
	failed := map[int]Outcome{}
	var durations []time.Duration
	forEach(ctx, len(f.Devices), f.Parallel, func(i int) {
		outcome := f.runOne(ctx, f.Devices[i])
		guard.Lock()
		defer guard.Unlock()
		if f.Finished != nil {
			f.Finished(outcome)
		}
		summary.add(outcome)
		if outcome.Err != nil {
			failed[i] = outcome
		} else {
			durations = append(durations, outcome.Duration)
		}
	})
	for _, i := range slices.Sorted(maps.Keys(failed)) {
		summary.Failed = append(summary.Failed, failed[i])
	}
	summary.Latency, summary.Elapsed = latencyOf(durations), time.Since(start)
	return summary
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

// add counts an outcome.
func (s *Summary) add(outcome Outcome) {
	s.NotRun--
	if outcome.Attempts > 1 {
		s.Retried++
	}
	if outcome.TLSVersion != 0 {
		s.TLSVersions[outcome.TLSVersion]++
	}
	if outcome.Err == nil {
		s.Succeeded++
		s.Operations[outcome.Operation]++
	}
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

// MaxDevices is the most devices of one sequence.
const MaxDevices = 1_000_000

// Sequence is count names of devices, from the first one counting up the MAC address by one. A single
// device may have any name.
func Sequence(first string, count int) ([]string, error) {
	name, err := capf.ParseDevice(first)
	if err != nil {
		return nil, err
	}
	if count < 1 || count > MaxDevices {
		return nil, fmt.Errorf("%d phones: give 1 to %d", count, MaxDevices)
	}
	digits, isMAC := capf.MAC(name)
	if !isMAC {
		if count == 1 {
			return []string{name}, nil
		}
		return nil, fmt.Errorf("%s has no MAC address to count up from: begin with SEP and 12 hex digits", name)
	}
	mac, err := strconv.ParseUint(digits, 16, 48)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if last := mac + uint64(count) - 1; last >= 1<<48 {
		return nil, fmt.Errorf("%d phones from %s on: the MAC addresses end at FFFFFFFFFFFF", count, name)
	}
	devices := make([]string, count)
	for i := range devices {
		devices[i] = fmt.Sprintf("SEP%012X", mac+uint64(i))
	}
	return devices, nil
}
