package backup

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"

	"capf/runtime/capf"
)

func TestRoundTrip(t *testing.T) {
	key := newIdentity(t)
	for name, recipients := range map[string][]age.Recipient{"plain": nil, "encrypted": {newIdentity(t).Recipient(), key.Recipient()}} {
		t.Run(name, func(t *testing.T) {
			files := maps.Clone(whole)
			maps.Copy(files, passingBy)
			var out bytes.Buffer
			s := source(dataFolder(t, files))
			backup, err := s.Create(t.Context(), &out, recipients)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{"old-backup.tar", "older"}, backup.LeftOut); diff != "" {
				t.Errorf("left out (-want +got):\n%s", diff)
			}
			if strings.Contains(out.String(), "in force") == (recipients != nil) {
				t.Error("the key is in the clear, or not, against what was asked")
			}
			if diff := cmp.Diff(files, readFolder(t, s.Data)); diff != "" {
				t.Errorf("the source was changed:\n%s", diff)
			}
			data, result, err := restored(t, &out, key)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(whole, readFolder(t, data)); diff != "" {
				t.Errorf("restored (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(backup.Manifest, result.Manifest); diff != "" || result.Encrypted != (recipients != nil) || !result.CreatedAt.Equal(made) {
				t.Errorf("%v %s", result, diff)
			}
		})
	}
}

// TestModes restores under a mask that hides nothing, from files that everybody could read.
func TestModes(t *testing.T) {
	raw := backupOf(t, whole)
	defer syscall.Umask(syscall.Umask(0))
	data, _, err := restored(t, bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.Walk(data, func(path string, info os.FileInfo, err error) error {
		if want := map[bool]fs.FileMode{true: fs.ModeDir | 0o700, false: 0o600}[info.IsDir()]; info.Mode() != want {
			t.Errorf("%s has mode %s, not %s", path, info.Mode(), want)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A store without an identity is what `migrate run` leaves before `init`.
func TestWithoutIdentity(t *testing.T) {
	data, result, err := restored(t, bytes.NewReader(backupOf(t, map[string]string{"capf.db": "x"})))
	if err != nil || result.Identity != "" {
		t.Fatalf("%v %v", result, err)
	}
	if entries, err := os.ReadDir(data); err != nil || len(entries) != 1 {
		t.Errorf("%v %v", entries, err)
	}
}

// In need tar takes a backup apart.
func TestTarReadsIt(t *testing.T) {
	program, err := exec.LookPath("tar")
	if err != nil {
		message := "tar is needed: apt-get install tar"
		if os.Getenv("CI") != "" {
			t.Fatal(message)
		}
		t.Skip(message)
	}
	folder := t.TempDir()
	command := exec.Command(program, "-x", "-C", folder)
	command.Stdin = bytes.NewReader(backupOf(t, whole))
	if output, err := command.CombinedOutput(); err != nil || len(output) > 0 {
		t.Fatalf("%v: %s", err, output)
	}
	files := readFolder(t, folder)
	delete(files, manifestName)
	delete(files, digestName)
	if diff := cmp.Diff(whole, files); diff != "" {
		t.Error(diff)
	}
}

// TestKeysChange has the CAPF keys change under the backup: what is in it belongs together, or there is none.
func TestKeysChange(t *testing.T) {
	for _, changes := range []int{1, tries - 1, tries} {
		s := source(dataFolder(t, whole))
		generation := 0
		s.Snapshot = func(_ context.Context, into string) error {
			store := strings.Repeat("i", generation)
			if generation < changes {
				generation++ // after the keys were read, in the middle of the copy
				if err := os.WriteFile(filepath.Join(s.Data, "keys", "capf.pem"), []byte(strings.Repeat("i", generation)), 0o600); err != nil {
					return err
				}
			}
			return os.WriteFile(into, []byte(store), 0o600)
		}
		var out bytes.Buffer
		_, err := s.Create(t.Context(), &out, nil)
		if changes == tries {
			wantCode(t, err, capf.CodeBusy, "keys are being changed")
			if out.Len() > 0 {
				t.Error("something was written")
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		data, _, err := restored(t, &out)
		if err != nil {
			t.Fatal(err)
		}
		if files := readFolder(t, data); files["capf.db"] != files["keys/capf.pem"] || files["capf.db"] != strings.Repeat("i", changes) {
			t.Errorf("after %d changes the store is of keys %q, the keys are %q", changes, files["capf.db"], files["keys/capf.pem"])
		}
	}
}

func TestBackupRefuses(t *testing.T) {
	t.Run("no data directory", func(t *testing.T) {
		_, err := source(filepath.Join(t.TempDir(), "none")).Create(t.Context(), io.Discard, nil)
		wantCode(t, err, capf.CodeNotActivated)
	})
	t.Run("a key that is too large", func(t *testing.T) {
		files := maps.Clone(whole)
		files["keys/old-1.pem"] = strings.Repeat("x", maxSmallFile+1)
		_, err := source(dataFolder(t, files)).Create(t.Context(), io.Discard, nil)
		wantCode(t, err, capf.CodeRefused, "old-1.pem")
	})
	t.Run("another backup", func(t *testing.T) {
		s := source(dataFolder(t, whole))
		other, err := takeScratch(filepath.Join(s.Data, scratchName), "")
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Create(t.Context(), io.Discard, nil)
		wantCode(t, err, capf.CodeBusy, "another backup")
		if err := other.lock.Close(); err != nil { // as the system does with a process that was killed
			t.Fatal(err)
		}
		if _, err := s.Create(t.Context(), io.Discard, nil); err != nil {
			t.Error(err)
		}
	})
	t.Run("a writer that fails", func(t *testing.T) {
		s := source(dataFolder(t, whole))
		_, err := s.Create(t.Context(), failingWriter{}, nil)
		wantCode(t, err, capf.CodeUnavailable, "no room")
		if entries, err := os.ReadDir(filepath.Join(s.Data, scratchName)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("left behind: %v %v", entries, err)
		}
	})
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("no room") }

// TestWriteNoticesChange has a file change between its digest and its content.
func TestWriteNoticesChange(t *testing.T) {
	manifest := Manifest{Format: Format, CreatedAt: made, Contents: Contents{Schema: 1}, Members: []Member{{StoreName, 3, digestOf([]byte("abc"))}}}
	for _, content := range []string{"abd", "ab", ""} {
		err := Write(io.Discard, manifest, func(Member) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil }, nil)
		if err == nil || !strings.Contains(err.Error(), "was changed") {
			t.Errorf("%q: %v", content, err)
		}
	}
}

func TestKept(t *testing.T) {
	for name := range whole {
		if !Kept(name) {
			t.Errorf("%s is not kept", name)
		}
	}
	others := append(slices.Collect(maps.Keys(passingBy)), "", "/capf.db", "../capf.db", "x/../capf.db", "./capf.db", "keys/../keys/a.pem", "keys//a.pem",
		"keys/x/a.pem", "keys/.pem", "keys/a\x00.pem", `keys/a\b.pem`, "traces/../../x-LSC.txt", "traces/sep001122334455-LSC.txt", "traces/-LSC.txt",
		".0", "a/b.0", "keys/b.0", "x\n.0", "\xff.0", strings.Repeat("x", 260)+".0", "traces/SEP001122334455-LSC.txt/")
	for _, name := range others {
		if Kept(name) {
			t.Errorf("%q is kept", name)
		}
	}
}
