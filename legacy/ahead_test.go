package legacy

import (
	"errors"
	"iter"
	"slices"
	"testing"
)

// countTo gives numbers up to one, and an error at its end if one is given; ended tells that it was let go.
func countTo(last int, failure error, ended *bool) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		defer func() { *ended = true }()
		for n := range last {
			if !yield(n, nil) {
				return
			}
		}
		if failure != nil {
			yield(0, failure)
		}
	}
}

// TestAhead: the same items come in the same order, however many they are and wherever somebody has had enough.
func TestAhead(t *testing.T) {
	failure := errors.New("torn")
	for _, count := range []int{0, 1, aheadOf - 1, aheadOf, aheadOf + 1, 10 * aheadOf} {
		for _, enough := range []int{1, aheadOf, count, count + 1} {
			for _, at := range []error{nil, failure} {
				var want, got []int
				var wantErr, gotErr error
				ended := false
				take(countTo(count, at, new(bool)), enough, &want, &wantErr)
				take(Ahead(countTo(count, at, &ended), nil), enough, &got, &gotErr)
				if !slices.Equal(got, want) || gotErr != wantErr || !ended {
					t.Errorf("of %d, enough after %d, error %v: %d items, %v, ended %t; want %d, %v", count, enough, at, len(got), gotErr, ended, len(want), wantErr)
				}
			}
		}
	}
}

func take(items iter.Seq2[int, error], enough int, into *[]int, failed *error) {
	for item, err := range items {
		if err != nil {
			*failed = err
			return
		}
		if *into = append(*into, item); len(*into) == enough {
			return
		}
	}
}

// TestAheadInBytes: large items are handed on before there are many of them, so that few are held.
func TestAheadInBytes(t *testing.T) {
	const last, most = 100, 10
	made, taken := make(chan int, last), 0
	items := func(yield func([]byte, error) bool) {
		for n := range last {
			made <- n
			if !yield(make([]byte, aheadOfBytes/2), nil) {
				return
			}
		}
	}
	for item, err := range Ahead(items, func(item []byte) int { return len(item) }) {
		if err != nil || len(item) != aheadOfBytes/2 {
			t.Fatal(len(item), err)
		}
		if taken++; len(made) > taken+most {
			t.Fatalf("%d items are made when %d are taken", len(made), taken)
		}
	}
	if taken != last {
		t.Errorf("%d items of %d", taken, last)
	}
}
