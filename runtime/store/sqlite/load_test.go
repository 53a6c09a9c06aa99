package sqlite

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"testing"

	"capf/runtime/capf"
	"capf/runtime/store"
	"capf/runtime/store/storetest"
)

// TestAhead: what is made comes in the order of the rows, up to the first of which nothing can be made.
func TestAhead(t *testing.T) {
	torn := errors.New("torn")
	for _, count := range []int{1, rowsAtOnce - 1, rowsAtOnce, rowsAtOnce + 1, 5*rowsAtOnce + 3} {
		rows := make([]int, count)
		for n := range rows {
			rows[n] = n
		}
		for _, bad := range []int{0, 1, rowsAtOnce - 1, rowsAtOnce, count - 1, count} {
			next, wait := ahead(rows, func(n *int) (string, error) {
				if *n == bad {
					return "", torn
				}
				return fmt.Sprint(*n), nil
			})
			for n := range min(bad, count) {
				if got, err := next(); got != fmt.Sprint(n) || err != nil {
					t.Fatalf("%d rows, bad %d: row %d is %q, %v", count, bad, n, got, err)
				}
			}
			if bad < count {
				for range 2 { // and it stays so
					if _, err := next(); !errors.Is(err, torn) {
						t.Errorf("%d rows, bad %d: the error is %v", count, bad, err)
					}
				}
			}
			wait()
		}
	}
}

// TestKindsOfStatements: rows come to the table as they were given, whichever of their columns are alike, and when there
// are more kinds of statements than are kept.
func TestKindsOfStatements(t *testing.T) {
	s := open(t)
	connection, err := s.bulkPool.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l := newLoader(s, connection)
	defer func() { s.loader = l; _ = s.endLoading() }()
	if _, err := l.checks.Exec(`CREATE TEMP TABLE bits (n INTEGER, b0, b1, b2, b3, b4, b5, b6)`); err != nil {
		t.Fatal(err)
	}
	const kinds = 2 * mostKept
	for kind := range kinds {
		_, err := l.writeSome(2, func(row int) error {
			values := make([]driver.Value, 8)
			values[0] = int64(2*kind + row)
			for bit := range 7 {
				values[bit+1] = int64(row & (kind >> bit))
			}
			return l.rows.insert(`INSERT INTO bits (n, b0, b1, b2, b3, b4, b5, b6) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`, values...)
		})
		if err != nil || len(l.rows.kept) > mostKept {
			t.Fatal(err, len(l.rows.kept))
		}
	}
	var right int
	_, err = l.checks.First(store.Into(&right), `SELECT count(*) FROM bits
		WHERE b0 + 2*b1 + 4*b2 + 8*b3 + 16*b4 + 32*b5 + 64*b6 = iif(n & 1, n >> 1, 0)`)
	if err != nil || right != 2*kinds {
		t.Errorf("%d of %d rows are right, %v", right, 2*kinds, err)
	}
}

// TestStagedAsGiven: whatever is alike in some rows and not in others, and however many are written at once, each phone
// has what was given.
func TestStagedAsGiven(t *testing.T) {
	s := open(t)
	const phones = 3*rowsAtOnce + 37
	records := addedRecords(0, phones)
	for n := range records {
		phone, last := records[n].Phone, records[n].Phone.Last
		vary := func(bit int) bool { return n/rowsAtOnce%2 == 0 && n%(bit+2) == 0 || n > 2*rowsAtOnce && n%64 == bit }
		if vary(0) {
			phone.Description = fmt.Sprint("Desk ", n)
		}
		if vary(1) {
			phone.AuthMode, last.AuthMode = capf.AuthByLSC, capf.AuthByLSC
		}
		if vary(2) {
			phone.KeySize = capf.RSA2048
		}
		if vary(3) {
			last.Detail = fmt.Sprint("detail ", n)
		}
		if vary(4) {
			records[n].Phone.Last = nil
		}
		records[n].Raw = fmt.Appendf(nil, "line %d", n)
	}
	want := slices.Clone(records)
	id := stageRun(t, s, "key", records)
	kept := len(s.loader.rows.kept)
	if kept == 0 || kept > mostKept {
		t.Errorf("%d statements are kept", kept)
	}
	if err := s.ApplyRun(t.Context(), id, capf.MigrationCounts{}); err != nil {
		t.Fatal(err)
	}
	if s.loader != nil {
		t.Error("statements are kept when nothing more is staged")
	}
	for n, record := range want {
		var got [6]string
		_, err := s.reads.First(store.Into(&got[0], &got[1], &got[2], &got[3], &got[4], &got[5]), `SELECT p.description, p.auth_mode, p.key_size, r.raw,
			coalesce(o.detail, 'none'), coalesce(o.auth_mode, 'none') FROM phones p JOIN import_records r ON r.id = p.imported
			LEFT JOIN operations o ON o.id = p.last_operation WHERE p.device = +?1`, record.Device)
		phone := record.Phone
		expected := [6]string{phone.Description, string(phone.AuthMode), string(phone.KeySize), string(record.Raw), "none", "none"}
		if phone.Last != nil {
			expected[4], expected[5] = phone.Last.Detail, string(phone.Last.AuthMode)
		}
		if err != nil || got != expected {
			t.Errorf("row %d is %q, %v; want %q", n, got, err, expected)
		}
	}
}

// TestStatementsGivenUp: what one batch could not write is not written with the next one.
func TestStatementsGivenUp(t *testing.T) {
	s := open(t)
	records := addedRecords(0, 10)
	id := stageRun(t, s, "key", records[:5])
	bad := slices.Clone(records)
	bad[8].Verdict = "new?"
	wantCode(t, storetest.Stage(t.Context(), s, id, bad), capf.CodeInvalid, "new?")
	if err := storetest.Stage(t.Context(), s, id, records); err != nil {
		t.Fatal(err)
	}
	rows, err := s.Staged(t.Context(), id)
	if err != nil || rows.Records != 10 || rows.Phones != 10 {
		t.Errorf("staged: %+v, %v", rows, err)
	}
}
