package daemon

import (
	"context"
	"crypto/x509"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"capf/runtime/admin"
	"capf/runtime/capf"
	"capf/runtime/session"
	"capf/runtime/store/sqlite"
)

// guardedBy are all the ways in which the service uses its store.
var guardedBy = []reflect.Type{
	reflect.TypeFor[session.Phones](), reflect.TypeFor[session.Operations](), reflect.TypeFor[session.Strings](), reflect.TypeFor[session.HeldCalls](),
	reflect.TypeFor[upkeepStore](), reflect.TypeFor[servedStore](), reflect.TypeFor[traceStore](), reflect.TypeFor[admin.Inventory](),
	reflect.TypeFor[admin.Health](), reflect.TypeFor[interface {
		ExpireOperations(ctx context.Context, now time.Time, atMost int) (int, error)
		RecordActivation(ctx context.Context, inForce *x509.Certificate, note string) (bool, error)
	}](),
}

// unguarded does not touch the file (Commits), has its reason in storeguard.go, or looks only afterwards (AddIssued:
// the fault tests of the program).
var unguarded = map[string]bool{"Commits": true, "ReleaseOperation": true, "AddIssued": true}

// TestEveryUseOfTheStoreIsGuarded calls every method that the service uses, while the file is away and while another
// lies in its place: none may answer as if it were there.
func TestEveryUseOfTheStoreIsGuarded(t *testing.T) {
	c := newTrial(t)
	path := c.store.path
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	checkGuarded(t, c.store, "is gone")
	if err := os.WriteFile(path, []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	checkGuarded(t, c.store, "another file")
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	c.pend(deviceA, capf.AuthByNullString) // taken up again
	if err := c.store.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func checkGuarded(t *testing.T, store *placedStore, want string) {
	t.Helper()
	seen := make(map[string]bool)
	for _, uses := range guardedBy {
		for i := range uses.NumMethod() {
			name := uses.Method(i).Name
			if seen[name] || unguarded[name] {
				continue
			}
			seen[name] = true
			if err := callEmpty(t, store, name); !capf.HasCode(err, capf.CodeUnavailable) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		}
	}
}

// callEmpty calls a method with a context and nothing else, and gives its error.
func callEmpty(t *testing.T, store *placedStore, name string) error {
	t.Helper()
	method := reflect.ValueOf(store).MethodByName(name)
	arguments := []reflect.Value{reflect.ValueOf(t.Context())}
	for i := 1; i < method.Type().NumIn(); i++ {
		arguments = append(arguments, reflect.Zero(method.Type().In(i)))
	}
	defer func() {
		if cause := recover(); cause != nil {
			t.Errorf("%s came as far as its arguments: %v", name, cause)
		}
	}()
	results := method.Call(arguments)
	err, _ := results[len(results)-1].Interface().(error)
	return err
}

// A file that goes away during a write takes it along.
func TestWhatIsWrittenIntoNothingDoesNotCount(t *testing.T) {
	c := newTrial(t)
	_, err := written(c.store, func() (int, error) { return 7, os.Rename(c.store.path, c.store.path+".away") })
	if !capf.HasCode(err, capf.CodeUnavailable) {
		t.Errorf("the file went away during the write: %v", err)
	}
}

// No phone hears of an outcome that is in no store. The clock of the store is read inside the write: the file goes away
// then.
func TestAnOutcomeWrittenIntoNothingDoesNotCount(t *testing.T) {
	var away func() error
	path := filepath.Join(t.TempDir(), StoreFile)
	store, err := sqlite.Open(t.Context(), sqlite.Options{Path: path, Create: true, Clock: func() time.Time {
		if away != nil {
			if err := away(); err != nil {
				t.Error(err)
			}
			away = nil
		}
		return noonOfTrial
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	guarded, err := placed(store, path)
	if err != nil {
		t.Fatal(err)
	}
	c := &trial{t: t, store: guarded}
	c.pend(deviceA, capf.AuthByNullString)
	ref := c.phone(deviceA).Last.Ref
	away = func() error { return os.Rename(path, path+".away") }
	if err := guarded.EndOperation(t.Context(), deviceA, ref, capf.Outcome{Ending: capf.EndingFailed}); !capf.HasCode(err, capf.CodeUnavailable) || away != nil {
		t.Errorf("the file went away during the write: %v", err)
	}
}

// Resets that the store does not take are on record as soon as it does, and no phone is reset twice for that.
func TestResetsWhileTheStoreIsAway(t *testing.T) {
	c := newTrial(t)
	c.set(capf.ParamWindow, "22:00-05:00 UTC")
	c.pend(deviceA, capf.AuthByLSC) // has no certificate: it stays pending
	c.at(noonOfTrial.Add(10 * time.Hour))
	path := c.store.path
	c.whileReset = func() error { return os.Rename(path, path+".away") }
	if err := c.upkeep.step(t.Context()); !capf.HasCode(err, capf.CodeUnavailable) {
		t.Errorf("recorded nowhere: %v", err)
	}
	c.check("reset", c.wasReset(), []string{deviceA})
	if err := c.upkeep.step(t.Context()); !capf.HasCode(err, capf.CodeUnavailable) {
		t.Errorf("still away: %v", err)
	}
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	c.step()
	c.check("reset again", c.wasReset(), []string(nil))
	if last, err := c.store.LastReset(t.Context(), deviceA); err != nil || last == nil || last.Problem != "" {
		t.Errorf("on record is %+v, %v", last, err)
	}
}
