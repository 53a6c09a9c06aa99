package reset

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-multierror"

	"capf/runtime/capf"
)

// wayFunc is a way to reset phones.
type wayFunc func(ctx context.Context, device string) error

func (f wayFunc) Reset(ctx context.Context, device string) error { return f(ctx, device) }

func devices(count int) []string {
	names := make([]string, count)
	for i := range names {
		names[i] = fmt.Sprintf("SEP%012X", i)
	}
	return names
}

// A5: phones are reset in their order, so many a second, and not more than that even after a pause.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var at []time.Duration
		var guard sync.Mutex
		r := New(wayFunc(func(context.Context, string) error {
			guard.Lock()
			defer guard.Unlock()
			at = append(at, time.Since(begin))
			return nil
		}), 4, time.Second)
		if err := r.Reset(t.Context(), devices(5), nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if err := r.Reset(t.Context(), devices(2), nil); err != nil {
			t.Fatal(err)
		}
		want := []time.Duration{0, 250 * time.Millisecond, 500 * time.Millisecond, 750 * time.Millisecond, time.Second,
			61 * time.Second, 61*time.Second + 250*time.Millisecond}
		if !slices.Equal(at, want) {
			t.Errorf("resets at %v, want %v", at, want)
		}
	})
}

// Slow resets do not pile up.
func TestBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		running, most := 0, 0
		var guard sync.Mutex
		count := func(by int) {
			guard.Lock()
			defer guard.Unlock()
			running += by
			most = max(most, running)
		}
		r := New(wayFunc(func(ctx context.Context, _ string) error {
			count(1)
			defer count(-1)
			return capf.Wait(ctx, time.Minute)
		}), 1000, 2*time.Minute)
		if err := r.Reset(t.Context(), devices(50), nil); err != nil {
			t.Fatal(err)
		}
		if most != atOnce {
			t.Errorf("%d at once, not %d", most, atOnce)
		}
	})
}

// Failures are collected, each with its device; the rest goes on, and a phone that hangs is given up.
func TestFailuresAreNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(wayFunc(func(ctx context.Context, device string) error {
			switch device {
			case "SEP000000000001":
				return errors.New("no such phone")
			case "SEP000000000002":
				<-ctx.Done()
				return timeoutOr(ctx.Err())
			}
			return nil
		}), 100, time.Second)
		told := map[string]bool{}
		err := r.Reset(t.Context(), append(devices(4), "../x"), func(device string, err error) { told[device] = err == nil })
		var failures *multierror.Error
		if !errors.As(err, &failures) || len(failures.Errors) != 3 {
			t.Fatalf("failures: %v", err)
		}
		for _, want := range []string{`"SEP000000000001" was not reset: no such phone`, `"SEP000000000002" was not reset: it took longer`, `"../x" was not reset: device name`} {
			if !slices.ContainsFunc(failures.Errors, func(one error) bool {
				return strings.HasPrefix(one.Error(), want) && capf.HasCode(one, capf.CodeUnavailable)
			}) {
				t.Errorf("%q is missing in %v", want, failures.Errors)
			}
		}
		if len(told) != 5 || !told["SEP000000000000"] || told["SEP000000000001"] || !told["SEP000000000003"] {
			t.Errorf("told of %v", told)
		}
	})
}

// What the end of the context leaves over is named too.
func TestInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		count := 0
		r := New(wayFunc(func(context.Context, string) error { count++; return nil }), 1, time.Second)
		err := r.Reset(ctx, devices(6), nil)
		var failures *multierror.Error
		if !errors.As(err, &failures) || len(failures.Errors) != 3 || count != 3 || !errors.Is(failures.Errors[0], context.DeadlineExceeded) {
			t.Errorf("%d were reset, %v", count, err)
		}
	})
}
