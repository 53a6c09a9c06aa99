package main

import (
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkBackup makes a backup of 100,000 phones, restores it, and asks for the checklist. It reports for each
// its time and the most resident memory, beside that with 1,000 phones. How long a write waits meanwhile is
// BenchmarkSnapshot of the store.
func BenchmarkBackup(b *testing.B) {
	large, small := 100_000, 1000
	if testing.Short() {
		large = 10_000
	}
	for b.Loop() {
		few, many := newStocked(b, small), newStocked(b, large)
		before, after := few.backupSteps(b), many.backupSteps(b)
		for name, took := range after {
			b.ReportMetric(took.whole.Seconds(), name+"-s")
			b.ReportMetric(mebibytes(took.peak), name+"-MiB")
			b.ReportMetric(mebibytes(took.peak-before[name].peak), name+"-growth-MiB")
		}
	}
	b.ReportMetric(0, "ns/op")
}

// backupSteps runs the three commands.
func (s *stocked) backupSteps(b *testing.B) map[string]printing {
	b.Helper()
	file := filepath.Join(b.TempDir(), "backup.tar")
	back := *s.installation
	back.data = filepath.Join(b.TempDir(), "restored")
	return map[string]printing{
		"backup":    s.measured(b, 0, "backup", file),
		"restore":   (&stocked{installation: &back}).measured(b, 0, "restore", file),
		"checklist": s.measured(b, 3, "checklist"),
	}
}

// measured runs a command that prints little, and looks at its memory until it has ended.
func (s *stocked) measured(b *testing.B, status int, arguments ...string) (took printing) {
	b.Helper()
	const lookEvery = 2 * time.Millisecond
	command, ended := s.command(arguments...), make(chan struct{})
	begin := time.Now()
	if err := command.Start(); err != nil {
		b.Fatal(err)
	}
	go func() {
		defer close(ended)
		_ = command.Wait() // how it ended is in ProcessState
	}()
	for running := true; running; {
		took.peak = max(took.peak, memoryOf(command.Process.Pid, "VmHWM:"))
		select {
		case <-ended:
			running = false
		case <-time.After(lookEvery):
		}
	}
	took.whole = time.Since(begin)
	if got := command.ProcessState.ExitCode(); got != status {
		b.Fatalf("capf %v: exit status %d", arguments, got)
	}
	return took
}
