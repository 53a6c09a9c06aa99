package sqlite

import (
	"context"
	"fmt"
	"path/filepath"
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
	id, err := s.BeginRun(t.Context(), capf.MigrationRun{Key: key, Basis: key, By: "tester", Counts: capf.MigrationCounts{Pending: len(records) / 10}})
	if err != nil {
		t.Fatal(err)
	}
	if err := storetest.Stage(t.Context(), s, id, records); err != nil {
		t.Fatal(err)
	}
	return id
}

// TestServiceBesideRun has sessions begin operations all the while that runs are staged and applied, through a store of
// their own as the service has: each is carried out, also when the table of the phones is another one after the run.
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

// checkWhole has SQLite look at the file, and at what refers to what: staging does not have that looked at.
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

// TestStagedUnderOlderSchema: a later schema of the phones is not what was staged with.
func TestStagedUnderOlderSchema(t *testing.T) {
	s := open(t)
	id := stageRun(t, s, "key", addedRecords(0, 3))
	if _, err := s.bulkPool.Exec(`ALTER TABLE phones ADD COLUMN later TEXT NOT NULL DEFAULT ''`); err != nil {
		t.Fatal(err)
	}
	next := stageRun(t, s, "key", addedRecords(0, 3))
	if next == id {
		t.Fatal("the run goes on with the table of an older schema")
	}
	if err := s.ApplyRun(t.Context(), next, capf.MigrationCounts{}); err != nil {
		t.Fatal(err)
	}
	var later string
	if err := s.readPool.QueryRow(`SELECT group_concat(later, '-') FROM phones`).Scan(&later); err != nil || later != "--" {
		t.Errorf("column %q, %v", later, err)
	}
	checkWhole(t, s)
}

// TestSchemaStays: after runs in both ways the phones have the schema that they began with.
func TestSchemaStays(t *testing.T) {
	s := open(t)
	before, _, err := nextSchema(s.reads)
	if err != nil {
		t.Fatal(err)
	}
	for run, count := range []int{5, 2, 20} {
		id := stageRun(t, s, fmt.Sprint(run), addedRecords(100*run, count))
		if err := s.ApplyRun(t.Context(), id, capf.MigrationCounts{}); err != nil {
			t.Fatal(err)
		}
		after, left, err := nextSchema(s.reads)
		if err != nil || after != before || left != "" {
			t.Errorf("schema %s, left %q, %v; want %s", after, left, err, before)
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
		`SELECT count(*) FROM staged_operations`: 0, `SELECT count(*) FROM staged_phones`: 0, `SELECT count(*) FROM operations`: 30,
		`SELECT count(*) FROM import_records`: 30, `SELECT count(*) FROM migration_runs`: 1,
		`SELECT count(*) FROM sqlite_schema WHERE name = 'phones_next'`: 0,
	} {
		var got int
		if _, err := s.reads.First(store.Into(&got), query); err != nil || got != want {
			t.Errorf("%s gives %d, %v; want %d", query, got, err, want)
		}
	}
}

// BenchmarkStageRun stages many new phones and makes them visible, and reports for how long the one transaction has the
// write lock that makes them visible, but for the flush.
func BenchmarkStageRun(b *testing.B) {
	const phones = 100_000
	records := addedRecords(0, phones)
	for b.Loop() {
		s := open(b)
		id := stageRun(b, s, "key", records)
		added, err := s.prepareApply(b.Context(), id)
		if err != nil {
			b.Fatal(err)
		}
		begin := time.Now()
		err = s.writer.Do(b.Context(), func(tx *store.Statements) error { return added.show(tx, begin.Unix()) })
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(time.Since(begin).Microseconds())/1000, "show-ms")
	}
}

// TestCheckpoints: whoever writes much has the WAL copied beside, waits for it once it is long, and leaves nothing in it.
func TestCheckpoints(t *testing.T) {
	s := open(t)
	s.checkpoints.end() // of nothing
	left := func() (pages, copied int) {
		var busy int
		if err := s.bulkPool.QueryRow(`PRAGMA wal_checkpoint(NOOP)`).Scan(&busy, &pages, &copied); err != nil {
			t.Fatal(err)
		}
		return pages, copied
	}
	stageRun(t, s, "key", addedRecords(0, 500))
	if pages, copied := left(); pages == 0 || copied == pages {
		t.Errorf("of %d pages %d are copied while little was written", pages, copied)
	}
	s.checkpoints.length.Store(longWAL + 1)
	s.checkpoints.written()
	if pages, copied := left(); copied != pages || s.checkpoints.length.Load() != 0 {
		t.Errorf("of %d pages of a long WAL %d are copied", pages, copied)
	}
	stageRun(t, s, "other", addedRecords(0, 500))
	for range 3 * checkpointEvery {
		s.checkpoints.written()
	}
	s.checkpoints.end()
	if pages, copied := left(); copied != pages {
		t.Errorf("of %d pages %d are copied in the end", pages, copied)
	}
	stageRun(t, s, "key", addedRecords(0, 5)) // begins anew
	s.checkpoints.end()
	s.checkpoints.end()
}
