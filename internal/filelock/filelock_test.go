package filelock

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLockFolder: of two one is refused, until the first has unlocked.
func TestLockFolder(t *testing.T) {
	folder := t.TempDir()
	unlock, err := LockFolder(folder, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := LockFolder(folder, 0); !errors.Is(err, ErrHeld) {
		t.Errorf("the second: %v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	unlock, err = LockFolder(folder, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	if _, err := LockFolder(filepath.Join(folder, "absent"), 0); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}

// TestTake: who comes second is told what the holder says of itself, in one plain line, and so is who only asks.
func TestTake(t *testing.T) {
	path := filepath.Join(t.TempDir(), "work.lock")
	if line, held, err := Holder(path); line != "" || held || err != nil {
		t.Errorf("before: %q, %v, %v", line, held, err)
	}
	first, err := Take(path, func(before string) string { return "first\x1b after " + before })
	if err != nil {
		t.Fatal(err)
	}
	never := func(string) string { t.Error("somebody else speaks"); return "" }
	_, err = Take(path, never)
	var held *HeldError
	if !errors.Is(err, ErrHeld) || !errors.As(err, &held) || held.Holder != "first  after" {
		t.Errorf("the second: %v", err)
	}
	if line, held, err := Holder(path); line != "first  after" || !held || err != nil {
		t.Errorf("while it is held: %q, %v, %v", line, held, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if err := first.Release(); err != nil {
		t.Fatal(err)
	}
	if line, held, err := Holder(path); line != "" || held || err != nil {
		t.Errorf("after: %q, %v, %v", line, held, err)
	}
	if err := os.WriteFile(path, []byte(strings.Repeat("x", 1<<20)), 0o600); err != nil {
		t.Fatal(err)
	}
	second, err := Take(path, func(before string) string { return before })
	if err != nil {
		t.Fatal(err)
	}
	defer second.Release()
	if line, _, err := Holder(path); len(line) != mostSaid || err != nil {
		t.Errorf("%d bytes are said, %v", len(line), err)
	}
}
