package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"capf/runtime/capf"
	"capf/runtime/store"
)

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
