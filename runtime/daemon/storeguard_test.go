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

	"capf/runtime/capf"
	"capf/runtime/session"
	"capf/runtime/store/sqlite"
	"capf/runtime/web"
)

// guardedBy are all the ways in which the service uses its store.
var guardedBy = []reflect.Type{
	reflect.TypeFor[session.Phones](), reflect.TypeFor[session.Operations](), reflect.TypeFor[session.Strings](), reflect.TypeFor[session.HeldCalls](),
	reflect.TypeFor[upkeepStore](), reflect.TypeFor[servedStore](), reflect.TypeFor[driftStore](), reflect.TypeFor[listStore](), reflect.TypeFor[traceStore](), reflect.TypeFor[web.Inventory](),
	reflect.TypeFor[web.Health](), reflect.TypeFor[interface {
		ExpireOperations(ctx context.Context, now time.Time, atMost int) (int, error)
		RecordActivation(ctx context.Context, inForce *x509.Certificate, note string) (bool, error)
	}](),
}

// unguarded does not touch the file.
var unguarded = map[string]bool{"Commits": true}

// TestEveryUseOfTheStoreIsGuarded calls every method that the service uses, while a file of the store is away and while
// another lies in its place: none may answer as if it were there.
func TestEveryUseOfTheStoreIsGuarded(t *testing.T) {
	for _, name := range []string{"", "-wal", "-shm"} {
		t.Run(StoreFile+name, func(t *testing.T) {
			c := newTrial(t)
			checkUses(t, c, c.path+name)
		})
	}
}

func checkUses(t *testing.T, c *trial, path string) {
	t.Helper()
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	certificate := sampleCertificate(t, "servers/capf.pem")
	given := map[string][]any{ // where a method does not come as far as the store with nothing
		"EndOperation":     {deviceA, capf.OperationRef{ID: 1, Revision: 1}, capf.Outcome{Ending: capf.EndingFailed}},
		"LinkIssuers":      {[]capf.Anchor{{DER: certificate.Raw, SHA256: capf.HexSHA256(certificate.Raw)}}},
		"RecordActivation": {certificate, ""},
	}
	checkGuarded(t, c.store, given, "is gone")
	if err := os.WriteFile(path, []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	checkGuarded(t, c.store, given, "another file")
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	c.pend(deviceA, capf.AuthByNullString) // taken up again
	if err := c.store.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func checkGuarded(t *testing.T, store *sqlite.Store, given map[string][]any, want string) {
	t.Helper()
	seen := make(map[string]bool)
	for _, uses := range guardedBy {
		for i := range uses.NumMethod() {
			name := uses.Method(i).Name
			if seen[name] || unguarded[name] {
				continue
			}
			seen[name] = true
			if err := callMethod(t, store, name, given[name]); !capf.HasCode(err, capf.CodeUnavailable) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		}
	}
}

// callMethod calls a method with a context and what is given, else with nothing else, and gives its error.
func callMethod(t *testing.T, store *sqlite.Store, name string, given []any) error {
	t.Helper()
	method := reflect.ValueOf(store).MethodByName(name)
	arguments := []reflect.Value{reflect.ValueOf(t.Context())}
	for _, one := range given {
		arguments = append(arguments, reflect.ValueOf(one))
	}
	for i := len(arguments); i < method.Type().NumIn(); i++ {
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
	c := &trial{t: t, store: store}
	c.pend(deviceA, capf.AuthByNullString)
	ref := c.phone(deviceA).Last.Ref
	away = func() error { return os.Rename(path, path+".away") }
	if err := store.EndOperation(t.Context(), deviceA, ref, capf.Outcome{Ending: capf.EndingFailed}); !capf.HasCode(err, capf.CodeUnavailable) || away != nil {
		t.Errorf("the file went away during the write: %v", err)
	}
}

// Resets that the store does not take are on record as soon as it does, and no phone is reset twice for that.
func TestResetsWhileTheStoreIsAway(t *testing.T) {
	c := newTrial(t)
	c.set(capf.ParamWindow, "22:00-05:00 UTC")
	c.pend(deviceA, capf.AuthByLSC) // has no certificate: it stays pending
	c.at(noonOfTrial.Add(10 * time.Hour))
	path := c.path
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
