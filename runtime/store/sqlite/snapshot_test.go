package sqlite

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"capf/runtime/capf"
)

// TestSnapshotWhileWriting copies a store into which phones are added two by two: each copy has a moment's
// phones, and no pair is torn.
func TestSnapshotWhileWriting(t *testing.T) {
	s := open(t)
	ctx, stop := context.WithCancel(t.Context())
	written, ended := make(chan int), make(chan error, 1)
	go func() { ended <- writePairs(ctx, s, written) }()
	last := 0
	for range 5 {
		first := <-written // there is something new in each copy
		into := filepath.Join(t.TempDir(), "copy.db")
		if err := Snapshot(t.Context(), s.path, into); err != nil {
			t.Fatal(err)
		}
		count := countPhones(t, into)
		if count%2 != 0 || count < first || count < last {
			t.Errorf("the copy has %d phones; %d were there before, %d in the copy before", count, first, last)
		}
		last = count
	}
	stop()
	for range written { // until it has noticed
	}
	if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// writePairs adds phones until the context ends, and tells how many there are whenever somebody listens.
func writePairs(ctx context.Context, s *Store, written chan<- int) error {
	defer close(written)
	for n := 0; ctx.Err() == nil; n += 2 {
		_, err := s.ApplyChanges(ctx, capf.ApplyAdd, []capf.PhoneChange{operation(deviceName(n)), operation(deviceName(n + 1))}, capf.ChangeContext{Actor: "tester"})
		if err != nil {
			return err
		}
		select {
		case written <- n + 2:
		default:
		}
	}
	return nil
}

func countPhones(t *testing.T, path string) (count int) {
	t.Helper()
	pool := connect(Options{Path: path, BusyTimeout: time.Second}, inspecting, 1)
	defer pool.Close()
	if err := pool.QueryRowContext(t.Context(), `SELECT count(*) FROM phones`).Scan(&count); err != nil {
		t.Fatal(err)
	}
	return count
}

// TestSnapshotIsAlone has what was deleted not in the copy, nothing beside it, and nobody else able to read it.
func TestSnapshotIsAlone(t *testing.T) {
	s := open(t)
	const gone = "7731904426"
	change := operation("SEP000000000001")
	if err := change.SetAuthString(gone); err != nil {
		t.Fatal(err)
	}
	apply(t, s, change)
	if err := s.RemovePhones(t.Context(), []string{"SEP000000000001"}, "tester"); err != nil {
		t.Fatal(err)
	}
	into := filepath.Join(t.TempDir(), "copy.db")
	if err := Snapshot(t.Context(), s.path, into); err != nil {
		t.Fatal(err)
	}
	if schema, err := CheckFile(t.Context(), into); err != nil || schema == 0 {
		t.Errorf("schema %d, %v", schema, err)
	}
	content, err := os.ReadFile(into)
	if err != nil || bytes.Contains(content, []byte(gone)) {
		t.Errorf("the copy holds a string that is void, or %v", err)
	}
	entries, err := os.ReadDir(filepath.Dir(into))
	if err != nil || len(entries) != 1 {
		t.Errorf("%v %v", entries, err)
	}
	if info, err := os.Stat(into); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if err := Snapshot(t.Context(), s.path, into); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a file that is there: %v", err)
	}
}

func TestSnapshotOfOtherSchemas(t *testing.T) {
	path := filepath.Join(t.TempDir(), "capf.db")
	into := path + ".copy"
	wantCode(t, Snapshot(t.Context(), path, into), capf.CodeNotActivated)
	atVersion(t, path, 1)
	if err := Snapshot(t.Context(), path, into); err != nil {
		t.Fatal(err)
	}
	if schema, err := CheckFile(t.Context(), into); err != nil || schema != 1 {
		t.Errorf("schema %d, %v", schema, err)
	}
	execute(t, path, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)`)
	wantCode(t, Snapshot(t.Context(), path, into+"2"), capf.CodeRefused, "schema 99999")
	_, err := CheckFile(t.Context(), path)
	wantCode(t, err, capf.CodeRefused, "schema 99999")
}

func TestSnapshotOfOtherFiles(t *testing.T) {
	folder := t.TempDir()
	text := filepath.Join(folder, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("no store", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	wantCode(t, Snapshot(t.Context(), text, filepath.Join(folder, "a")), capf.CodeInvalid)
	_, err := CheckFile(t.Context(), text)
	wantCode(t, err, capf.CodeInvalid)
	wantCode(t, Snapshot(t.Context(), folder, filepath.Join(folder, "b")), capf.CodeInvalid)
}

// TestCheckFileFindsDamage overwrites pages in the middle.
func TestCheckFileFindsDamage(t *testing.T) {
	s := open(t)
	for n := range 50 {
		apply(t, s, operation(deviceName(n)))
	}
	into := filepath.Join(t.TempDir(), "copy.db")
	if err := Snapshot(t.Context(), s.path, into); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(into)
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096
	for i := 10 * page; i < len(content); i++ {
		content[i] ^= 0x55
	}
	if err := os.WriteFile(into, content, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = CheckFile(t.Context(), into)
	wantCode(t, err, capf.CodeUnavailable, "damaged")
}

// BenchmarkSnapshot copies a store with 100,000 phones beside one writer, and reports how long a copy takes and
// how long a write waited at most.
func BenchmarkSnapshot(b *testing.B) {
	phones := 100_000
	if testing.Short() {
		phones = 10_000
	}
	s := open(b)
	benchPhones(b, s, phones)
	var worst time.Duration
	for b.Loop() {
		done := make(chan error, 1)
		go func() {
			done <- Snapshot(b.Context(), s.path, filepath.Join(b.TempDir(), "copy.db"))
		}()
		for copying := true; copying; {
			begin := time.Now()
			if err := s.Check(b.Context()); err != nil {
				b.Fatal(err)
			}
			worst = max(worst, time.Since(begin))
			select {
			case err := <-done:
				copying = false
				if err != nil {
					b.Fatal(err)
				}
			default:
			}
		}
	}
	b.ReportMetric(float64(worst.Microseconds())/1000, "write-ms-worst")
}
