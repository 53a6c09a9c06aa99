package capf_test

import (
	"crypto/rand"
	"testing"
	"time"

	"capf/runtime/capf"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func at(now time.Time) capf.ChangeContext {
	return capf.ChangeContext{Now: now, Actor: "alice", Random: rand.Reader}
}

func to[T any](value T) *T { return &value }

func digits(t *testing.T, text string) *capf.AuthenticationString {
	t.Helper()
	parsed, err := capf.ParseAuthenticationString(text)
	if err != nil {
		t.Fatal(err)
	}
	return &parsed
}

// apply applies a change that must be let through, and gives a stored operation its identity.
func apply(t *testing.T, phone capf.Phone, change capf.PhoneChange, now time.Time) capf.Changed {
	t.Helper()
	change.Device = phone.Device
	changed, err := change.Apply(phone, at(now))
	if err != nil {
		t.Fatalf("%+v: %v", change, err)
	}
	if changed.Effect == capf.EffectNew || changed.Effect == capf.EffectReplaced {
		record := *changed.Phone.Last
		record.Ref = capf.OperationRef{ID: 1, Revision: 1}
		changed.Phone.Last = &record
	}
	return changed
}

func newPhone() capf.Phone { return capf.NewPhone("SEP0011223344AA", nil) }

func TestNewPhoneHasTheDefaults(t *testing.T) {
	phone := newPhone()
	if phone.AuthMode != capf.AuthByString || phone.KeySize != capf.RSA1024 || phone.SecurityMode != capf.NonSecure ||
		phone.LSCStatus(noon) != capf.LSCUnknown || phone.MIC != capf.MICUnknown || phone.Last.Status(noon, "") != capf.StatusNone {
		t.Errorf("new phone: %+v", phone)
	}
}

func TestOperationByStringGetsOne(t *testing.T) {
	changed := apply(t, newPhone(), capf.PhoneChange{Operation: to(capf.OperationInstall)}, noon)
	phone := changed.Phone
	text := phone.AuthString.Reveal()
	if changed.Effect != capf.EffectNew || len(text) != 8 || text[0] == '0' {
		t.Errorf("effect %s, string of %d digits", changed.Effect, len(text))
	}
	if want := noon.AddDate(0, 0, 10); !phone.Last.CompletesBy.Equal(want) {
		t.Errorf("completes by %s, want %s (B12)", phone.Last.CompletesBy, want)
	}
	if phone.Last.CreatedBy != "alice" || phone.PendingOperation(noon) != capf.OperationInstall {
		t.Errorf("operation: %+v", phone.Last)
	}
}

func TestStringBelongsToOneOperation(t *testing.T) {
	phone := apply(t, newPhone(), capf.PhoneChange{Operation: to(capf.OperationInstall), AuthString: digits(t, "004711")}, noon).Phone
	if phone.AuthString.Reveal() != "004711" {
		t.Fatal("zeros are lost")
	}
	replaced := apply(t, phone, capf.PhoneChange{Operation: to(capf.OperationInstall)}, noon)
	if replaced.Phone.AuthString.Same(phone.AuthString) || replaced.Phone.AuthString.IsZero() {
		t.Error("the string outlived the operation that was replaced")
	}
	if replaced.Ended == nil || replaced.Ended.Ending != capf.EndingReplaced {
		t.Errorf("the operation before: %+v", replaced.Ended)
	}
	withdrawn := apply(t, phone, capf.PhoneChange{Operation: to(capf.OperationNone)}, noon)
	if !withdrawn.Phone.AuthString.IsZero() || withdrawn.Ended.Ending != capf.EndingWithdrawn || withdrawn.Phone.Last.Status(noon, "") != capf.StatusNone {
		t.Errorf("withdrawn: %+v", withdrawn)
	}
	moded := apply(t, phone, capf.PhoneChange{AuthMode: to(capf.AuthByNullString)}, noon)
	if !moded.Phone.AuthString.IsZero() {
		t.Error("a string with the null string mode")
	}
}

func TestPreparedStringIsTaken(t *testing.T) {
	phone := apply(t, newPhone(), capf.PhoneChange{AuthString: digits(t, "123456")}, noon).Phone
	phone = apply(t, phone, capf.PhoneChange{Operation: to(capf.OperationInstall)}, noon).Phone
	if phone.AuthString.Reveal() != "123456" {
		t.Error("the string that was typed before is not used")
	}
}

func TestAmendingVoidsSessions(t *testing.T) {
	phone := apply(t, newPhone(), capf.PhoneChange{Operation: to(capf.OperationInstall)}, noon).Phone
	for name, test := range map[string]struct {
		change   capf.PhoneChange
		revision int64
	}{
		"key size":    {capf.PhoneChange{KeySize: to(capf.RSA2048)}, 2},
		"mode":        {capf.PhoneChange{AuthMode: to(capf.AuthByNullString)}, 2},
		"string":      {capf.PhoneChange{AuthString: digits(t, "99887766")}, 2},
		"deadline":    {capf.PhoneChange{CompletesBy: to(noon.Add(time.Hour))}, 1},
		"description": {capf.PhoneChange{Description: to("hall \u200f\u05d0")}, 1},
		"same size":   {capf.PhoneChange{KeySize: to(capf.RSA1024)}, 1},
		"hash":        {capf.PhoneChange{LSCHash: to(capf.HashSHA1)}, 2},
	} {
		changed := apply(t, phone, test.change, noon)
		if got := changed.Phone.Last.Ref; got.ID != 1 || got.Revision != test.revision {
			t.Errorf("%s: ref %+v, want revision %d of operation 1", name, got, test.revision)
		}
		if phone.Last.Ref.Revision != 1 {
			t.Fatalf("%s: the phone before was changed", name)
		}
	}
}

func TestRulesRefuse(t *testing.T) {
	bare := newPhone()
	none := bare
	none.LSCKnown, none.MIC = capf.LSCNone, capf.MICNone
	secure := bare
	secure.AuthMode, secure.SecurityMode = capf.AuthByNullString, capf.Encrypted
	for name, test := range map[string]struct {
		phone  capf.Phone
		change capf.PhoneChange
		code   capf.Code
	}{
		"string and encrypted":             {bare, capf.PhoneChange{SecurityMode: to(capf.Encrypted)}, capf.CodeRefused},
		"string and authenticated":         {secure, capf.PhoneChange{AuthMode: to(capf.AuthByString)}, capf.CodeRefused},
		"delete from a secure phone":       {secure, capf.PhoneChange{Operation: to(capf.OperationDelete)}, capf.CodeRefused},
		"delete where none is":             {none, capf.PhoneChange{Operation: to(capf.OperationDelete)}, capf.CodeRefused},
		"troubleshoot where none is":       {none, capf.PhoneChange{Operation: to(capf.OperationTroubleshoot)}, capf.CodeRefused},
		"string with null string":          {bare, capf.PhoneChange{AuthMode: to(capf.AuthByNullString), AuthString: digits(t, "12345678")}, capf.CodeInvalid},
		"deadline that has passed":         {bare, capf.PhoneChange{Operation: to(capf.OperationInstall), CompletesBy: to(noon.Add(-time.Second))}, capf.CodeInvalid},
		"deadline without operation":       {bare, capf.PhoneChange{CompletesBy: to(noon.Add(time.Hour))}, capf.CodeInvalid},
		"description that is no UTF-8":     {bare, capf.PhoneChange{Description: to("caf\xe9")}, capf.CodeInvalid},
		"description with a control of C1": {bare, capf.PhoneChange{Description: to("\u009b31mx")}, capf.CodeInvalid},
		"description that turns around":    {bare, capf.PhoneChange{Description: to("x\u202egnp")}, capf.CodeInvalid},
		"description with a line feed":     {bare, capf.PhoneChange{Description: to("a\nb")}, capf.CodeInvalid},
	} {
		test.change.Device = test.phone.Device
		if _, err := test.change.Apply(test.phone, at(noon)); !capf.HasCode(err, test.code) {
			t.Errorf("%s: %v, want %s", name, err, test.code)
		}
	}
}

func TestRulesAllow(t *testing.T) {
	unknown := newPhone()
	apply(t, unknown, capf.PhoneChange{Operation: to(capf.OperationTroubleshoot)}, noon)
	apply(t, unknown, capf.PhoneChange{Operation: to(capf.OperationDelete)}, noon)
	withMIC := unknown
	withMIC.AuthMode, withMIC.SecurityMode, withMIC.MIC = capf.AuthByLSC, capf.Authenticated, capf.MICPresent
	apply(t, withMIC, capf.PhoneChange{Operation: to(capf.OperationDelete)}, noon)
	apply(t, unknown, capf.PhoneChange{SecurityMode: to(capf.Encrypted), AuthMode: to(capf.AuthByNullString), Operation: to(capf.OperationInstall)}, noon)
}

func TestExpiryIsReadFromTheDeadline(t *testing.T) {
	phone := apply(t, newPhone(), capf.PhoneChange{Operation: to(capf.OperationInstall), CompletesBy: to(noon.Add(time.Hour))}, noon).Phone
	if late := noon.Add(time.Hour); phone.Last.Status(late, "") != capf.StatusPending {
		t.Error("the second of the deadline counts already")
	}
	late := noon.Add(time.Hour + time.Second)
	if phone.Last.Status(late, "") != capf.StatusExpired || phone.PendingOperation(late) != capf.OperationNone ||
		!phone.CurrentString(late).IsZero() || *phone.ResultAt(late) != capf.ResultTimedOut || phone.Last.StatusText(late, "") != "Upgrade Failed" {
		t.Errorf("after the deadline: %s, %s", phone.Last.Status(late, ""), phone.Last.StatusText(late, ""))
	}
	changed := apply(t, phone, capf.PhoneChange{Description: to("x")}, late)
	if changed.Ended == nil || changed.Ended.Ending != capf.EndingExpired || !changed.Phone.AuthString.IsZero() {
		t.Errorf("a change after the deadline leaves %+v", changed.Ended)
	}
}

func TestInProgressBelongsToTheLivingService(t *testing.T) {
	record := &capf.OperationRecord{Operation: capf.OperationInstall, Serving: "one"}
	for living, want := range map[string]capf.Status{"one": capf.StatusInProgress, "two": capf.StatusPending, "": capf.StatusPending} {
		if got := record.Status(noon, living); got != want {
			t.Errorf("living %q: %s, want %s", living, got, want)
		}
	}
	record.CompletesBy = noon
	if got, late := record.Status(noon, "one"), record.Status(noon.Add(time.Second), "one"); got != capf.StatusInProgress || late != capf.StatusExpired {
		t.Errorf("at the deadline %s, after it %s", got, late)
	}
}

func TestWarnings(t *testing.T) {
	for name, test := range map[string]struct {
		change capf.PhoneChange
		want   int
	}{
		"short string": {capf.PhoneChange{AuthString: digits(t, "1234")}, 1},
		"long string":  {capf.PhoneChange{AuthString: digits(t, "123456")}, 0},
		"large key":    {capf.PhoneChange{KeySize: to(capf.RSA2048)}, 1},
		"null string":  {capf.PhoneChange{Operation: to(capf.OperationInstall), AuthMode: to(capf.AuthByNullString)}, 1},
	} {
		if got := apply(t, newPhone(), test.change, noon).Warnings; len(got) != test.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}
