package migrate

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"capf/legacy/source"
	"capf/runtime/capf"
)

const otherDevice = "SEP0011223344FF"

func otherRow(when, description string) string {
	return strings.Replace(row(when, description), device, otherDevice, 1)
}

// twoConflicts are two phones, each with two versions; those of the second stand on one machine.
func twoConflicts(t *testing.T) []source.Spec {
	t.Helper()
	return phoneFolders(t, map[string][]string{
		"west": {row("2005-01-01 10:00:00", "from west"), otherRow("2005-01-01 10:00:00", "first"), otherRow("2005-01-01 10:00:00", "second")},
		"East": {row("2005-01-01 10:00:00", "from east")},
	})
}

// written gives the file that a plan writes, with a choice filled in for each phone.
func written(t *testing.T, plan *Plan, choices map[string]string) string {
	t.Helper()
	var out bytes.Buffer
	if err := plan.WriteDecisions(&out); err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(out.String(), "[[conflict]]")
	for i, part := range parts {
		for device, choice := range choices {
			if strings.Contains(part, `device = "`+device+`"`) {
				parts[i] = strings.Replace(part, `choose = ""`, `choose = "`+choice+`"`, 1)
			}
		}
	}
	path := filepath.Join(t.TempDir(), "decisions.toml")
	if err := os.WriteFile(path, []byte(strings.Join(parts, "[[conflict]]")), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func deciding(t *testing.T, path string) Options {
	t.Helper()
	options := testOptions()
	var err error
	if options.Decisions, err = ReadDecisions(path); err != nil {
		t.Fatal(err)
	}
	return options
}

// TestDecisions: what is filled in is done, what is not stays open, and the run knows it.
func TestDecisions(t *testing.T) {
	specs, store := twoConflicts(t), newMemoryStore()
	plan := mustPlan(t, specs, testOptions(), store)
	if got := plan.Conflicts[1].choices(); !slices.Equal(got, []string{"west CAPF.phone:3", "west CAPF.phone:4"}) {
		t.Fatalf("choices %q, want the places", got)
	}
	one := deciding(t, written(t, plan, map[string]string{device: "east"}))
	if open := mustPlan(t, specs, one, store).Open(); open != 1 {
		t.Errorf("%d open, want the one that is not filled in", open)
	}
	_, err := Run(context.Background(), specs, one, store, "tester")
	wantCode(t, err, capf.CodeConflict, otherDevice, "--decisions")
	both := deciding(t, written(t, plan, map[string]string{device: "EAST", otherDevice: "west CAPF.phone:4"}))
	mustRun(t, specs, both, store)
	if got := store.phones[device].Description + ", " + store.phones[otherDevice].Description; got != "from east, second" {
		t.Errorf("descriptions %s", got)
	}
	want := []capf.MigrationDecision{{Device: device, Choose: "east"}, {Device: otherDevice, Choose: "west capf.phone:4"}}
	if got := store.applied[0].Decisions; !slices.Equal(got, want) {
		t.Errorf("the run has the decisions %v", got)
	}
	if again := mustRun(t, specs, both, store); !again.Already {
		t.Errorf("the same again is %+v", again)
	}
	if plan := mustPlan(t, specs, both, store); plan.Applied != 1 || !plan.Ready {
		t.Errorf("a plan of what was done is %+v", plan)
	}
	if v := mustVerify(t, store, 0); !v.OK() {
		t.Errorf("verification %+v", v)
	}
}

// TestDecisionsFromWindows: an editor there puts a mark before UTF-8 or UTF-16 and ends lines its own way.
func TestDecisionsFromWindows(t *testing.T) {
	specs, store := twoConflicts(t), newMemoryStore()
	path := written(t, mustPlan(t, specs, testOptions(), store), map[string]string{device: "east"})
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	narrow := []byte("\uFEFF" + strings.ReplaceAll(string(content), "\n", "\r\n"))
	wide := []byte(utf16(string(narrow[len("\uFEFF"):])))
	for _, saved := range [][]byte{narrow, wide} {
		if err := os.WriteFile(path, saved, 0o600); err != nil {
			t.Fatal(err)
		}
		if open := mustPlan(t, specs, deciding(t, path), store).Open(); open != 1 {
			t.Errorf("%d open, want the one that is not filled in", open)
		}
	}
}

// TestVerifyDecided: what was decided one by one is verified like all else, on whichever side of a conflict it fell, and
// a digit that is another one shows.
func TestVerifyDecided(t *testing.T) {
	const when = "2005-01-01 10:00:00"
	first := phoneFolders(t, map[string][]string{"a": {row(when, "Desk 1"), otherRow(when, "Desk 2")}})
	for _, test := range []struct {
		name           string
		byHand         bool // the phones were changed here in between
		one, other     string
		want           string
		inFirst, since int // phones of the first run that are still as it made them, and that are not
	}{
		{"the store's", false, "store", "store", "Desk 1, Desk 2", 2, 0},
		{"the new source's", false, "b", "b CAPF.phone:4", "Desk 3, Desk 5", 0, 2},
		{"one of each", false, "b", "store", "Desk 3, Desk 2", 1, 1},
		{"a person's", true, "store", "store", "by hand, by hand", 2, 2},
		{"the new source's over a person's", true, "b", "b CAPF.phone:3", "Desk 3, Desk 4", 0, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			store := newMemoryStore()
			mustRun(t, first, testOptions(), store)
			if test.byHand {
				for _, phone := range store.phones {
					phone.Description, phone.ChangedAt = "by hand", testNow
				}
			}
			at := when
			if test.byHand {
				at = "2099-01-01 10:00:00" // later than what was done by hand
			}
			second := phoneFolders(t, map[string][]string{"b": {row(at, "Desk 3"), otherRow(at, "Desk 4"), otherRow(at, "Desk 5")}})
			plan := mustPlan(t, second, testOptions(), store)
			mustRun(t, second, deciding(t, written(t, plan, map[string]string{device: test.one, otherDevice: test.other})), store)
			if got := store.phones[device].Description + ", " + store.phones[otherDevice].Description; got != test.want {
				t.Errorf("descriptions %s", got)
			}
			if v := mustVerify(t, store, 2); !v.OK() || v.Records != 3 || len(v.Since) != 0 {
				t.Errorf("verification of the second %+v", v)
			}
			if v := mustVerify(t, store, 1); !v.OK() || v.Records != 2 || v.Phones != test.inFirst || len(v.Since) != test.since {
				t.Errorf("verification of the first %+v", v)
			}
			store.applied[1].records[1].Raw[4]++
			if v := mustVerify(t, store, 2); v.OK() || len(v.Differences) != 1 {
				t.Errorf("with another digit %+v", v)
			}
		})
	}
}

// TestDecisionsKey: equal decisions give an equal key, however they were made and spelled; others another.
func TestDecisionsKey(t *testing.T) {
	specs := twoConflicts(t)
	key := func(options Options) string { return mustPlan(t, specs, options, newMemoryStore()).Key }
	plan := mustPlan(t, specs, testOptions(), newMemoryStore())
	choices := map[string]string{device: "East", otherDevice: "west CAPF.phone:3"}
	path := written(t, plan, choices)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(content), "[[conflict]]")
	slices.Reverse(parts[1:])
	turned := []byte(strings.ToLower(strings.Join(parts, "[[conflict]]")))
	turned = bytes.ReplaceAll(turned, []byte("sep0011223344"), []byte("SEP0011223344"))
	turned = bytes.ReplaceAll(turned, []byte(`"SEP0011223344ff"`), []byte(`"SEP0011223344FF"`))
	other, err := parseDecisions(turned, "other.toml")
	if err != nil {
		t.Fatal(err)
	}
	options := testOptions()
	options.Decisions = other
	filled := key(deciding(t, path))
	if got := key(options); got != filled {
		t.Error("the same decisions in another order and spelling give another key")
	}
	empty := key(deciding(t, written(t, plan, nil)))
	if empty == filled || empty != plan.Key {
		t.Error("a file with nothing decided must give the key of no file, and no other")
	}
	if key(deciding(t, written(t, plan, map[string]string{device: "west", otherDevice: "west CAPF.phone:3"}))) == filled {
		t.Error("another decision gives the same key")
	}
}

// TestDecisionsRefused: every mistake in a file is named with its line.
func TestDecisionsRefused(t *testing.T) {
	specs := twoConflicts(t)
	plan := mustPlan(t, specs, testOptions(), newMemoryStore())
	good, err := os.ReadFile(written(t, plan, map[string]string{device: "east"}))
	if err != nil {
		t.Fatal(err)
	}
	third := "[[conflict]]\ndevice = \"SEP000000000001\"\ndigest = \"" + strings.Repeat("0", 64) + "\"\n"
	tests := []struct{ name, old, new, want string }{
		{"unknown choice", `choose = "east"`, `choose = "north"`, `d.toml:7: ` + device + `: "north" is none of the versions: choose "East", "west"`},
		{"unknown key", `choose = "east"`, `chose = "east"`, `d.toml:13: key "conflict.chose" is not known`},
		{"no TOML", `choose = "east"`, `choose = east`, `d.toml:13: column `},
		{"no device", `device = "` + device + `"`, `device = "a b"`, `d.toml:7: device: "a b" is not the name of a phone`},
		{"a device in another spelling", `device = "` + device + `"`, `device = "00:11:22:33:44:55"`, `is not the name of a phone`},
		{"twice", otherDevice + `"`, device + `"`, `d.toml:15: ` + device + ` is decided in line 7 already`},
		{"unknown device", "[[conflict]]", third + "[[conflict]]", "d.toml:7: SEP000000000001 has no conflict in these sources"},
		{"no digest", "digest = ", "# ", "d.toml:7: " + device + ": digest: must stay"},
		{"another digest", plan.Conflicts[0].Digest, strings.Repeat("a", 64), "d.toml:7: the versions of " + device + " are not those"},
		{"inline", string(good), "conflict = [{device = \"" + device + "\"}]", "d.toml:1: write each conflict as a table"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			content := strings.Replace(string(good), test.old, test.new, 1)
			options := testOptions()
			options.Decisions, err = parseDecisions([]byte(content), "d.toml")
			if err == nil {
				_, err = NewPlan(context.Background(), specs, options, newMemoryStore())
			}
			wantCode(t, err, capf.CodeInvalid, test.want)
		})
	}
	_, err = ReadDecisions(filepath.Join(t.TempDir(), "nowhere.toml"))
	wantCode(t, err, capf.CodeInvalid, "nowhere.toml", "migrate plan")
}

// TestDecisionsStale: a file that is older than the sources or than the phone in the store is refused.
func TestDecisionsStale(t *testing.T) {
	specs := phoneFolders(t, map[string][]string{
		"west": {row("2099-01-01 10:00:00", "from west"), otherRow("2005-01-01 10:00:00", "first"), otherRow("2005-01-01 10:00:00", "second")}})
	store := newMemoryStore()
	store.change(t, capf.PhoneChange{Device: device, Description: ptr("by hand")})
	plan := mustPlan(t, specs, testOptions(), store)
	path := written(t, plan, map[string]string{device: PreferStore, otherDevice: "west CAPF.phone:3"})
	mustPlan(t, specs, deciding(t, path), store)
	store.change(t, capf.PhoneChange{Device: device, Description: ptr("by hand again")})
	_, err := Run(context.Background(), specs, deciding(t, path), store, "tester")
	wantCode(t, err, capf.CodeInvalid, path+":7: the versions of "+device, "have changed since")

	store.change(t, capf.PhoneChange{Device: device, Description: ptr("by hand")})
	plan = mustPlan(t, specs, testOptions(), store)
	path = written(t, plan, map[string]string{device: PreferStore, otherDevice: "west CAPF.phone:3"})
	mustRun(t, specs, deciding(t, path), store)
	if got := store.phones[device].Description; got != "by hand" {
		t.Errorf("description %q, want the store's", got)
	}

	edit(t, specs[0], "CAPF.phone", "second", "third!")
	_, err = Run(context.Background(), specs, deciding(t, path), newMemoryStore(), "tester")
	wantCode(t, err, capf.CodeInvalid, device+" has no conflict in these sources", "the versions of "+otherDevice)
}

// TestDecisionsOverruled: where record and phone cannot go together, the store's version can be chosen.
func TestDecisionsOverruled(t *testing.T) {
	specs := phoneFolders(t, map[string][]string{"pub": {device + ",Install,Operation Pending,2027-01-01T10:00:00Z,By Authentication String,12345678,1024,new"}})
	store := newMemoryStore()
	mustRun(t, phoneFolders(t, map[string][]string{"pub": {row("2005-01-01 10:00:00", "old")}}), testOptions(), store)
	mode := capf.Encrypted
	store.change(t, capf.PhoneChange{Device: device, SecurityMode: &mode})
	store.phones[device].ChangedAt = store.applied[0].StartedAt.AddDate(-30, 0, 0)
	plan := mustPlan(t, specs, preferring("pub"), store)
	if len(plan.Conflicts) != 1 || !plan.Conflicts[0].Refused || plan.Open() != 1 {
		t.Fatalf("conflicts %+v, want one that is refused", plan.Conflicts)
	}
	options := deciding(t, written(t, plan, map[string]string{device: PreferStore}))
	before := store.phones[device].Phone
	report := mustRun(t, specs, options, store)
	if report.Counts.Unchanged != 1 || report.Counts.Conflicts != 1 || store.phones[device].Description != before.Description {
		t.Errorf("counts %+v, phone %+v, want the store's", report.Counts, store.phones[device].Phone)
	}
}

// What is read of any file is written and read back as the same.
func FuzzDecisions(f *testing.F) {
	f.Add([]byte("[[conflict]]\ndevice = \"" + device + "\"\ndigest = \"" + strings.Repeat("0", 64) + "\"\nchoose = \"store\"\n"))
	f.Add([]byte("[[conflict]]\n[[conflict]]\n[[\"conflict\"]]\nchoose = '''\nx'''\n"))
	f.Add([]byte("conflict = []\n#\x00"))
	f.Fuzz(func(t *testing.T, content []byte) {
		read, err := parseDecisions(content, "d.toml")
		if err != nil {
			if read != nil || !capf.HasCode(err, capf.CodeInvalid) {
				t.Fatalf("%v beside %v", err, read)
			}
			return
		}
		lines := bytes.Count(content, []byte("\n")) + 1
		for i, one := range read.rows {
			if one.line < 1 || one.line > lines || i > 0 && one.line < read.rows[i-1].line || read.about(one.device) != one.choose {
				t.Fatalf("row %+v of %d lines", one, lines)
			}
		}
	})
}
