package backup

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"capf/runtime/capf"
)

func TestRestorePlaces(t *testing.T) {
	raw := backupOf(t, small)
	for name, test := range map[string]struct {
		prepare func(t *testing.T, data string) error
		code    capf.Code // empty: it is restored
	}{
		"absent":       {func(*testing.T, string) error { return nil }, ""},
		"empty":        {func(_ *testing.T, data string) error { return os.MkdirAll(data, 0o755) }, ""},
		"not empty":    {func(_ *testing.T, data string) error { return os.MkdirAll(filepath.Join(data, "x"), 0o755) }, capf.CodeConflict},
		"a file":       {func(_ *testing.T, data string) error { return os.WriteFile(data, nil, 0o600) }, capf.CodeUnavailable},
		"what is left": {leaveKilled, ""},
		"foreign":      {func(_ *testing.T, data string) error { return os.MkdirAll(data+restoringSuffix+"/precious", 0o755) }, capf.CodeConflict},
		"link":         {linkEmpty, ""},
	} {
		t.Run(name, func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			if err := test.prepare(t, data); err != nil {
				t.Fatal(err)
			}
			_, err := Target{Data: data, Inspect: inspectFake}.Restore(t.Context(), bytes.NewReader(raw), nil)
			if test.code != "" {
				wantCode(t, err, test.code)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if files := readFolder(t, data+"/."); len(files) != 2 {
				t.Errorf("restored: %v", files)
			}
			if _, err := os.Lstat(data + restoringSuffix); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("left behind: %v", err)
			}
		})
	}
}

// leaveKilled leaves what a restore does that was killed.
func leaveKilled(_ *testing.T, data string) error {
	left, err := takeScratch(data+restoringSuffix, "")
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(filepath.Join(left.image(), "half"), nil, 0o600), left.lock.Close())
}

func linkEmpty(t *testing.T, data string) error { return os.Symlink(t.TempDir(), data) }

// TestRestoreRace has something appear in the place while the restore is under way: it stays.
func TestRestoreRace(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	target := Target{Data: data, Inspect: func(ctx context.Context, folder string) (Contents, error) {
		if err := os.MkdirAll(filepath.Join(data, "precious"), 0o700); err != nil {
			return Contents{}, err
		}
		return inspectFake(ctx, folder)
	}}
	_, err := target.Restore(t.Context(), bytes.NewReader(backupOf(t, small)), nil)
	wantCode(t, err, capf.CodeConflict, "not empty")
	if entries, err := os.ReadDir(filepath.Dir(data)); err != nil || len(entries) != 1 {
		t.Errorf("%v %v", entries, err)
	}
}

// A backup that is refused by its manifest leaves nothing, and one that is interrupted neither.
func TestRestoreEndsEarly(t *testing.T) {
	raw := backupOf(t, small)
	data := filepath.Join(t.TempDir(), "data")
	refuse := &capf.Error{Code: capf.CodeRefused, Message: "newer schema"}
	_, err := Target{Data: data, Inspect: inspectFake, Begin: func(Manifest) error { return refuse }}.Restore(t.Context(), bytes.NewReader(raw), nil)
	wantCode(t, err, capf.CodeRefused, "newer schema")
	wantNothing(t, data)
	ctx, cancel := context.WithCancel(t.Context())
	_, err = Target{Data: data, Inspect: inspectFake, Begin: func(Manifest) error { cancel(); return nil }}.Restore(ctx, iotestOneByte{bytes.NewReader(raw)}, nil)
	if !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "damaged") {
		t.Errorf("got %v", err)
	}
	wantNothing(t, data)
}

// iotestOneByte gives a few bytes at a time, so that a read-ahead does not take all.
type iotestOneByte struct{ in io.Reader }

func (o iotestOneByte) Read(into []byte) (int, error) { return o.in.Read(into[:min(len(into), 64)]) }

func TestWriteNew(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "b.tar")
	write := func(text string) func(io.Writer) error {
		return func(out io.Writer) error { _, err := io.WriteString(out, text); return err }
	}
	failed := errors.New("no more")
	if err := WriteNew(path, func(out io.Writer) error { _, _ = io.WriteString(out, "half"); return failed }); !errors.Is(err, failed) {
		t.Fatal(err)
	}
	if entries, _ := os.ReadDir(folder); len(entries) > 0 {
		t.Fatalf("left behind: %v", entries)
	}
	if err := os.WriteFile(path+partSuffix, []byte(manifestName+"\x00…, long ago, and longer than what follows"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := WriteNew(path, write("whole")); err != nil {
		t.Fatal(err)
	}
	if content, err := os.ReadFile(path); err != nil || string(content) != "whole" {
		t.Errorf("%q %v", content, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	wantCode(t, WriteNew(path, write("other")), capf.CodeConflict, "is there already")
	wantCode(t, WriteNew(filepath.Join(folder, "none", "b.tar"), write("x")), capf.CodeUnavailable)
}

func TestWriteNewSparesOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "b.tar")
	nothing := func(io.Writer) error { return nil }
	if err := os.WriteFile(path+partSuffix, []byte("a download"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantCode(t, WriteNew(path, nothing), capf.CodeConflict, "no part of a backup")
	if err := os.Remove(path + partSuffix); err != nil {
		t.Fatal(err)
	}
	// Somebody else takes the name while it is written, or is about to write the same.
	taken := func(io.Writer) error {
		wantCode(t, WriteNew(path, nothing), capf.CodeBusy)
		return os.WriteFile(path, []byte("precious"), 0o600)
	}
	wantCode(t, WriteNew(path, taken), capf.CodeConflict)
	if content, err := os.ReadFile(path); err != nil || string(content) != "precious" {
		t.Errorf("%q %v", content, err)
	}
}

func TestKeysOfAge(t *testing.T) {
	key := newIdentity(t)
	for _, wrong := range []string{"", "age1x", key.String(), "ssh-ed25519 AAAA", key.Recipient().String() + "\n" + key.Recipient().String()} {
		_, err := ParseRecipients([]string{key.Recipient().String(), wrong})
		wantCode(t, err, capf.CodeInvalid, "recipient 2")
		if strings.Contains(err.Error(), key.String()) {
			t.Error("the error shows a private key")
		}
	}
	path := filepath.Join(t.TempDir(), "key.txt")
	for content, good := range map[string]bool{"# mine\n" + key.String() + "\n": true, "": false, key.String()[:40]: false, "x" + key.String(): false} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := ReadIdentities(path)
		if good && err != nil {
			t.Error(err)
		}
		if !good {
			wantCode(t, err, capf.CodeInvalid, path)
			if strings.Contains(err.Error(), "AGE-SECRET-KEY-1") {
				t.Error("the error shows what is in the file")
			}
		}
	}
	_, err := ReadIdentities(path + ".none")
	wantCode(t, err, capf.CodeInvalid)
}

func TestWrongIdentity(t *testing.T) {
	raw := backupOf(t, small, newIdentity(t).Recipient())
	_, _, err := restored(t, bytes.NewReader(raw), newIdentity(t))
	wantCode(t, err, capf.CodeRefused, "other keys")
	_, _, err = restored(t, bytes.NewReader(raw))
	wantCode(t, err, capf.CodeInvalid, "--identity")
	_, _, err = restored(t, strings.NewReader(armorBegin+"\n"))
	wantCode(t, err, capf.CodeInvalid, "age --decrypt")
}
