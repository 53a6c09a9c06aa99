package daemon

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"capf/runtime/capf"
)

// countedLooks is a store that has no list, and counts who asks.
type countedLooks struct {
	driftStore
	times []time.Time
}

func (c *countedLooks) Nodes(context.Context) ([]capf.Node, error) {
	c.times = append(c.times, time.Now())
	return nil, errors.New("no store")
}

// The first look comes soon after the start, the others in their interval, not quite in step.
func TestWhenTheServiceLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &countedLooks{}
		l := &looking{}
		d := &drift{store: store, every: time.Hour, metrics: l, log: slog.New(slog.DiscardHandler), clock: time.Now}
		ctx, end := context.WithTimeout(t.Context(), 100*time.Hour)
		defer end()
		begin := time.Now()
		if err := d.run(ctx); err != nil || time.Since(begin) != 100*time.Hour {
			t.Errorf("it ended after %v: %v", time.Since(begin), err)
		}
		if first := store.times[0].Sub(begin); first < 54*time.Second || first > 66*time.Second {
			t.Errorf("the first look is after %v", first)
		}
		gaps := map[time.Duration]bool{}
		for i, at := range store.times[1:] {
			gap := at.Sub(store.times[i])
			if gaps[gap] = true; gap < 54*time.Minute || gap > 66*time.Minute {
				t.Errorf("look %d is after %v", i+1, gap)
			}
		}
		if len(store.times) < 90 || len(gaps) < 50 {
			t.Errorf("%d looks in 100 hours, with %d intervals", len(store.times), len(gaps))
		}
	})
	off := &drift{every: 0}
	if err := off.run(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestSpread(t *testing.T) {
	for random, want := range map[float64]time.Duration{0: 9 * time.Second, 0.5: 10 * time.Second, 1: 11 * time.Second} {
		if got := spread(10*time.Second, random); got.Round(time.Millisecond) != want {
			t.Errorf("%v: %v", random, got)
		}
	}
}
