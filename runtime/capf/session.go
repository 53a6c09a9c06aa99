package capf

import (
	"fmt"
	"time"
)

// Sessions of phones: those that are under way, what came of them, and calls that came to nothing.

// SessionInfo identifies a session towards the store.
type SessionInfo struct {
	Instance string // of the service
	Address  string // of the phone, without port
	TLS      string // version, as `1.0`
	Started  time.Time

	// Presented is what the phone authenticated by; nil for the other modes. That the phone has that
	// certificate counts as its confirmation.
	Presented *Presented
}

// Presented is the certificate by which a phone authenticated, and what vouches for it. A session hands it to the
// store with everything that it has done there: neither may have been withdrawn since.
type Presented struct {
	Certificate
	// Anchor is the SHA-256 of the trust anchor that has issued it, hex; empty where that is CAPF's certificate in
	// force, which is no anchor of the store.
	Anchor string
}

// Attempt is a session that did not come to an operation, or not to its end. The first kind is the only
// thing that a phone which has not authenticated may write. The log of them is bounded for each device.
type Attempt struct {
	Device  string
	Address string
	At      time.Time
	Result  Result
	Detail  string
	TLS     string // version, as `1.0`
}

// MaxAttempts is how many attempts are kept for a device.
const MaxAttempts = 20

// Outcome is what came of an operation in a session.
type Outcome struct {
	Ending Ending // success or failed
	Result Result
	Detail string
	At     time.Time
	By     string // who ended it: the phone's address, or the service

	// Presented is what the phone authenticated by; nil for the other modes.
	Presented *Presented

	// Confirmed is the ID of the certificate that the phone has stored; 0 for none. One that was revoked before the
	// phone said so is no success.
	Confirmed int64
	// Seen are the certificates that the phone returned, one of a kind at the most.
	Seen []Certificate
	// LSC and MIC are what is known of the phone's certificates now; empty leaves what was known.
	LSC LSCStatus
	MIC MICStatus
}

// SessionState says what a session waits for. The names are those that `show capf-server sessions` of the
// IOS twin shows, of which AWAIT-AUTH-RES and AWAIT-KEYGEN-RES are known; what that one does not show is
// named in its manner.
type SessionState string

// The states of a session.
const (
	StateAwaitPlace      SessionState = "AWAIT-PLACE"      // beyond max-sessions: in line for a free place
	StateAwaitHandshake  SessionState = "AWAIT-HANDSHAKE"  // TLS
	StateAwaitAuthRes    SessionState = "AWAIT-AUTH-RES"   // the phone is asked who it is
	StateAwaitKeygenRes  SessionState = "AWAIT-KEYGEN-RES" // the phone makes its keys
	StateAwaitEncryptRes SessionState = "AWAIT-ENCRYPT-RES"
	StateAwaitStoreRes   SessionState = "AWAIT-STORE-RES"
	StateAwaitFetchRes   SessionState = "AWAIT-FETCH-RES"
	StateAwaitDeleteRes  SessionState = "AWAIT-DELETE-RES"
	StateServing         SessionState = "SERVING" // not the phone but the service is at work: store, issuer
	StateEnding          SessionState = "ENDING"  // the end of the session is being said
)

// SessionStates are all of them, in the order of a session.
var SessionStates = []SessionState{StateAwaitPlace, StateAwaitHandshake, StateAwaitAuthRes, StateServing, StateAwaitKeygenRes,
	StateAwaitEncryptRes, StateAwaitStoreRes, StateAwaitFetchRes, StateAwaitDeleteRes, StateEnding}

// LiveSession is a session of the running service at one moment.
type LiveSession struct {
	Device      string       `json:"device"` // as the phone names itself; empty until it has
	State       SessionState `json:"state"`
	Since       time.Time    `json:"since"` // in that state
	Started     time.Time    `json:"started"`
	Address     string       `json:"address"`             // of the phone, without port
	TLS         string       `json:"tls"`                 // version, as `1.0`; empty before the handshake is over
	CipherSuite string       `json:"cipher-suite"`        // as `TLS_RSA_WITH_AES_128_CBC_SHA`
	Protocol    uint8        `json:"protocol"`            // version that the phone answered, 0 until then
	Operation   Operation    `json:"operation,omitempty"` // once the phone has authenticated; else empty
}

// SessionOutcome says in one word how a session ended.
type SessionOutcome string

// The ways in which a session ends.
const (
	OutcomeSuccess        SessionOutcome = "success"         // the operation was carried out
	OutcomeFailed         SessionOutcome = "failed"          // the operation has failed
	OutcomeNoOperation    SessionOutcome = "no-operation"    // nothing was pending
	OutcomeUnknownDevice  SessionOutcome = "unknown-device"  // not in the store
	OutcomeAuthentication SessionOutcome = "authentication"  // the phone could not prove who it is
	OutcomeProtocol       SessionOutcome = "protocol-breach" // the phone sent what cannot be
	OutcomeRefused        SessionOutcome = "refused"         // by another rule
	OutcomeSuperseded     SessionOutcome = "superseded"      // a newer session, or a change of the operation
	OutcomeLineBroken     SessionOutcome = "line-broken"
	OutcomeTimedOut       SessionOutcome = "timed-out"   // the phone was silent for too long
	OutcomeUnavailable    SessionOutcome = "unavailable" // store or issuer did not answer: closed, so that the phone comes back
	OutcomeStopped        SessionOutcome = "stopped"     // with the service
)

// SessionEnd is what is counted of a session. It names no phone.
type SessionEnd struct {
	Outcome   SessionOutcome
	Operation Operation // none where none was begun
	Result    *Result   // of the operation or the attempt; nil where there is none
	Took      time.Duration
}

// HandshakeFailureKind says in one word why a TLS handshake failed.
type HandshakeFailureKind string

// The kinds of handshake failure.
const (
	HandshakeTimeout    HandshakeFailureKind = "timeout"     // silence until the deadline
	HandshakeClosed     HandshakeFailureKind = "closed"      // the other side left
	HandshakeNotTLS     HandshakeFailureKind = "not-tls"     // what came is no TLS
	HandshakeVersion    HandshakeFailureKind = "version"     // no TLS version in common
	HandshakeCipher     HandshakeFailureKind = "cipher"      // no cipher suite, curve or signature in common
	HandshakeDistrusted HandshakeFailureKind = "distrusted"  // the other side refused our certificate
	HandshakeAlert      HandshakeFailureKind = "alert"       // it refused for another reason
	HandshakeNoPlace    HandshakeFailureKind = "no-place"    // all places were taken until the deadline
	HandshakeOther      HandshakeFailureKind = "other-error" // everything else
)

// HandshakeFailureKinds are all of them.
var HandshakeFailureKinds = []HandshakeFailureKind{HandshakeTimeout, HandshakeClosed, HandshakeNotTLS, HandshakeVersion,
	HandshakeCipher, HandshakeDistrusted, HandshakeAlert, HandshakeNoPlace, HandshakeOther}

// HandshakeFailures are those of one address since the service started. Which phone it was nobody can know:
// it had not said its name.
type HandshakeFailures struct {
	Address string               `json:"address"`
	Count   int                  `json:"count"`
	First   time.Time            `json:"first"`
	Last    time.Time            `json:"last"`
	Kind    HandshakeFailureKind `json:"kind"`   // of the last one
	Reason  string               `json:"reason"` // of the last one, for a person
}

// ActorWindow stands in the history where a phone was reset because the maintenance window opened.
const ActorWindow = "maintenance window"

// HeldCall is a call of a phone that authenticated and was told that nothing is pending, because the
// maintenance window was closed.
type HeldCall struct {
	Device  string
	Address string // of the phone, without port
	At      time.Time
	Opens   time.Time // the window, next
}

// Reset is a reset of a phone that was asked for from here.
type Reset struct {
	Device  string
	At      time.Time
	By      string // a person, ActorWindow or ActorRenewal
	Problem string // why it was not reset; empty where it was
}

// IdleCall is a call in the name of a phone that was told that nothing is pending. Nobody has proved who
// called: it is kept as such, the last one of each phone, in the bounded log of attempts (*Rules of ours* of
// capf-guide.md), and can at most hide the one before.
type IdleCall struct {
	Device  string
	Address string // of the caller, without port
	TLS     string // version, as `1.0`
	At      time.Time
}

// idleText tells of the idle call since a time; nothing where there was none.
func (s *Story) idleText(since time.Time) string {
	if !s.isIdleSince(since) {
		return ""
	}
	return fmt.Sprintf("; a call in the name of the phone came at %s from %s with TLS %s, when nothing was pending",
		FormatTime(s.Idle.At), s.Idle.Address, s.Idle.TLS)
}

// isIdleSince counts a call in the very second in which an operation ended: it was idle because of that.
func (s *Story) isIdleSince(since time.Time) bool { return s.Idle != nil && !s.Idle.At.Before(since) }
