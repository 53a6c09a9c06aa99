package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFaultStoreRemovedBesideSessions moves the store's file away while no phone calls: what the service makes and
// decides by itself does not go by a file that nobody else sees, and goes on when it is put back.
func TestFaultStoreRemovedBesideSessions(t *testing.T) {
	f := newFailing(t)
	f.start()
	path := filepath.Join(f.data, "capf.db")
	if status := f.service.statusOf("/capf.crl"); status != http.StatusOK {
		t.Fatalf("the CRL before: %d", status)
	}
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	if status := f.service.statusOf("/capf.crl"); status != http.StatusServiceUnavailable {
		t.Errorf("the CRL without the store: %d", status)
	}
	if text := f.service.metrics(); strings.Contains(text, "\ncapf_phones{") || strings.Contains(text, "\ncapf_operations{") {
		t.Error("the metrics count what is in no store")
	}
	eventually(t, "that what to trace is unknown", func() bool { return strings.Contains(f.service.text(), "what to trace could not be read") })
	if text := f.service.text(); !strings.Contains(text, "the CRL could not be made") || !strings.Contains(text, "capf.db is gone") {
		t.Errorf("the log says %s", text)
	}
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	if status := f.service.statusOf("/capf.crl"); status != http.StatusOK {
		t.Errorf("the CRL with the store put back: %d", status)
	}
	if text := f.service.metrics(); !strings.Contains(text, "\ncapf_operations{") {
		t.Error("the metrics do not count the store that was put back")
	}
}

// TestFaultCommandsBesideAStoreThatIsGone: what a command writes while the service has lost a file of the store would be lost
// when the service ends. It is refused, and makes nothing in the place of what is gone.
func TestFaultCommandsBesideAStoreThatIsGone(t *testing.T) {
	t.Parallel() // each command waits whether a service only starts or ends
	f := newFailing(t)
	f.start()
	path := filepath.Join(f.data, "capf.db")
	for number, gone := range [][]string{{path}, {path + "-wal"}, {path + "-shm"}, {path + "-wal", path + "-shm"}} {
		for _, file := range gone {
			if err := os.Rename(file, file+".away"); err != nil {
				t.Fatal(err)
			}
		}
		commands := [][]string{{"phone", "add", "SEP000000000077"}, {"backup", filepath.Join(t.TempDir(), "backup")}}
		if number == 0 {
			commands = append(commands, []string{"phone", "list"}, []string{"init"})
		}
		for _, words := range commands {
			if _, stderr, err := f.try(words...); err == nil || !strings.Contains(stderr, gone[0]+" is gone") {
				t.Errorf("without %q, %q: %v, %s", gone, words, err, stderr)
			}
		}
		for _, file := range gone {
			if _, err := os.Stat(file); err == nil {
				t.Errorf("another %s was made", file)
			}
			if err := os.Rename(file+".away", file); err != nil {
				t.Fatal(err)
			}
		}
	}
	f.capf("phone", "add", "SEP000000000077")
	if status := f.service.terminate(); status != 0 {
		t.Errorf("the service ends with status %d", status)
	}
	f.capf("phone", "show", "SEP000000000077")
}

// TestFaultCommandsBesideAStoreThatIsReplaced: with one file of the service's and one that is not, SQLite would damage the
// store. A command opens neither.
func TestFaultCommandsBesideAStoreThatIsReplaced(t *testing.T) {
	t.Parallel()
	f := newFailing(t)
	f.start()
	f.capf("phone", "add", "SEP000000000077")
	path := filepath.Join(f.data, "capf.db")
	for _, file := range []string{path, path + "-wal", path + "-shm"} {
		content, err := os.ReadFile(file)
		if err == nil {
			err = os.Rename(file, file+".away")
		}
		if err == nil {
			err = os.WriteFile(file, content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, words := range [][]string{{"phone", "set", "SEP000000000077", "--description", "x"}, {"backup", filepath.Join(t.TempDir(), "backup")}} {
			if _, stderr, err := f.try(words...); err == nil || !strings.Contains(stderr, file+" is another file") {
				t.Errorf("with another %s, %q: %v, %s", file, words, err, stderr)
			}
		}
		if err := os.Rename(file+".away", file); err != nil {
			t.Fatal(err)
		}
	}
	f.capf("phone", "set", "SEP000000000077", "--description", "y")
	if status := f.service.terminate(); status != 0 {
		t.Errorf("the service ends with status %d", status)
	}
	f.capf("phone", "show", "SEP000000000077")
}
