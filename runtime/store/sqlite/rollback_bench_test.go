package sqlite

import (
	"context"
	"fmt"
	"testing"
	"time"

	"capf/runtime/capf"
)

// benchStaged stages a run of so many phones, each pending by a string: new ones, or others of those that are there.
func benchStaged(b *testing.B, s *Store, key string, phones int, verdict capf.Verdict) int64 {
	b.Helper()
	ctx := context.Background()
	id, err := s.BeginRun(ctx, capf.MigrationRun{Key: key, By: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	digits, err := capf.ParseAuthenticationString("12345678")
	if err != nil {
		b.Fatal(err)
	}
	records := make([]capf.ImportRecord, phones)
	for n := range records {
		phone := capf.NewPhone(deviceName(n), capf.Parameters{})
		phone.Description, phone.AuthString = key, digits
		phone.Last = &capf.OperationRecord{Operation: capf.OperationInstall, AuthMode: capf.AuthByString, KeySize: capf.RSA1024,
			CompletesBy: time.Now().AddDate(0, 0, 10)}
		records[n] = capf.ImportRecord{Device: phone.Device, Verdict: verdict, Phone: &phone}
	}
	if err := s.StageRecords(ctx, id, records); err != nil {
		b.Fatal(err)
	}
	return id
}

// BenchmarkRollback applies a run and rolls it back, and reports how long the store is locked for each.
func BenchmarkRollback(b *testing.B) {
	for _, phones := range []int{10_000, 200_000} {
		for _, verdict := range []capf.Verdict{capf.VerdictNew, capf.VerdictUpdated} {
			b.Run(fmt.Sprintf("%d %s", phones, verdict), func(b *testing.B) {
				s := open(b)
				if verdict == capf.VerdictUpdated {
					if err := s.ApplyRun(b.Context(), benchStaged(b, s, "first", phones, capf.VerdictNew), capf.MigrationCounts{}); err != nil {
						b.Fatal(err)
					}
				}
				var applied, rolledBack time.Duration
				for turn := 0; b.Loop(); turn++ {
					id := benchStaged(b, s, fmt.Sprint(turn), phones, verdict)
					start := time.Now()
					if err := s.ApplyRun(b.Context(), id, capf.MigrationCounts{}); err != nil {
						b.Fatal(err)
					}
					applied += time.Since(start)
					start = time.Now()
					done, err := s.RollBackRun(b.Context(), id, "bench")
					if err != nil || len(done.Kept) > 0 || done.Counts.PhonesRemoved+done.Counts.PhonesRestored != phones {
						b.Fatal(done.Counts, err)
					}
					rolledBack += time.Since(start)
				}
				b.ReportMetric(float64(applied.Milliseconds())/float64(b.N), "apply-ms")
				b.ReportMetric(float64(rolledBack.Milliseconds())/float64(b.N), "rollback-ms")
			})
		}
	}
}
