package session

import "sync"

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

// claim makes s the owner of its device's operation. It reports false where a still newer session came
// before or while it waited: that one has it then.
func (r *registry) claim(s *session) bool {
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
		return false // it called before, and was slower to get here
	}
	if c.newest != nil {
		c.newest.log.Info("a newer session of the phone takes over")
		c.newest.abort()
	}
	c.newest = s
	for c.owner != nil {
		owner := c.owner
		r.mu.Unlock()
		<-owner.done
		r.mu.Lock()
		if c.newest != s {
			return false
		}
	}
	c.owner = s
	return true
}

// drop lets go of what s owns and tells whoever waits for it.
func (r *registry) drop(s *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.devices[s.device]
	c.owner = nil
	if c.newest == s {
		delete(r.devices, s.device)
	}
	close(s.done)
}
