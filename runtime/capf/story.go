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
