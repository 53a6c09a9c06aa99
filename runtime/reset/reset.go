// Package reset has phones restart, so that they load their configuration and open their CAPF session. A
// phone cannot be reset over the CAPF protocol: its CallManager does it (or Asterisk, or a switch that cuts
// the power). How that one is asked, an administrator says in `[reset]` of the configuration: a command that
// is run without a shell, or a web request.
//
// That every installation needs a reset comes from the guide (B, Rules), that phones are to be disturbed a
// few at a time from A5.
package reset

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/go-multierror"
	"golang.org/x/time/rate"

	"capf/runtime/capf"
)

// Placeholder stands for the name of the device in the arguments of a command and in a URL.
const Placeholder = "{device}"

// atOnce bounds the resets that run at the same time, where each takes longer than the rate allows for.
const atOnce = 8

// Way has one phone reset; its error says in one line why it could not.
type Way interface {
	Reset(ctx context.Context, device string) error
}

// Resetter resets phones one by one, at a rate.
type Resetter struct {
	way     Way
	timeout time.Duration
	limiter *rate.Limiter

	clock func() time.Time
	sleep func(ctx context.Context, d time.Duration) error
}

// New makes a resetter of so many phones a second, each of which may take so long.
func New(way Way, perSecond float64, timeout time.Duration) *Resetter {
	return &Resetter{way: way, timeout: timeout, limiter: rate.NewLimiter(rate.Limit(perSecond), 1), clock: time.Now, sleep: capf.Wait}
}

// Reset has every device reset, in their order, and tells done about each, one at a time; done may be nil.
// It goes on after a failure and gives one error for each device that was not reset, those that the end of
// the context left over too.
func (r *Resetter) Reset(ctx context.Context, devices []string, done func(device string, err error)) error {
	var guard sync.Mutex
	var failures *multierror.Error
	finish := func(device string, err error) {
		guard.Lock()
		defer guard.Unlock()
		if err != nil {
			err = failed(device, err)
			failures = multierror.Append(failures, err)
		}
		if done != nil {
			done(device, err)
		}
	}
	places := make(chan struct{}, atOnce)
	var running sync.WaitGroup
	for _, device := range devices {
		if err := r.turn(ctx, places); err != nil {
			finish(device, err)
			continue
		}
		running.Go(func() {
			defer func() { <-places }()
			finish(device, r.one(ctx, device))
		})
	}
	running.Wait()
	return failures.ErrorOrNil()
}

// turn waits for the next place, and then until the rate allows one more.
func (r *Resetter) turn(ctx context.Context, places chan<- struct{}) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case places <- struct{}{}:
	}
	now := r.clock()
	if err := r.sleep(ctx, r.limiter.ReserveN(now, 1).DelayFrom(now)); err != nil {
		return err // the place is not given back: no other is taken after the end of the context
	}
	return nil
}

// one resets a device. Its name may have come from a file; it goes into a command or an address.
func (r *Resetter) one(ctx context.Context, device string) error {
	name, err := capf.ParseDevice(device)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	return r.way.Reset(ctx, name)
}

func failed(device string, err error) error {
	return &capf.Error{Code: capf.CodeUnavailable, Message: fmt.Sprintf("%.64q was not reset", device), Err: err}
}
