package session

import (
	"context"
	"sync"
)

// limiter says how many connections may speak at a time, in all and from one address. Who finds no place
// waits in line; the protocol has no known way to send a phone away until later (command 16, [N]).
type limiter struct {
	mu         sync.Mutex
	most       int // in all
	perAddress int // 0: no limit
	mayWait    int // beyond those nobody stands in line
	active     int
	addresses  map[string]int
	waiting    []*waiter
}

type waiter struct {
	address string
	turn    chan struct{} // closed when it has a place
}

func newLimiter(most, perAddress, mayWait int) *limiter {
	return &limiter{most: most, perAddress: perAddress, mayWait: mayWait, addresses: make(map[string]int)}
}

// acquire takes a place, waiting for one until the context ends, unless too many wait already; it reports
// whether it has one.
func (l *limiter) acquire(ctx context.Context, address string) bool {
	l.mu.Lock()
	if l.free(address) {
		l.take(address)
		l.mu.Unlock()
		return true
	}
	if len(l.waiting) >= l.mayWait {
		l.mu.Unlock()
		return false
	}
	w := &waiter{address: address, turn: make(chan struct{})}
	l.waiting = append(l.waiting, w)
	l.mu.Unlock()
	select {
	case <-w.turn:
		return true
	case <-ctx.Done():
		return l.giveUp(w)
	}
}

// giveUp leaves the line, unless the place came in the same moment: then it reports true.
func (l *limiter) giveUp(w *waiter) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, other := range l.waiting {
		if other == w {
			l.waiting = append(l.waiting[:i], l.waiting[i+1:]...)
			return false
		}
	}
	return true
}

// release gives a place back and lets in the first in line for whom there is one.
func (l *limiter) release(address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.active--
	if l.addresses[address]--; l.addresses[address] == 0 {
		delete(l.addresses, address)
	}
	for i, w := range l.waiting {
		if l.free(w.address) {
			l.waiting = append(l.waiting[:i], l.waiting[i+1:]...)
			l.take(w.address)
			close(w.turn)
			return
		}
	}
}

func (l *limiter) free(address string) bool {
	return l.active < l.most && (l.perAddress == 0 || l.addresses[address] < l.perAddress)
}

func (l *limiter) take(address string) {
	l.active++
	l.addresses[address]++
}
