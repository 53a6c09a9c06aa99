package session

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestLimiterInAllAndPerAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(3, 2, 10)
		for _, address := range []string{"a", "a", "b"} {
			if !l.acquire(t.Context(), address) {
				t.Fatalf("no place for %s", address)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if l.acquire(ctx, "c") || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.Error("a fourth place out of three")
		}
		l.release("b")
		ctx, cancel = context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if l.acquire(ctx, "a") {
			t.Error("a third place for one address out of two")
		}
		if !l.acquire(t.Context(), "c") {
			t.Error("the place that was given back is not there")
		}
	})
}

func TestLimiterLetsInTheFirstForWhomThereIsAPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(2, 1, 10)
		l.acquire(t.Context(), "a")
		l.acquire(t.Context(), "b")
		let := make(chan string, 2)
		for _, address := range []string{"a", "c"} {
			go func() {
				if l.acquire(t.Context(), address) {
					let <- address
				}
			}()
			synctest.Wait()
		}
		l.release("b")
		if got := <-let; got != "c" {
			t.Errorf("%s was let in while its address was full", got)
		}
		l.release("a")
		if got := <-let; got != "a" {
			t.Errorf("%s was let in", got)
		}
		l.release("a")
		l.release("c")
		if l.active != 0 || len(l.addresses) != 0 || len(l.waiting) != 0 {
			t.Errorf("left behind: %+v", l)
		}
	})
}

func TestLimiterBoundsTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(1, 0, 1)
		l.acquire(t.Context(), "a")
		ctx, cancel := context.WithCancel(t.Context())
		first := make(chan bool)
		go func() { first <- l.acquire(ctx, "b") }()
		synctest.Wait()
		if l.acquire(t.Context(), "c") {
			t.Error("a second one stands in line")
		}
		cancel()
		if <-first {
			t.Error("the first got a place that nobody gave back")
		}
	})
}
