package pkcs11

import (
	"errors"
	"fmt"
	"slices"

	p11 "github.com/miekg/pkcs11"

	"capf/runtime/capf"
)

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
