package ca

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"capf/runtime/capf"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func clockAt(now time.Time) Environment {
	return Environment{Clock: func() time.Time { return now }, Random: rand.Reader}
}

// keeper remembers which certificates became anchors, and what it was told of activations.
type keeper struct {
	mu        sync.Mutex
	past      map[string]bool
	begun     []string          // names, in order
	activated map[string]string // notes by name
}

func (k *keeper) KeepPastAuthority(_ context.Context, past, successor *x509.Certificate, _ string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.past == nil {
		k.past = make(map[string]bool)
	}
	k.past[string(past.Raw)] = true
	k.begun = append(k.begun, successor.Subject.CommonName)
	return nil
}

func (k *keeper) RecordActivation(_ context.Context, inForce *x509.Certificate, note string) (recorded bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	name := inForce.Subject.CommonName
	if _, known := k.activated[name]; known || !slices.Contains(k.begun, name) {
		return false, nil
	}
	if k.activated == nil {
		k.activated = make(map[string]string)
	}
	k.activated[name] = note
	return true, nil
}

// renewed is a data directory with an identity and its successor.
func renewed(t *testing.T) (directory string, current, next *Authority) {
	t.Helper()
	return renewedWith(t, 2048)
}

func renewedWith(t *testing.T, size int) (directory string, current, next *Authority) {
	t.Helper()
	directory = t.TempDir()
	current, _, err := Activate(directory, Options{CommonName: "CAPF-one", Organization: "Example", OrganizationalUnit: "Voice", KeySize: size}, clockAt(start))
	if err != nil {
		t.Fatal(err)
	}
	if next, err = MakeNext(directory, Options{}, nil, false, clockAt(start)); err != nil {
		t.Fatal(err)
	}
	return directory, current, next
}

// files gives names and contents of a directory with what lies below it.
func files(t *testing.T, directory string) map[string][]byte {
	t.Helper()
	found := make(map[string][]byte)
	err := fs.WalkDir(os.DirFS(directory), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if strings.HasPrefix(name, "keys/") && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o", name, info.Mode().Perm())
		}
		found[name], err = os.ReadFile(filepath.Join(directory, name))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestNextFollowsTheOneInForce(t *testing.T) {
	directory, current, next := renewedWith(t, 3072)
	subject := next.Certificate.Subject
	if subject.Organization[0] != "Example" || subject.OrganizationalUnit[0] != "Voice" || next.Name() == current.Name() {
		t.Errorf("the next is called %s", subject)
	}
	if size := next.Certificate.PublicKey.(interface{ Size() int }).Size(); size != 3072/8 {
		t.Errorf("its key has %d bytes", size)
	}
	read, err := Next(directory, clockAt(start))
	if err != nil || !read.Certificate.Equal(next.Certificate) {
		t.Errorf("read again: %v", err)
	}
	inForce, err := Load(directory, clockAt(start))
	if err != nil || !inForce.Certificate.Equal(current.Certificate) {
		t.Errorf("in force: %v", err)
	}
	certificates, err := Certificates(directory)
	if err != nil || len(certificates) != 2 {
		t.Errorf("%d certificates, %v", len(certificates), err)
	}
}

func TestMakeNextRefuses(t *testing.T) {
	if _, err := MakeNext(t.TempDir(), Options{}, nil, false, clockAt(start)); !capf.HasCode(err, capf.CodeNotActivated) {
		t.Errorf("without an identity: %v", err)
	}
	directory, _, next := renewed(t)
	before := files(t, directory)
	for name, test := range map[string]struct {
		options Options
		replace bool
		want    capf.Code
	}{
		"there is one":             {Options{}, false, capf.CodeConflict},
		"the name in force":        {Options{CommonName: "capf-ONE"}, true, capf.CodeConflict},
		"a name that is taken":     {Options{CommonName: "CAPF-ZERO"}, true, capf.CodeConflict},
		"a name that is no file's": {Options{CommonName: "../x"}, true, capf.CodeInvalid},
		"a short key":              {Options{KeySize: 1024}, true, capf.CodeInvalid},
	} {
		if _, err := MakeNext(directory, test.options, []string{"CAPF-zero"}, test.replace, clockAt(start)); !capf.HasCode(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if after := files(t, directory); !bytes.Equal(after["keys/next.pem"], before["keys/next.pem"]) || len(after) != len(before) {
		t.Error("something was changed")
	}
	other, err := MakeNext(directory, Options{}, nil, true, clockAt(start))
	if err != nil || other.Certificate.Equal(next.Certificate) {
		t.Errorf("replace: %v", err)
	}
	if err := (Succession{Directory: directory, Environment: clockAt(start), Keeper: &keeper{}}).Run(t.Context(), next); !capf.HasCode(err, capf.CodeConflict) {
		t.Errorf("activating the one that was replaced: %v", err)
	}
}

var errStop = errors.New("the power fails")

// TestSuccessionStoppedAnywhere stops between any two steps. Then one of the two is in force with its key, what
// the one before issued is trusted before it is not in force any more, and a second run completes it.
func TestSuccessionStoppedAnywhere(t *testing.T) {
	for _, stop := range []string{"record of the one before", "anchor", "old key", "folder", "in force", "folder again", "record", "files", "nowhere"} {
		t.Run(stop, func(t *testing.T) {
			directory, current, next := renewed(t)
			kept := &keeper{}
			succession := Succession{Directory: directory, Environment: clockAt(start), Keeper: kept, after: func(step string) error {
				if step == stop {
					return errStop
				}
				return nil
			}}
			if err := succession.Run(t.Context(), next); (stop == "nowhere") != (err == nil) || err != nil && !errors.Is(err, errStop) {
				t.Fatal(err)
			}
			checkOneInForce(t, directory, kept, current, next)
			succession.after = nil
			complete(t, succession)
			checkDone(t, directory, current, next)
			note, recorded := kept.activated[next.Name()]
			if late := stop == "in force" || stop == "folder again"; !recorded || late != (note == CutOff) || len(kept.activated) != 1 {
				t.Errorf("on record are %q", kept.activated)
			}
		})
	}
}

// TestSuccessionOfAnotherOne cuts an activation off and makes another successor: of the two, only what was in force
// is on record as that, also where it was not before the other was activated.
func TestSuccessionOfAnotherOne(t *testing.T) {
	for stop, want := range map[string]int{"anchor": 1, "folder": 1, "in force": 2} {
		directory, _, next := renewed(t)
		kept := &keeper{}
		succession := Succession{Directory: directory, Environment: clockAt(start), Keeper: kept, after: func(step string) error {
			if step == stop {
				return errStop
			}
			return nil
		}}
		if err := succession.Run(t.Context(), next); !errors.Is(err, errStop) {
			t.Fatal(err)
		}
		other, err := MakeNext(directory, Options{}, []string{next.Name()}, true, clockAt(start))
		if err != nil {
			t.Fatal(err)
		}
		succession.after = nil
		if err := succession.Run(t.Context(), other); err != nil {
			t.Fatal(err)
		}
		if _, recorded := kept.activated[other.Name()]; !recorded || len(kept.activated) != want {
			t.Errorf("cut off after %q: on record are %q", stop, kept.activated)
		}
	}
}

func checkOneInForce(t *testing.T, directory string, kept *keeper, current, next *Authority) {
	t.Helper()
	inForce, err := Load(directory, clockAt(start))
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case inForce.Certificate.Equal(next.Certificate):
		past, err := Past(directory, clockAt(start))
		if err != nil || len(past) != 1 || !past[0].Certificate.Equal(current.Certificate) || !kept.past[string(current.Certificate.Raw)] {
			t.Errorf("the next is in force, and of the one before remain %v, %v", past, err)
		}
	case !inForce.Certificate.Equal(current.Certificate):
		t.Error("neither is in force")
	case len(kept.activated) > 0:
		t.Errorf("on record as activated is %q, and the one before is still in force", kept.activated)
	}
}

// complete does what `capf ca activate` does when it is run again.
func complete(t *testing.T, succession Succession) {
	t.Helper()
	next, err := Next(succession.Directory, succession.Environment)
	if capf.HasCode(err, capf.CodeNotFound) {
		_, err = succession.Finish(t.Context())
	} else if err == nil {
		err = succession.Run(t.Context(), next)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func checkDone(t *testing.T, directory string, current, next *Authority) {
	t.Helper()
	want := next.CertificateFiles()
	for _, one := range []struct {
		name      string
		authority *Authority
	}{{"keys/capf.pem", next}, {"keys/old-" + capf.FormatSerial(current.Certificate.SerialNumber) + ".pem", current}} {
		content, err := one.authority.encode()
		if err != nil {
			t.Fatal(err)
		}
		want[one.name] = content
	}
	found := files(t, directory)
	for name, content := range want {
		if !bytes.Equal(found[name], content) {
			t.Errorf("%s is not what it should be", name)
		}
	}
	if len(found) != len(want) {
		t.Errorf("%d files instead of %d", len(found), len(want))
	}
	if needed, err := (Succession{Directory: directory, Environment: clockAt(start), Keeper: &keeper{}}).Finish(t.Context()); needed || err != nil {
		t.Errorf("something was left to do: %v", err)
	}
}

func TestSuccessionRefuses(t *testing.T) {
	directory, _, next := renewed(t)
	late := Succession{Directory: directory, Environment: clockAt(start.AddDate(30, 0, 0)), Keeper: &keeper{}}
	expired, err := Next(directory, late.Environment)
	if err != nil {
		t.Fatal(err)
	}
	if err := late.Run(t.Context(), expired); !capf.HasCode(err, capf.CodeUnavailable) || !strings.Contains(err.Error(), "clock") {
		t.Errorf("one that has ended: %v", err)
	}
	unlock, err := lockKeys(directory)
	if err != nil {
		t.Fatal(err)
	}
	succession := Succession{Directory: directory, Environment: clockAt(start), Keeper: &keeper{}}
	if err := succession.Run(t.Context(), next); !capf.HasCode(err, capf.CodeBusy) {
		t.Errorf("beside another command: %v", err)
	}
	unlock()
	if err := succession.Run(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	if err := succession.Run(t.Context(), next); !capf.HasCode(err, capf.CodeNotFound) {
		t.Errorf("a second time: %v", err)
	}
}

// The service holds the keys for a moment when it starts: that is no reason to send an administrator away.
func TestSuccessionWaitsForAMoment(t *testing.T) {
	directory, _, next := renewed(t)
	unlock, err := lockKeys(directory)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(lockWithin/10, func() { _ = unlock() })
	if err := (Succession{Directory: directory, Environment: clockAt(start), Keeper: &keeper{}}).Run(t.Context(), next); err != nil {
		t.Error(err)
	}
}

// A file in DATA that bears a past name but is somebody's own stays.
func TestFinishRemovesOnlyItsOwn(t *testing.T) {
	directory, current, next := renewed(t)
	path := filepath.Join(directory, current.Name()+".0")
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (Succession{Directory: directory, Environment: clockAt(start), Keeper: &keeper{}}).Run(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	if content, err := os.ReadFile(path); err != nil || string(content) != "mine" {
		t.Errorf("%q, %v", content, err)
	}
}

// An activation that was cut off leaves the key in force under both names: it is not among the past ones, and its
// certificate is not cleared away.
func TestTheOneInForceIsNotPast(t *testing.T) {
	directory, current, _ := renewed(t)
	keys := filepath.Join(directory, "keys")
	if err := os.Link(filepath.Join(keys, "capf.pem"), filepath.Join(keys, "old-"+capf.FormatSerial(current.Certificate.SerialNumber)+".pem")); err != nil {
		t.Fatal(err)
	}
	past, err := Past(directory, clockAt(start))
	if err != nil || len(past) != 0 {
		t.Errorf("%d past ones, %v", len(past), err)
	}
}
