package capf_test

import (
	"strings"
	"testing"
	"time"

	"capf/runtime/capf"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	loaded, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

func window(t *testing.T, text string, local *time.Location) capf.Window {
	t.Helper()
	parsed, err := capf.ParseWindow(text, local)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return parsed
}

// A5: what the parameter takes, and the form that is kept.
func TestWindowValues(t *testing.T) {
	parameter, err := capf.FindParameter(capf.ParamWindow)
	if err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string]string{
		"none": "none", "": "none", " None ": "none", "22:00-05:00": "22:00-05:00", "00:00-24:00": "00:00-24:00", "23:59-00:00": "23:59-00:00",
		"mon-fri 22:00-05:00": "mon,tue,wed,thu,fri 22:00-05:00", "SAT,sun 00:00-24:00 Europe/Rome": "sat,sun 00:00-24:00 Europe/Rome",
		"sat-mon  01:00-02:00": "mon,sat,sun 01:00-02:00", "mon-sun 01:00-02:00": "01:00-02:00", "01:00-02:00 UTC": "01:00-02:00 UTC",
		"wed 01:00-02:00": "wed 01:00-02:00",
		"22:00":           "", "22:00-": "", "-": "", "22-05": "", "9:00-10:00": "", "25:00-26:00": "", "24:00-01:00": "", "00:00-24:01": "", "22:60-23:00": "",
		"05:00-05:00": "", "mon": "", "monday 01:00-02:00": "", "mon- 01:00-02:00": "", ",mon 01:00-02:00": "", "01:00-02:00 Local": "",
		"01:00-02:00 Mars/Olympus": "", "01:00-02:00 ../../etc/passwd": "", "mon 01:00-02:00 UTC UTC": "", "always": "", "+1:00-02:00": "",
	} {
		got, err := parameter.Normalise(value)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q gives %q, %v; want %q", value, got, err, want)
		}
		if err != nil && (!capf.HasCode(err, capf.CodeInvalid) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%q: %v", value, err)
		}
	}
	if _, err := (capf.Parameters{capf.ParamWindow: "nonsense"}).Window(); !capf.HasCode(err, capf.CodeInvalid) {
		t.Errorf("a value that slipped in: %v", err)
	}
	if none, err := (capf.Parameters{}).Window(); err != nil || !none.IsZero() {
		t.Errorf("the default is %v, %v", none, err)
	}
}

// The zone that $TZ gives bears its own name, which is as good as any other; `Local` is none there either.
func TestZoneOfTheMachine(t *testing.T) {
	local := time.Local
	t.Cleanup(func() { time.Local = local })
	const name = "Pacific/Kiritimati"
	time.Local = zone(t, name)
	if got, err := capf.ParseWindow("01:00-02:00 "+name, time.Local); err != nil || got.String() != "01:00-02:00 "+name {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := capf.ParseWindow("01:00-02:00 Local", time.Local); err == nil {
		t.Errorf("%v, %v", got, err)
	}
}

// What a window is at each moment; times are those that its clocks show.
func TestWindowOpenings(t *testing.T) {
	const layout = "2006-01-02 15:04 -0700"
	for _, test := range []struct {
		name, window, zone string
		now                string
		from, to           string // of the opening that holds it; empty: closed
		next               string
	}{
		{"in the evening", "22:00-05:00", "UTC", "2026-03-01 22:00 +0000", "2026-03-01 22:00 +0000", "2026-03-02 05:00 +0000", "2026-03-02 22:00 +0000"},
		{"after midnight", "22:00-05:00", "UTC", "2026-03-02 04:59 +0000", "2026-03-01 22:00 +0000", "2026-03-02 05:00 +0000", "2026-03-02 22:00 +0000"},
		{"the end is not in it", "22:00-05:00", "UTC", "2026-03-02 05:00 +0000", "", "", "2026-03-02 22:00 +0000"},
		{"before it opens", "22:00-05:00", "UTC", "2026-03-01 21:59 +0000", "", "", "2026-03-01 22:00 +0000"},
		{"within a day", "12:00-13:00", "UTC", "2026-03-01 12:30 +0000", "2026-03-01 12:00 +0000", "2026-03-01 13:00 +0000", "2026-03-02 12:00 +0000"},
		{"a whole day", "00:00-24:00", "UTC", "2026-03-01 23:59 +0000", "2026-03-01 00:00 +0000", "2026-03-02 00:00 +0000", "2026-03-02 00:00 +0000"},
		{"the publisher's time", "22:00-05:00", "America/New_York", "2026-03-02 03:30 +0000", "2026-03-01 22:00 -0500", "2026-03-02 05:00 -0500", "2026-03-02 22:00 -0500"},
		{"a zone of its own", "22:00-05:00 Asia/Kolkata", "America/New_York", "2026-03-01 17:00 +0000", "2026-03-01 22:00 +0530", "2026-03-02 05:00 +0530", "2026-03-02 22:00 +0530"},
		// 1 March 2026 is a Sunday.
		{"the night of Friday reaches into Saturday", "fri 22:00-05:00", "UTC", "2026-03-07 04:00 +0000", "2026-03-06 22:00 +0000", "2026-03-07 05:00 +0000", "2026-03-13 22:00 +0000"},
		{"the night of Saturday is another", "fri 22:00-05:00", "UTC", "2026-03-07 22:30 +0000", "", "", "2026-03-13 22:00 +0000"},
		{"over the weekend", "mon-fri 22:00-05:00", "UTC", "2026-03-07 12:00 +0000", "", "", "2026-03-09 22:00 +0000"},
		// Europe/Rome: on 29 March 2026 the clocks go from 02:00 to 03:00, on 25 October from 03:00 back to 02:00.
		{"the night is an hour shorter", "22:00-05:00", "Europe/Rome", "2026-03-29 04:30 +0200", "2026-03-28 22:00 +0100", "2026-03-29 05:00 +0200", "2026-03-29 22:00 +0200"},
		{"the night is an hour longer", "22:00-05:00", "Europe/Rome", "2026-10-25 04:30 +0100", "2026-10-24 22:00 +0200", "2026-10-25 05:00 +0100", "2026-10-25 22:00 +0100"},
		{"it opens when it is skipped", "02:30-05:00", "Europe/Rome", "2026-03-29 03:10 +0200", "2026-03-29 03:00 +0200", "2026-03-29 05:00 +0200", "2026-03-30 02:30 +0200"},
		{"it closes when it is skipped", "01:00-02:30", "Europe/Rome", "2026-03-29 01:59 +0100", "2026-03-29 01:00 +0100", "2026-03-29 03:00 +0200", "2026-03-30 01:00 +0200"},
		{"closed after that", "01:00-02:30", "Europe/Rome", "2026-03-29 03:00 +0200", "", "", "2026-03-30 01:00 +0200"},
		{"all of it is skipped", "02:10-02:50", "Europe/Rome", "2026-03-29 03:00 +0200", "", "", "2026-03-30 02:10 +0200"},
		{"it closes at the first of two", "01:00-02:30", "Europe/Rome", "2026-10-25 02:29 +0200", "2026-10-25 01:00 +0200", "2026-10-25 02:30 +0200", "2026-10-26 01:00 +0100"},
		{"and not again at the second", "01:00-02:30", "Europe/Rome", "2026-10-25 02:10 +0100", "", "", "2026-10-26 01:00 +0100"},
		{"it opens at the first of two", "02:30-04:00", "Europe/Rome", "2026-10-25 02:10 +0100", "2026-10-25 02:30 +0200", "2026-10-25 04:00 +0100", "2026-10-26 02:30 +0100"},
		// The clocks of Cairo skip midnight itself on 24 April 2026.
		{"midnight is skipped", "00:00-05:00", "Africa/Cairo", "2026-04-24 01:00 +0300", "2026-04-24 01:00 +0300", "2026-04-24 05:00 +0300", "2026-04-25 00:00 +0300"},
	} {
		t.Run(test.name, func(t *testing.T) {
			moment := func(text string) time.Time {
				parsed, err := time.Parse(layout, text)
				if err != nil {
					t.Fatal(err)
				}
				return parsed
			}
			w := window(t, test.window, zone(t, test.zone))
			got, open := w.At(moment(test.now))
			if open != (test.from != "") {
				t.Fatalf("open %v: %v to %v", open, got.From, got.To)
			}
			if open && (!got.From.Equal(moment(test.from)) || !got.To.Equal(moment(test.to))) {
				t.Errorf("it is open from %v to %v", got.From, got.To)
			}
			if next, is := w.Next(moment(test.now)); !is || !next.From.Equal(moment(test.next)) {
				t.Errorf("it opens next at %v", next.From)
			}
		})
	}
}

// Openings follow each other by number, whatever the days and the clocks.
func TestWindowOpeningsAreNumbered(t *testing.T) {
	for _, text := range []string{"22:00-05:00", "sat 01:00-03:00", "mon,wed,fri 23:00-01:00", "02:15-02:45"} {
		w := window(t, text, zone(t, "Europe/Rome"))
		last, _ := w.Next(noon)
		for range 400 {
			next, is := w.Next(last.From)
			skipped := text == "02:15-02:45" && next.Number == last.Number+2 // the night that has no such time
			if !is || next.Number != last.Number+1 && !skipped || next.From.Before(last.To) {
				t.Fatalf("%s: after %+v comes %+v", text, last, next)
			}
			if before, is := w.Before(next.From); !is || before != last {
				t.Fatalf("%s: before %+v was %+v, not %+v", text, next, before, last)
			}
			last = next
		}
	}
	if _, is := (capf.Window{}).Next(noon); is {
		t.Error("no window opens")
	}
}

// Rules of ours, "A window": whom it holds back.
func TestWindowHoldsBack(t *testing.T) {
	night := window(t, "22:00-05:00", time.UTC)
	evening, valid := noon.Add(11*time.Hour), &capf.Certificate{NotBefore: noon.AddDate(-1, 0, 0), NotAfter: noon.AddDate(1, 0, 0)}
	expired := &capf.Certificate{NotBefore: noon.AddDate(-2, 0, 0), NotAfter: noon.Add(-time.Hour)}
	for _, test := range []struct {
		name     string
		mode     capf.AuthMode
		security capf.SecurityMode
		lsc      *capf.Certificate
		held     bool // while it is closed
	}{
		{"null string", capf.AuthByNullString, capf.NonSecure, nil, true},
		{"existing certificate, by LSC", capf.AuthByLSC, capf.NonSecure, valid, true},
		{"existing certificate, by MIC", capf.AuthByMIC, capf.NonSecure, nil, true},
		{"a person types the string", capf.AuthByString, capf.NonSecure, nil, false},
		{"a person types the string for an upgrade", capf.AuthByString, capf.NonSecure, valid, false},
		{"authenticated without an LSC", capf.AuthByNullString, capf.Authenticated, nil, false},
		{"encrypted without an LSC", capf.AuthByMIC, capf.Encrypted, nil, false},
		{"encrypted with one that has expired", capf.AuthByMIC, capf.Encrypted, expired, false},
		{"authenticated with a valid LSC", capf.AuthByLSC, capf.Authenticated, valid, true},
		{"encrypted with a valid LSC", capf.AuthByNullString, capf.Encrypted, valid, true},
		{"non-secure with one that has expired", capf.AuthByNullString, capf.NonSecure, expired, true},
	} {
		phone := newPhone()
		if phone.LSC = test.lsc; test.lsc != nil {
			phone.LSCKnown = capf.LSCInstalled
		}
		phone = apply(t, phone, capf.PhoneChange{Operation: to(capf.OperationInstall), AuthMode: &test.mode, SecurityMode: &test.security}, noon).Phone
		if got := phone.IsHeldBack(night, noon, nil); got != test.held {
			t.Errorf("%s: held back %v while the window is closed", test.name, got)
		}
		if phone.IsHeldBack(night, evening, nil) || phone.IsHeldBack(capf.Window{}, noon, nil) {
			t.Errorf("%s: held back while it is open, or without one", test.name)
		}
		opening, _ := night.At(evening)
		if got := phone.IsResetDue(night, opening, evening); got != test.held {
			t.Errorf("%s: reset due when it opens: %v", test.name, got)
		}
	}
}

// A4: a phone that began while the window was open may come back with its operation when it has closed.
func TestWindowLetsReturningPhonesIn(t *testing.T) {
	night := window(t, "22:00-05:00", time.UTC)
	closed := time.Date(2026, 3, 2, 5, 0, 0, 0, time.UTC)
	phone := apply(t, newPhone(), capf.PhoneChange{Operation: to(capf.OperationInstall), AuthMode: to(capf.AuthByNullString)}, noon).Phone
	for _, test := range []struct {
		name    string
		session time.Time
		now     time.Time
		held    bool
	}{
		{"it never began", time.Time{}, closed.Add(time.Minute), true},
		{"it began in time", closed.Add(-time.Minute), closed.Add(time.Minute), false},
		{"its key took all of C4", closed.Add(-time.Minute), closed.Add(34 * time.Minute), false},
		{"too late", closed.Add(-time.Minute), closed.Add(36 * time.Minute), true},
		{"it began another operation", noon.Add(-time.Hour), closed.Add(time.Minute), true},
		{"it began the night before", closed.AddDate(0, 0, -1), closed.Add(time.Minute), true},
	} {
		phone.LastSession = test.session
		if got := phone.IsHeldBack(night, test.now, nil); got != test.held {
			t.Errorf("%s: held back %v", test.name, got)
		}
	}
}

// For which phones a reset is due in an opening, beside those that waited for it.
func TestResetIsDue(t *testing.T) {
	night := window(t, "22:00-05:00", time.UTC)
	opening, _ := night.At(noon.Add(11 * time.Hour))
	install := capf.PhoneChange{Operation: to(capf.OperationInstall), AuthMode: to(capf.AuthByNullString)}
	within := apply(t, newPhone(), install, opening.From.Add(time.Minute)).Phone
	renewed := within
	record := *within.Last
	record.CreatedBy = capf.ActorRenewal
	renewed.Last = &record
	began := apply(t, newPhone(), install, noon).Phone
	began.LastSession = opening.From
	now := opening.From.Add(time.Hour)
	for name, test := range map[string]struct {
		phone  capf.Phone
		window capf.Window
		now    time.Time
		due    bool
	}{
		"nothing pending":                       {newPhone(), night, now, false},
		"set by a person while it is open":      {within, night, now, false},
		"set by automatic renewal":              {renewed, night, now, true},
		"set by automatic renewal, no window":   {renewed, capf.Window{}, now, true},
		"set by a person, no window":            {within, capf.Window{}, now, false},
		"its session has begun in this opening": {began, night, now, false},
		"past its deadline":                     {renewed, night, now.AddDate(0, 0, 11), false},
	} {
		if got := test.phone.IsResetDue(test.window, opening, test.now); got != test.due {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func FuzzParseWindow(f *testing.F) {
	for _, seed := range []string{"22:00-05:00", "mon-fri 22:00-05:00", "sat,sun 00:00-24:00 Europe/Rome", "none", "02:10-02:50 Africa/Cairo"} {
		f.Add(seed, int64(1_774_746_000))
	}
	f.Fuzz(func(t *testing.T, text string, seconds int64) {
		w, err := capf.ParseWindow(text, time.UTC)
		if err != nil {
			return
		}
		again, err := capf.ParseWindow(w.String(), time.UTC)
		if err != nil || again.String() != w.String() {
			t.Errorf("%q became %q, %v", text, w, err)
		}
		now := time.Unix(seconds%(1<<33), 0)
		if opening, open := w.At(now); open && (now.Before(opening.From) || !now.Before(opening.To)) {
			t.Errorf("%s at %s: open from %s to %s", w, now, opening.From, opening.To)
		}
		if next, is := w.Next(now); is && !next.From.After(now) || is == w.IsZero() {
			t.Errorf("%s at %s: next %v", w, now, next)
		}
	})
}
