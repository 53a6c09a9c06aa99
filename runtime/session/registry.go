package session

import "sync"

// registry knows the session of each device that has authenticated. A newer one takes over: the older is
// closed, and has let go of its operation before the newer begins.
type registry struct {
	mu       sync.Mutex
	sessions map[string]*session
}

// claim makes s the session of its device, after the one before has ended.
func (r *registry) claim(s *session) {
	for {
		r.mu.Lock()
		if r.sessions == nil {
			r.sessions = make(map[string]*session)
		}
		older := r.sessions[s.device]
		if older == nil {
			r.sessions[s.device] = s
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
		older.log.Info("a newer session of the phone takes over")
		older.abort()
		<-older.done
	}
}

// drop forgets s and tells whoever waits for its end.
func (r *registry) drop(s *session) {
	r.mu.Lock()
	if r.sessions[s.device] == s {
		delete(r.sessions, s.device)
	}
	r.mu.Unlock()
	close(s.done)
}
