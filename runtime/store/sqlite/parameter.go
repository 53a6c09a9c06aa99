package sqlite

import (
	"context"
	"fmt"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// Parameters gives the parameters that were set.
func (s *Store) Parameters(ctx context.Context) (capf.Parameters, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	parameters := capf.Parameters{}
	err := s.reads.Each(func(cursor store.Scanner) error {
		var name, value string
		err := cursor.Scan(&name, &value)
		parameters[name] = value
		return err
	}, `SELECT name, value FROM parameters`)
	if err != nil {
		return nil, err
	}
	return parameters, nil
}

// SetParameter checks a value by the rules of its parameter and stores it. CodeInvalid where it cannot be.
func (s *Store) SetParameter(ctx context.Context, name, value, actor string) error {
	parameter, err := capf.FindParameter(name)
	if err != nil {
		return err
	}
	value, err = parameter.Normalise(value)
	if err != nil {
		return err
	}
	return s.writer.Do(ctx, func(tx *store.Statements) error {
		before := parameter.Default
		if _, err := tx.First(store.Into(&before), `SELECT value FROM parameters WHERE name = +?1`, name); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO parameters (name, value, changed_at, changed_by) VALUES (?1, ?2, ?3, ?4)
			ON CONFLICT (name) DO UPDATE SET value = excluded.value, changed_at = excluded.changed_at, changed_by = excluded.changed_by`,
			name, value, s.now().Unix(), actor)
		if err != nil {
			return err
		}
		return s.audit(tx, actor, "parameter set", name, fmt.Sprintf("from %q to %q", before, value))
	})
}
