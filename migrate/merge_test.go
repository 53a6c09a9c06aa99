package migrate

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"capf/legacy/source"
	"capf/runtime/capf"
)

const device = "SEP001122334455"

// row is a record of the phone of these tests. Description tells versions apart.
func row(when, description string) string {
	return device + ",No Pending Operation,Upgrade Success," + when + ",By Null String,,1024," + description
}

// TestMerge holds each rule of merging by what a run makes of files.
func TestMerge(t *testing.T) {
	tests := []struct {
		name     string
		machines map[string][]string
		prefer   string
		want     string // description of the version that wins; empty: a conflict
		history  int
		decided  bool // a conflict that the choice decides
	}{
		{name: "one record", machines: map[string][]string{"a": {row("2005-01-01 10:00:00", "one")}}, want: "one"},
		{name: "latest on one machine", machines: map[string][]string{
			"a": {row("2005-01-01 10:00:01", "new"), row("2005-01-01 10:00:00", "old")}}, want: "new", history: 1},
		{name: "equal times on one machine", machines: map[string][]string{
			"a": {row("2005-01-01 10:00:00", "one"), row("2005-01-01 10:00:00", "other")}}},
		{name: "the same twice on one machine", machines: map[string][]string{
			"a": {row("2005-01-01 10:00:00", "one"), row("2005-01-01 10:00:00", "one")}}, want: "one", history: 1},
		{name: "the same on two machines", machines: map[string][]string{
			"a": {row("2005-01-01 10:00:00", "one")}, "b": {row("2005-01-01 10:00:00", "one")}}, want: "one", history: 1},
		{name: "the same in other words", machines: map[string][]string{
			"a": {row("2005-01-01 10:00:00", "one")},
			"b": {"00:11:22:33:44:55,none,upgrade success,01.01.2005 10:00:00,null,-,1024,\"one\""}}, want: "one", history: 1},
		{name: "across machines 26 hours", machines: map[string][]string{
			"a": {row("2005-01-02 12:00:00", "new")}, "b": {row("2005-01-01 10:00:00", "old")}}, want: "new", history: 1},
		{name: "across machines under 26 hours", machines: map[string][]string{
			"a": {row("2005-01-02 11:59:59", "new")}, "b": {row("2005-01-01 10:00:00", "old")}}},
		{name: "across machines equal", machines: map[string][]string{
			"a": {row("2005-01-01 10:00:00", "one")}, "b": {row("2005-01-01 10:00:00", "other")}}},
		{name: "with zones a second is enough", machines: map[string][]string{
			"a": {row("2005-01-01T10:00:01+01:00", "old")}, "b": {row("2005-01-01T09:00:02Z", "new")}}, want: "new", history: 1},
		{name: "with zones the same moment", machines: map[string][]string{
			"a": {row("2005-01-01T10:00:00+01:00", "one")}, "b": {row("2005-01-01T09:00:00Z", "other")}}},
		{name: "one zone known, one not", machines: map[string][]string{
			"a": {row("2005-01-01T10:00:00Z", "one")}, "b": {row("2005-01-01 20:00:00", "other")}}},
		{name: "one zone known, on one machine", machines: map[string][]string{
			"a": {row("2005-01-01T10:00:00Z", "one"), row("2005-01-01 20:00:00", "other")}}},
		{name: "no times", machines: map[string][]string{"a": {row("", "one"), row("", "other")}}},
		{name: "no times, the same", machines: map[string][]string{
			"a": {row("", "one")}, "b": {row("", "one")}}, want: "one", history: 1},
		{name: "one without a time", machines: map[string][]string{
			"a": {row("2005-01-01 10:00:00", "one"), row("", "other")}}},
		{name: "an old one that a machine has a newer of", machines: map[string][]string{
			"a": {row("2005-01-01 10:00:00", "old"), row("2005-01-01 11:00:00", "new")},
			"b": {row("2005-01-01 10:00:00", "old")}}, want: "new", history: 2},
		{name: "the oldest of three does not matter", machines: map[string][]string{
			"a": {row("2005-01-03 10:00:00", "new")}, "b": {row("2005-01-01 10:00:00", "old")},
			"c": {row("2005-01-01 11:00:00", "older or not")}}, want: "new", history: 2},

		{name: "latest decides", prefer: "latest", machines: map[string][]string{
			"a": {row("2005-01-01 11:00:00", "new")}, "b": {row("2005-01-01 10:00:00", "old")}}, want: "new", history: 1, decided: true},
		{name: "latest does not decide between equal times", prefer: "latest", machines: map[string][]string{
			"a": {row("2005-01-01 10:00:00", "one")}, "b": {row("2005-01-01 10:00:00", "other")}}},
		{name: "latest does not decide without a time", prefer: "latest", machines: map[string][]string{
			"a": {row("", "one")}, "b": {row("2005-01-01 10:00:00", "other")}}},
		{name: "a machine decides", prefer: "B", machines: map[string][]string{
			"a": {row("2005-01-01 11:00:00", "new")}, "b": {row("2005-01-01 10:00:00", "old")}}, want: "old", history: 1, decided: true},
		{name: "a machine does not decide against the order", prefer: "b", machines: map[string][]string{
			"a": {row("2005-01-03 11:00:00", "new")}, "b": {row("2005-01-01 10:00:00", "old")}}, want: "new", history: 1},
		{name: "a machine without a record decides nothing", prefer: "c", machines: map[string][]string{
			"a": {row("2005-01-01 11:00:00", "one")}, "b": {row("2005-01-01 10:00:00", "other")},
			"c": {"SEP00AABBCCDDEE,none,none,,null,,1024,x"}}},
		{name: "a machine does not decide between its own", prefer: "a", machines: map[string][]string{
			"a": {row("", "one"), row("", "other")}}},
		{name: "publisher by its name", prefer: "publisher", machines: map[string][]string{
			"a": {row("2005-01-01 11:00:00", "one")}, "publisher": {row("2005-01-01 10:00:00", "other")}},
			want: "other", history: 1, decided: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			specs := phoneFolders(t, test.machines)
			store := newMemoryStore()
			plan := mustPlan(t, specs, preferring(test.prefer), store)
			if test.want == "" {
				if plan.Open() != 1 || plan.Counts.History != 0 || plan.Counts.New != 0 && test.machines["c"] == nil {
					t.Errorf("plan has %d open conflicts and %d new phones, want 1 and 0", plan.Open(), plan.Counts.New)
				}
				_, err := Run(context.Background(), specs, preferring(test.prefer), store, "tester")
				wantCode(t, err, capf.CodeConflict, device)
				if len(store.phones)+len(store.applied) != 0 || store.staged != nil {
					t.Error("something is stored in spite of a conflict")
				}
				return
			}
			report := mustRun(t, specs, preferring(test.prefer), store)
			if got := store.phones[device].Description; got != test.want {
				t.Errorf("%q wins, want %q", got, test.want)
			}
			if report.Counts.History != test.history || report.Counts.New != 1 {
				t.Errorf("counts %+v, want history %d, new 1", report.Counts, test.history)
			}
			if decided := len(report.Conflicts) == 1; decided != test.decided {
				t.Errorf("conflicts %+v, want one that was decided: %t", report.Conflicts, test.decided)
			}
			if report.Counts != plan.Counts {
				t.Errorf("the plan counts %+v, the run %+v", plan.Counts, report.Counts)
			}
			if v := mustVerify(t, store, 0); !v.OK() || len(v.Since) != 0 {
				t.Errorf("verification %+v", v)
			}
		})
	}
}

// TestMergeWithStore holds the rules by which the store's own version takes part.
func TestMergeWithStore(t *testing.T) {
	first := row("2005-01-10 10:00:00", "imported")
	changed := func(t *testing.T, s *memoryStore) {
		s.change(t, capf.PhoneChange{Device: device, Description: ptr("by hand")})
	}
	tests := []struct {
		name    string
		before  func(*testing.T, *memoryStore) // after the first import
		machine string
		row     string
		prefer  string
		verdict capf.Verdict // of the phone; empty: a conflict
		want    string       // its description
		history int
	}{
		{name: "newer on the same machine", machine: "a", row: row("2005-01-10 10:00:01", "newer"), verdict: capf.VerdictUpdated, want: "newer"},
		{name: "older on the same machine", machine: "a", row: row("2005-01-10 09:59:59", "older"), verdict: capf.VerdictUnchanged, want: "imported", history: 1},
		{name: "newer on another", machine: "b", row: row("2005-01-12 10:00:00", "newer"), verdict: capf.VerdictUpdated, want: "newer"},
		{name: "older on another", machine: "b", row: row("2005-01-01 10:00:00", "older"), verdict: capf.VerdictUnchanged, want: "imported", history: 1},
		{name: "near on another", machine: "b", row: row("2005-01-10 11:00:00", "near")},
		{name: "the same on another", machine: "b", row: row("2005-01-10 10:00:00", "imported") + " ", verdict: capf.VerdictUnchanged, want: "imported"},
		{name: "near, latest", machine: "b", row: row("2005-01-10 11:00:00", "near"), prefer: "latest", verdict: capf.VerdictUpdated, want: "near"},
		{name: "near, its machine", machine: "b", row: row("2005-01-10 09:00:00", "near"), prefer: "b", verdict: capf.VerdictUpdated, want: "near"},
		{name: "near, the store", machine: "b", row: row("2005-01-10 11:00:00", "near"), prefer: "store", verdict: capf.VerdictUnchanged, want: "imported", history: 1},

		{name: "corrected, same time", machine: "a", row: row("2005-01-10 10:00:00", "corrected")},
		{name: "corrected, same time, its machine", machine: "a", row: row("2005-01-10 10:00:00", "corrected"), prefer: "A", verdict: capf.VerdictUpdated, want: "corrected"},
		{name: "corrected, same time, the store", machine: "a", row: row("2005-01-10 10:00:00", "corrected"), prefer: "store", verdict: capf.VerdictUnchanged, want: "imported", history: 1},

		{name: "changed here, older", before: changed, machine: "b", row: row("2026-02-20 10:00:00", "record"), verdict: capf.VerdictUnchanged, want: "by hand", history: 1},
		{name: "changed here, near", before: changed, machine: "b", row: row("2026-03-01 10:00:00", "record")},
		{name: "changed here, newer", before: changed, machine: "b", row: row("2026-03-20 10:00:00", "record")},
		{name: "changed here, near in the same zone", before: changed, machine: "b", row: row("2026-03-01T11:59:59Z", "record"), verdict: capf.VerdictUnchanged, want: "by hand", history: 1},
		{name: "changed here, no time", before: changed, machine: "b", row: row("", "record")},
		{name: "changed here, says the same", before: changed, machine: "b", row: row("2026-03-01 10:00:00", "by hand"), verdict: capf.VerdictUnchanged, want: "by hand"},
		{name: "changed here, near, latest is the store", before: changed, machine: "b", row: row("2026-03-01 10:00:00", "record"), prefer: "latest", verdict: capf.VerdictUnchanged, want: "by hand", history: 1},
		{name: "changed here, newer, latest is the record", before: changed, machine: "b", row: row("2026-03-20 10:00:00", "record"), prefer: "latest", verdict: capf.VerdictUpdated, want: "record"},
		{name: "changed here, near, the store", before: changed, machine: "b", row: row("2026-03-01 10:00:00", "record"), prefer: "store", verdict: capf.VerdictUnchanged, want: "by hand", history: 1},
		{name: "changed here, near, its machine", before: changed, machine: "b", row: row("2026-03-01 10:00:00", "record"), prefer: "b", verdict: capf.VerdictUpdated, want: "record"},
		{name: "changed here, the record is known", before: changed, machine: "b", row: first, prefer: "b", verdict: capf.VerdictUnchanged, want: "by hand"},

		{name: "removed here", before: func(_ *testing.T, s *memoryStore) { delete(s.phones, device) },
			machine: "b", row: first, verdict: capf.VerdictNew, want: "imported"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			store := newMemoryStore()
			mustRun(t, phoneFolders(t, map[string][]string{"a": {first}}), testOptions(), store)
			if test.before != nil {
				test.before(t, store)
			}
			specs := phoneFolders(t, map[string][]string{test.machine: {test.row}})
			before := store.dump(t)
			report, err := Run(context.Background(), specs, preferring(test.prefer), store, "tester")
			if test.verdict == "" {
				wantCode(t, err, capf.CodeConflict, device)
				if store.dump(t) != before {
					t.Error("the store has changed in spite of a conflict")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := verdictOf(report.Counts); got != test.verdict || report.Counts.History != test.history {
				t.Errorf("counts %+v, want %s and history %d", report.Counts, test.verdict, test.history)
			}
			if got := store.phones[device].Description; got != test.want {
				t.Errorf("description %q, want %q", got, test.want)
			}
			if test.verdict == capf.VerdictUnchanged && store.dump(t) != before {
				t.Error("an unchanged phone has changed")
			}
			if v := mustVerify(t, store, 0); !v.OK() {
				t.Errorf("verification %+v", v)
			}
		})
	}
}

// verdictOf reads the verdict of the only phone from the counts.
func verdictOf(counts capf.MigrationCounts) capf.Verdict {
	switch {
	case counts.New == 1 && counts.Updated+counts.Unchanged == 0:
		return capf.VerdictNew
	case counts.Updated == 1 && counts.New+counts.Unchanged == 0:
		return capf.VerdictUpdated
	case counts.Unchanged == 1 && counts.New+counts.Updated == 0:
		return capf.VerdictUnchanged
	}
	return ""
}

// TestAddedByHand: a phone that somebody added here is as one that somebody changed.
func TestAddedByHand(t *testing.T) {
	store := newMemoryStore()
	store.change(t, capf.PhoneChange{Device: device, Description: ptr("by hand")})
	before := store.dump(t)
	old := phoneFolders(t, map[string][]string{"a": {row("2005-01-01 10:00:00", "record")}})
	plan := mustPlan(t, old, testOptions(), store)
	phones := slices.Collect(plan.Phones)
	if len(phones) != 1 || phones[0].Verdict != capf.VerdictUnchanged || phones[0].Why == "" || phones[0].Older != 1 {
		t.Errorf("phones %+v, want the store's with the reason", phones)
	}
	mustRun(t, old, testOptions(), store)
	if store.dump(t) != before {
		t.Error("the phone has changed")
	}
	near := phoneFolders(t, map[string][]string{"a": {row("2026-03-01 10:00:00", "record")}})
	_, err := Run(context.Background(), near, testOptions(), store, "tester")
	wantCode(t, err, capf.CodeConflict, device, "changed here", "store at 2026-03-01T12:00:00Z")
}

// TestChangedMeanwhile: what somebody does to a phone while the run is staged is not overwritten.
func TestChangedMeanwhile(t *testing.T) {
	specs := phoneFolders(t, map[string][]string{"a": {row("2005-01-01 10:00:00", "record")}})
	store := newMemoryStore()
	store.beforeApply = func() { store.change(t, capf.PhoneChange{Device: device, Description: ptr("by hand")}) }
	_, err := Run(context.Background(), specs, testOptions(), store, "tester")
	wantCode(t, err, capf.CodeConflict, device)
	if got := store.phones[device].Description; got != "by hand" || len(store.applied) != 0 {
		t.Errorf("description %q after %d runs, want the one by hand after none", got, len(store.applied))
	}
}

// TestRemovedMeanwhile: a phone that somebody removes while the run is planned begins anew.
func TestRemovedMeanwhile(t *testing.T) {
	store := newMemoryStore()
	mustRun(t, phoneFolders(t, map[string][]string{"a": {row("2005-01-01 10:00:00", "first")}}), testOptions(), store)
	store.beforePhones = func() { delete(store.phones, device) }
	report := mustRun(t, phoneFolders(t, map[string][]string{"a": {row("2005-01-02 10:00:00", "second")}}), testOptions(), store)
	if report.Counts.New != 1 || store.phones[device].Description != "second" {
		t.Errorf("counts %+v, want one new phone", report.Counts)
	}
}

// TestOtherDialect: a record that was read wrongly is taken again when a corrected dialect reads it otherwise.
func TestOtherDialect(t *testing.T) {
	specs := phoneFolders(t, map[string][]string{"a": {row("2005-01-01 10:00:00", "record")}})
	store := newMemoryStore()
	mustRun(t, specs, testOptions(), store)
	if got := store.phones[device].Last.Ending; got != capf.EndingSuccess {
		t.Fatalf("ending %s, want success", got)
	}
	options := testOptions()
	options.Dialect = dialectFile(t, `name = "corrected"
files = ["phones"]
form = "delimited"
separators = [","]
times = ["2006-01-02 15:04:05"]
time-zone = "Europe/Berlin"
[states]
failed = ["Upgrade Success"]
`)
	report := mustRun(t, specs, options, store)
	if report.Counts.Updated != 1 || store.phones[device].Last.Ending != capf.EndingFailed {
		t.Errorf("counts %+v, ending %s, want one updated that failed", report.Counts, store.phones[device].Last.Ending)
	}
	if ended := store.phones[device].Last.EndedAt; !ended.Equal(time.Date(2005, 1, 1, 9, 0, 0, 0, time.UTC)) {
		t.Errorf("ended at %s, want the time in the zone of the dialect", ended)
	}
	if v := mustVerify(t, store, 0); !v.OK() {
		t.Errorf("verification %+v", v)
	}
	if again := mustRun(t, specs, options, store); !again.Already || again.Run != report.Run {
		t.Errorf("the same again: %+v", again)
	}
}

// TestPublisher: by its name, by the node of that name, by CAPF.cer; else nobody knows.
func TestPublisher(t *testing.T) {
	cer := "x"
	files := func(names ...string) map[string]map[string]string {
		out := map[string]map[string]string{}
		for _, name := range []string{"one", "two", "three"} {
			out[name] = map[string]string{"CAPF/CAPF.phone": header + "\n" + row("2005-01-01 10:00:00", "x") + "\n"}
		}
		for _, name := range names {
			out[name]["Certificates/CAPF.cer"] = cer
		}
		return out
	}
	tests := []struct {
		name  string
		files map[string]map[string]string
		nodes []capf.Node
		want  string
	}{
		{"only one CAPF.cer", files("two"), nil, "two"},
		{"the node", files("two"), []capf.Node{{Name: "one"}, {Name: "THREE", Publisher: true}}, "three"},
		{"two CAPF.cer", files("one", "two"), nil, ""},
		{"none", files(), []capf.Node{{Name: "other", Publisher: true}}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			store := newMemoryStore()
			store.nodes = test.nodes
			specs := folders(t, test.files)
			if got := mustPlan(t, specs, testOptions(), store).Publisher; got != test.want {
				t.Errorf("publisher %q, want %q", got, test.want)
			}
			_, err := NewPlan(context.Background(), specs, preferring(PreferPublisher), store)
			if test.want == "" {
				wantCode(t, err, capf.CodeInvalid, "publisher=FOLDER")
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

// TestKey: a run is known by what the sources hold, how they are read and what was decided, not by their places.
func TestKey(t *testing.T) {
	machines := map[string][]string{"a": {row("2005-01-01 10:00:00", "x")}, "b": {row("2005-01-01 10:00:00", "x")}}
	specs := phoneFolders(t, machines)
	key := func(specs []source.Spec, options Options) string { return mustPlan(t, specs, options, nil).Key }
	first := key(specs, testOptions())
	if got := key([]source.Spec{specs[1], specs[0]}, testOptions()); got != first {
		t.Error("the order of the sources matters")
	}
	if got := key(phoneFolders(t, machines), testOptions()); got != first {
		t.Error("the place of the folders matters")
	}
	anchor := issue(t, "CAPF-1", nil)
	withCertificate := append(folders(t, map[string]map[string]string{"c": {"x.0": anchor.inPEM()}}), specs...)
	named := testOptions()
	named.Anchors = []string{anchor.digest()}
	withDialect := testOptions()
	withDialect.Dialect = dialectFile(t, "name = \"x\"\nfiles = [\"configuration\"]\nform = \"blocks\"\nmarks = [\"=\"]\n")
	keys := map[string]string{
		"the sources": first, "a choice": key(specs, preferring(PreferLatest)), "another choice": key(specs, preferring("a")),
		"a dialect": key(specs, withDialect), "fewer sources": key(specs[:1], testOptions()),
		"another name":    key([]source.Spec{{Name: "z", Folder: specs[0].Folder}, specs[1]}, testOptions()),
		"another content": key(phoneFolders(t, map[string][]string{"a": {row("2005-01-01 10:00:00", "y")}, "b": machines["b"]}), testOptions()),
		"a certificate":   key(withCertificate, testOptions()), "an anchor": key(withCertificate, named),
	}
	seen := map[string]string{}
	for what, key := range keys {
		if other, twice := seen[key]; twice {
			t.Errorf("%s and %s have the same key", what, other)
		}
		seen[key] = what
	}
}

// TestUsage: what is wrong with the arguments is said before anything is read.
func TestUsage(t *testing.T) {
	good := source.Spec{Name: "a", Folder: "../testdata/legacy/conflict/east"}
	for name, test := range map[string]struct {
		specs   []source.Spec
		options Options
		code    capf.Code
		text    string
	}{
		"no source":           {nil, Options{}, capf.CodeInvalid, "no source"},
		"the store's name":    {[]source.Spec{{Name: "Store", Folder: good.Folder}}, Options{}, capf.CodeInvalid, "stands for the store"},
		"one name twice":      {[]source.Spec{good, {Name: "A", Folder: good.Folder}}, Options{}, capf.CodeInvalid, "two sources"},
		"unknown choice":      {[]source.Spec{good}, Options{Prefer: "b"}, capf.CodeInvalid, "one of: a"},
		"no digest":           {[]source.Spec{good}, Options{Anchors: []string{"12"}}, capf.CodeInvalid, "64 hex digits"},
		"digest of nothing":   {[]source.Spec{good}, Options{Anchors: []string{"AB:" + strings.Repeat("0", 62)}}, capf.CodeInvalid, "no certificate"},
		"dialect not there":   {[]source.Spec{good}, Options{Dialect: "none.toml"}, capf.CodeInvalid, "none.toml"},
		"two folders missing": {[]source.Spec{{Name: "x", Folder: "none-x"}, good, {Name: "y", Folder: "none-y"}}, Options{}, capf.CodeUnavailable, "none-y"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewPlan(context.Background(), test.specs, test.options, nil)
			wantCode(t, err, test.code, test.text)
			if name == "two folders missing" {
				wantCode(t, err, test.code, "none-x")
			}
			_, err = Run(context.Background(), test.specs, test.options, newMemoryStore(), "tester")
			wantCode(t, err, test.code, test.text)
		})
	}
}
