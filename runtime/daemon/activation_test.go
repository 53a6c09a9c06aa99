package daemon

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"capf/runtime/ca"
	"capf/runtime/capf"
	"capf/runtime/config"
	"capf/runtime/store/sqlite"
)

var errCut = errors.New("the power fails")

// cutKeeper is the store of a `capf ca activate` that is cut off. Between its calls lies the rename that puts the
// certificate in force: after the first and before the last of them it is not, or is, done.
type cutKeeper struct {
	*sqlite.Store
	at string
}

func (k cutKeeper) KeepPastAuthority(ctx context.Context, past, successor *x509.Certificate, actor string) error {
	if k.at == "before the anchor" {
		return errCut
	}
	if err := k.Store.KeepPastAuthority(ctx, past, successor, actor); err != nil {
		return err
	}
	if k.at == "before the rename" {
		return errCut
	}
	return nil
}

func (k cutKeeper) RecordActivation(ctx context.Context, inForce *x509.Certificate, note string) (bool, error) {
	if k.at == "after the rename" && note == "" {
		return false, errCut
	}
	recorded, err := k.Store.RecordActivation(ctx, inForce, note)
	if err == nil && k.at == "after the record" && note == "" {
		err = errCut
	}
	return recorded, err
}

// activations gives what the audit trail says of them, the oldest first: the action and the common name.
func (a *authority) activations() (entries []string) {
	a.t.Helper()
	all, err := a.Audit(a.t.Context(), 0)
	if err != nil {
		a.t.Fatal(err)
	}
	slices.Reverse(all)
	for _, one := range all {
		if strings.HasPrefix(one.Action, "ca ") {
			if one.Actor != "tester" {
				a.t.Errorf("%s by %s", one.Action, one.Actor)
			}
			subject, _, _ := strings.Cut(strings.TrimPrefix(one.Detail, `subject="CN=`), `"`)
			entries = append(entries, one.Action+" "+subject)
		}
	}
	return entries
}

// TestActivationOnRecord cuts `capf ca activate` off at each point, and starts a service then. The audit trail says
// that a certificate was activated if it is in force, and not before.
func TestActivationOnRecord(t *testing.T) {
	for at, want := range map[string]struct{ cut, served []string }{
		"before the anchor": {nil, nil},
		"before the rename": {[]string{"ca activating"}, []string{"ca activating"}},
		"after the rename":  {[]string{"ca activating"}, []string{"ca activating", "ca activate"}},
		"after the record":  {[]string{"ca activating", "ca activate"}, []string{"ca activating", "ca activate"}},
	} {
		t.Run(at, func(t *testing.T) {
			a := newAuthority(t)
			next := a.makeNext()
			succession := ca.Succession{Directory: a.directory, Environment: a.environment(), Keeper: cutKeeper{a.Store, at}, Actor: "tester"}
			if err := succession.Run(t.Context(), next); !errors.Is(err, errCut) {
				t.Fatal(err)
			}
			named := func(actions []string) (entries []string) {
				for _, action := range actions {
					entries = append(entries, action+" "+next.Name())
				}
				return entries
			}
			if got := a.activations(); !slices.Equal(got, named(want.cut)) {
				t.Errorf("after the cut: %q", got)
			}
			for range 2 {
				a.completed()
			}
			if got := a.activations(); !slices.Equal(got, named(want.served)) {
				t.Errorf("after the service has seen to it: %q", got)
			}
		})
	}
}

// completed has a service see to what is left to do at its start.
func (a *authority) completed() {
	a.t.Helper()
	d := &Daemon{options: Options{Data: a.directory, Environment: a.environment(), Config: config.Default(), Log: slog.New(slog.DiscardHandler)},
		identity: a.opened(slog.New(slog.DiscardHandler)), store: a.Store}
	ctx, cancel := context.WithCancel(a.t.Context())
	if !d.completeActivation(ctx) {
		a.t.Error("something is left to do")
	}
	cancel()
	if err := d.followActivations(ctx); err != nil {
		a.t.Error(err)
	}
}

// TestActivationBesideACommand: while a command holds the keys, the service leaves everything to it.
func TestActivationBesideACommand(t *testing.T) {
	a := newAuthority(t)
	next := a.makeNext()
	var beside bool
	var said strings.Builder
	d := &Daemon{options: Options{Data: a.directory, Environment: a.environment(), Log: slog.New(slog.NewTextHandler(&said, nil))},
		identity: a.opened(slog.New(slog.DiscardHandler)), store: a.Store}
	keeper := besideKeeper{a.Store, func() { beside = d.completeActivation(t.Context()) }}
	succession := ca.Succession{Directory: a.directory, Environment: a.environment(), Keeper: keeper, Actor: "tester"}
	if err := succession.Run(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	if beside || said.Len() > 0 {
		t.Errorf("the service saw to it beside the command: %t, %s", beside, &said)
	}
	entries, err := a.Audit(t.Context(), 1)
	if err != nil || len(entries) != 1 || entries[0].Action != "ca activate" || strings.Contains(entries[0].Detail, ca.CutOff) ||
		entries[0].Subject != capf.FormatSerial(next.Certificate.SerialNumber) {
		t.Errorf("on record is %+v, %v", entries, err)
	}
}

// besideKeeper does something when the next certificate is in force and that is not on record yet.
type besideKeeper struct {
	*sqlite.Store
	do func()
}

func (k besideKeeper) RecordActivation(ctx context.Context, inForce *x509.Certificate, note string) (bool, error) {
	if note == "" {
		k.do()
	}
	return k.Store.RecordActivation(ctx, inForce, note)
}
