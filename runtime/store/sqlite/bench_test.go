package sqlite

import (
	"context"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"capf/runtime/capf"
	"capf/runtime/store"
	"capf/runtime/store/storetest"
)

// inParallel shares b.N calls among so many goroutines, and reports calls and commits a second and the
// CPU time of a call.
func inParallel(b *testing.B, s *Store, goroutines int, call func(n int) error) {
	b.Helper()
	var next atomic.Int64
	failures := make(chan error, goroutines)
	commits, cpu := s.Commits(), cpuTime(b)
	b.ResetTimer()
	for range goroutines {
		go func() {
			for {
				n := int(next.Add(1)) - 1
				if n >= b.N {
					failures <- nil
					return
				}
				if err := call(n); err != nil {
					failures <- err
					return
				}
			}
		}()
	}
	for range goroutines {
		if err := <-failures; err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	seconds := b.Elapsed().Seconds()
	b.ReportMetric(float64(b.N)/seconds, "calls/s")
	b.ReportMetric(float64(s.Commits()-commits)/seconds, "commits/s")
	b.ReportMetric(float64((cpuTime(b)-cpu).Microseconds())/float64(b.N), "cpu-µs/call")
}

// cpuTime gives the CPU time of the process so far.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

var goroutineCounts = []int{1, 32, 100}

// benchPhones adds phones with an installation pending, and gives the references of their operations.
func benchPhones(b *testing.B, s *Store, count int) []capf.OperationRef {
	b.Helper()
	mode := capf.AuthByNullString
	changes := make([]capf.PhoneChange, count)
	for n := range changes {
		changes[n] = operation(deviceName(n))
		changes[n].AuthMode = &mode
	}
	refs := make([]capf.OperationRef, count)
	for n, changed := range apply(b, s, changes...) {
		refs[n] = changed.Phone.Last.Ref
	}
	return refs
}

// BenchmarkWrite has many sessions begin operations: members of the group commit.
func BenchmarkWrite(b *testing.B) {
	const phones = 1000
	for _, goroutines := range goroutineCounts {
		b.Run(fmt.Sprint(goroutines), func(b *testing.B) {
			s := open(b)
			refs := benchPhones(b, s, phones)
			inParallel(b, s, goroutines, func(n int) error {
				info := capf.SessionInfo{Instance: "here", Address: "192.0.2.7", TLS: "1.0", Started: time.Now()}
				return s.BeginOperation(context.Background(), deviceName(n%phones), refs[n%phones], info)
			})
		})
	}
}

// BenchmarkSession does all that one session does with the store: two reads and three writes.
func BenchmarkSession(b *testing.B) {
	for _, goroutines := range goroutineCounts {
		b.Run(fmt.Sprint(goroutines), func(b *testing.B) {
			s := open(b)
			refs := benchPhones(b, s, b.N)
			inParallel(b, s, goroutines, func(n int) error { return benchSession(s, deviceName(n), refs[n]) })
		})
	}
}

func benchSession(s *Store, device string, ref capf.OperationRef) error {
	ctx := context.Background()
	if _, err := s.Phone(ctx, device); err != nil {
		return err
	}
	if err := s.BeginOperation(ctx, device, ref, capf.SessionInfo{Instance: "here", Address: "192.0.2.7", TLS: "1.0", Started: time.Now()}); err != nil {
		return err
	}
	if _, err := s.Parameters(ctx); err != nil {
		return err
	}
	der := make([]byte, 900)
	copy(der, device)
	id, err := s.AddIssued(ctx, ref, nil, capf.Certificate{Serial: device, DER: der, SHA256: capf.HexSHA256(der), KeySHA256: capf.HexSHA256(der[:100]),
		NotBefore: time.Now(), NotAfter: time.Now()})
	if err != nil {
		return err
	}
	return s.EndOperation(ctx, device, ref, capf.Outcome{Ending: capf.EndingSuccess, Confirmed: id, LSC: capf.LSCInstalled, By: "192.0.2.7"})
}

// BenchmarkPhone reads a phone with everything that belongs to it.
func BenchmarkPhone(b *testing.B) {
	s := open(b)
	refs := benchPhones(b, s, 1)
	if err := benchSession(s, deviceName(0), refs[0]); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Phone(b.Context(), deviceName(0)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBulk sets an operation for many phones that are there, and reports how long the write lock is
// held.
func BenchmarkBulk(b *testing.B) {
	for _, phones := range []int{2000, 20000} {
		b.Run(fmt.Sprint(phones), func(b *testing.B) {
			s := open(b)
			benchPhones(b, s, phones)
			var locked time.Duration
			for b.Loop() {
				locked += bulkOnce(b, s, phones)
			}
			b.ReportMetric(float64(locked.Milliseconds())/float64(b.N), "locked-ms/set")
		})
	}
}

// bulkOnce gives how long the writer was kept from writing by a set of changes.
func bulkOnce(b *testing.B, s *Store, phones int) time.Duration {
	b.Helper()
	install := capf.OperationInstall
	changes := make([]capf.PhoneChange, phones)
	for n := range changes {
		changes[n] = capf.PhoneChange{Device: deviceName(n), Operation: &install}
	}
	ctx := context.Background()
	change, err := s.completeContext(ctx, capf.ChangeContext{Actor: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	plan, err := s.plan(ctx, capf.ApplySet, changes, change)
	if err != nil {
		b.Fatal(err)
	}
	connection, err := s.bulkPool.Conn(ctx)
	if err != nil {
		b.Fatal(err)
	}
	defer connection.Close()
	statements := store.NewStatements(connection, s.classify)
	defer statements.Close()
	if _, err := stageChanges(statements, plan); err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	err = inTransaction(statements, func() error {
		_, err := carryOut(statements, change)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

// BenchmarkApplyRun makes a migration visible, and reports how long that takes.
func BenchmarkApplyRun(b *testing.B) {
	const phones = 10000
	s := open(b)
	var applied time.Duration
	for run := 0; b.Loop(); run++ {
		id, err := s.BeginRun(b.Context(), capf.MigrationRun{Key: fmt.Sprint(run), By: "bench"})
		if err != nil {
			b.Fatal(err)
		}
		records := make([]storetest.Planned, phones)
		for n := range records {
			phone := capf.NewPhone(fmt.Sprintf("RUN%d-%d", run, n), capf.Parameters{})
			phone.Last = &capf.OperationRecord{Operation: capf.OperationInstall, AuthMode: capf.AuthByString, KeySize: capf.RSA1024}
			records[n] = storetest.Planned{ImportRecord: capf.ImportRecord{Device: phone.Device, Verdict: capf.VerdictNew}, Phone: &phone}
		}
		if err := storetest.Stage(b.Context(), s, id, records); err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		if err := s.ApplyRun(b.Context(), id, capf.MigrationCounts{}); err != nil {
			b.Fatal(err)
		}
		applied += time.Since(start)
	}
	b.ReportMetric(float64(applied.Milliseconds())/float64(b.N), "apply-ms")
}
