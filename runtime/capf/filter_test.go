package capf

import (
	"strings"
	"testing"
	"time"
)

func TestFilterDevices(t *testing.T) {
	for _, test := range []struct {
		pattern, device string
		matches         bool
	}{
		{"", "SEP001122334455", true},
		{"SEP001122334455", "SEP001122334455", true},
		{"00:11:22:33:44:55", "SEP001122334455", true},
		{"SEP00112233445?", "SEP001122334455", true},
		{"SEP0011*", "SEP001122334455", true},
		{"SEP0012*", "SEP001122334455", false},
		{"*55", "SEP001122334455", true},
		{"SEP00112233445[0-4]", "SEP001122334455", false},
		{`CSF\ALICE`, "CSFALICE", true},
		{"sep*", "SEP001122334455", true},
		{"sep00*aa", "SEP0011223344AA", true},
		{"SEP00112233445[5-a]", "SEP001122334455", true},
		{"Sep0011223344[a-f]?", "SEP0011223344AA", true},
		{"sep*", "SEPTEMBER", false},
		{"csf*", "CSFALICE", false},
		{"CSF[a-z]*", "CSFalice", true},
		{"sep\u0131*", "SEPI", false},
	} {
		filter, err := PhoneFilter{Device: test.pattern}.Normalise()
		if err != nil {
			t.Fatal(err)
		}
		if got := filter.Matches(&Phone{Device: test.device}, Moment{}); got != test.matches {
			t.Errorf("%q matches %s: %t", test.pattern, test.device, got)
		}
	}
	for _, pattern := range []string{"SEP[", `SEP\`, "SEP[]"} {
		if _, err := (PhoneFilter{Device: pattern}).Normalise(); !HasCode(err, CodeInvalid) {
			t.Errorf("pattern %q: %v", pattern, err)
		}
	}
}

func TestFilterStates(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	phone := Phone{Device: "SEP001122334455", AuthMode: AuthByNullString, LSCKnown: LSCInstalled, LSC: &Certificate{NotAfter: now.Add(time.Hour)},
		Last: &OperationRecord{Operation: OperationInstall, CompletesBy: now.Add(time.Hour), Serving: "here"}}
	install, none, inProgress, pending := OperationInstall, OperationNone, StatusInProgress, StatusPending
	byString, byNull, installed, expired := AuthByString, AuthByNullString, LSCInstalled, LSCExpired
	at := Moment{Now: now, Living: "here"}
	later := Moment{Now: now.Add(2 * time.Hour)}
	late := StatusExpired
	for name, test := range map[string]struct {
		filter  PhoneFilter
		at      Moment
		matches bool
	}{
		"operation":              {PhoneFilter{Operation: &install}, at, true},
		"no operation":           {PhoneFilter{Operation: &none}, at, false},
		"operation after":        {PhoneFilter{Operation: &none}, later, true},
		"status":                 {PhoneFilter{Status: &inProgress}, at, true},
		"status without service": {PhoneFilter{Status: &pending}, Moment{Now: now}, true},
		"status after":           {PhoneFilter{Status: &late}, later, true},
		"mode":                   {PhoneFilter{AuthMode: &byNull}, at, true},
		"other mode":             {PhoneFilter{AuthMode: &byString}, at, false},
		"LSC":                    {PhoneFilter{LSCStatus: &installed}, at, true},
		"LSC after":              {PhoneFilter{LSCStatus: &expired}, later, true},
		"expires before":         {PhoneFilter{ExpiresBefore: now.Add(time.Hour + time.Second)}, at, true},
		"expires at":             {PhoneFilter{ExpiresBefore: now.Add(time.Hour)}, at, false},
		"all of it":              {PhoneFilter{Device: "SEP*", Operation: &install, Status: &inProgress, AuthMode: &byNull, LSCStatus: &installed}, at, true},
		"all but one":            {PhoneFilter{Device: "SEP*", Operation: &install, Status: &inProgress, AuthMode: &byString}, at, false},
	} {
		if got := test.filter.Matches(&phone, test.at); got != test.matches {
			t.Errorf("%s: %t", name, got)
		}
	}
	if (PhoneFilter{ExpiresBefore: now}).Matches(&Phone{}, at) {
		t.Error("a phone without an LSC has one that ends")
	}
}

// FuzzFilterPrefix holds that a store may look below the prefix only.
func FuzzFilterPrefix(f *testing.F) {
	f.Add("SEP0011*", "SEP001122334455")
	f.Add(`C\SF[A-B]*`, "CSFALICE")
	f.Add("001122334455", "SEP001122334455")
	f.Add("Sep0011*aa", "SEP0011223344AA")
	f.Add("\u0131\xff*", "SEP0011223344AA")
	f.Fuzz(func(t *testing.T, pattern, device string) {
		filter, err := PhoneFilter{Device: pattern}.Normalise()
		if err != nil || !filter.Matches(&Phone{Device: device}, Moment{}) {
			return
		}
		prefix, whole := filter.DevicePrefix()
		if !strings.HasPrefix(device, prefix) || whole && device != prefix {
			t.Errorf("%q matches %q, and has the prefix %q, whole: %t", pattern, device, prefix, whole)
		}
	})
}

func TestExpireAndWithdraw(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	digits, err := ParseAuthenticationString("0042")
	if err != nil {
		t.Fatal(err)
	}
	pending := func() Phone {
		return Phone{AuthString: digits, Last: &OperationRecord{Operation: OperationInstall, CompletesBy: now, Serving: "here"}}
	}
	for name, test := range map[string]struct {
		end    func(*Phone) *OperationRecord
		ending Ending
	}{
		"at the deadline":           {func(p *Phone) *OperationRecord { return p.Expire(now, "") }, EndingNone},
		"after the deadline":        {func(p *Phone) *OperationRecord { return p.Expire(now.Add(time.Second), "") }, EndingExpired},
		"served by who lives":       {func(p *Phone) *OperationRecord { return p.Expire(now.Add(time.Second), "here") }, EndingNone},
		"served by who is gone":     {func(p *Phone) *OperationRecord { return p.Expire(now.Add(time.Second), "next") }, EndingExpired},
		"withdrawn in time":         {func(p *Phone) *OperationRecord { return p.Withdraw(now, "me") }, EndingWithdrawn},
		"withdrawn too late for it": {func(p *Phone) *OperationRecord { return p.Withdraw(now.Add(time.Second), "me") }, EndingExpired},
	} {
		phone := pending()
		before := phone.Last
		ended := test.end(&phone)
		if (ended != nil) != (test.ending != EndingNone) || phone.Last.Ending != test.ending {
			t.Errorf("%s: ended %v, phone %v", name, ended, phone.Last)
		}
		if phone.AuthString.IsZero() != (ended != nil) || before.Ending != EndingNone {
			t.Errorf("%s: string void %t, the record of before %q", name, phone.AuthString.IsZero(), before.Ending)
		}
	}
	for name, test := range map[string]struct {
		record OperationRecord
		at     Moment
		ending Ending
	}{
		"at the deadline":      {OperationRecord{CompletesBy: now}, Moment{Now: now}, EndingNone},
		"after the deadline":   {OperationRecord{CompletesBy: now}, Moment{Now: now.Add(time.Second)}, EndingExpired},
		"served by who lives":  {OperationRecord{CompletesBy: now, Serving: "here"}, Moment{Now: now.Add(time.Second), Living: "here"}, EndingNone},
		"served by who is not": {OperationRecord{CompletesBy: now, Serving: "here"}, Moment{Now: now.Add(time.Second)}, EndingExpired},
		"ended before":         {OperationRecord{CompletesBy: now, Ending: EndingFailed}, Moment{Now: now.Add(time.Second)}, EndingFailed},
		"without a deadline":   {OperationRecord{}, Moment{Now: now}, EndingNone},
	} {
		read := test.record.At(test.at)
		if read.Ending != test.ending || (read.Ending == EndingExpired) != (read.EndedAt.Equal(now) && read.Result != nil && *read.Result == ResultTimedOut) {
			t.Errorf("%s reads %+v", name, read)
		}
	}
	ended := Phone{Last: &OperationRecord{Ending: EndingSuccess, CompletesBy: now}}
	if ended.Withdraw(now.Add(time.Hour), "me") != nil || (&Phone{}).Withdraw(now, "me") != nil {
		t.Error("what has ended was ended again")
	}
}
