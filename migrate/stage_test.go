package migrate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"capf/runtime/capf"
)

// breakingStore takes so many rows of a run and then breaks off, in the middle of what was handed to it.
type breakingStore struct {
	*memoryStore
	left  int // rows until it breaks; negative: never
	taken int
}

var errBroken = errors.New("the process was killed")

// some gives how many of so many rows are taken.
func (s *breakingStore) some(rows int) (int, error) {
	if s.left < 0 || rows <= s.left {
		s.left -= min(rows, max(s.left, 0))
		s.taken += rows
		return rows, nil
	}
	rows = s.left
	s.taken += rows
	s.left = 0
	return rows, errBroken
}

func (s *breakingStore) StageRecords(ctx context.Context, id int64, rows []capf.ImportRecord) error {
	some, err := s.some(len(rows))
	return errors.Join(s.memoryStore.StageRecords(ctx, id, rows[:some]), err)
}

func (s *breakingStore) StagePhones(ctx context.Context, id int64, rows []capf.StagedPhone) error {
	some, err := s.some(len(rows))
	return errors.Join(s.memoryStore.StagePhones(ctx, id, rows[:some]), err)
}

func (s *breakingStore) StageKept(ctx context.Context, id int64, rows []capf.KeptLine) error {
	some, err := s.some(len(rows))
	return errors.Join(s.memoryStore.StageKept(ctx, id, rows[:some]), err)
}

func (s *breakingStore) StageFiles(ctx context.Context, id int64, rows []capf.LegacyFile) error {
	some, err := s.some(len(rows))
	return errors.Join(s.memoryStore.StageFiles(ctx, id, rows[:some]), err)
}

// sameStrings generates the same strings whoever asks, so that runs can be compared.
func sameStrings() Options {
	options := preferring(PreferLatest)
	options.Random = zeros{}
	return options
}

// TestRunBrokenOff breaks a run off after each number of rows: nothing of it is seen, and the next one begins anew and
// does all of it.
func TestRunBrokenOff(t *testing.T) {
	whole := &breakingStore{memoryStore: newMemoryStore(), left: -1}
	if _, err := Run(context.Background(), sampleCluster(), sameStrings(), whole, "tester"); err != nil {
		t.Fatal(err)
	}
	step := 3
	if testing.Short() {
		step = 17
	}
	untouched := newMemoryStore().dump(t)
	for left := 0; left < whole.taken; left += step {
		broken := &breakingStore{memoryStore: newMemoryStore(), left: left}
		_, err := Run(context.Background(), sampleCluster(), sameStrings(), broken, "tester")
		if !errors.Is(err, errBroken) || len(broken.applied) != 0 || broken.dump(t) != untouched {
			t.Fatalf("after %d rows: %v, %d runs", left, err, len(broken.applied))
		}
		broken.left, broken.taken = -1, 0
		report, err := Run(context.Background(), sampleCluster(), sameStrings(), broken, "another")
		if err != nil || report.Run != 2 || len(broken.applied) != 1 || broken.taken != whole.taken {
			t.Fatalf("after %d rows: %v, run %d, %d rows in place of %d", left, err, report.Run, broken.taken, whole.taken)
		}
		if broken.dump(t) != whole.dump(t) {
			t.Fatalf("after %d rows something else comes of it", left)
		}
	}
}

// againFiles are files of every form, with records of one piece and of several, and lines that are kept aside.
func againFiles() map[string]string {
	block := func(n int, between string) string {
		return fmt.Sprintf("device=SEP%012X\r\noperation=none\r\n%sstate=Upgrade Success\r\ntime=2005-03-01 08:00:00\r\n\r\n", n, between)
	}
	var blocks, commented, rows, kept strings.Builder
	for n := range 30 {
		blocks.WriteString(block(n, ""))
		commented.WriteString(block(n, "# seen by hand\r\n"))
	}
	rows.WriteString(header + "\r\n")
	for n := range 12_000 {
		fmt.Fprintf(&rows, "SEP%012X,none,Upgrade Success,2005-03-01 08:00:00,,,1024,Desk %d\r\n", n, n)
		if n%10 == 5 {
			rows.WriteString("no record at all\r\n")
		}
	}
	kept.WriteString(header + "\r\n")
	for n := range 20 {
		fmt.Fprintf(&kept, "SEP%012X,none,Upgrade Success,2005-03-01 08:00:00,,,1024,Desk %d\r\n\r\n", n, n)
	}
	kept.WriteString("torn")
	return map[string]string{"blocks": blocks.String(), "blocks with comments": commented.String(), "many lines kept aside": rows.String(),
		"a torn line": kept.String(), "UTF-16": utf16(header + "\r\n" + row("2005-03-01 08:00:00", "Bürö") + "\r\n")}
}

// TestAgain: every record gets its own bytes, which the verification holds against the file.
func TestAgain(t *testing.T) {
	for name, content := range againFiles() {
		specs := folders(t, map[string]map[string]string{"a": {"CAPF.phone": content}})
		store := newMemoryStore()
		report := mustRun(t, specs, testOptions(), store)
		found, err := Verify(context.Background(), 0, store, nil)
		if err != nil || !found.OK() || found.Records != report.Counts.Records || found.KeptAside != report.Counts.KeptAside || found.Records == 0 {
			t.Errorf("%s: %+v, %v; counted %+v", name, found, err, report.Counts)
		}
		for _, record := range store.applied[0].records {
			if !strings.Contains(content, string(record.Raw)) && name != "blocks with comments" {
				t.Errorf("%s: the bytes of %s are not in the file: %q", name, record.Device, record.Raw)
			}
		}
	}
}

// TestFileChangesBetween: a file that is written while a run is decided makes it fail, wherever that is found out.
func TestFileChangesBetween(t *testing.T) {
	for name, content := range againFiles() {
		specs := folders(t, map[string]map[string]string{"a": {"CAPF.phone": content}})
		path := filepath.Join(specs[0].Folder, "CAPF.phone")
		for what, changed := range map[string]string{
			"a digit": strings.Replace(content, "0001", "0002", 1), "cut off": content[:len(content)*2/3], "longer": content + content[len(content)/2:],
			"empty": "", "other end": content[:len(content)-1] + "!",
		} {
			if changed == content {
				continue // it has no such digit
			}
			store := newMemoryStore()
			store.beforePhones = func() {
				if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, err := Run(context.Background(), specs, testOptions(), store, "tester")
			if !capf.HasCode(err, capf.CodeUnavailable) || len(store.applied) > 0 {
				t.Errorf("%s, %s: %v, %d runs", name, what, err, len(store.applied))
			}
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestVerifyDigit changes one thing at a time that a run has stored. What a person may have changed is told apart.
func TestVerifyDigit(t *testing.T) {
	for _, test := range []struct {
		what   string
		person bool // may have done it
		change func(*memoryPhone)
	}{
		{"authentication string", true, func(p *memoryPhone) { p.AuthString, _ = capf.ParseAuthenticationString("123457") }},
		{"key size", true, func(p *memoryPhone) { p.KeySize = capf.RSA512 }},
		{"authentication mode", true, func(p *memoryPhone) { p.AuthMode = capf.AuthByMIC }},
		{"description", true, func(p *memoryPhone) { p.Description = "Desk 2" }},
		{"operation", true, func(p *memoryPhone) { p.Last = nil }},
		{"key size of the operation", false, func(p *memoryPhone) { p.Last.KeySize = capf.RSA512 }},
		{"authentication mode of the operation", false, func(p *memoryPhone) { p.Last.AuthMode = capf.AuthByMIC }},
		{"authentication string without an operation", false, func(p *memoryPhone) { p.Last = nil }},
	} {
		specs := folders(t, map[string]map[string]string{"a": {"CAPF.phone": header + "\n" +
			device + ",install,pending,2005-03-01 08:00:00,By Authentication String,123456,1024,Desk 1\n"}})
		store := newMemoryStore()
		mustRun(t, specs, testOptions(), store)
		test.change(store.phones[device])
		found := mustVerify(t, store, 0)
		if len(found.Since) != 0 || len(found.Differences) != 1 || !strings.Contains(found.Differences[0].What, test.what) || found.Differences[0].Device != device {
			t.Errorf("%s: %+v", test.what, found)
		}
		store.phones[device].ChangedAt = testNow
		found = mustVerify(t, store, 0)
		if len(found.Differences) != 0 || test.person && (len(found.Since) != 1 || !strings.Contains(found.Since[0].What, test.what)) {
			t.Errorf("%s, by a person: %+v", test.what, found)
		}
	}
}

// TestVerifyEnded: when and where an operation ended is compared too, and a description that no record has.
func TestVerifyEnded(t *testing.T) {
	for what, change := range map[string]func(*memoryPhone){
		"time or place of the operation's end": func(p *memoryPhone) { p.Last.Detail = strings.Replace(p.Last.Detail, "08:00", "08:01", 1) },
		"description":                          func(p *memoryPhone) { p.Description = "x" },
	} {
		specs := folders(t, map[string]map[string]string{"a": {"CAPF.phone": header + "\n" + row("2005-03-01 08:00:00", "") + "\n"}})
		store := newMemoryStore()
		mustRun(t, specs, testOptions(), store)
		change(store.phones[device])
		if found := mustVerify(t, store, 0); len(found.Differences) != 1 || !strings.Contains(found.Differences[0].What, what) {
			t.Errorf("%s: %+v", what, found)
		}
	}
}
