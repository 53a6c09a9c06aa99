package session

import (
	"crypto/tls"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

func claimant(t *testing.T) *session {
	near, far := net.Pipe()
	t.Cleanup(func() { _ = near.Close(); _ = far.Close() })
	return &session{device: "SEP0011223344AA", conn: tls.Server(near, &tls.Config{}), log: slog.New(slog.DiscardHandler), done: make(chan struct{})}
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
		if !r.claim(owner) {
			t.Fatal("nobody was there")
		}
		has := make(map[*session]chan bool)
		for _, s := range []*session{older, newest} {
			has[s] = make(chan bool, 1)
			go func() { has[s] <- r.claim(s) }()
			synctest.Wait()
		}
		if !isAborted(owner) || !isAborted(older) || isAborted(newest) {
			t.Errorf("closed: owner %v, older %v, newest %v", isAborted(owner), isAborted(older), isAborted(newest))
		}
		r.drop(owner)
		if <-has[older] || !<-has[newest] {
			t.Error("an older session took over a newer one")
		}
		if late := claimant(t); r.claim(late) || isAborted(newest) { // number 0: it called before all of them
			t.Error("a session that was slower to authenticate took over")
		}
		r.drop(newest)
		if len(r.devices) != 0 {
			t.Errorf("left behind: %v", r.devices)
		}
	})
}
