package capf

import (
	"fmt"
	"time"
)

// Story is all that is known of a phone, for a person who asks why it has not called, or what is wrong.
type Story struct {
	Phone        Phone
	Operations   []OperationRecord // the newest first
	Attempts     []Attempt         // sessions that did not come to the end of an operation, the newest first
	Certificates []Certificate
	Held         *HeldCall // the last call that the maintenance window held back; nil for none
	Idle         *IdleCall // the last call in its name for which nothing was pending; nil for none
	Reset        *Reset    // the last one that was asked for; nil for none

	// Handshakes are those that failed from LastAddress while the service has run; nil for none.
	Handshakes *HandshakeFailures
}

// Diagnosis says how it stands with a phone, and what a person can do about it.
type Diagnosis struct {
	Text     string
	NextStep string
}

// LastAddress is where the phone called from last, or somebody in its name; empty where nobody has.
func (s *Story) LastAddress() string {
	address, at := s.Phone.LastAddress, s.Phone.LastSession
	if len(s.Attempts) > 0 && !s.Attempts[0].At.Before(at) {
		address, at = s.Attempts[0].Address, s.Attempts[0].At
	}
	if s.Held != nil && s.Held.At.After(at) {
		address = s.Held.Address
	}
	return address
}

// Diagnose tells by the eyes of a moment.
func (s *Story) Diagnose(at Moment) Diagnosis {
	last := s.Phone.Last
	switch last.Status(at.Now, at.Living) {
	case StatusNone:
		return s.diagnoseNothing()
	case StatusSuccess:
		return s.diagnoseSuccess(at)
	case StatusFailed:
		return Diagnosis{fmt.Sprintf("%s failed%s: %s%s", last.Operation, atText(last.EndedAt), resultText(last.Result), detailText(last.Detail)) + s.idleText(last.EndedAt),
			s.stepAfter(last.Result)}
	case StatusExpired:
		return s.diagnoseExpired()
	case StatusInProgress:
		return Diagnosis{fmt.Sprintf("a session carries out the %s%s", last.Operation, s.sessionText()),
			"wait; `capf session list` shows what it waits for (a 7940 or 7960 can make its keys for half an hour and more)"}
	}
	return s.diagnosePending(at)
}

// atText is empty where nobody here knows when: an operation that an older CAPF ended tells that in its detail.
func atText(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return " at " + FormatTime(at)
}

func (s *Story) diagnoseNothing() Diagnosis {
	text, ended := "no operation was ever set", time.Time{}
	if last := s.Phone.Last; last != nil {
		ended = last.EndedAt
		text = fmt.Sprintf("nothing is pending: the last operation, %s, was %s%s by %s", last.Operation, last.Ending, atText(last.EndedAt), last.EndedBy)
	}
	return Diagnosis{text + s.idleText(ended), "set one: `capf phone set " + s.Phone.Device + " --operation install`"}
}

func (s *Story) diagnoseSuccess(at Moment) Diagnosis {
	last := s.Phone.Last
	text := fmt.Sprintf("%s succeeded%s (%s%s)", last.Operation, atText(last.EndedAt), resultText(last.Result), detailText(last.Detail)) + s.idleText(last.EndedAt)
	switch {
	case s.Phone.LSCStatus(at.Now) == LSCExpired:
		return Diagnosis{text + "; the LSC has ended since, at " + FormatTime(s.Phone.LSC.NotAfter),
			"set the next install; a phone by existing certificate needs another authentication mode for it"}
	case len(s.Attempts) > 0 && s.Attempts[0].At.After(last.EndedAt):
		return Diagnosis{fmt.Sprintf("%s; a call after it was refused: %s", text, s.attemptText(s.Attempts[0])), stepAfterCall}
	case s.isIdleSince(last.EndedAt):
		return Diagnosis{text, stepAfterCall}
	}
	return Diagnosis{text, "none"}
}

const stepAfterCall = "none, unless the phone was to call again: then set an operation"

func (s *Story) diagnoseExpired() Diagnosis {
	last := s.Phone.Last
	text := fmt.Sprintf("the %s expired at %s", last.Operation, FormatTime(last.CompletesBy))
	attempts := s.attemptsSince(last.CreatedAt)
	switch {
	case len(attempts) > 0:
		text += fmt.Sprintf(", after %s, the last one: %s", calls(len(attempts)), s.attemptText(attempts[0]))
	default:
		text += " and the phone had not called for it"
	}
	return Diagnosis{text + s.handshakeText(last.CreatedAt), s.setAgain()}
}

// diagnosePending tells why an operation that waits has not been carried out.
func (s *Story) diagnosePending(at Moment) Diagnosis {
	last := s.Phone.Last
	attempts := s.attemptsSince(last.CreatedAt)
	began := time.Time{} // of the last session that began the operation
	if session := s.lastSession(); session != nil {
		began = session.Started
	}
	switch {
	case s.Held != nil && !s.Held.At.Before(last.CreatedAt) && !s.Held.At.Before(began) && (len(attempts) == 0 || !s.Held.At.Before(attempts[0].At)):
		return Diagnosis{fmt.Sprintf("the phone called at %s from %s and was held back by the maintenance window", FormatTime(s.Held.At), s.Held.Address),
			"wait: the window opens at " + FormatTime(s.Held.Opens) + ", and a reset is due then (`capf phone reset " + s.Phone.Device + "` where none is configured)"}
	case len(attempts) > 0 && !attempts[0].At.Before(began):
		return s.diagnoseAttempts(attempts)
	case !began.IsZero():
		return Diagnosis{fmt.Sprintf("a session carried out the %s%s and was cut off with the service, without an outcome", last.Operation, s.sessionText()), s.callStep(at)}
	}
	return s.diagnoseSilence(at)
}

// diagnoseAttempts goes by the newest of the attempts for the pending operation.
func (s *Story) diagnoseAttempts(attempts []Attempt) Diagnosis {
	newest, same := attempts[0], 0
	for _, one := range attempts {
		if one.Result == newest.Result {
			same++
		}
	}
	text := fmt.Sprintf("%s, last at %s from %s", times(same), FormatTime(newest.At), newest.Address)
	switch newest.Result {
	case ResultInvalidAuthString:
		text = "a wrong authentication string was entered " + text
	case ResultInvalidLSC, ResultInvalidMIC, ResultInvalidCredentials:
		text = "the certificate of the phone was not accepted " + text
	case ResultCommunication, ResultTimedOut, ResultFailed:
		text = "a session of the phone ended inside the operation " + text
	default:
		text = "the phone was refused " + text
	}
	return Diagnosis{fmt.Sprintf("%s: %s%s", text, newest.Result, detailText(newest.Detail)) + s.handshakeText(newest.At), s.stepAfter(&newest.Result)}
}

// diagnoseSilence is for a phone that has not said its name since the operation was set.
func (s *Story) diagnoseSilence(at Moment) Diagnosis {
	last := s.Phone.Last
	text, known := "the phone has never connected", s.lastCall()
	if !known.IsZero() || s.Idle != nil {
		text = fmt.Sprintf("the phone has not called since the %s was set at %s by %s", last.Operation, FormatTime(last.CreatedAt), last.CreatedBy)
	}
	if !known.IsZero() {
		text += fmt.Sprintf("; before that, it called at %s from %s", FormatTime(known), s.LastAddress())
	}
	text += s.idleText(known)
	if s.Reset != nil && !s.Reset.At.Before(last.CreatedAt) {
		text += fmt.Sprintf("; a reset was asked for at %s by %s", FormatTime(s.Reset.At), s.Reset.By)
		if s.Reset.Problem != "" {
			text += " and failed: " + s.Reset.Problem
		}
	}
	if failed := s.failedHandshakes(last.CreatedAt); failed != nil {
		return Diagnosis{text + s.handshakeText(last.CreatedAt), handshakeSteps[failed.Kind]}
	}
	return Diagnosis{text, s.callStep(at)}
}

// callStep says what makes a phone call in the mode of its operation.
func (s *Story) callStep(at Moment) string {
	switch {
	case at.Living == "":
		return "no service runs: start `capf serve`"
	case s.Phone.Last.AuthMode == AuthByString:
		return "have somebody press Update on the phone (Settings, Security Configuration, LSC) and enter the authentication string"
	}
	return "reset the phone (`capf phone reset " + s.Phone.Device + "`): it then loads its configuration, which must name this service (capfList) and the mode (capfAuthMode)"
}

func (s *Story) setAgain() string { return s.setWith("") }

// setWith gives the command that sets the operation anew, with those flags.
func (s *Story) setWith(flags string) string {
	operation := OperationInstall
	if s.Phone.Last != nil {
		operation = s.Phone.Last.Operation
	}
	return fmt.Sprintf("`capf phone set %s --operation %s%s`", s.Phone.Device, operation, flags)
}

// stepAfter says what to do after a result.
func (s *Story) stepAfter(result *Result) string {
	again, byString := s.setAgain(), s.setWith(" --auth "+string(AuthByString))
	if result == nil {
		return "set it again: " + again
	}
	switch *result {
	case ResultInvalidAuthString:
		return "see the string in `capf report`, or make a new one: " + s.setWith(" --auth-string generate") + "; after ten wrong ones none is compared for ten minutes"
	case ResultInvalidLSC:
		return "see `capf anchor list` for the issuers whose LSCs are trusted; with an LSC that is revoked or has ended, change the authentication mode: " + byString
	case ResultInvalidMIC:
		return "add the manufacturer's CA (`capf anchor add --kind mic`), or change the authentication mode: " + byString
	case ResultInvalidCredentials:
		return "change the authentication mode to one that the phone can fulfil: " + byString
	case ResultCommunication:
		return "wait: a phone whose line broke tries again after 30 s, up to three times; then reset it, and see the network between (firewalls that drop silent connections)"
	case ResultTimedOut:
		return "reset the phone; where it was still making its keys, raise the parameter " + ParamKeyGenerationTime + " or choose a smaller key size"
	case ResultTooLate:
		return "set it again: " + again
	}
	return "see the log of the service, or trace the phone (`capf trace set DEVICE --level debug`), and set it again: " + again
}

// handshakeSteps say what helps against each kind of failed handshake.
var handshakeSteps = map[HandshakeFailureKind]string{
	HandshakeTimeout:    "see what stands between phone and service: something connects and stays silent",
	HandshakeClosed:     "see that the phone trusts this service: the CAPF certificate must be in the list that it holds (`capf ctl status`); then reset it",
	HandshakeNotTLS:     "see what connects from there: it does not speak TLS",
	HandshakeVersion:    "lower `min-tls` if that is a phone: it speaks only TLS versions that are not let in",
	HandshakeCipher:     "find out what the phone offers: nothing of it is spoken here (`capf trace set all --level info`)",
	HandshakeDistrusted: "see that the CAPF certificate is in the list that the phone holds (`capf ctl build`, `capf ctl distribute`, `capf ctl status`), then reset the phone",
	HandshakeAlert:      "see the reason, which the other side gave",
	HandshakeNoPlace:    "raise `max-sessions`, or set fewer operations at a time",
	HandshakeOther:      "see the log of the service",
}

// handshakeText tells of failed handshakes from the phone's last address since a time, as what they are:
// from an address, of nobody knows whom.
func (s *Story) handshakeText(since time.Time) string {
	failed := s.failedHandshakes(since)
	if failed == nil {
		return ""
	}
	count := "a TLS handshake"
	if failed.Count > 1 {
		count = fmt.Sprintf("%d TLS handshakes", failed.Count)
	}
	return fmt.Sprintf("; %s failed from %s, the address it last used, the last at %s (%s): that may or may not have been this phone",
		count, failed.Address, FormatTime(failed.Last), failed.Reason)
}

func (s *Story) failedHandshakes(since time.Time) *HandshakeFailures {
	if s.Handshakes == nil || s.Handshakes.Last.Before(since) {
		return nil
	}
	return s.Handshakes
}

func (s *Story) attemptsSince(since time.Time) []Attempt {
	for i, one := range s.Attempts {
		if one.At.Before(since) {
			return s.Attempts[:i]
		}
	}
	return s.Attempts
}

// lastCall is when the phone last said its name; zero for never.
func (s *Story) lastCall() time.Time {
	at := s.Phone.LastSession
	if len(s.Attempts) > 0 && s.Attempts[0].At.After(at) {
		at = s.Attempts[0].At
	}
	if s.Held != nil && s.Held.At.After(at) {
		at = s.Held.At
	}
	return at
}

// lastSession is the last one that began the newest operation; nil for none.
func (s *Story) lastSession() *OperationSession {
	if len(s.Operations) == 0 || s.Phone.Last == nil || s.Operations[0].Ref.ID != s.Phone.Last.Ref.ID {
		return nil
	}
	return s.Operations[0].Session
}

func (s *Story) sessionText() string {
	session := s.lastSession()
	if session == nil {
		return ""
	}
	return fmt.Sprintf(" since %s, from %s with TLS %s", FormatTime(session.Started), session.Address, session.TLS)
}

func (s *Story) attemptText(attempt Attempt) string {
	return fmt.Sprintf("%s from %s at %s%s", attempt.Result, attempt.Address, FormatTime(attempt.At), detailText(attempt.Detail))
}

func resultText(result *Result) string {
	if result == nil {
		return "no result"
	}
	return result.String()
}

func detailText(detail string) string {
	if detail == "" {
		return ""
	}
	return ", " + detail
}

func times(count int) string {
	switch {
	case count == 1:
		return "once"
	case count >= MaxAttempts:
		return fmt.Sprintf("%d times or more", count)
	}
	return fmt.Sprintf("%d times", count)
}

func calls(count int) string {
	if count == 1 {
		return "one call"
	}
	return fmt.Sprintf("%d calls", count)
}
