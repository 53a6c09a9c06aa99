package migrate

import "iter"

// aheadOf is how many items are handed on at once.
const aheadOf = 256

// ahead has a sequence run beside whoever takes its items: a file is cut into records while others of it are judged. What
// comes after an error is not asked for.
func ahead[T any](items iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		parts, stop, done := make(chan []given[T], 2), make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			defer close(parts)
			fill(items, parts, stop)
		}()
		defer func() { <-done }()
		defer close(stop)
		for part := range parts {
			for _, one := range part {
				if !yield(one.item, one.err) {
					return
				}
			}
		}
	}
}

// given is what a sequence gives.
type given[T any] struct {
	item T
	err  error
}

// fill hands on all items, until it is told to stop.
func fill[T any](items iter.Seq2[T, error], parts chan<- []given[T], stop <-chan struct{}) {
	part := make([]given[T], 0, aheadOf)
	for item, err := range items {
		if part = append(part, given[T]{item, err}); len(part) < aheadOf && err == nil {
			continue
		}
		select {
		case parts <- part:
			part = make([]given[T], 0, aheadOf)
		case <-stop:
			return
		}
	}
	if len(part) == 0 {
		return
	}
	select {
	case parts <- part:
	case <-stop:
	}
}
