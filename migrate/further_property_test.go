package migrate

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"capf/legacy/source"
)

// TestGeneratedArchives: on any tree, the folder and its archives give the same store, and each is known for the others.
func TestGeneratedArchives(t *testing.T) {
	for seed := range uint64(4) {
		random := rand.New(rand.NewPCG(seed, 7))
		specs := generated(t, random)
		plan := mustPlan(t, specs, preferring(PreferLatest), newMemoryStore())
		specs = settled(t, specs, plan)
		store := newMemoryStore()
		report := mustRun(t, specs, preferring(PreferLatest), store)
		for _, form := range []struct{ ending, top string }{{".zip", ""}, {".tar", "copy of it"}, {".tgz", "."}} {
			moved := slices.Clone(specs)
			for i := range moved {
				moved[i].Folder = filepath.Join(t.TempDir(), moved[i].Name+form.ending)
				packed(t, specs[i].Folder, moved[i].Folder, strings.Trim(form.top, "."))
			}
			other := newMemoryStore()
			again := mustRun(t, moved, preferring(PreferLatest), other)
			if other.dump(t) != store.dump(t) || again.Counts != report.Counts {
				t.Errorf("seed %d: %s gives another store, or counts %+v in place of %+v", seed, form.ending, again.Counts, report.Counts)
			}
			if v := mustVerify(t, other, again.Run); !v.OK() {
				t.Errorf("seed %d: %s: %+v", seed, form.ending, v)
			}
			if already := mustRun(t, moved, preferring(PreferLatest), store); !already.Already {
				t.Errorf("seed %d: %s is not known for its folder", seed, form.ending)
			}
		}
	}
}

// TestGeneratedDatabase: every row is a record or is kept aside, with all of its values, and no key; a run after it
// changes nothing.
func TestGeneratedDatabase(t *testing.T) {
	for seed := range uint64(4) {
		random := rand.New(rand.NewPCG(seed, 8))
		pick := func(words ...string) string { return words[random.IntN(len(words))] }
		folder := t.TempDir()
		const rows = 60
		statements := []string{`CREATE TABLE devices (device_name PRIMARY KEY, operation, authentication, password, key_size, curve_name, mark)`}
		for i := range rows {
			mark := fmt.Sprintf("mark-%d-", i)
			if random.IntN(9) == 0 {
				mark = "-----BEGIN RSA PRIVATE KEY-----\n" + mark
			}
			statements = append(statements, fmt.Sprintf(`INSERT INTO devices VALUES ('SEP%012X', '%s', '%s', '%s', '%s', '%s', '%s')`, i,
				pick("none", "Install", "fetch", "delete", "odd"), pick("no password", "password", "certificate", ""), pick("", "0042", "12345678", "x"),
				pick("", "512", "2048", "7"), pick("", "secp256r1", "secp384r1", "secp1"), mark))
		}
		makeDatabase(t, filepath.Join(folder, "capf.sqlite3"), statements...)
		specs := []source.Spec{{Name: "daemon", Folder: folder}}
		store := newMemoryStore()
		report := mustRun(t, specs, testOptions(), store)
		checkMarks(t, store, rows)
		checkNoKey(t, store)
		if v := mustVerify(t, store, report.Run); !v.OK() || v.Records+len(store.applied[0].kept) < rows {
			t.Errorf("seed %d: %+v", seed, v)
		}
		if again := mustRun(t, specs, testOptions(), store); !again.Already {
			t.Errorf("seed %d: the same again: %+v", seed, again)
		}
	}
}

// checkMarks looks for the mark of each row in what was stored, or for its place where it holds a key.
func checkMarks(t *testing.T, store *memoryStore, rows int) {
	t.Helper()
	run := store.applied[0]
	for i := range rows {
		mark, seen := fmt.Sprintf("mark-%d-", i), 0
		for _, r := range run.records {
			if strings.Contains(string(r.Raw), mark) {
				seen++
			}
		}
		for _, k := range run.kept {
			if strings.Contains(string(k.Bytes), mark) || k.Bytes == nil && k.Line == i+1 {
				seen++
			}
		}
		if seen != 1 {
			t.Errorf("row %d is stored %d times", i+1, seen)
		}
	}
}
