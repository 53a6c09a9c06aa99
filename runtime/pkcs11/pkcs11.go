// Package pkcs11 uses RSA keys that lie in a token (smart card, USB token, HSM) by PKCS #11: the administrator's
// security tokens (SAST) that sign trust lists, and CAPF's own key. It finds the token and the key that a URI
// names (RFC 7512), logs in with a PIN that is asked for when it is needed, and gives keys that are opened at
// their first use and opened again after the token was pulled.
//
// Facts about the interface come from PKCS #11 2.40 (OASIS), which section comments cite as [P11]; those about the
// padding of RSA from RFC 8017. Sessions, login and signatures are crypto11's; miekg/pkcs11, on which that stands,
// does what crypto11 does not show: the list of slots, what a token can do, and decryption without padding.
package pkcs11

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	p11 "github.com/miekg/pkcs11"

	"capf/runtime/capf"
)

// AskPIN gives the PIN of a token. It is asked at most once for a token that takes it.
type AskPIN func(Slot) (string, error)

// Tokens opens tokens, each once for all keys in it: login and sessions of a token are one for the whole process
// ([P11] 5.6). It may be used by many goroutines.
type Tokens struct {
	// Changed, where it is set before the first use, is told when a key cannot be got at any more, and with nil when it
	// can again. It must not use the key.
	Changed func(key URI, err error)

	mu      sync.Mutex
	open    map[place]*connection
	pins    map[place]string // that were taken
	refused map[place]error  // PINs that were not: they are not tried again, since tokens lock
	wait    time.Duration    // from a failure to open a token to the next try; 0: pause
	now     func() time.Time
}

// String hides the PINs.
func (t *Tokens) String() string { return "tokens" }

// GoString is String.
func (t *Tokens) GoString() string { return t.String() }

// pause is how long a token that could not be opened is left alone: phones call often, and modules are slow to
// look for what is not there.
const pause = time.Second

// New gives tokens of which none is open.
func New() *Tokens {
	return &Tokens{open: map[place]*connection{}, pins: map[place]string{}, refused: map[place]error{}, wait: pause, now: time.Now}
}

// place is what a token is known by while it is in and out of slots.
type place struct{ module, label, serial, manufacturer string }

func placeOf(uri URI, slot Slot) place {
	return place{module: uri.Module, label: slot.Label, serial: slot.Serial, manufacturer: slot.Manufacturer}
}

// Find gives the token that a URI names, if it is there, without logging in. CodeUnavailable where it is not,
// CodeRefused where several match, CodeInvalid for a module that cannot be loaded.
func (t *Tokens) Find(uri URI) (Slot, error) { return find(uri) }

// connect gives the open connection to the token that a URI names, logged in.
func (t *Tokens) connect(uri URI, ask AskPIN) (*connection, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	slot, err := find(uri)
	if err != nil {
		return nil, err
	}
	where := placeOf(uri, slot)
	if present := t.open[where]; present != nil {
		return present, nil
	}
	if err := t.refused[where]; err != nil {
		return nil, err
	}
	pin, err := t.pin(where, slot, ask)
	if err != nil {
		return nil, err
	}
	opened, err := connect(uri.Module, slot, pin)
	if isOneOf(err, refusedPIN) {
		delete(t.pins, where)
		if again, problem := find(uri); problem == nil {
			slot = again // its flags tell now how many tries are left
		}
		t.refused[where] = pinRefused(slot, err)
		return nil, t.refused[where]
	}
	if err != nil {
		return nil, failed("cannot be opened", slot, err)
	}
	t.pins[where], t.open[where] = pin, opened
	return opened, nil
}

// pin gives the PIN that the token took before, or asks for it. A token that is locked is not asked for.
func (t *Tokens) pin(where place, slot Slot, ask AskPIN) (string, error) {
	if slot.flags&p11.CKF_LOGIN_REQUIRED == 0 {
		return "", nil
	}
	if slot.flags&p11.CKF_USER_PIN_LOCKED != 0 {
		return "", pinRefused(slot, p11.Error(p11.CKR_PIN_LOCKED))
	}
	if known, ok := t.pins[where]; ok {
		return known, nil
	}
	pin, err := ask(slot)
	if err != nil {
		return "", err
	}
	if pin == "" {
		// It would count as a wrong one.
		return "", &capf.Error{Code: capf.CodeInvalid, Message: "an empty PIN for " + slot.String()}
	}
	return pin, nil
}

// drop closes a connection that is of no use any more. The next use of a key opens its token again.
func (t *Tokens) drop(gone *connection) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for where, present := range t.open {
		if present == gone {
			delete(t.open, where)
		}
	}
	gone.close()
}

// Close logs out and closes all sessions, after the operations in flight. Keys may be used again: they ask for
// their PIN anew.
func (t *Tokens) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for where, present := range t.open {
		present.close()
		delete(t.open, where)
	}
	clear(t.pins)
}

// lost are the results by which a module says that token, session or login are gone, so that to open the token
// again may help ([P11] 5.1).
var lost = []p11.Error{p11.CKR_DEVICE_REMOVED, p11.CKR_TOKEN_NOT_PRESENT, p11.CKR_TOKEN_NOT_RECOGNIZED, p11.CKR_SLOT_ID_INVALID,
	p11.CKR_SESSION_HANDLE_INVALID, p11.CKR_SESSION_CLOSED, p11.CKR_USER_NOT_LOGGED_IN, p11.CKR_CRYPTOKI_NOT_INITIALIZED,
	p11.CKR_OBJECT_HANDLE_INVALID, p11.CKR_KEY_HANDLE_INVALID}

// doubtful are those that some modules give for a pulled token, and others for data that they do not like.
var doubtful = []p11.Error{p11.CKR_DEVICE_ERROR, p11.CKR_GENERAL_ERROR, p11.CKR_FUNCTION_FAILED}

// refusedPIN are those after which the same PIN must not be tried again.
var refusedPIN = []p11.Error{p11.CKR_PIN_INCORRECT, p11.CKR_PIN_INVALID, p11.CKR_PIN_LEN_RANGE, p11.CKR_PIN_EXPIRED, p11.CKR_PIN_LOCKED}

var errClosed = errors.New("the connection to the token was closed meanwhile")

func isOneOf(err error, codes []p11.Error) bool {
	var code p11.Error
	return errors.As(err, &code) && slices.Contains(codes, code)
}

func isLost(err error) bool { return errors.Is(err, errClosed) || isOneOf(err, lost) }

// pinRefused says that a token did not take the PIN, and what that means. Its flags tell how near it is to locking.
func pinRefused(slot Slot, err error) error {
	hint := "check it before you try again: a token locks after a few wrong PINs, and then only its security officer can help"
	switch {
	case slot.flags&p11.CKF_USER_PIN_LOCKED != 0 || isOneOf(err, []p11.Error{p11.CKR_PIN_LOCKED}):
		return &capf.Error{Code: capf.CodeUnavailable, Message: fmt.Sprintf("%s is locked after wrong PINs", slot), Err: err,
			Hint: "its security officer (SO PIN) must set a new PIN"}
	case slot.flags&p11.CKF_USER_PIN_FINAL_TRY != 0:
		hint = "ONE try is left before the token locks: check the PIN with its owner"
	case slot.flags&p11.CKF_USER_PIN_COUNT_LOW != 0:
		hint = "wrong PINs were entered since the last right one: check it before you try again, the token locks after a few"
	}
	return &capf.Error{Code: capf.CodeUnavailable, Message: fmt.Sprintf("%s refuses the PIN", slot), Err: err, Hint: hint}
}

// failed puts an error of a token in a line.
func failed(what string, slot Slot, err error) error {
	return &capf.Error{Code: capf.CodeUnavailable, Message: fmt.Sprintf("%s: %s", slot, what), Err: err, Hint: "see that the token is plugged in and that its software works"}
}
