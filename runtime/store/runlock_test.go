package store

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"capf/runtime/capf"
)

var lockTime = time.Date(2026, 3, 1, 22, 5, 0, 0, time.UTC)

func takeRunLock(t *testing.T, folder, work string) *RunLock {
	t.Helper()
	lock, err := TakeRunLock(folder, work, "ada", lockTime)
	if err != nil {
		t.Fatal(err)
	}
	return lock
}

// TestRunLock: of two one is refused, and is told who the other is.
func TestRunLock(t *testing.T) {
	folder := t.TempDir()
	lock := takeRunLock(t, folder, "migrate run")
	for range 2 {
		_, err := TakeRunLock(folder, "migrate rollback", "bob", lockTime.Add(time.Hour))
		if !capf.HasCode(err, capf.CodeBusy) {
			t.Fatalf("got %v, want busy", err)
		}
		for _, want := range []string{folder, "migrate run by ada", "process " + strconv.Itoa(os.Getpid()), "2026-03-01T22:05:00Z"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("the error lacks %q: %v", want, err)
			}
		}
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	lock = takeRunLock(t, folder, "migrate rollback")
	if _, err := TakeRunLock(folder, "migrate run", "bob", lockTime); err == nil || !strings.Contains(err.Error(), "migrate rollback by ada") {
		t.Errorf("got %v, want the second holder", err)
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
}

// TestRunLockHolder: what the file says is anybody's, and there may be nothing in it yet.
func TestRunLockHolder(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, runLockName)
	lock := takeRunLock(t, folder, "migrate run")
	defer lock.Release()
	for text, want := range map[string]string{
		"":                         "another migration",
		"a\x1b[2J\nb\xff":          "a [2J b?",
		strings.Repeat("x", 1<<20): strings.Repeat("x", 400) + " ",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := TakeRunLock(folder, "migrate run", "bob", lockTime)
		if !capf.HasCode(err, capf.CodeBusy) || !strings.Contains(err.Error()+" ", want[:len(want)-1]) || len(err.Error()) > 1000 {
			t.Errorf("of %.20q: %.300v", text, err)
		}
	}
}

func TestRunLockWithoutFolder(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	if _, err := TakeRunLock(missing, "migrate run", "ada", lockTime); !capf.HasCode(err, capf.CodeUnavailable) || !strings.Contains(err.Error(), missing) {
		t.Errorf("got %v, want unavailable and the path", err)
	}
}
