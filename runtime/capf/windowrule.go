package capf

import "time"

// returning is how long a phone whose line broke may need to be back: it tries three times, 30 s apart, and
// each try takes its time (A4).
const returning = 5 * time.Minute

// HasValidLSC reports whether an LSC is known to be in the phone and in its time.
func (p *Phone) HasValidLSC(now time.Time) bool {
	return p.LSCKnown == LSCInstalled && p.LSC != nil && !now.Before(p.LSC.NotBefore) && !now.After(p.LSC.NotAfter)
}

// IsHeldBack reports whether a phone that has authenticated is told that nothing is pending, because the
// maintenance window is closed (guide, *Rules of ours*). Strings that a person typed always go. So do phones
// in authenticated or encrypted mode without a valid LSC: they could not register until it opens. And so
// does one that comes back with an operation which a session began while the window was open (A4): it may
// hold a certificate that it has not confirmed.
func (p *Phone) IsHeldBack(window Window, now time.Time, parameters Parameters) bool {
	if !p.waitsForWindow(window, now) {
		return false
	}
	if _, open := window.At(now); open {
		return false
	}
	last, was := window.Before(now)
	isReturning := was && !p.LastSession.Before(last.From) && p.LastSession.Before(last.To) &&
		!p.LastSession.Before(p.Last.CreatedAt) && now.Before(last.To.Add(parameters.KeyGenerationTime()+returning))
	return !isReturning
}

// waitsForWindow reports whether what is pending for the phone belongs into the maintenance window.
func (p *Phone) waitsForWindow(window Window, now time.Time) bool {
	return !window.IsZero() && p.comesByItself(now) && (!p.SecurityMode.IsSecure() || p.HasValidLSC(now))
}

// comesByItself reports whether the phone calls after a reset, without a person, for what is pending.
func (p *Phone) comesByItself(now time.Time) bool {
	return p.Last.IsPending(now) && p.Last.AuthMode != AuthByString
}

// IsResetDue reports whether the service has the phone reset in an opening of the maintenance window, or of
// the night where there is none. After "no action" a phone does not come back by itself, so that one is due
// for everything that waited for the window; and for what automatic renewal has set, of which nobody else
// knows. What a person sets while the window is open is reset by that person.
func (p *Phone) IsResetDue(window Window, opening Opening, now time.Time) bool {
	if !p.comesByItself(now) || !p.LastSession.Before(opening.From) && !p.LastSession.Before(p.Last.CreatedAt) {
		return false
	}
	return p.Last.CreatedBy == ActorRenewal || p.waitsForWindow(window, now) && p.Last.CreatedAt.Before(opening.From)
}
