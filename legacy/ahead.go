package legacy

import "iter"

// Items are handed on at once when there are so many of them, or so many bytes in them.
const (
	aheadOf      = 256
	aheadOfBytes = 64 << 10
)

// Ahead has a sequence run beside whoever takes its items: a file is cut into lines while others of it are read. It
// runs ahead by four parts at most, of 256 items or some more than 64 KiB each; size gives the bytes of an item and may be
// nil, which stands for items that are small. What comes after an error is not asked for.
func Ahead[T any](items iter.Seq2[T, error], size func(T) int) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		parts, stop, done := make(chan []given[T], 2), make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			defer close(parts)
			fill(items, size, parts, stop)
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
func fill[T any](items iter.Seq2[T, error], size func(T) int, parts chan<- []given[T], stop <-chan struct{}) {
	part, bytes := make([]given[T], 0, aheadOf), 0
	for item, err := range items {
		part = append(part, given[T]{item, err})
		if size != nil {
			bytes += size(item)
		}
		if len(part) < aheadOf && bytes < aheadOfBytes && err == nil {
			continue
		}
		select {
		case parts <- part:
			part, bytes = make([]given[T], 0, aheadOf), 0
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
