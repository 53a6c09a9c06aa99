package sqlite

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"capf/runtime/capf"
	"capf/runtime/store"
	"capf/runtime/store/storetest"
)

// addedRecords gives records of phones that a run adds, so many from a number on. Every tenth is pending.
func addedRecords(from, count int) []storetest.Planned {
	records := make([]storetest.Planned, count)
	for n := range records {
		phone := capf.NewPhone(deviceName(from+n), capf.Parameters{})
		phone.Last = &capf.OperationRecord{Operation: capf.OperationInstall, AuthMode: capf.AuthByNullString, KeySize: capf.RSA1024, Ending: capf.EndingSuccess}
		if n%10 == 0 {
			phone.Last.Ending = capf.EndingNone
		}
		raw := []byte(phone.Device + ",install,...\r\n")
		records[n] = storetest.Planned{Phone: &phone, ImportRecord: capf.ImportRecord{Device: phone.Device, Machine: "pub", File: "CAPF.phone", Line: n + 2, Digest: capf.HexSHA256(raw), Raw: raw,
			Verdict: capf.VerdictNew}}
	}
	return records
}

func stageRun(t testing.TB, s *Store, key string, records []storetest.Planned) int64 {
	t.Helper()
	id, err := s.BeginRun(t.Context(), capf.MigrationRun{Key: key, By: "tester"})
	if err != nil {
		t.Fatal(err)
	}
	if err := storetest.Stage(t.Context(), s, id, records); err != nil {
		t.Fatal(err)
	}
	return id
}

// TestServiceBesideRun has sessions begin operations all the while that runs are staged and applied, through a store of
// their own as the service has: each is carried out.
func TestServiceBesideRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "capf.db")
	s, service := openAt(t, path, nil), openAt(t, path, nil)
	install, mode := capf.OperationInstall, capf.AuthByNullString
	device := deviceName(1)
	ref := apply(t, s, capf.PhoneChange{Device: device, Operation: &install, AuthMode: &mode})[0].Phone.Last.Ref
	ctx, stop := context.WithCancel(t.Context())
	var sessions sync.WaitGroup
	calls := 0
	sessions.Go(func() {
		for ; ctx.Err() == nil; calls++ {
			info := capf.SessionInfo{Instance: "here", Address: "192.0.2.7", TLS: "1.0", Started: time.Now()}
			if err := service.BeginOperation(context.Background(), device, ref, info); err != nil {
				t.Error(err)
				return
			}
			if phone, err := service.Phone(context.Background(), device); err != nil || phone.Last.Ref != ref {
				t.Error(phone.Last, err)
				return
			}
		}
	})
	for run := range 4 {
		id := stageRun(t, s, fmt.Sprint(run), addedRecords(1000*(run+1), 1000))
		if err := s.ApplyRun(t.Context(), id, capf.MigrationCounts{}); err != nil {
			t.Error(err)
		}
	}
	stop()
	sessions.Wait()
	var phones int
	if err := service.readPool.QueryRow(`SELECT count(*) FROM phones`).Scan(&phones); err != nil || phones != 4001 || calls == 0 {
		t.Errorf("%d phones after %d calls, %v", phones, calls, err)
	}
	checkWhole(t, s)
}

// checkWhole has SQLite look at the file, and at what refers to what.
func checkWhole(t *testing.T, s *Store) {
	t.Helper()
	for pragma, want := range map[string]string{"integrity_check": "ok", "foreign_key_check": ""} {
		rows, err := s.readPool.Query("PRAGMA " + pragma)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var text any
			columns, err := rows.Columns()
			if err != nil {
				t.Fatal(err)
			}
			into := make([]any, len(columns))
			into[0] = &text
			for i := range into[1:] {
				into[i+1] = new(any)
			}
			if err := rows.Scan(into...); err != nil || fmt.Sprint(text) != want {
				t.Errorf("%s: %v, %v", pragma, text, err)
			}
		}
	}
}

// TestNothingOfRunsIsLeft looks into the tables that only staging uses.
func TestNothingOfRunsIsLeft(t *testing.T) {
	s := open(t)
	id := stageRun(t, s, "key", addedRecords(0, 30))
	if err := s.ApplyRun(t.Context(), id, capf.MigrationCounts{}); err != nil {
		t.Fatal(err)
	}
	stageRun(t, s, "cleared", addedRecords(100, 30))
	if err := s.clearUnapplied(t.Context()); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]int{
		`SELECT count(*) FROM staged_phones`: 0, `SELECT count(*) FROM operations`: 30,
		`SELECT count(*) FROM import_records`: 30, `SELECT count(*) FROM migration_runs`: 1,
	} {
		var got int
		if _, err := s.reads.First(store.Into(&got), query); err != nil || got != want {
			t.Errorf("%s gives %d, %v; want %d", query, got, err, want)
		}
	}
}

// TestStagedAsGiven: each phone has what was given, in whichever transaction it was staged.
func TestStagedAsGiven(t *testing.T) {
	s := open(t)
	const phones = 2*rowsAtOnce + 37
	records := addedRecords(0, phones)
	for n := range records {
		phone, last := records[n].Phone, records[n].Phone.Last
		phone.Description, last.Detail = fmt.Sprint("Desk ", n), fmt.Sprint("detail ", n)
		if n%3 == 0 {
			phone.AuthMode, last.AuthMode = capf.AuthByLSC, capf.AuthByLSC
		}
		if n%5 == 0 {
			phone.KeySize = capf.RSA2048
		}
		if n%7 == 0 {
			phone.Last = nil
		}
		records[n].Raw = fmt.Appendf(nil, "line %d", n)
	}
	if err := s.ApplyRun(t.Context(), stageRun(t, s, "key", records), capf.MigrationCounts{}); err != nil {
		t.Fatal(err)
	}
	for n, record := range records {
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
	checkWhole(t, s)
}

// TestBatchIsWhole: of a batch that cannot be written nothing is, and it can be staged once more without what was wrong.
func TestBatchIsWhole(t *testing.T) {
	s := open(t)
	id := stageRun(t, s, "key", nil)
	records := addedRecords(0, 10)
	bad := slices.Clone(records)
	bad[8].Verdict = "new?"
	wantCode(t, storetest.Stage(t.Context(), s, id, bad), capf.CodeConflict, "refuses")
	if err := storetest.Stage(t.Context(), s, id, records); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"import_records", "staged_phones"} {
		if rows := texts(t, s.readPool, `SELECT count(*) || '' FROM `+table); rows[0] != "10" {
			t.Errorf("%s has %s rows, not 10", table, rows[0])
		}
	}
}
