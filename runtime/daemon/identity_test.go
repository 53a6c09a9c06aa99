package daemon

import (
	"log/slog"
	"os"
	"strings"
	"testing"

	"capf/runtime/ca"
	"capf/runtime/capf"
)

// opened is the identity of a data directory as the service has it.
func (a *authority) opened(log *slog.Logger) *identity {
	a.t.Helper()
	opened, err := openIdentity(a.directory, a.environment(), log)
	if err != nil {
		a.t.Fatal(err)
	}
	return opened
}

func (a *authority) makeNext() *ca.Authority {
	a.t.Helper()
	next, err := ca.MakeNext(a.directory, ca.Options{}, nil, false, a.environment())
	if err != nil {
		a.t.Fatal(err)
	}
	return next
}

func (a *authority) putInForce(next *ca.Authority) {
	a.t.Helper()
	succession := ca.Succession{Directory: a.directory, Environment: a.environment(), Keeper: a.Store, Actor: "tester"}
	if err := succession.Run(a.t.Context(), next); err != nil {
		a.t.Fatal(err)
	}
}

func TestIdentityFollowsActivation(t *testing.T) {
	a := newAuthority(t)
	identity := a.opened(slog.New(slog.DiscardHandler))
	trust := &trust{store: a.Store, own: identity.Certificate}
	first := identity.Authority()
	if identity.Authority() != first {
		t.Error("it was read again although nothing has changed")
	}
	next := a.makeNext()
	if identity.Authority() != first {
		t.Error("the next one is in force before it was activated")
	}
	shown, issuer := identity.Current() // of a session that has begun
	a.putInForce(next)
	if !identity.Certificate().Equal(next.Certificate) {
		t.Error("the next one is not in force")
	}
	if !shown.Leaf.Equal(first.Certificate) || issuer.(*ca.Authority) != first {
		t.Error("a session that had begun goes by another identity")
	}
	anchors, err := trust.Anchors(t.Context(), capf.LSC)
	if err != nil || len(anchors) != 2 || !anchors[0].Equal(next.Certificate) || !anchors[1].Equal(first.Certificate) {
		t.Errorf("anchors %v, %v", anchors, err)
	}
	if anchors, err := trust.Anchors(t.Context(), capf.MIC); err != nil || len(anchors) != 0 {
		t.Errorf("anchors for MICs %v, %v", anchors, err)
	}
}

func TestIdentityThatCannotBeRead(t *testing.T) {
	a := newAuthority(t)
	var log strings.Builder
	identity := a.opened(slog.New(slog.NewTextHandler(&log, nil)))
	path := ca.IdentityPath(a.directory)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, damage := range []func() error{
		func() error { return os.WriteFile(path, content[:len(content)/2], 0o600) },
		func() error { return os.Remove(path) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if !identity.Certificate().Equal(a.current.Certificate) {
				t.Error("it serves on with another identity")
			}
		}
	}
	if count := strings.Count(log.String(), "cannot be read"); count != 1 || strings.Contains(log.String(), "MII") {
		t.Errorf("said %d times: %s", count, &log)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if !identity.Certificate().Equal(a.current.Certificate) {
		t.Error("mended, it is another identity")
	}
	if _, err := openIdentity(t.TempDir(), a.environment(), slog.New(slog.DiscardHandler)); !capf.HasCode(err, capf.CodeNotActivated) {
		t.Errorf("without an identity: %v", err)
	}
}

// TestOwnKeys: in force, next and past, as they come, also within the time in which a folder looks unchanged.
func TestOwnKeys(t *testing.T) {
	a := newAuthority(t)
	identity := a.opened(slog.New(slog.DiscardHandler))
	own := func(authority *ca.Authority) bool {
		t.Helper()
		is, err := identity.IsOwnKey(capf.KeyIdentity(authority.Certificate.PublicKey, authority.Certificate.RawSubjectPublicKeyInfo))
		if err != nil {
			t.Fatal(err)
		}
		return is
	}
	stranger := newAuthority(t)
	for range 2 {
		if !own(a.current) || own(stranger.current) {
			t.Error("in force alone")
		}
	}
	next := a.makeNext()
	if !own(next) || !own(a.current) {
		t.Error("the next one's key is not CAPF's")
	}
	a.putInForce(next)
	another := a.makeNext()
	if !own(a.current) || !own(next) || !own(another) || own(stranger.current) {
		t.Error("past, in force and next")
	}
}
