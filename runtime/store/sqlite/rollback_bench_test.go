package sqlite

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"capf/runtime/capf"
	"capf/runtime/store/storetest"
)

// benchStaged stages a run of so many phones, each pending by a string: new ones, or others of those that are there.
func benchStaged(b *testing.B, s *Store, key string, phones int, verdict capf.Verdict) int64 {
	b.Helper()
	ctx := context.Background()
	id, err := s.BeginRun(ctx, capf.MigrationRun{Key: key, By: "bench", Counts: capf.MigrationCounts{Pending: phones}})
	if err != nil {
		b.Fatal(err)
	}
	digits, err := capf.ParseAuthenticationString("12345678")
	if err != nil {
		b.Fatal(err)
	}
	records := make([]storetest.Planned, phones)
	for n := range records {
		phone := capf.NewPhone(deviceName(n), capf.Parameters{})
		phone.Description, phone.AuthString = key, digits
		phone.Last = &capf.OperationRecord{Operation: capf.OperationInstall, AuthMode: capf.AuthByString, KeySize: capf.RSA1024,
			CompletesBy: time.Now().AddDate(0, 0, 10)}
		records[n] = storetest.Planned{ImportRecord: capf.ImportRecord{Device: phone.Device, Verdict: verdict}, Phone: &phone}
	}
	if err := storetest.Stage(ctx, s, id, records); err != nil {
		b.Fatal(err)
	}
	return id
}

// busySession is a phone of the service that no run touches, in a store of its own.
type busySession struct {
	*Store
	device string
	ref    capf.OperationRef
}

func newBusySession(b *testing.B, path string) *busySession {
	b.Helper()
	// It waits for as long as it takes, so that this is measured.
	open, err := Open(b.Context(), Options{Path: path, Create: true, BusyTimeout: time.Minute})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = open.Close() })
	s := &busySession{Store: open, device: "SEPFFFFFFFFFFFF"}
	install, mode := capf.OperationInstall, capf.AuthByNullString
	changed, err := s.ApplyChanges(b.Context(), capf.ApplyUpsert, []capf.PhoneChange{{Device: s.device, Operation: &install, AuthMode: &mode}},
		capf.ChangeContext{Actor: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	s.ref = changed[0].Phone.Last.Ref
	return s
}

// beside has the session begin its operation over and over while work is done, and gives how long work took and the
// longest time that the session waited.
func (s *busySession) beside(b *testing.B, work func()) (took, waited time.Duration) {
	b.Helper()
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan time.Duration)
	go func() {
		longest := time.Duration(0)
		for ctx.Err() == nil {
			begin := time.Now()
			info := capf.SessionInfo{Instance: "bench", Address: "192.0.2.7", TLS: "1.0", Started: begin}
			if err := s.BeginOperation(context.Background(), s.device, s.ref, info); err != nil {
				b.Error(err)
			}
			longest = max(longest, time.Since(begin))
		}
		done <- longest
	}()
	begin := time.Now()
	work()
	took = time.Since(begin)
	stop()
	return took, <-done
}

// BenchmarkRollback applies a run and rolls it back, beside a session. It reports how long each takes, and the longest
// time for which the session waits for what it writes.
func BenchmarkRollback(b *testing.B) {
	for _, phones := range []int{200_000} {
		for _, verdict := range []capf.Verdict{capf.VerdictNew, capf.VerdictUpdated} {
			b.Run(fmt.Sprintf("%d %s", phones, verdict), func(b *testing.B) { benchRollback(b, phones, verdict) })
		}
	}
}

func benchRollback(b *testing.B, phones int, verdict capf.Verdict) {
	path := filepath.Join(b.TempDir(), "capf.db")
	s, session := openAt(b, path, nil), newBusySession(b, path)
	if verdict == capf.VerdictUpdated {
		if err := s.ApplyRun(b.Context(), benchStaged(b, s, "first", phones, capf.VerdictNew), capf.MigrationCounts{}); err != nil {
			b.Fatal(err)
		}
	}
	took := map[string]time.Duration{}
	for turn := 0; b.Loop(); turn++ {
		id := benchStaged(b, s, fmt.Sprint(turn), phones, verdict)
		applied, waitedApply := session.beside(b, func() {
			if err := s.ApplyRun(b.Context(), id, capf.MigrationCounts{}); err != nil {
				b.Error(err)
			}
		})
		rolledBack, waited := session.beside(b, func() {
			done, err := s.RollBackRun(b.Context(), id, "bench")
			if err != nil || len(done.Kept) > 0 || done.Counts.PhonesRemoved+done.Counts.PhonesRestored != phones {
				b.Error(done.Counts, err)
			}
		})
		took["apply-ms"] += applied
		took["rollback-ms"] += rolledBack
		took["apply-waited-ms"] = max(took["apply-waited-ms"], waitedApply)
		took["rollback-waited-ms"] = max(took["rollback-waited-ms"], waited)
	}
	took["apply-ms"] /= time.Duration(b.N)
	took["rollback-ms"] /= time.Duration(b.N)
	for unit, duration := range took {
		b.ReportMetric(float64(duration.Milliseconds()), unit)
	}
}
