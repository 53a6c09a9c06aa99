package migrate

import (
	"context"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"capf/runtime/capf"
)

// TestPhones: what becomes of the fields of a record.
func TestPhones(t *testing.T) {
	tests := []struct {
		name string
		row  string // behind the device
		want capf.Phone
		last *capf.OperationRecord // nil: none
	}{
		{"nothing said", ",,,,,,", capf.Phone{AuthMode: capf.AuthByString, KeySize: capf.RSA1024}, nil},
		{"idle", "No Pending Operation,None,,By Existing Certificate (Precedence to MIC),,512,Lobby",
			capf.Phone{AuthMode: capf.AuthByMIC, KeySize: capf.RSA512, Description: "Lobby"}, nil},
		{"pending by null string", "Install/Upgrade,Operation Pending,2005-01-01 10:00:00,By Null String,,2048,",
			capf.Phone{AuthMode: capf.AuthByNullString, KeySize: capf.RSA2048},
			&capf.OperationRecord{Operation: capf.OperationInstall}},
		{"pending by string", "Delete,Operation Pending,,By Authentication String,0042,,",
			capf.Phone{AuthMode: capf.AuthByString, KeySize: capf.RSA1024, AuthString: digits("0042")},
			&capf.OperationRecord{Operation: capf.OperationDelete}},
		{"pending, mode not said", "Troubleshoot,Operation Pending,,,123456,,",
			capf.Phone{AuthMode: capf.AuthByString, KeySize: capf.RSA1024, AuthString: digits("123456")},
			&capf.OperationRecord{Operation: capf.OperationTroubleshoot}},
		{"pending by null string with a string", "Install,Pending,,By Null String,123456,,",
			capf.Phone{AuthMode: capf.AuthByNullString, KeySize: capf.RSA1024},
			&capf.OperationRecord{Operation: capf.OperationInstall}},
		{"state not said", "Install,,,By Null String,,,", capf.Phone{AuthMode: capf.AuthByNullString, KeySize: capf.RSA1024},
			&capf.OperationRecord{Operation: capf.OperationInstall}},
		{"ended, string void", "Install,Success,2005-01-01 10:00:00,By Authentication String,123456,,",
			capf.Phone{AuthMode: capf.AuthByString, KeySize: capf.RSA1024},
			&capf.OperationRecord{Operation: capf.OperationInstall, Ending: capf.EndingSuccess, Detail: "at 2005-01-01T10:00:00 by the clock of SUB1"}},
		{"ended with a zone", "Install,Failed,2005-01-01T10:00:00+02:00,By Null String,,,",
			capf.Phone{AuthMode: capf.AuthByNullString, KeySize: capf.RSA1024},
			&capf.OperationRecord{Operation: capf.OperationInstall, Ending: capf.EndingFailed, Detail: "at 2005-01-01T08:00:00Z",
				EndedAt: time.Date(2005, 1, 1, 8, 0, 0, 0, time.UTC)}},
		{"ended, the word names it", "No Pending Operation,Delete Failed,,By Null String,,,",
			capf.Phone{AuthMode: capf.AuthByNullString, KeySize: capf.RSA1024},
			&capf.OperationRecord{Operation: capf.OperationDelete, Ending: capf.EndingFailed, Detail: "the file says no time"}},
		{"ended, nothing names it", "None,Success,,By Null String,,,", capf.Phone{AuthMode: capf.AuthByNullString, KeySize: capf.RSA1024},
			&capf.OperationRecord{Operation: capf.OperationInstall, Ending: capf.EndingSuccess, Detail: "the file says no time"}},
		{"pending of nothing", "None,Pending,,By Null String,,,", capf.Phone{AuthMode: capf.AuthByNullString, KeySize: capf.RSA1024}, nil},
		{"named, but not pending", "Delete,None,,By Null String,,,", capf.Phone{AuthMode: capf.AuthByNullString, KeySize: capf.RSA1024}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			store := newMemoryStore()
			mustRun(t, phoneFolders(t, map[string][]string{"SUB1": {device + "," + test.row}}), testOptions(), store)
			got := store.phones[device].Phone
			if got.AuthMode != test.want.AuthMode || got.KeySize != test.want.KeySize || got.Description != test.want.Description ||
				!got.AuthString.Same(test.want.AuthString) {
				t.Errorf("phone %+v, want %+v", got, test.want)
			}
			if got.LSCKnown != capf.LSCUnknown || got.MIC != capf.MICUnknown || got.SecurityMode != capf.NonSecure {
				t.Errorf("LSC %s, MIC %s, %s: want what a new phone has", got.LSCKnown, got.MIC, got.SecurityMode)
			}
			checkOperation(t, got, test.last)
			if v := mustVerify(t, store, 0); !v.OK() || v.Phones != 1 {
				t.Errorf("verification %+v", v)
			}
		})
	}
}

func digits(text string) capf.AuthenticationString {
	out, err := capf.ParseAuthenticationString(text)
	if err != nil {
		panic(err)
	}
	return out
}

func checkOperation(t *testing.T, phone capf.Phone, want *capf.OperationRecord) {
	t.Helper()
	got := phone.Last
	if want == nil {
		if got != nil || phone.LastResult != nil {
			t.Errorf("operation %+v, result %v, want none", got, phone.LastResult)
		}
		return
	}
	if got == nil {
		t.Fatal("no operation")
	}
	if got.Operation != want.Operation || got.Ending != want.Ending || got.Detail != want.Detail || !got.EndedAt.Equal(want.EndedAt) ||
		got.AuthMode != phone.AuthMode || got.KeySize != phone.KeySize || got.CreatedBy != "migration from SUB1" {
		t.Errorf("operation %+v, want %+v", got, want)
	}
	if pending := want.Ending == capf.EndingNone; pending {
		if !got.CompletesBy.Equal(testNow.AddDate(0, 0, 10)) || got.Result != nil {
			t.Errorf("operation %+v, want a deadline in ten days", got)
		}
	} else if result := map[capf.Ending]capf.Result{capf.EndingSuccess: 0, capf.EndingFailed: 2}[got.Ending]; got.Result == nil ||
		*got.Result != result || *phone.LastResult != result {
		t.Errorf("operation %+v, want the result %d", got, result)
	}
}

// TestGeneratedString: a pending operation by string cannot be done without one.
func TestGeneratedString(t *testing.T) {
	specs := phoneFolders(t, map[string][]string{"a": {device + ",Install,Pending,,By Authentication String,,,"}})
	store := newMemoryStore()
	report := mustRun(t, specs, testOptions(), store)
	if got := store.phones[device].AuthString.Reveal(); len(got) != 8 {
		t.Errorf("the string has %d digits, want 8", len(got))
	}
	wantWarning(t, report.Warnings, "without a string in the files: 1")
}

func wantWarning(t *testing.T, warnings []string, text string) {
	t.Helper()
	for _, warning := range warnings {
		if strings.Contains(warning, text) {
			return
		}
	}
	t.Errorf("warnings %q, want one with %q", warnings, text)
}

// TestUpdated: what no file can say stays, also through an update; a rule of the domain is not broken for a record.
func TestUpdated(t *testing.T) {
	store := newMemoryStore()
	mustRun(t, phoneFolders(t, map[string][]string{"a": {device + ",None,None,2005-01-01 10:00:00,By Null String,,,Lobby"}}), testOptions(), store)
	phone := store.phones[device]
	phone.MIC, phone.LSCKnown, phone.SecurityMode = capf.MICPresent, capf.LSCInstalled, capf.Encrypted
	phone.LastAddress, phone.LastTLS, phone.LastSession = "192.0.2.1", "1.0", testNow

	newer := phoneFolders(t, map[string][]string{"a": {device + ",Install,Pending,2005-02-01 10:00:00,By Null String,,2048,"}})
	mustRun(t, newer, testOptions(), store)
	got := store.phones[device]
	if got.MIC != capf.MICPresent || got.LSCKnown != capf.LSCInstalled || got.SecurityMode != capf.Encrypted ||
		got.LastAddress != "192.0.2.1" || got.LastTLS != "1.0" || !got.LastSession.Equal(testNow) {
		t.Errorf("phone %+v has lost what no file says", got.Phone)
	}
	if got.Description != "Lobby" || got.KeySize != capf.RSA2048 || got.PendingOperation(testNow) != capf.OperationInstall {
		t.Errorf("phone %+v, want the newer record with the older description", got.Phone)
	}

	refused := phoneFolders(t, map[string][]string{"a": {device + ",Install,Pending,2005-03-01 10:00:00,By Authentication String,123456,,"}})
	before := store.dump(t)
	for _, choice := range []string{"", PreferLatest, "a"} {
		_, err := Run(context.Background(), refused, preferring(choice), store, "tester")
		wantCode(t, err, capf.CodeConflict, device, "cannot go together", "change the phone here first")
	}
	if store.dump(t) != before {
		t.Error("the store has changed")
	}
}

// TestNewPhonesAreTaken: whatever a record says of a phone that the store does not have, no rule of the domain forbids
// it. One that did would keep a whole cluster from being taken over.
func TestNewPhonesAreTaken(t *testing.T) {
	build := builder{now: testNow, random: testRandom()}
	for _, status := range []capf.Status{capf.StatusNone, capf.StatusPending, capf.StatusSuccess, capf.StatusFailed} {
		for _, operation := range capf.Operations[1:] {
			for _, mode := range append([]capf.AuthMode{""}, capf.AuthModes...) {
				for _, size := range []capf.KeySize{"", capf.RSA512, capf.RSA1024, capf.RSA2048} {
					one := &record{device: device, common: &common{machine: "a", status: status, operation: operation, mode: mode, keySize: size}}
					if one.usesString() {
						one.secret = digits("1234")
					}
					if err := build.try(one); err != nil {
						t.Errorf("%s: %v", one.says(), err)
					}
				}
			}
		}
	}
}

// TestDescriptionFromOther: the newest description that another record has.
func TestDescriptionFromOther(t *testing.T) {
	store := newMemoryStore()
	mustRun(t, phoneFolders(t, map[string][]string{
		"a": {row("2005-01-01 10:00:00", "oldest"), row("2005-01-03 10:00:00", "newest"), row("2005-01-02 10:00:00", "old")},
		"b": {row("2005-02-01 10:00:00", "")},
	}), testOptions(), store)
	if got := store.phones[device].Description; got != "newest" {
		t.Errorf("description %q, want newest", got)
	}
}

// TestDoubts: what is doubtful is told once, with its count.
func TestDoubts(t *testing.T) {
	plan := mustPlan(t, phoneFolders(t, map[string][]string{"a": {
		"SEP000000000001,None,Pending,,By Null String,,,", "SEP000000000002,None,Pending,,By Null String,,,",
		"SEP000000000003,None,Success,,By Null String,,," + strings.Repeat("ü", 100),
	}}), testOptions(), nil)
	var reasons []string
	for _, f := range plan.Findings {
		reasons = append(reasons, f.Reason)
	}
	all := strings.Join(reasons, "\n")
	for _, want := range []string{"none is set (the first of 2 such records)", "taken for an installation", "longer than 128 bytes"} {
		if strings.Count(all, want) != 1 {
			t.Errorf("findings\n%s\nwant %q once", all, want)
		}
	}
}

func FuzzStorable(f *testing.F) {
	f.Add("Lobby")
	f.Add(strings.Repeat("é", 65))
	f.Add("a\x00b\tc\xff")
	f.Add("\u009b31mx\u202egnp\u2028")
	f.Fuzz(func(t *testing.T, text string) {
		got := storable(text)
		if !utf8.ValidString(got) {
			t.Fatalf("%q is not UTF-8", got)
		}
		change := capf.PhoneChange{Device: device, Description: &got}
		phone := capf.NewPhone(device, nil)
		if _, err := change.Apply(phone, capf.ChangeContext{Now: testNow, Random: zeros{}}); err != nil {
			t.Fatalf("the domain refuses %q: %v", got, err)
		}
		if again := storable(got); again != got {
			t.Fatalf("%q becomes %q", got, again)
		}
	})
}
