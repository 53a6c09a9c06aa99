package pkcs11

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ThalesGroup/crypto11"
	p11 "github.com/miekg/pkcs11"
)

const (
	// maxSessions is how many operations one token does at a time for either way in; smart cards do one.
	maxSessions = 16
	// minSessions are one that keeps the login, one for signatures, one for decryption.
	minSessions = 3
	// sessionWait is how long an operation waits for a session: phones do not wait longer for a handshake.
	sessionWait = 10 * time.Second
)

// connection is a token that is open and logged in.
type connection struct {
	slot Slot

	// mu is held to read while the token works, so that nothing is closed under an operation.
	mu      sync.RWMutex
	context *crypto11.Context // nil: closed
	module  *p11.Ctx          // the same module, for what crypto11 does not do
	ours    sessions
}

// connect opens a token and logs in. An error of the module is wrapped as it is.
func connect(module string, slot Slot, pin string) (*connection, error) {
	loading.Lock()
	defer loading.Unlock()
	signing, decrypting := maxSessions, maxSessions
	if slot.sessions != unlimited {
		if slot.sessions < minSessions {
			return nil, fmt.Errorf("the token has %d sessions, and %d are needed", slot.sessions, minSessions)
		}
		decrypting = min(maxSessions, int(slot.sessions)/minSessions)
		signing = min(maxSessions, int(slot.sessions)-decrypting)
	}
	id := int(slot.ID)
	context, err := crypto11.Configure(&crypto11.Config{Path: module, SlotNumber: &id, Pin: pin, MaxSessions: signing,
		PoolWaitTimeout: sessionWait, LoginNotSupported: slot.flags&p11.CKF_LOGIN_REQUIRED == 0})
	if err != nil {
		return nil, err
	}
	functions, err := load(module)
	if err != nil {
		_ = context.Close()
		return nil, err
	}
	return &connection{slot: slot, context: context, module: functions, ours: newSessions(functions, slot.ID, decrypting)}, nil
}

// use does something with the token, while it stays open. errClosed where it is not.
func (c *connection) use(do func() error) error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.context == nil {
		return errClosed
	}
	return do()
}

// close waits for what is being done and closes all sessions, and with them the login.
func (c *connection) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.context == nil {
		return
	}
	loading.Lock()
	defer loading.Unlock()
	c.ours.close()
	_ = c.context.Close() // gives no error, and there would be nothing to do about one
	c.module.Destroy()
	c.context = nil
}

// can reports whether the token has a mechanism for a purpose (CKF_SIGN, CKF_DECRYPT). Modules describe some that are
// switched off and not in their list.
func (c *connection) can(mechanism, purpose uint) bool {
	all, err := c.module.GetMechanismList(c.slot.ID)
	if err != nil || !slices.ContainsFunc(all, func(one *p11.Mechanism) bool { return one.Mechanism == mechanism }) {
		return false
	}
	info, err := c.module.GetMechanismInfo(c.slot.ID, []*p11.Mechanism{p11.NewMechanism(mechanism, nil)})
	return err == nil && info.Flags&purpose != 0
}

// sessions are those beside crypto11's, opened as they are needed. Like all of the process they are logged in as long
// as one is.
type sessions struct {
	module *p11.Ctx
	slot   uint
	free   chan p11.SessionHandle // none: not opened yet
}

// none is no handle ([P11] 3.3, CK_INVALID_HANDLE).
const none p11.SessionHandle = 0

func newSessions(module *p11.Ctx, slot uint, most int) sessions {
	s := sessions{module: module, slot: slot, free: make(chan p11.SessionHandle, most)}
	for range most {
		s.free <- none
	}
	return s
}

// with does something in a session that nobody else uses meanwhile. After an error the session is not used again.
func (s *sessions) with(do func(p11.SessionHandle) error) error {
	var handle p11.SessionHandle
	timer := time.NewTimer(sessionWait)
	defer timer.Stop()
	select {
	case handle = <-s.free:
	case <-timer.C:
		return fmt.Errorf("no session of the token became free in %s", sessionWait)
	}
	defer func() { s.free <- handle }()
	if handle == none {
		opened, err := s.module.OpenSession(s.slot, p11.CKF_SERIAL_SESSION|p11.CKF_RW_SESSION)
		if err != nil {
			return err
		}
		handle = opened
	}
	err := do(handle)
	if err != nil {
		_ = s.module.CloseSession(handle)
		handle = none
	}
	return err
}

// close closes what is open; nobody may be at it.
func (s *sessions) close() {
	for range cap(s.free) {
		if handle := <-s.free; handle != none {
			_ = s.module.CloseSession(handle)
		}
	}
}
