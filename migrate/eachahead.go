package migrate

import (
	"errors"

	"capf/legacy"
)

// eachAhead takes the items that a store hands out, while it fetches the next ones. Their size is as for legacy.Ahead.
func eachAhead[T any](rows func(yield func(T) error) error, size func(T) int, take func(T) error) error {
	enough := errors.New("enough")
	for item, err := range legacy.Ahead(func(yield func(T, error) bool) {
		err := rows(func(item T) error {
			if !yield(item, nil) {
				return enough
			}
			return nil
		})
		if err != nil && !errors.Is(err, enough) {
			var none T
			yield(none, err)
		}
	}, size) {
		if err == nil {
			err = take(item)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
