package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"capf/runtime/capf"
)

var made = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func clock() time.Time { return made.Add(123 * time.Millisecond) }

func wantCode(t *testing.T, err error, code capf.Code, words ...string) {
	t.Helper()
	if !capf.HasCode(err, code) {
		t.Fatalf("got error %v, want one with code %s", err, code)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the error lacks %q: %v", word, err)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("the error has more than one line: %q", err)
	}
}

// dataFolder makes a data directory of these files, by their names with slashes.
func dataFolder(t testing.TB, files map[string]string) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "data")
	for name, content := range files {
		path := filepath.Join(folder, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// readFolder is its reverse.
func readFolder(t testing.TB, folder string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := filepath.Walk(folder, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		name, problem := filepath.Rel(folder, path)
		files[filepath.ToSlash(name)] = string(content)
		return errors.Join(err, problem)
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// whole is a data directory with everything that belongs in a backup, and much that does not.
var whole = map[string]string{
	"capf.db": strings.Repeat("store ", 300), "keys/capf.pem": "in force", "keys/next.pem": "next", "keys/old-4a.pem": "past",
	"CAPF.cer": "DER", "known_hosts": "pub ssh-ed25519 AAAA", "CAPF-x.0": "PEM", "traces/SEP001122334455-LSC.txt": "an LSC", "traces/CSFALICE-MIC.txt": "a MIC",
}

var passingBy = map[string]string{
	"capf.db-wal": "w", "capf.db-shm": "s", "serve.lock": "l", "distribute.lock": "d", "migrate.lock": "m", "capf.db.schema-9": "c", "capf.db.schema-9.part": "p", ".CAPF.cer12": "t",
	"keys/.new-1": "k", "keys/notes.txt": "n", "traces/SEP001122334455-session.txt": "x", "traces/sessions.txt": "y", "old-backup.tar": "b", "older/backup": "o",
}

// source is a data directory whose store is a plain file.
func source(data string) Source {
	return Source{Data: data, Machine: "pub", Clock: clock, Inspect: inspectFake,
		Snapshot: func(_ context.Context, into string) error {
			store, err := os.ReadFile(filepath.Join(data, StoreName))
			return errors.Join(err, os.WriteFile(into, store, 0o600))
		}}
}

// inspectFake takes for the identity what is in its file.
func inspectFake(_ context.Context, data string) (Contents, error) {
	identity, err := os.ReadFile(filepath.Join(data, KeyFolder, "capf.pem"))
	if errors.Is(err, os.ErrNotExist) {
		return Contents{Schema: 11}, nil
	}
	return Contents{Schema: 11, Identity: string(identity), SHA256: digestOf(identity)}, err
}

// backupOf makes a backup in memory.
func backupOf(t testing.TB, files map[string]string, recipients ...age.Recipient) []byte {
	t.Helper()
	var out bytes.Buffer
	if _, err := source(dataFolder(t, files)).Create(context.Background(), &out, recipients); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// restored restores to a new place.
func restored(t testing.TB, in io.Reader, identities ...age.Identity) (data string, result Restored, err error) {
	t.Helper()
	data = filepath.Join(t.TempDir(), "parent", "data")
	result, err = Target{Data: data, Inspect: inspectFake}.Restore(context.Background(), in, identities)
	return data, result, err
}

// wantNothing expects that no trace of a restore is left.
func wantNothing(t *testing.T, data string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(data))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	if len(entries) > 0 {
		t.Errorf("left behind: %v", entries)
	}
}

func newIdentity(t testing.TB) *age.X25519Identity {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return identity
}

// digestOf gives the SHA-256 of something that is in memory, as manifests have it.
func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
