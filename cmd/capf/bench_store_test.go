package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"capf/runtime/capf"
	"capf/runtime/daemon"
	"capf/runtime/phone"
	"capf/runtime/store/sqlite"
)

// mostReportGrowth is what a report on a hundred times as many phones may take of memory beyond the smaller
// one, in MiB.
const mostReportGrowth = 20

// BenchmarkHundredThousand has 100,000 phones in the store, beside another with 1,000. That finding one and
// listing a page go by an index, a test of the store checks by SQLite's own plan. It reports
//
//	report-MiB       resident memory that `report --csv` takes at most
//	growth-MiB       how much more that is than with 1,000 phones
//	list-growth-MiB  the same for `phone list`
//	report-s         how long the report takes
//	first-row-ms     how long its first row takes: it does not wait for the last
//	find-µs          finding one phone, the median of many anywhere in the store
//	find-ratio       find-µs in that of the small store
//	page-µs          listing a page of 256 by a prefix, the median of many
//	page-ratio       page-µs in that of the small store
func BenchmarkHundredThousand(b *testing.B) {
	large, small := 100_000, 1000
	if testing.Short() {
		large = 10_000
	}
	for b.Loop() {
		few, many := newStocked(b, small), newStocked(b, large)
		few.compareMemory(b, many)
		few.compareTimes(b, many)
	}
	b.ReportMetric(0, "ns/op")
}

// stocked is an installation with many phones.
type stocked struct {
	*installation
	devices []string
}

// newStocked adds phones with an operation pending, in files of many rows.
func newStocked(b *testing.B, count int) *stocked {
	b.Helper()
	const rowsOfFile = 20_000
	devices, err := phone.Sequence("SEP001122000000", count)
	if err != nil {
		b.Fatal(err)
	}
	s := &stocked{installation: newInstallation(b), devices: devices}
	for some := range slices.Chunk(devices, rowsOfFile) {
		var rows strings.Builder
		rows.WriteString("device,operation,auth-mode,auth-string,description\n")
		for _, device := range some {
			fmt.Fprintf(&rows, "%s,install,authentication-string,generate,phone %s of the branch office\n", device, device)
		}
		s.capf("bulk", "apply", s.write("phones.csv", rows.String()))
	}
	return s
}

func (s *stocked) compareMemory(b *testing.B, many *stocked) {
	b.Helper()
	before, after := s.output(b, "report", "--csv", "-"), many.output(b, "report", "--csv", "-")
	b.ReportMetric(mebibytes(after.peak), "report-MiB")
	b.ReportMetric(after.whole.Seconds(), "report-s")
	b.ReportMetric(after.firstRow.Seconds()*1000, "first-row-ms")
	growth := mebibytes(after.peak - before.peak)
	b.ReportMetric(growth, "growth-MiB")
	if growth > mostReportGrowth {
		b.Errorf("the report on %d phones takes %.1f MiB more than that on %d, not at most %d", len(many.devices), growth, len(s.devices), mostReportGrowth)
	}
	list := many.output(b, "phone", "list").peak - s.output(b, "phone", "list").peak
	b.ReportMetric(mebibytes(list), "list-growth-MiB")
}

func mebibytes(bytes int) float64 { return float64(bytes) / (1 << 20) }

// printing is what a command took that prints a row for each phone.
type printing struct {
	peak            int // the most resident memory, in bytes
	firstRow, whole time.Duration
}

// output runs a command and reads its rows. Its peak is looked up while it prints: ru_maxrss would be no
// less than what this process had when it started the other.
func (s *stocked) output(b *testing.B, arguments ...string) (took printing) {
	b.Helper()
	const lookEvery = 100 // rows
	var problems bytes.Buffer
	command := s.command(arguments...)
	command.Stderr = &problems
	stdout, err := command.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	begin := time.Now()
	if err := command.Start(); err != nil {
		b.Fatal(err)
	}
	lines := 0
	for scanner := bufio.NewScanner(stdout); scanner.Scan(); lines++ {
		if lines == 1 { // behind the header line
			took.firstRow = time.Since(begin)
		}
		if lines%lookEvery == 0 {
			took.peak = max(took.peak, memoryOf(command.Process.Pid, "VmHWM:"))
		}
	}
	if err := command.Wait(); err != nil || lines != len(s.devices)+1 {
		b.Fatalf("capf %s: %d lines for %d phones, %v\n%s", strings.Join(arguments, " "), lines, len(s.devices), err, problems.String())
	}
	took.whole = time.Since(begin)
	return took
}

// memoryOf reads a line of /proc/PID/status that is a size, in bytes; 0 where the process is gone.
func memoryOf(pid int, name string) int {
	content, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(content)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == name {
			kibibytes, _ := strconv.Atoi(fields[1])
			return kibibytes << 10
		}
	}
	return 0
}

func (s *stocked) compareTimes(b *testing.B, many *stocked) {
	b.Helper()
	findFew, pageFew := s.times(b)
	find, page := many.times(b)
	for name, pair := range map[string][2]time.Duration{"find": {findFew, find}, "page": {pageFew, page}} {
		b.ReportMetric(float64(pair[1].Nanoseconds())/1000, name+"-µs")
		b.ReportMetric(pair[1].Seconds()/pair[0].Seconds(), name+"-ratio")
	}
}

// times gives the median times of finding a phone and of listing a page.
func (s *stocked) times(b *testing.B) (find, page time.Duration) {
	b.Helper()
	store, err := sqlite.Open(b.Context(), sqlite.Options{Path: filepath.Join(s.data, daemon.StoreFile)})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	find = s.medianOver(b, func(ctx context.Context, device string) error {
		_, err := store.Phone(ctx, device)
		return err
	})
	page = s.medianOver(b, func(ctx context.Context, device string) error { return listPage(ctx, store, device) })
	return find, page
}

// medianOver does something for devices all over the store, and measures the second time: what is compared is
// the search, not how much of a file is in memory.
func (s *stocked) medianOver(b *testing.B, do func(ctx context.Context, device string) error) time.Duration {
	b.Helper()
	const calls = 500
	took := make([]time.Duration, calls)
	for number := range 2 * calls {
		number %= calls
		device := s.devices[number*len(s.devices)/calls]
		begin := time.Now()
		if err := do(b.Context(), device); err != nil {
			b.Fatal(err)
		}
		took[number] = time.Since(begin)
	}
	slices.Sort(took)
	return took[calls/2]
}

// listPage lists the 256 phones that share all but two digits of their names.
func listPage(ctx context.Context, store *sqlite.Store, device string) error {
	found := false
	err := store.Phones(ctx, capf.PhoneFilter{Device: device[:len(device)-2] + "*"}, func(one capf.Phone) error {
		found = found || one.Device == device
		return nil
	})
	if err == nil && !found {
		return errors.New(device + " is not on its page")
	}
	return err
}
