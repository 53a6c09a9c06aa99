package capf_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"capf/runtime/capf"
)

// signed makes a certificate, self-signed without a parent; its key is the issuer's too.
func signed(t *testing.T, name string, key *ecdsa.PrivateKey, parent *x509.Certificate, from, to time.Time) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: to,
		BasicConstraintsValid: true, IsCA: parent == nil}
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// holder is a phone with an LSC of that life.
func holder(name string, from, until time.Time) capf.Phone {
	phone := capf.NewPhone(name, nil)
	phone.LSCKnown, phone.LSC = capf.LSCInstalled, &capf.Certificate{ID: 1, NotBefore: from, NotAfter: until}
	return phone
}

// Automatic renewal: from two thirds of its life on, each phone in one of the nights that follow, evenly.
func TestRenewalIsSpreadOverNights(t *testing.T) {
	for _, test := range []struct {
		window string
		life   time.Duration
		nights int // over how many openings the phones are spread
	}{
		{"22:00-05:00", 5 * 365 * 24 * time.Hour, 28},
		{"22:00-05:00", 30 * 24 * time.Hour, 5},
		{"sat 01:00-04:00", 5 * 365 * 24 * time.Hour, 28},
		{"sat 01:00-04:00", 365 * 24 * time.Hour, 8},
		{"mon-fri 22:00-05:00", 60 * 24 * time.Hour, 7},
		{"22:00-05:00", 24 * time.Hour, 1},
	} {
		w := window(t, test.window, time.UTC)
		const phones = 2800
		until := noon.Add(test.life)
		begin := noon.Add(test.life * 2 / 3)
		comes := make(map[int]int) // phones by the opening of their first turn
		for i := range phones {
			phone := holder(fmt.Sprintf("SEP%012X", i), noon, until)
			opening, _ := w.Next(noon)
			for ; !phone.IsRenewalTime(w, opening); opening, _ = w.Next(opening.From) {
				if opening.From.After(until.AddDate(1, 0, 0)) {
					t.Fatalf("%s, %v: %s has no turn", test.window, test.life, phone.Device)
				}
			}
			if opening.From.Before(begin) || test.nights > 1 && !opening.From.Before(until) {
				t.Fatalf("%s, %v: the turn is at %s", test.window, test.life, opening.From)
			}
			comes[opening.Number]++
		}
		if len(comes) != test.nights {
			t.Errorf("%s, %v: spread over %d openings, not %d", test.window, test.life, len(comes), test.nights)
		}
		for number, count := range comes {
			if mean := phones / test.nights; test.nights > 1 && (count < mean*6/10 || count > mean*14/10) {
				t.Errorf("%s, %v: %d of %d phones in opening %d", test.window, test.life, count, phones, number)
			}
		}
	}
}

// What was put off comes in turns too, and what is about to end at once.
func TestRenewalTurns(t *testing.T) {
	w := window(t, "22:00-05:00", time.UTC)
	opening, _ := w.Next(noon)
	count := func(from, until time.Time, change func(*capf.Phone)) (due int) {
		for i := range 1000 {
			phone := holder(fmt.Sprintf("SEP%012X", i), from, until)
			if change != nil {
				change(&phone)
			}
			if phone.IsRenewalTime(w, opening) {
				due++
			}
		}
		return due
	}
	if due := count(noon.AddDate(-4, 0, 0), noon.AddDate(1, 0, 0), nil); due < 10 || due > 80 {
		t.Errorf("turned on late, %d of 1000 come in one night", due)
	}
	if due := count(noon.AddDate(-4, 0, 0), noon.AddDate(0, 0, 20), nil); due != 1000 {
		t.Errorf("20 days before the end %d of 1000 come", due)
	}
	if due := count(noon.AddDate(-5, 0, 0), noon.AddDate(0, 0, -20), nil); due > 80 {
		t.Errorf("after the end %d of 1000 come every night", due)
	}
	for name, change := range map[string]func(*capf.Phone){
		"none known":    func(p *capf.Phone) { p.LSC = nil },
		"it was erased": func(p *capf.Phone) { p.LSCKnown = capf.LSCNone },
		"something is pending": func(p *capf.Phone) {
			p.Last = &capf.OperationRecord{Operation: capf.OperationTroubleshoot, AuthMode: capf.AuthByString}
		},
	} {
		if due := count(noon.AddDate(-4, 0, 0), noon.AddDate(0, 0, 20), change); due != 0 {
			t.Errorf("%s: %d are due", name, due)
		}
	}
}

// By what a phone renews itself without a person (B2), and for which there is no way.
func TestRenewalMode(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	authority := signed(t, "CAPF", key, nil, noon.AddDate(-10, 0, 0), noon.AddDate(10, 0, 0))
	valid := signed(t, "SEP0011223344AA", key, authority, noon.AddDate(-4, 0, 0), noon.AddDate(1, 0, 0))
	expired := signed(t, "SEP0011223344AA", key, authority, noon.AddDate(-4, 0, 0), noon.AddDate(0, 0, -1))
	foreign := signed(t, "SEP0011223344AA", key, signed(t, "Other", key, nil, noon, noon), noon.AddDate(-4, 0, 0), noon.AddDate(1, 0, 0))
	for _, test := range []struct {
		name string
		own  capf.AuthMode
		mic  capf.MICStatus
		lsc  *x509.Certificate
		want capf.AuthMode
		text string // why there is none
	}{
		{"enrolled by string", capf.AuthByString, capf.MICUnknown, valid, capf.AuthByLSC, ""},
		{"enrolled by string, with an expired LSC", capf.AuthByString, capf.MICPresent, expired, "", "cannot authenticate it: the certificate is valid from"},
		{"enrolled by string, with an LSC of a CAPF that is no anchor", capf.AuthByString, capf.MICNone, foreign, "", "no trust anchor"},
		{"null string", capf.AuthByNullString, capf.MICNone, valid, capf.AuthByNullString, ""},
		{"null string, with an expired LSC", capf.AuthByNullString, capf.MICNone, expired, capf.AuthByNullString, ""},
		{"by LSC", capf.AuthByLSC, capf.MICNone, valid, capf.AuthByLSC, ""},
		{"by LSC, expired", capf.AuthByLSC, capf.MICPresent, expired, "", "valid from"},
		{"by MIC", capf.AuthByMIC, capf.MICPresent, expired, capf.AuthByMIC, ""},
		{"by MIC without one", capf.AuthByMIC, capf.MICNone, valid, capf.AuthByMIC, ""},
		{"by MIC without one, with an expired LSC", capf.AuthByMIC, capf.MICNone, expired, "", "valid from"},
	} {
		phone := holder("SEP0011223344AA", test.lsc.NotBefore, test.lsc.NotAfter)
		phone.LSC.DER, phone.AuthMode, phone.MIC = test.lsc.Raw, test.own, test.mic
		change, err := phone.Renewal([]*x509.Certificate{authority}, noon)
		if test.text != "" {
			if err == nil || !strings.Contains(err.Error(), test.text) {
				t.Errorf("%s: %v", test.name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		changed := apply(t, phone, change, noon)
		if last := changed.Phone.Last; last == nil || last.Operation != capf.OperationInstall || last.AuthMode != test.want || !changed.Phone.AuthString.IsZero() {
			t.Errorf("%s: %+v", test.name, last)
		}
	}
}

// What has changed since it was looked at is left alone: a person was faster.
func TestRenewalLeavesWhatHasChanged(t *testing.T) {
	phone := holder("SEP0011223344AA", noon.AddDate(-4, 0, 0), noon.AddDate(1, 0, 0))
	phone.AuthMode = capf.AuthByNullString
	renewal, err := phone.Renewal(nil, noon)
	if err != nil {
		t.Fatal(err)
	}
	pending := apply(t, phone, capf.PhoneChange{Operation: to(capf.OperationDelete)}, noon).Phone
	otherMode, otherLSC, erased := phone, phone, phone
	otherMode.AuthMode = capf.AuthByString
	otherLSC.LSC = &capf.Certificate{ID: 2}
	erased.LSC = nil
	for name, found := range map[string]capf.Phone{"pending": pending, "another mode": otherMode, "another LSC": otherLSC, "no LSC": erased} {
		changed := apply(t, found, renewal, noon)
		if changed.Effect != capf.EffectNone || changed.Ended != nil || changed.Phone.AuthMode != found.AuthMode || changed.Phone.Last != found.Last {
			t.Errorf("%s: %+v", name, changed)
		}
	}
	if changed := apply(t, phone, renewal, noon); changed.Effect != capf.EffectNew {
		t.Errorf("as it was: %s", changed.Effect)
	}
}

func TestRenewalParameter(t *testing.T) {
	if (capf.Parameters{}).Renews() || !(capf.Parameters{capf.ParamRenewal: "on"}).Renews() {
		t.Error("off by default")
	}
	parameter, err := capf.FindParameter(capf.ParamRenewal)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parameter.Normalise("yes"); !capf.HasCode(err, capf.CodeInvalid) {
		t.Error(err)
	}
	if opening, is := capf.RenewalWindow(capf.Window{}).Next(noon); !is || opening.To.Sub(opening.From) < 3*time.Hour {
		t.Errorf("without a window: %+v", opening)
	}
}
