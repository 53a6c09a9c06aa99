package migrate

import (
	"errors"
	"testing"
)

// TestEachAhead: all items come, in order; a failure of the store comes behind them, and one of the taker ends it.
func TestEachAhead(t *testing.T) {
	const count = 1000
	broken, full := errors.New("broken"), errors.New("full")
	for name, test := range map[string]struct {
		failure error // of the store, behind its last item
		most    int   // items that are taken
		want    error
	}{
		"all":               {nil, count, nil},
		"the store fails":   {broken, count, broken},
		"the taker is full": {broken, 700, full},
	} {
		next := 0
		err := eachAhead(func(yield func(int) error) error {
			for n := range count {
				if err := yield(n); err != nil {
					return err
				}
			}
			return test.failure
		}, nil, func(n int) error {
			if next == test.most {
				return full
			}
			if n != next {
				t.Fatalf("%s: item %d comes where %d should", name, n, next)
			}
			next++
			return nil
		})
		if !errors.Is(err, test.want) || next != test.most {
			t.Errorf("%s: %d items, %v; want %d, %v", name, next, err, test.most, test.want)
		}
	}
}
