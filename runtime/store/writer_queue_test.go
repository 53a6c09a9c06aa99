package store

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"capf/runtime/capf"
)

func TestAlone(t *testing.T) {
	w, pool := newTestWriter(t)
	release := holdWriter(t, w)
	var order []string
	note := func(word string) func(*Statements) error {
		return func(*Statements) error { order = append(order, word); return nil }
	}
	replies := make(chan error, 4)
	for i, hand := range []func() error{
		func() error { return w.Do(context.Background(), note("first")) },
		func() error {
			return w.Alone(context.Background(), func() error {
				order = append(order, "alone")
				_, err := pool.Exec(`INSERT INTO numbers (n) VALUES (1)`) // the write lock is free
				return err
			})
		},
		func() error { return w.Alone(context.Background(), func() error { panic("alone") }) },
		func() error { return w.Do(context.Background(), note("second")) },
	} {
		go func() { replies <- hand() }()
		waitFor(w, i+1)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	var failed []error
	for range 4 {
		if err := <-replies; err != nil {
			failed = append(failed, err)
		}
	}
	if len(failed) != 1 || !capf.HasCode(failed[0], capf.CodeInternal) {
		t.Errorf("failed: %v, want the panic only", failed)
	}
	if want := []string{"first", "alone", "second"}; !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
}

func TestClosedWriter(t *testing.T) {
	w, pool := newTestWriter(t)
	release := holdWriter(t, w)
	waiting := make(chan error, 1)
	go func() { waiting <- w.Do(context.Background(), add(1)) }()
	waitFor(w, 1)
	closed := make(chan error, 1)
	go func() { closed <- w.Close() }()
	for {
		if _, isClosed := w.waiting(); isClosed {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if err := w.Do(t.Context(), add(2)); !capf.HasCode(err, capf.CodeUnavailable) {
		t.Errorf("got %v from a closed store", err)
	}
	if err := errors.Join(release(), <-waiting, <-closed); err != nil {
		t.Error(err)
	}
	if got := numbers(t, pool); !slices.Equal(got, []int{1}) {
		t.Errorf("numbers %v, want what had been handed in", got)
	}
}

func TestExpectsCompany(t *testing.T) {
	w := &Writer{lonely: patience}
	gathered := 0
	for range 10 * probeEvery {
		if w.expectsCompany() {
			gathered++
		}
		w.lonely++
	}
	if gathered != 10 {
		t.Errorf("who writes alone waited for company %d times in %d, want 10", gathered, 10*probeEvery)
	}
	for w.lonely = 0; w.lonely < patience; w.lonely++ {
		if !w.expectsCompany() {
			t.Errorf("no company expected after %d groups of one", w.lonely)
		}
	}
}

// TestGather lets a member wait for others: it does so until there are enough, and no longer.
func TestGather(t *testing.T) {
	w, pool := newTestWriter(t)
	w.lonely = 0 // nobody has used it yet: the writer reads this with its first member
	replies := make(chan error, enough)
	for n := range enough {
		go func() { replies <- w.Do(context.Background(), add(n)) }()
	}
	for range enough {
		if err := <-replies; err != nil {
			t.Error(err)
		}
	}
	if got := len(numbers(t, pool)); got != enough {
		t.Errorf("%d numbers, want %d", got, enough)
	}
	if w.Commits() >= enough {
		t.Errorf("%d commits for %d members that arrived together: nobody waited", w.Commits(), enough)
	}
}
