package sqlite

import (
	"strings"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// Phones that a run adds are written, in short transactions, into a table beside the phones, of the same schema. The
// last one makes it the table of the phones: that takes as long for 200,000 phones as for one. Copying them would keep
// everybody else from writing for a second.
//
// All operations of a run are written where they belong, since they have many indexes. A run that is not applied keeps them
// out of the history, and one that will be pending is withdrawn until then, so that nobody carries it out or counts it.

const nextPhones = "phones_next"

const selectSchema = `SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = +?1`

// nextSchema gives the statement that makes the table beside the phones, and the one that it was made by: "" where it is
// not there.
func nextSchema(tx *store.Statements) (wanted, made string, err error) {
	var phones string
	if _, err := tx.First(store.Into(&phones), selectSchema, "phones"); err != nil {
		return "", "", err
	}
	at := strings.IndexByte(phones, '(')
	if at < 0 {
		return "", "", &capf.Error{Code: capf.CodeInternal, Message: "the schema of the phones cannot be read"}
	}
	_, err = tx.First(store.Into(&made), selectSchema, nextPhones)
	return "CREATE TABLE " + nextPhones + " " + phones[at:], made, err
}

// reserve sets IDs aside for the operations of a run that will be pending: they then lie close together in the file, and
// to make them pending writes few pages.
func reserve(tx *store.Statements, count int) (from, to int64, err error) {
	var highest int64
	if _, err := tx.First(store.Into(&highest), selectHighest); err != nil || count == 0 {
		return highest + 1, highest + 1, err
	}
	to = highest + 1 + int64(count)
	known, err := tx.Exec(`UPDATE sqlite_sequence SET seq = ?1 WHERE name = 'operations'`, to-1)
	if err == nil && known == 0 {
		_, err = tx.Exec(`INSERT INTO sqlite_sequence (name, seq) VALUES ('operations', ?1)`, to-1)
	}
	return highest + 1, to, err
}

// reservedIDs gives out the IDs that are set aside.
type reservedIDs struct{ next, end int64 }

func (o *reservedIDs) read(tx *store.Statements, run int64) error {
	_, err := tx.First(store.Into(&o.next, &o.end), `SELECT coalesce((SELECT max(id) + 1 FROM staged_operations
		WHERE id >= r.reserved_from AND id < r.reserved_to), r.reserved_from), r.reserved_to FROM migration_runs r WHERE id = +?1`, run)
	return err
}

const (
	insertOperation = `INSERT INTO operations (id, run, revision, device, operation, auth_mode, key_size, completes_by, created_at,
		created_by, ended_at, ended_by, ending, result, detail, serving)
		VALUES (?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '')`

	insertNewPhone = `INSERT INTO ` + nextPhones + ` (device, description, auth_mode, auth_string, key_size, security_mode, last_operation,
		lsc_known, mic, last_address, last_tls, result, result_mark, changes, imported)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, '', '', ?, 0, ?, ?)`
)

// The statements that make new phones visible.
const (
	// Deadlines count from when a run is applied. Where staging was taken up again much later, they move along.
	pendingOfRun = `UPDATE operations SET ending = '', created_at = created_at + ?1, completes_by = completes_by + ?1
		WHERE id IN (SELECT id FROM staged_operations)`

	// Attempts of before are not newer than the outcome. Those of devices that are no phones are few.
	marksOfRun = `UPDATE phones_next SET result_mark = (SELECT max(a.id) FROM attempts a WHERE a.device = phones_next.device)
		WHERE device IN (SELECT device FROM attempts WHERE known = 0)`

	newAttempts = `UPDATE attempts SET known = 1 WHERE known = 0 AND device IN (SELECT n.device FROM attempts a
		CROSS JOIN phones_next n ON n.device = a.device WHERE a.known = 0)`

	clearPending = `DELETE FROM staged_operations`
	moveOld      = `INSERT INTO phones_next SELECT * FROM phones`
	moveNew      = `INSERT INTO phones SELECT * FROM phones_next`
	dropOld      = `DROP TABLE phones`
	dropNext     = `DROP TABLE IF EXISTS phones_next`
	renameNext   = `ALTER TABLE phones_next RENAME TO phones`

	// Phones that were added since the run was planned; the shorter table is gone through.
	addedOfFew  = `SELECT n.device FROM phones p CROSS JOIN phones_next n ON n.device = p.device ORDER BY p.device LIMIT +?1`
	addedOfMany = `SELECT n.device FROM phones_next n CROSS JOIN phones p ON p.device = n.device ORDER BY n.device LIMIT +?1`
)

// resumedLate is how old staged rows are from which on deadlines are moved, in seconds.
const resumedLate = 3600

// newPhones says what is to be made visible. It is looked up before the lock is taken: counting takes a while.
type newPhones struct {
	run, started int64
	updated      int64 // phones that are there and change
	any          bool
	fewOld       bool // there are fewer phones now than are added
}

func (s *Store) newPhonesOf(run int64) (newPhones, error) {
	out := newPhones{run: run}
	_, err := s.reads.First(store.Into(&out.started, &out.updated),
		`SELECT started_at, (SELECT count(*) FROM staged_phones WHERE run = +?1) FROM migration_runs WHERE id = +?1`, run)
	if err != nil {
		return out, err
	}
	_, err = s.reads.First(store.Into(&out.any, &out.fewOld), `SELECT EXISTS (SELECT 1 FROM phones_next),
		EXISTS (SELECT 1 FROM phones_next LIMIT 1 OFFSET (SELECT count(*) FROM phones))`)
	return out, err
}

// gone names phones that are to be updated and are not there any more.
func (n newPhones) gone(tx *store.Statements) ([]string, error) {
	if n.updated == 0 {
		return nil, nil
	}
	return store.Collect(tx, scanText, selectGone, mostNamed)
}

// addedMeanwhile names phones that are there and should not be.
func (n newPhones) addedMeanwhile(tx *store.Statements, most int) ([]string, error) {
	query := addedOfMany
	if n.fewOld {
		query = addedOfFew
	}
	return store.Collect(tx, scanText, query, most)
}

// show makes the phones visible, and the operations of a run pending that are to be. Whichever phones are fewer are copied:
// those, or the ones there are.
func (n newPhones) show(tx *store.Statements, now int64) error {
	late := now - n.started
	if late < resumedLate {
		late = 0
	}
	if _, err := tx.Exec(pendingOfRun, late); err != nil {
		return err
	}
	steps := []string{marksOfRun, newAttempts, clearPending, moveNew, dropNext}
	switch {
	case !n.any:
		steps = []string{clearPending, dropNext}
	case n.fewOld:
		steps = []string{marksOfRun, newAttempts, clearPending, moveOld, dropOld, renameNext}
	}
	for _, step := range steps {
		if _, err := tx.Exec(step); err != nil {
			return err
		}
	}
	return nil
}
