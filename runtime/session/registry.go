package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"capf/runtime/capf"
)

// The sessions that are under way, of which a phone has one.

// registry knows the sessions of each device that have authenticated. The newest takes over: the one before
// is closed, and has let go of its operation before the newest begins.
type registry struct {
	mu      sync.Mutex
	devices map[string]*claims
}

// claims are those of one device.
type claims struct {
	owner  *session // carries out the operation
	newest *session // owns it, or waits for the owner to let go
}

// takeoverWithin is how long a newer session waits for the one before to let go. That one has been told to,
// and has at most a certificate and how it ended to write. A phone is not kept waiting for longer: it returns.
const takeoverWithin = 2 * writeWithin

// claim makes s the owner of its device's operation, or gives an error that ends s without a word to the
// phone: where a still newer session came before or while it waited, that one has the operation; where the
// one before does not let go in time, that one keeps it (CodeBusy). ctx is that of s, which its abort ends.
func (r *registry) claim(ctx context.Context, s *session) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.devices == nil {
		r.devices = make(map[string]*claims)
	}
	c := r.devices[s.device]
	if c == nil {
		c = &claims{}
		r.devices[s.device] = c
	}
	if c.newest != nil && c.newest.number > s.number {
		return errOvertaken // s called before, and was slower to get here
	}
	if c.newest != nil {
		c.newest.log.Info("a newer session of the phone takes over")
		c.newest.abort()
		s.tookOver = true // also where nobody owns it yet: who is aborted here may have been handed over to
	}
	c.newest = s
	if c.owner != nil {
		return r.await(ctx, c, s)
	}
	c.owner = s
	return nil
}

var errOvertaken = onLine(errors.New("a newer session of the phone has taken over"))

// await waits, with the lock let go meanwhile, until the owner lets go.
func (r *registry) await(ctx context.Context, c *claims, s *session) error {
	patience, cancel := context.WithTimeout(ctx, takeoverWithin)
	defer cancel()
	for c.owner != nil && c.newest == s && patience.Err() == nil {
		letGo := c.owner.done
		r.mu.Unlock()
		select {
		case <-letGo:
		case <-patience.Done():
		}
		r.mu.Lock()
	}
	switch {
	case c.newest != s:
		return errOvertaken
	case c.owner == nil:
		c.owner = s
		return nil
	}
	c.newest = c.owner
	if err := ctx.Err(); err != nil {
		return onLine(fmt.Errorf("wait for the session before: %w", err))
	}
	return &capf.Error{Code: capf.CodeBusy, Message: fmt.Sprintf("the session before has not let go of the operation within %s", takeoverWithin),
		Hint: "see in its trace what it waits for: a store or a certificate authority that does not answer"}
}

// drop lets go of what s owns and tells whoever waits for it.
func (r *registry) drop(s *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.devices[s.device]; c != nil && c.owner == s {
		r.letGo(c, s)
	}
}

// handOver is drop where a newer session waits; elsewhere it gives false and changes nothing.
func (r *registry) handOver(s *session) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.devices[s.device]
	if c.newest == s {
		return false
	}
	r.letGo(c, s)
	return true
}

func (r *registry) letGo(c *claims, s *session) {
	c.owner = nil
	if c.newest == s {
		delete(r.devices, s.device)
	}
	close(s.done)
}

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
