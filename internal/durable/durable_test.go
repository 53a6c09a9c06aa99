package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestSyncFolder(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "new"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := SyncFolder(folder); err != nil {
		t.Error(err)
	}
	if err := SyncFolder(filepath.Join(folder, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of a folder that is not there: %v", err)
	}
	// What cannot be synced at all, as folders on some shares, is no error.
	if err := SyncFolder("/dev/null"); err != nil {
		t.Error(err)
	}
}
