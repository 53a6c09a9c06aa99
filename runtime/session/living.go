package session

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"capf/runtime/capf"
)

// living are the connections that are open, from the moment at which they are accepted.
type living struct {
	mu      sync.Mutex
	entries map[*entry]struct{}
}

// entry is one of them.
type entry struct {
	mu   sync.Mutex
	seen capf.LiveSession
}

func (l *living) add(address string, now time.Time) *entry {
	added := &entry{seen: capf.LiveSession{State: capf.StateAwaitPlace, Since: now, Started: now, Address: address}}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.entries == nil {
		l.entries = make(map[*entry]struct{})
	}
	l.entries[added] = struct{}{}
	return added
}

func (l *living) remove(gone *entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.entries, gone)
}

func (e *entry) change(by func(*capf.LiveSession)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	by(&e.seen)
}

// setState moves on; a state that is set again lasts since it was first set.
func (e *entry) setState(state capf.SessionState, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.seen.State != state {
		e.seen.State, e.seen.Since = state, now
	}
}

func (e *entry) look() capf.LiveSession {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.seen
}

// Sessions gives the sessions that live, the oldest first.
func (s *Server) Sessions() []capf.LiveSession {
	s.living.mu.Lock()
	all := make([]capf.LiveSession, 0, len(s.living.entries))
	for one := range s.living.entries {
		all = append(all, one.look())
	}
	s.living.mu.Unlock()
	slices.SortFunc(all, func(a, b capf.LiveSession) int {
		return cmp.Or(a.Started.Compare(b.Started), cmp.Compare(a.Address, b.Address), cmp.Compare(a.Device, b.Device))
	})
	return all
}

// SessionsByState counts them. Those beyond AWAIT-PLACE each take one of Settings.MaxSessions places.
func (s *Server) SessionsByState() map[capf.SessionState]int {
	counts := make(map[capf.SessionState]int)
	s.living.mu.Lock()
	defer s.living.mu.Unlock()
	for one := range s.living.entries {
		counts[one.look().State]++
	}
	return counts
}
