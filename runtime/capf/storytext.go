package capf

import (
	"fmt"
	"time"
)

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
