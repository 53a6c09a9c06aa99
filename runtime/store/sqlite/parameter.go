package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// Settings of the cluster, and what is traced.

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

// Traces gives what is traced, in the order of the subjects.
func (s *Store) Traces(ctx context.Context) ([]capf.TraceSetting, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return store.Collect(s.reads, scanTrace, `SELECT subject, level, changed_at, changed_by FROM traces ORDER BY subject`)
}

func scanTrace(cursor store.Scanner) (setting capf.TraceSetting, err error) {
	var at sql.NullInt64
	err = cursor.Scan(&setting.Subject, &setting.Level, &at, &setting.ChangedBy)
	setting.ChangedAt = store.Time(at)
	return setting, err
}

// SetTrace sets what is written down of a subject from now on; capf.TraceOff ends it. CodeInvalid for a
// level that it cannot have, CodeRefused beyond capf.MaxTraces devices.
func (s *Store) SetTrace(ctx context.Context, subject string, level capf.TraceLevel, actor string) error {
	if err := (capf.TraceSetting{Subject: subject, Level: level}).Validate(); err != nil {
		return err
	}
	return s.writer.Do(ctx, func(tx *store.Statements) error {
		if err := s.writeTrace(tx, subject, level, actor); err != nil {
			return err
		}
		return s.audit(tx, actor, "trace set", subject, "level "+string(level))
	})
}

func (s *Store) writeTrace(tx *store.Statements, subject string, level capf.TraceLevel, actor string) error {
	if level == capf.TraceOff {
		_, err := tx.Exec(`DELETE FROM traces WHERE subject = +?1`, subject)
		return err
	}
	var others int
	_, err := tx.First(store.Into(&others), `SELECT count(*) FROM traces WHERE subject NOT IN (?1, ?2, ?3)`,
		subject, capf.TraceAll, capf.TraceService)
	if err != nil {
		return err
	}
	if others >= capf.MaxTraces && subject != capf.TraceAll && subject != capf.TraceService {
		return &capf.Error{Code: capf.CodeRefused, Message: fmt.Sprintf("%d devices are traced already", others),
			Hint: "set some of them to off, or trace `all`"}
	}
	_, err = tx.Exec(`INSERT INTO traces (subject, level, changed_at, changed_by) VALUES (?1, ?2, ?3, ?4)
		ON CONFLICT (subject) DO UPDATE SET level = excluded.level, changed_at = excluded.changed_at, changed_by = excluded.changed_by`,
		subject, string(level), s.now().Unix(), actor)
	return err
}
