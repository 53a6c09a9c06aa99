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

// copied gives the sample cluster in a folder that a test may change.
func copied(t *testing.T) []source.Spec {
	t.Helper()
	var specs []source.Spec
	for _, spec := range sampleCluster() {
		folder := filepath.Join(t.TempDir(), spec.Name)
		if err := os.CopyFS(folder, os.DirFS(spec.Folder)); err != nil {
			t.Fatal(err)
		}
		specs = append(specs, source.Spec{Name: spec.Name, Folder: folder})
	}
	return specs
}

const (
	subscriberPhones = "Program Files/Cisco/CAPF/CAPF.phone"
	subscriberConfig = "Program Files/Cisco/CAPF/CAPF.cfg"
	subscriberCAPF   = "Program Files/Cisco/CAPF/CAPF-8E21F7B0.0"
)

// edit replaces something in a file of a source.
func edit(t *testing.T, spec source.Spec, file, old, new string) {
	t.Helper()
	path := filepath.Join(spec.Folder, filepath.FromSlash(file))
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Count(content, []byte(old)) != 1 {
		t.Fatalf("%q is %d times in %s", old, bytes.Count(content, []byte(old)), file)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Replace(content, []byte(old), []byte(new), 1), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestVerify: whatever changes in a source or in the store after a run is found, and told from what a person did.
func TestVerify(t *testing.T) {
	const moved, pending = "SEP00112F001CF1", "SEP000F8F001F7A" // in the publisher's and subscriber-1's; in subscriber-1's
	tests := []struct {
		name   string
		change func(*testing.T, []source.Spec, *memoryStore)
		state  SourceState // of subscriber-1
		differ []string    // texts of differences
		since  []string
	}{
		{"nothing", func(*testing.T, []source.Spec, *memoryStore) {}, SourceUnchanged, nil, nil},
		{"one digit of a string", func(t *testing.T, specs []source.Spec, _ *memoryStore) {
			edit(t, specs[1], subscriberPhones, "0130123457", "0130123456")
		}, SourceChanged, []string{pending + ": the bytes differ"}, nil},
		{"a record is gone", func(t *testing.T, specs []source.Spec, _ *memoryStore) {
			edit(t, specs[1], subscriberPhones, pending, "#"+pending)
		}, SourceChanged, []string{pending + ": is in the store, not in the source"}, nil},
		{"a line more", func(t *testing.T, specs []source.Spec, _ *memoryStore) {
			edit(t, specs[1], subscriberConfig, "notreallysecret\r\n", "notreallysecret\r\nrubbish\r\n")
		}, SourceChanged, []string{"line kept aside is in the source, not in the store"}, nil},
		{"a kept line", func(t *testing.T, specs []source.Spec, _ *memoryStore) {
			edit(t, specs[1], subscriberConfig, "notreallysecret", "notreallysecreT")
		}, SourceChanged, []string{"line kept aside is in the store, not in the source", "line kept aside is in the source, not in the store"}, nil},
		{"a certificate is gone", func(t *testing.T, specs []source.Spec, _ *memoryStore) {
			if err := os.Remove(filepath.Join(specs[1].Folder, filepath.FromSlash(subscriberCAPF))); err != nil {
				t.Fatal(err)
			}
		}, SourceChanged, []string{"line kept aside is in the store, not in the source", "certificate is in the store, not in the source"}, nil},
		{"cannot be read any more", func(t *testing.T, specs []source.Spec, _ *memoryStore) {
			edit(t, specs[1], subscriberPhones, "Device Name", "Denise Name")
		}, SourceUnreadable, nil, nil},
		{"gone", func(t *testing.T, specs []source.Spec, _ *memoryStore) {
			if err := os.RemoveAll(specs[1].Folder); err != nil {
				t.Fatal(err)
			}
		}, SourceGone, nil, nil},

		{"the store's bytes", func(_ *testing.T, _ []source.Spec, s *memoryStore) {
			s.applied[0].records[20].Raw = []byte("other")
		}, SourceUnchanged, []string{"the stored bytes are not those of the stored digest, the bytes differ"}, nil},
		{"the store's device and time", func(_ *testing.T, _ []source.Spec, s *memoryStore) {
			s.applied[0].records[20].Device, s.applied[0].records[20].Time = device, "2005-01-01T00:00:00"
		}, SourceUnchanged, []string{device + ": the source says SEP"}, nil},
		{"a record is gone in the store", func(_ *testing.T, _ []source.Spec, s *memoryStore) {
			s.applied[0].records = s.applied[0].records[1:]
		}, SourceUnchanged, []string{"SEP000AB8001C40: is in the source, not in the store"}, nil},
		{"a kept line is gone in the store", func(_ *testing.T, _ []source.Spec, s *memoryStore) {
			s.applied[0].kept = s.applied[0].kept[1:]
		}, SourceUnchanged, []string{"line kept aside is in the source, not in the store"}, nil},
		{"a kept line's bytes", func(_ *testing.T, _ []source.Spec, s *memoryStore) {
			s.applied[0].kept[0].Bytes = []byte("other")
		}, SourceUnchanged, []string{"not those of their digest"}, nil},
		{"text of a certificate file, gone in the store", func(_ *testing.T, _ []source.Spec, s *memoryStore) {
			s.applied[0].kept = slices.DeleteFunc(s.applied[0].kept, func(line capf.KeptLine) bool { return line.File == subscriberCAPF })
		}, SourceUnchanged, []string{"line kept aside is in the source, not in the store"}, nil},
		{"text of a certificate file, as an earlier capf kept it", func(_ *testing.T, _ []source.Spec, s *memoryStore) {
			at := slices.IndexFunc(s.applied[0].kept, func(line capf.KeptLine) bool { return line.File == subscriberCAPF })
			line := &s.applied[0].kept[at]
			line.Bytes = []byte("Certificate of CAPF-8E21F7B0\r\n\r\n")
			line.SHA256, line.Reason = capf.HexSHA256(line.Bytes), "text before a certificate"
		}, SourceUnchanged, nil, nil},
		{"a certificate's bytes", func(_ *testing.T, _ []source.Spec, s *memoryStore) {
			s.applied[0].files[0].DER = []byte("other")
		}, SourceUnchanged, []string{"not that of its digest"}, nil},
		{"a trust anchor's bytes", func(_ *testing.T, _ []source.Spec, s *memoryStore) {
			s.anchors[0].DER = []byte("other")
		}, SourceUnchanged, []string{"the stored trust anchor is not that of its digest", "the stored trust anchor is not that of its digest"}, nil},
		{"the bytes of an LSC", func(_ *testing.T, _ []source.Spec, s *memoryStore) {
			s.certificates[0].DER = []byte("other")
		}, SourceUnchanged, []string{"the stored LSC of a phone is not that of its digest"}, nil},
		{"a certificate is gone in the store", func(_ *testing.T, _ []source.Spec, s *memoryStore) {
			s.applied[0].files = s.applied[0].files[1:]
		}, SourceUnchanged, []string{"certificate is in the source, not in the store"}, nil},
		{"a phone by nobody", func(_ *testing.T, _ []source.Spec, s *memoryStore) {
			s.phones[pending].AuthString = digits("0130123456")
			s.phones[moved].KeySize = capf.RSA512
		}, SourceUnchanged, []string{pending + ": the phone in the store differs: authentication string", moved + ": the phone in the store differs: key size"}, nil},
		{"a phone from no record", func(_ *testing.T, _ []source.Spec, s *memoryStore) {
			s.phones[moved].Imported.Digest = strings.Repeat("0", 64)
		}, SourceUnchanged, []string{moved + ": the phone in the store does not come from the record"}, nil},
		{"a phone from the record of another", func(_ *testing.T, _ []source.Spec, s *memoryStore) {
			s.phones[moved].Imported = s.phones[pending].Imported
		}, SourceUnchanged, []string{moved + ": the phone in the store does not come from the record"}, nil},

		{"a phone by a person", func(t *testing.T, _ []source.Spec, s *memoryStore) {
			s.change(t, capf.PhoneChange{Device: pending, Operation: ptr(capf.OperationNone)})
		}, SourceUnchanged, nil, []string{pending + ": the phone in the store differs: operation (changed here on 2026-03-01T12:00:00Z)"}},
		{"a phone is removed", func(_ *testing.T, _ []source.Spec, s *memoryStore) { delete(s.phones, pending) },
			SourceUnchanged, nil, []string{pending + ": the phone was removed here"}},
		{"a phone is removed and added", func(t *testing.T, _ []source.Spec, s *memoryStore) {
			delete(s.phones, pending)
			s.change(t, capf.PhoneChange{Device: pending})
		}, SourceUnchanged, nil, []string{pending + ": the phone was removed and added again here"}},
		{"a later run", func(t *testing.T, _ []source.Spec, s *memoryStore) {
			mustRun(t, phoneFolders(t, map[string][]string{"late": {pending + ",None,None,2006-01-01 10:00:00,By Null String,,,"}}), testOptions(), s)
		}, SourceUnchanged, nil, []string{pending + ": the phone was taken from another record by a later run"}},
		{"an anchor is removed", func(_ *testing.T, _ []source.Spec, s *memoryStore) { s.anchors = s.anchors[1:] },
			SourceUnchanged, nil, []string{"the trust anchor was removed here", "the trust anchor was removed here"}},
		{"an operation has expired", func(_ *testing.T, _ []source.Spec, s *memoryStore) {
			last := *s.phones[pending].Last
			last.Ending = capf.EndingExpired
			s.phones[pending].Last, s.phones[pending].AuthString = &last, capf.AuthenticationString{}
		}, SourceUnchanged, nil, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			specs, store := copied(t), newMemoryStore()
			run := mustRun(t, specs, testOptions(), store).Run
			test.change(t, specs, store)
			v := mustVerify(t, store, run)
			if got := v.Sources[1]; got.Machine != "subscriber-1" || got.State != test.state || (got.Problem == "") != (test.state == SourceUnchanged) {
				t.Errorf("source %+v, want it %s", got, test.state)
			}
			checkDifferences(t, "differences", v.Differences, test.differ)
			checkDifferences(t, "since", v.Since, test.since)
			if ok := len(test.differ) == 0 && test.state == SourceUnchanged; v.OK() != ok {
				t.Errorf("OK is %t, want %t", v.OK(), ok)
			}
		})
	}
}

func checkDifferences(t *testing.T, what string, got []Difference, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s %+v, want %d", what, got, len(want))
		return
	}
	for i, one := range got {
		if text := one.Device + ": " + one.What; !strings.Contains(text, want[i]) {
			t.Errorf("%s: %q, want %q", what, text, want[i])
		}
		if one.Machine == "" || one.File == "" {
			t.Errorf("%s: %+v has no place", what, one)
		}
	}
}

// TestVerifyNewest: run 0 is the newest; one that is not there is said.
func TestVerifyNewest(t *testing.T) {
	store := newMemoryStore()
	_, err := Verify(context.Background(), 0, store, nil)
	wantCode(t, err, capf.CodeNotFound, "nothing was migrated")
	first := mustRun(t, phoneFolders(t, map[string][]string{"a": {row("2005-01-01 10:00:00", "x")}}), testOptions(), store)
	second := mustRun(t, phoneFolders(t, map[string][]string{"a": {row("2005-01-02 10:00:00", "y")}}), testOptions(), store)
	if got := mustVerify(t, store, 0).Run; got != second.Run {
		t.Errorf("run %d, want %d", got, second.Run)
	}
	if v := mustVerify(t, store, first.Run); !v.OK() || len(v.Since) != 1 {
		t.Errorf("verification of the first %+v, want it overtaken", v)
	}
	_, err = Verify(context.Background(), 99, store, nil)
	wantCode(t, err, capf.CodeNotFound, "99")
	runs, err := List(context.Background(), store)
	if err != nil || len(runs) != 2 || runs[0].ID != first.Run || runs[1].Counts.Updated != 1 {
		t.Errorf("runs %+v, %v", runs, err)
	}
}

// ownDialect reads how far a unit is, and knows one word for it.
const ownDialect = `name = "mine"
files = ["phones"]
form = "delimited"
separators = [","]
[columns]
device = ["unit"]
state = ["how far"]
[states]
failed = ["5"]
`

// TestVerifyDialect: the dialect that a run was given is the one that it is verified by.
func TestVerifyDialect(t *testing.T) {
	path := dialectFile(t, ownDialect)
	specs := folders(t, map[string]map[string]string{"a": {"CAPF.phone": "unit,how far\n" + device + ",5\n"}})
	store := newMemoryStore()
	options := testOptions()
	options.Dialect = path
	mustRun(t, specs, options, store)
	if v := mustVerify(t, store, 0); !v.OK() || v.Records != 1 {
		t.Errorf("verification %+v", v)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	_, err := Verify(context.Background(), 0, store, nil)
	wantCode(t, err, capf.CodeInvalid, path)
}

// TestVerifySuperseded: every record is compared with a phone, or it is said what holds in its place.
func TestVerifySuperseded(t *testing.T) {
	specs := phoneFolders(t, map[string][]string{
		"east": {row("2005-01-01 10:00:00", "older"), otherRow("2005-01-01 10:00:00", "only")},
		"west": {row("2006-01-01 10:00:00", "newer")}})
	store := newMemoryStore()
	mustRun(t, specs, testOptions(), store)
	check := func(name string, run int64, want ...Superseded) {
		t.Helper()
		found := mustVerify(t, store, run)
		sum := found.Phones
		for _, one := range found.Superseded {
			sum += one.Records
		}
		if !slices.Equal(found.Superseded, want) || sum != found.Records {
			t.Errorf("%s: %v, of %d records and %d phones", name, found.Superseded, found.Records, found.Phones)
		}
	}
	check("after the run", 1, Superseded{ByRecord, "west", 1})

	later := phoneFolders(t, map[string][]string{"north": {row("2007-01-01 10:00:00", "newest")}, "south": {otherRow("2001-01-01 10:00:00", "oldest")}})
	mustRun(t, later, testOptions(), store)
	check("after a later run", 1, Superseded{ByLaterRun, "north", 2})
	check("the later run", 2, Superseded{ByStore, "east", 1})

	delete(store.phones, otherDevice)
	check("after a phone was removed", 1, Superseded{ByLaterRun, "north", 2}, Superseded{ByRemoval, "", 1})
	if got, want := (Superseded{ByRecord, "west", 1}).String(), "1 record not compared with a phone: superseded by another record of west"; !strings.HasPrefix(got, want) {
		t.Errorf("said is %q", got)
	}
}

// TestVerifyDescriptionOfOthers: a phone whose record has no description got that of another record in the run that took
// it, and only there. A later run with more sources, by which the phone stays as it is, is not to miss its description.
func TestVerifyDescriptionOfOthers(t *testing.T) {
	east := phoneFolders(t, map[string][]string{"east": {row("2006-01-01 10:00:00", "")}})
	both := append(phoneFolders(t, map[string][]string{"west": {row("2005-01-01 10:00:00", "older")}}), east...)
	later := newMemoryStore()
	mustRun(t, east, testOptions(), later)
	mustRun(t, both, testOptions(), later)
	if v := mustVerify(t, later, 0); !v.OK() || v.Run != 2 {
		t.Errorf("run %d: %v", v.Run, v.Differences)
	}
	once := newMemoryStore()
	mustRun(t, both, testOptions(), once)
	if got := once.phones[device].Description; got != "older" {
		t.Errorf("description %q of one run", got)
	}
	changed := once.phones[device]
	changed.Description = "elder"
	once.phones[device] = changed
	if v := mustVerify(t, once, 0); v.OK() {
		t.Error("a changed description is not found")
	}
}

// TestVerifyResult: the number that an operation ended with is compared too.
func TestVerifyResult(t *testing.T) {
	store := newMemoryStore()
	mustRun(t, phoneFolders(t, map[string][]string{"east": {row("2005-01-01 10:00:00", "desk")}}), testOptions(), store)
	if v := mustVerify(t, store, 0); !v.OK() {
		t.Fatalf("differences %v", v.Differences)
	}
	last := *store.phones[device].Last
	last.Result = ptr(capf.ResultFailed)
	store.phones[device].Last = &last
	checkDifferences(t, "differences", mustVerify(t, store, 0).Differences, []string{device + ": the phone in the store differs: result of the operation"})
}
