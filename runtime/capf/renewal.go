package capf

import (
	"crypto/x509"
	"fmt"
	"hash/fnv"
	"time"
)

// ActorRenewal stands in the history where automatic renewal has set an operation.
const ActorRenewal = "automatic renewal"

// The values of ParamRenewal.
const (
	RenewalOn  = "on"
	RenewalOff = "off"
)

// mostNights is over how many nights renewals are spread.
const mostNights = 28

const aDay = 24 * time.Hour

// RenewalWindow is when renewals are scheduled: the maintenance window, or the night where there is none.
func RenewalWindow(window Window) Window {
	if !window.IsZero() {
		return window
	}
	dark, _ := ParseWindow(night, time.Local) // a constant that can be read
	return dark
}

// RenewalStart is when two thirds of a certificate's life are over.
func (c *Certificate) RenewalStart() time.Time {
	return c.NotAfter.Add(-c.NotAfter.Sub(c.NotBefore) / 3)
}

// IsRenewalTime reports whether the LSC of a phone is to be renewed in that opening of the renewal window:
// two thirds of its life are over, nothing is pending, and it is the phone's turn. Every phone has its turn
// once in a fixed number of openings, at most 28 and so many that it comes at least twice before the LSC
// ends; which one depends on nothing but the phone's name, so that phones that were enrolled together do not
// all come together again. Shortly before the end it is always its turn.
func (p *Phone) IsRenewalTime(window Window, opening Opening) bool {
	now := opening.From
	if p.LSCKnown != LSCInstalled || p.LSC == nil || p.Last.IsPending(now) || now.Before(p.LSC.RenewalStart()) {
		return false
	}
	cycle := p.LSC.renewalCycle(window)
	left := p.LSC.NotAfter.Sub(now)
	if left >= 0 && left < time.Duration(cycle)*window.interval() {
		return true
	}
	return opening.Number%cycle == turn(p.Device, cycle)
}

// renewalCycle gives in how many openings every phone with such a certificate has its turn once.
func (c *Certificate) renewalCycle(window Window) int {
	const turns = 2 // in the last third of its life, at least
	lastThird := c.NotAfter.Sub(c.RenewalStart())
	return min(max(int(lastThird/window.interval()/turns), 1), mostNights)
}

// interval is the mean time from one opening to the next.
func (w Window) interval() time.Duration {
	return 7 * aDay / time.Duration(max(len(w.dayList()), 1))
}

// turn spreads devices evenly over a cycle.
func turn(device string, cycle int) int {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(device)) // never fails
	return int(hash.Sum32() % uint32(cycle))
}

// Renewal gives the change that renews the LSC of a phone without a person, or says why there is none. The
// anchors are those for LSCs.
//
// A phone in null-string mode, or in that of its MIC where it is known to have one, keeps its mode: the
// administrator has chosen it. All others authenticate by the LSC that they have, which must verify and be
// in its time. By authentication string is never among them: nobody is there to type it.
func (p *Phone) Renewal(anchors []*x509.Certificate, now time.Time) (PhoneChange, error) {
	mode, err := p.renewalMode(anchors, now)
	if err != nil {
		return PhoneChange{}, err
	}
	install, own := OperationInstall, p.AuthMode
	change := PhoneChange{Device: p.Device, Operation: &install, AuthMode: &mode, OnlyIf: func(found *Phone) bool {
		idle := found.Last == nil || found.Last.Ending != EndingNone
		return idle && found.AuthMode == own && found.LSC != nil && found.LSC.ID == p.LSC.ID
	}}
	return change, nil
}

func (p *Phone) renewalMode(anchors []*x509.Certificate, now time.Time) (AuthMode, error) {
	if p.AuthMode == AuthByNullString || p.AuthMode == AuthByMIC && p.MIC == MICPresent {
		return p.AuthMode, nil
	}
	certificate, err := x509.ParseCertificate(p.LSC.DER)
	if err != nil {
		return "", fmt.Errorf("its LSC cannot be read: %w", err)
	}
	if _, err := VerifyChain(certificate, anchors, now); err != nil {
		return "", fmt.Errorf("its LSC cannot authenticate it: %w", err)
	}
	if p.AuthMode == AuthByMIC {
		return AuthByMIC, nil // it has no MIC: the LSC will do
	}
	return AuthByLSC, nil
}

func renewalValue(value string) (string, error) {
	if value != RenewalOn && value != RenewalOff {
		return "", fmt.Errorf("use %s or %s", RenewalOn, RenewalOff)
	}
	return value, nil
}

// Renews reports whether LSCs are renewed automatically.
func (p Parameters) Renews() bool { return p.Get(ParamRenewal) == RenewalOn }
