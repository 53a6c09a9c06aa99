package sqlite

import (
	"path/filepath"
	"testing"
	"time"

	"capf/runtime/store/storetest"
)

// openAt opens a store at a path, and makes it where there is none.
func openAt(t testing.TB, path string, clock func() time.Time) *Store {
	t.Helper()
	s, err := Open(t.Context(), Options{Path: path, Create: true, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// open makes an empty store.
func open(t testing.TB) *Store {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "capf.db"), nil)
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T, clock func() time.Time) storetest.Store {
		return openAt(t, filepath.Join(t.TempDir(), "capf.db"), clock)
	})
}
