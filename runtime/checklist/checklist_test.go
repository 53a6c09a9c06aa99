package checklist

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"capf/runtime/capf"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

var home = netip.MustParseAddr("192.0.2.1")

// group is a number of phones, by what the rules will say of them.
func group(number int, lsc capf.LSCStatus, operation capf.Operation, ending capf.Ending, mode capf.AuthMode) capf.PhoneGroup {
	phone := capf.Phone{LSCKnown: lsc, MIC: capf.MICUnknown}
	if operation != capf.OperationNone {
		phone.Last = &capf.OperationRecord{Operation: operation, Ending: ending, AuthMode: mode, CompletesBy: now.AddDate(0, 0, 1)}
	}
	return capf.PhoneGroup{Phone: phone, Count: number}
}

// inOrder are facts with nothing to do.
func inOrder() *Facts {
	return &Facts{At: capf.Moment{Now: now, Living: "here"}, Data: "/data", Identity: &Authority{"CAPF-x", "4a", now.AddDate(10, 0, 0)},
		Service: Service{Running: true, Sessions: 1}, Local: []netip.Addr{home},
		Tokens:     []Token{{Name: "a"}, {Name: "b", Problem: "no such file"}},
		Nodes:      []capf.Node{{Name: "pub", Publisher: true, Address: home, Certificate: []byte{1}}, {Name: "sub", Certificate: []byte{1}}},
		List:       &List{Version: 3, SignedAt: now, Signer: "CN=a", HoldsIdentity: true},
		Servers:    []Server{{Node: "pub", List: equal, Certificates: equal}, {Node: "sub", List: equal, Certificates: equal}},
		Deliveries: []capf.Delivery{{Node: "pub", At: now.Add(-time.Hour)}, {Node: "sub", At: now}},
		Runs: []capf.MigrationRun{{ID: 1, AppliedAt: now, Counts: capf.MigrationCounts{New: 72},
			Sources:  []capf.MigrationSource{{Machine: "pub"}, {Machine: "sub"}},
			Verified: &capf.MigrationVerification{Run: 1, At: now, By: "anna", Changes: 1, Records: 80, Phones: 72}}},
		Phones:     []capf.PhoneGroup{group(72, capf.LSCInstalled, capf.OperationInstall, capf.EndingSuccess, capf.AuthByString)},
		Parameters: capf.Parameters{capf.ParamKeySize: "2048"},
	}
}

func find(t *testing.T, steps []Step, number string) Step {
	t.Helper()
	for _, one := range steps {
		if one.Number == number {
			return one
		}
	}
	t.Fatalf("there is no step %s", number)
	return Step{}
}

func TestInOrder(t *testing.T) {
	steps := Cluster(inOrder())
	for _, one := range steps {
		if one.State == ToDo || one.Evidence == "" {
			t.Errorf("%+v", one)
		}
		if one.State == Done && one.Next != "" {
			t.Errorf("done, and yet: %+v", one)
		}
	}
	if Open(steps) != 0 {
		t.Errorf("%d are open", Open(steps))
	}
	for number, words := range map[string]string{
		"1.1": "72 phones, LSC installed: 72, MIC unknown: 72", "1.2": "run 1 of 2026-03-01T12:00:00Z took 72 phones from pub, sub", "2": "run 1 (pub, sub) at 2026-03-01T12:00:00Z by anna: 80 records, 72 phones",
		"3.3": "192.0.2.1 of pub", "4.1": "not at hand to sign: b", "4.4": "CAPF record in the CTL version 3 of 2026-03-01T12:00:00Z, on 2 of 2 nodes",
		"4.5": "2026-03-01T12:00:00Z", "5": "key-size 2048", "9": "success: 72",
	} {
		if got := find(t, steps, number).Evidence; !strings.Contains(got, words) {
			t.Errorf("%s: %q lacks %q", number, got, words)
		}
	}
}

// changed is a fact that differs, and what becomes of a step by it.
type changed struct {
	name   string
	change func(*Facts)
	number string
	state  State
	words  string // in the evidence or the next step
}

var changes = []changed{
	{"no phones", func(f *Facts) { f.Phones = nil }, "1.1", ToDo, "capf migrate plan"},
	{"no phones to set", func(f *Facts) { f.Phones = nil }, "6", ToDo, "see step 1.1"},
	{"LSC unknown", func(f *Facts) {
		f.Phones = append(f.Phones, group(3, capf.LSCUnknown, capf.OperationNone, "", ""))
	}, "1.1", Unknown, "LSC unknown: 3"},
	{"unfinished run", func(f *Facts) { f.Unfinished = 1 }, "1.2", ToDo, "broken off"},
	{"utility after an unfinished run", func(f *Facts) { f.Unfinished = 1 }, "2", ToDo, "not before"},
	{"no run", func(f *Facts) { f.Runs = nil }, "1.2", Unknown, "capf migrate plan"},
	{"utility without a run", func(f *Facts) { f.Runs = nil }, "2", Unknown, "leave it alone"},
	{"kept aside", func(f *Facts) {
		f.Runs[0].Counts.KeptAside, f.Runs[0].Counts.Conflicts, f.Runs[0].Missing = 33, 1, []string{"x", "y"}
	}, "1.3", Unknown, "run 1: 33 lines kept aside, 1 conflict decided, 2 missing and accepted"},
	{"where to look", func(f *Facts) {
		f.Runs[0].Counts.KeptAside, f.Runs[0].Dialect = 1, "/my own.toml"
		f.Runs[0].Sources = []capf.MigrationSource{{Machine: "pub", Path: "/copies/the pub's"}, {Machine: "sub", Path: "/copies/sub"}}
	}, "1.3", Unknown, "`capf migrate inspect --dialect '/my own.toml' 'pub=/copies/the pub'\\''s' sub=/copies/sub`"},
	{"rolled back", func(f *Facts) { f.Runs[0].RolledBackAt = now }, "1.2", Unknown, "every migration was rolled back, run 1 at 2026-03-01T12:00:00Z"},
	{"nothing left of a run", func(f *Facts) { f.Runs[0].RolledBackAt, f.Runs[0].Counts.KeptAside = now, 3 }, "1.3", Unknown, "rolled back"},
	{"utility after a rollback", func(f *Facts) { f.Runs[0].RolledBackAt = now }, "2", Unknown, "leave it alone"},
	{"one of two rolled back", func(f *Facts) {
		f.Runs = append(f.Runs, capf.MigrationRun{ID: 2, RolledBackAt: now, Sources: []capf.MigrationSource{{Machine: "late"}}})
	}, "2", ToDo, "run 1 (pub, sub) was confirmed at 2026-03-01T12:00:00Z, before a run changed the store again"},
	{"never verified", func(f *Facts) { f.Runs[0].Verified = nil }, "2", ToDo, "run 1 (pub, sub) was never verified | `capf migrate verify 1`"},
	{"verified with a difference", func(f *Facts) { f.Runs[0].Verified.Differences = 1 }, "2", ToDo, "was not confirmed at 2026-03-01T12:00:00Z"},
	{"verified without a source", func(f *Facts) { f.Runs[0].Verified.OtherSources = 1 }, "2", ToDo, "1 source not as the run read them"},
	{"a run after the verification", func(f *Facts) {
		f.Runs = append(f.Runs, capf.MigrationRun{ID: 2, AppliedAt: now, Sources: []capf.MigrationSource{{Machine: "late"}}})
	}, "2", ToDo, "`capf migrate verify 1`, `capf migrate verify 2`"},
	{"verified after a rollback", func(f *Facts) {
		f.Runs = append(f.Runs, capf.MigrationRun{ID: 2, RolledBackAt: now})
		f.Runs[0].Verified.Changes = 3
	}, "2", Done, "verified run 1"},
	{"not active", func(f *Facts) { f.Identity = nil }, "3.1", ToDo, "`capf init`"},
	{"damaged identity", func(f *Facts) { f.IdentityProblem = "capf.pem: damaged" }, "3.1", ToDo, "capf restore"},
	{"ended", func(f *Facts) { f.Identity.NotAfter = now.Add(-time.Second) }, "3.1", ToDo, "it has ended"},
	{"ends soon", func(f *Facts) { f.Identity.NotAfter = now.AddDate(0, 3, 0) }, "3.1", ToDo, "`capf ca renew`"},
	{"ends soon, with a next", func(f *Facts) { f.Identity.NotAfter, f.Next = now.AddDate(0, 3, 0), f.Identity }, "3.1", ToDo, "see step 3.4"},
	{"next in no list", func(f *Facts) { f.Next = f.Identity }, "3.4", ToDo, "`capf ctl build`"},
	{"next not everywhere", func(f *Facts) { f.Next, f.List.HoldsNext, f.Servers[1].List = f.Identity, true, "old" }, "3.4", ToDo, "not every server"},
	{"next everywhere", func(f *Facts) { f.Next, f.List.HoldsNext = f.Identity, true }, "3.4", ToDo, "capf ca activate"},
	{"no service", func(f *Facts) { f.Service = Service{} }, "3.2", ToDo, "`capf serve`"},
	{"mute service", func(f *Facts) { f.Service.Problem = "no socket" }, "3.2", Unknown, "no socket"},
	{"another machine", func(f *Facts) { f.Local = nil }, "3.3", Unknown, "has not the address"},
	{"no publisher to be on", func(f *Facts) { f.Nodes[0].Publisher = false }, "3.3", Unknown, "see step 4.2"},
	{"no token", func(f *Facts) { f.Tokens = nil }, "4.1", ToDo, "twice"},
	{"one token", func(f *Facts) { f.Tokens = f.Tokens[:1] }, "4.1", ToDo, "only a"},
	{"no node", func(f *Facts) { f.Nodes = nil }, "4.2", ToDo, "--publisher"},
	{"no publisher", func(f *Facts) { f.Nodes[0].Publisher = false }, "4.2", ToDo, "none of them the publisher"},
	{"no certificate", func(f *Facts) { f.Nodes[1].Certificate = nil }, "4.2", ToDo, "in no list: sub"},
	{"no identity for a list", func(f *Facts) { f.Identity = nil }, "4.3", ToDo, "see step 3.1"},
	{"no list", func(f *Facts) { f.List, f.Servers = nil, nil }, "4.3", ToDo, "`capf ctl build`"},
	{"damaged list", func(f *Facts) { f.List.Problem = "does not verify" }, "4.3", ToDo, "version 3: does not verify"},
	{"list before CAPF", func(f *Facts) { f.List.HoldsIdentity = false }, "4.3", ToDo, "made without CAPF-x, which is in force"},
	{"list without a node", func(f *Facts) { f.List.Lacks = []string{"sub"} }, "4.3", ToDo, "is without sub"},
	{"list that comes to its end", func(f *Facts) { f.List.Ending = []string{"sub ends soon", "pub later"} }, "4.3", ToDo, ": sub ends soon; pub later"},
	{"nothing to hold", func(f *Facts) { f.Servers = nil }, "4.4", ToDo, "see steps 4.2 and 4.3"},
	{"old list", func(f *Facts) { f.Servers[1].List, f.Servers[1].Version = "old", 2 }, "4.4", ToDo, "on 1 of 2 nodes; the CAPF certificate on 2 of 2: sub: list version 2"},
	{"foreign certificate", func(f *Facts) { f.Servers[0].Certificates = "foreign" }, "4.4", ToDo, "pub: list equal, certificate foreign"},
	{"unreachable", func(f *Facts) {
		f.Servers[0], f.Advice = Server{"pub", unreachable, 0, unreachable, `node "pub": gone`}, "see that it can be reached"
	}, "4.4", ToDo, "see that it can be reached"},
	{"restart due", func(f *Facts) { f.Restarts = []capf.Restart{{Node: "pub", DoneAt: now, DoneBy: "anna"}, {Node: "sub"}} }, "4.5", Unknown, "was said: sub"},
	{"restarted", func(f *Facts) { f.Restarts = []capf.Restart{{Node: "pub", DoneAt: now, DoneBy: "anna"}} }, "4.5", Done, "as anna said at 2026-03-01T12:00:00Z"},
	{"never distributed", func(f *Facts) { f.Deliveries = nil }, "4.5", Unknown, "nothing was distributed"},
	{"default parameters", func(f *Facts) { f.Parameters = nil }, "5", Unknown, "`capf parameter list`"},
	{"third-party CA without address", func(f *Facts) { f.Parameters[capf.ParamIssuer] = "Keon" }, "5", ToDo, "Keon, whose address is not set"},
	{"no LSC", func(f *Facts) { f.Phones = append(f.Phones, group(2, capf.LSCNone, capf.OperationNone, "", "")) }, "6", ToDo, "2 phones without"},
	{"no LSC by choice", func(f *Facts) {
		f.Phones = append(f.Phones, group(2, capf.LSCNone, capf.OperationDelete, capf.EndingSuccess, ""))
	}, "6", Done, "by choice"},
	{"LSC over", func(f *Facts) { f.Phones[0].Phone.LSC = &capf.Certificate{NotAfter: now.Add(-time.Hour)} }, "6", ToDo, "72 phones without"},
	{"never set", func(f *Facts) {
		f.Phones = []capf.PhoneGroup{group(2, capf.LSCUnknown, capf.OperationNone, "", "")}
	}, "6", ToDo, "no operation was ever set"},
	{"some unknown", func(f *Facts) {
		f.Phones = append(f.Phones, group(2, capf.LSCUnknown, capf.OperationNone, "", ""))
	}, "6", Unknown, "0 operations open; 2 phones"},
	{"strings to hand out", waiting(capf.AuthByString, ""), "7", Unknown, "capf report --csv"},
	{"strings to type", waiting(capf.AuthByString, ""), "8", ToDo, "5 phones waiting"},
	{"a string in use", waiting(capf.AuthByString, "here"), "8", ToDo, "5 phones waiting"},
	{"no string needed", waiting(capf.AuthByNullString, ""), "8", Done, "no phone waits"},
	{"pending", waiting(capf.AuthByNullString, ""), "9", ToDo, "pending: 5"},
	{"in progress", waiting(capf.AuthByNullString, "here"), "9", ToDo, "in-progress: 5"},
	{"failed", ended(capf.EndingFailed), "9", ToDo, "--status failed"},
	{"expired", ended(capf.EndingExpired), "9", ToDo, "--status expired"},
	{"late", func(f *Facts) {
		waiting(capf.AuthByString, "")(f)
		f.At.Now = now.AddDate(0, 0, 2)
	}, "9", ToDo, "expired: 5"},
	{"late strings", func(f *Facts) {
		waiting(capf.AuthByString, "")(f)
		f.At.Now = now.AddDate(0, 0, 2)
	}, "8", Done, "no phone waits"},
	{"none succeeded", func(f *Facts) {
		f.Phones = []capf.PhoneGroup{group(2, capf.LSCUnknown, capf.OperationNone, "", "")}
	}, "9", ToDo, "no operation has succeeded"},
}

func waiting(mode capf.AuthMode, serving string) func(*Facts) {
	return func(f *Facts) {
		one := group(5, capf.LSCNone, capf.OperationInstall, capf.EndingNone, mode)
		one.Phone.Last.Serving = serving
		f.Phones = append(f.Phones, one)
	}
}

func ended(ending capf.Ending) func(*Facts) {
	return func(f *Facts) {
		f.Phones = append(f.Phones, group(4, capf.LSCInstalled, capf.OperationInstall, ending, ""))
	}
}

func TestChanges(t *testing.T) {
	for _, test := range changes {
		t.Run(test.name, func(t *testing.T) {
			f := inOrder()
			test.change(f)
			got := find(t, Cluster(f), test.number)
			if got.State != test.state || !strings.Contains(got.Evidence+" | "+got.Next, test.words) {
				t.Errorf("want %s with %q, got %+v", test.state, test.words, got)
			}
			if got.State == ToDo && got.Next == "" {
				t.Error("nothing says what is to be done")
			}
		})
	}
}

// Of a hundred servers that lack the list a line names a few.
func TestManyServers(t *testing.T) {
	f := inOrder()
	for range 100 {
		f.Servers = append(f.Servers, Server{Node: "s", List: "missing", Certificates: "missing"})
	}
	if got := find(t, Cluster(f), "4.4").Evidence; !strings.HasSuffix(got, "and 95 more") || len(got) > 500 {
		t.Error(got)
	}
}

// With nothing at all there is a list, and it is open.
func TestNothing(t *testing.T) {
	steps := Cluster(&Facts{At: capf.Moment{Now: now}})
	if Open(steps) < 5 {
		t.Errorf("%+v", steps)
	}
}
