package session

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"capf/runtime/capf"
)

func claimant(t *testing.T) *session {
	near, far := net.Pipe()
	t.Cleanup(func() { _ = near.Close(); _ = far.Close() })
	return &session{device: "SEP0011223344AA", conn: tls.Server(near, &tls.Config{}), log: slog.New(slog.DiscardHandler), done: make(chan struct{})}
}

// claimBy claims as a session does.
func claimBy(r *registry, ctx context.Context, s *session) error {
	own, cancel := context.WithCancel(ctx)
	s.cancel = cancel
	return r.claim(own, s)
}

func isAborted(s *session) bool {
	return s.conn.NetConn().SetDeadline(time.Time{}) != nil
}

// Of several that wait for an owner to let go the newest has it; the others are closed and never take over
// what is newer than they.
func TestTheNewestClaimantHasIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r registry
		owner, older, newest := claimant(t), claimant(t), claimant(t)
		owner.number, older.number, newest.number = 1, 2, 3
		if err := claimBy(&r, t.Context(), owner); err != nil {
			t.Fatal(err)
		}
		has := make(map[*session]chan error)
		for _, s := range []*session{older, newest} {
			has[s] = make(chan error, 1)
			go func() { has[s] <- claimBy(&r, t.Context(), s) }()
			synctest.Wait()
		}
		if !isAborted(owner) || !isAborted(older) || isAborted(newest) {
			t.Errorf("closed: owner %v, older %v, newest %v", isAborted(owner), isAborted(older), isAborted(newest))
		}
		if err := <-has[older]; !isLineBroken(err) { // before the owner has let go
			t.Errorf("an older session took over a newer one: %v", err)
		}
		r.drop(owner)
		if err := <-has[newest]; err != nil || !newest.tookOver || owner.tookOver {
			t.Errorf("the newest: %v, took over %v; the first took over %v", err, newest.tookOver, owner.tookOver)
		}
		if late := claimant(t); !isLineBroken(claimBy(&r, t.Context(), late)) || isAborted(newest) { // number 0: it called before all of them
			t.Error("a session that was slower to authenticate took over")
		}
		r.drop(newest)
		if len(r.devices) != 0 {
			t.Errorf("left behind: %v", r.devices)
		}
	})
}

// An owner that does not let go keeps the operation, and who waits for it is closed without a word. It can be
// taken over later.
func TestTheWaitForAnOwnerIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r registry
		owner, patient, stopped, last := claimant(t), claimant(t), claimant(t), claimant(t)
		owner.number, patient.number, stopped.number, last.number = 1, 2, 3, 4
		if err := claimBy(&r, t.Context(), owner); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		err := claimBy(&r, t.Context(), patient)
		if waited := time.Since(began); waited != takeoverWithin || !capf.HasCode(err, capf.CodeBusy) || !endsSilently(err) || isAborted(patient) {
			t.Errorf("after %v: %v", waited, err)
		}
		if r.handOver(owner) {
			t.Error("handed over to nobody")
		}
		service, stop := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, stop)
		if err := claimBy(&r, service, stopped); !isLineBroken(err) {
			t.Errorf("the service stops: %v", err)
		}
		has := make(chan error, 1)
		go func() { has <- claimBy(&r, t.Context(), last) }()
		synctest.Wait()
		if !r.handOver(owner) {
			t.Error("not handed over to the one that waits")
		}
		r.drop(owner) // as at its end
		if err := <-has; err != nil || r.devices[last.device].owner != last {
			t.Errorf("the last: %v", err)
		}
		r.drop(last)
		if len(r.devices) != 0 {
			t.Errorf("left behind: %v", r.devices)
		}
	})
}

// An owner that could not release its operation leaves that to whoever takes over, also where a still newer session
// came before the one that it handed over to had begun.
func TestTheDutyToReleaseIsPassedOn(t *testing.T) {
	before, s := claimant(t), claimant(t)
	before.number, s.number = 1, 2
	_, before.cancel = context.WithCancel(t.Context())
	r := registry{devices: map[string]*claims{s.device: {newest: before}}} // the owner has handed over to it
	if err := claimBy(&r, t.Context(), s); err != nil || !s.tookOver || !isAborted(before) {
		t.Errorf("%v, took over %v, the one before closed %v", err, s.tookOver, isAborted(before))
	}
}
