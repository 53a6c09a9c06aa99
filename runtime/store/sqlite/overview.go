package sqlite

import (
	"context"

	"capf/runtime/store"
)

// Pending operations are counted by their partial indexes alone; phones by TLS version by reading them all.
const (
	countOpen  = `SELECT count(*) FROM operations WHERE ending = ''`
	countLate  = `SELECT count(*) FROM operations WHERE ending = '' AND completes_by < +?1`
	countByTLS = `SELECT last_tls, count(*) FROM phones GROUP BY last_tls`
)

// PhonesByTLS counts the phones by the TLS version of their last session, as `1.0`; "" for those that never
// had one. It reads all phones.
func (s *Store) PhonesByTLS(ctx context.Context) (map[string]int, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	counts := make(map[string]int)
	err := s.reads.Each(func(cursor store.Scanner) error {
		var version string
		var count int
		err := cursor.Scan(&version, &count)
		counts[version] = count
		return err
	}, countByTLS)
	return counts, err
}

// OpenOperations counts the operations that have not ended: all of them, and those whose deadline has
// passed, which read as expired and are ended soon.
func (s *Store) OpenOperations(ctx context.Context) (all, late int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, 0, err
	}
	if _, err := s.reads.First(store.Into(&all), countOpen); err != nil {
		return 0, 0, err
	}
	if _, err := s.reads.First(store.Into(&late), countLate, s.now().Unix()); err != nil {
		return 0, 0, err
	}
	return all, late, nil
}
