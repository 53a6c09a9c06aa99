package migrate

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"capf/legacy/source"
	"capf/runtime/capf"
)

// generated makes a cluster of machines with phones that are recorded once, twice and on several machines, with lines
// that cannot be read among them.
func generated(t *testing.T, random *rand.Rand) []source.Spec {
	t.Helper()
	pick := func(words ...string) string { return words[random.IntN(len(words))] }
	machines := map[string]map[string]string{}
	size := pick("1024", "2048")
	for m := range 2 + random.IntN(3) {
		rows := []string{header}
		rubbish := 2 // of 40 lines and more, so that a dialect fits
		for range 40 + random.IntN(20) {
			if rubbish > 0 && random.IntN(10) == 0 {
				rubbish--
				rows = append(rows, pick("rubbish", "SEP00,install", fmt.Sprintf("x,%d", random.Int()), "\xff\xfe,1,2"))
				continue
			}
			when := ""
			if random.IntN(8) > 0 {
				when = fmt.Sprintf("2005-03-%02d %02d:00:00", 1+random.IntN(28), random.IntN(24))
			}
			mode, text := "null string", ""
			if random.IntN(2) == 0 {
				mode, text = "authentication string", fmt.Sprintf("%06d", random.IntN(1_000_000))
			}
			rows = append(rows, strings.Join([]string{
				fmt.Sprintf("SEP000000000%03d", random.IntN(150)), pick("install", "delete", "none"), pick("pending", "success", "failed", "none"),
				when, mode, text, pick("512", "1024", "2048", ""), pick("", "Lobby", "J\xf6rg", "Room 12"),
			}, ";"))
		}
		rows[0] = strings.ReplaceAll(header, ",", ";")
		files := map[string]string{"CAPF/CAPF.phone": strings.Join(rows, pick("\n", "\r\n")) + pick("\n", "", "\x1a")}
		files["CAPF/CAPF.cfg"] = fmt.Sprintf("[General]\r\nKeySize=%s\r\n%srubbish\r\n", size, strings.Repeat("Trace=5\r\n", 10))
		machines[fmt.Sprintf("m%d", m)] = files
	}
	return folders(t, machines)
}

// TestGenerated: on any tree, the order of the sources does not matter, a run after a run changes nothing, also with
// other sources beside or fewer of them, what is stored and what is kept aside are together what was there, and a
// verification finds no difference.
func TestGenerated(t *testing.T) {
	seeds := uint64(20)
	if testing.Short() {
		seeds = 5
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			specs := generated(t, random)
			store := newMemoryStore()
			report, err := Run(context.Background(), specs, preferring(PreferLatest), store, "tester")
			plan := mustPlan(t, specs, preferring(PreferLatest), newMemoryStore())
			if err != nil {
				wantCode(t, err, capf.CodeConflict)
				if plan.Open() == 0 || len(store.phones) != 0 {
					t.Fatalf("the run fails with %v, the plan has %d open conflicts", err, plan.Open())
				}
				specs = settled(t, specs, plan)
				report = mustRun(t, specs, preferring(PreferLatest), store)
			}
			checkUnion(t, specs, store)
			if v := mustVerify(t, store, report.Run); !v.OK() || v.Records != report.Counts.Records || v.Phones != report.Counts.New {
				t.Errorf("verification %+v of a run with %+v", v, report.Counts)
			}
			dump := store.dump(t)
			checkOrder(t, specs, dump, report)
			checkAgain(t, specs, store, dump)
		})
	}
}

// settled takes the phones out of the files whose conflicts the choice did not decide.
func settled(t *testing.T, specs []source.Spec, plan *Plan) []source.Spec {
	t.Helper()
	for _, spec := range specs {
		path := filepath.Join(spec.Folder, "CAPF", "CAPF.phone")
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var out []byte
		for line := range bytes.Lines(content) {
			if !slices.ContainsFunc(plan.Conflicts, func(c Conflict) bool { return c.Chosen == nil && bytes.HasPrefix(line, []byte(c.Device)) }) {
				out = append(out, line...)
			}
		}
		if err := os.WriteFile(path, out, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return specs
}

// checkOrder runs the sources in other orders.
func checkOrder(t *testing.T, specs []source.Spec, dump string, report *Report) {
	t.Helper()
	for turn := 1; turn < len(specs); turn++ {
		turned := append(slices.Clone(specs[turn:]), specs[:turn]...)
		slices.Reverse(turned[:turn])
		other := newMemoryStore()
		counts := mustRun(t, turned, preferring(PreferLatest), other).Counts
		if other.dump(t) != dump || counts != report.Counts {
			t.Errorf("another order of the sources gives another store, or counts %+v in place of %+v", counts, report.Counts)
		}
	}
}

// checkAgain runs the same again, some of it, and all with one more machine that says nothing new.
func checkAgain(t *testing.T, specs []source.Spec, store *memoryStore, dump string) {
	t.Helper()
	if again := mustRun(t, specs, preferring(PreferLatest), store); !again.Already || again.Counts.New+again.Counts.Updated != 0 {
		t.Errorf("the same again: %+v", again)
	}
	copied := source.Spec{Name: "copy", Folder: specs[0].Folder}
	for _, some := range [][]source.Spec{specs[:1], specs[1:], append(slices.Clone(specs), copied)} {
		for _, options := range []Options{testOptions(), preferring(PreferLatest), preferring(some[0].Name)} {
			counts := mustRun(t, some, options, store).Counts
			if counts.New+counts.Updated+counts.History+counts.Anchors+counts.Pending != 0 || store.dump(t) != dump {
				t.Errorf("sources that are known already change the store: %+v", counts)
			}
		}
	}
}

// keptBytes are bytes that were stored, with their line.
type keptBytes struct {
	line  int
	bytes []byte
}

// checkUnion puts stored records and kept lines together: they are the lines of the phone files but the header. Of
// configurations everything is there but section marks and what became a parameter.
func checkUnion(t *testing.T, specs []source.Spec, store *memoryStore) {
	t.Helper()
	run := store.applied[len(store.applied)-1]
	for _, spec := range specs {
		pieces := map[string][]keptBytes{}
		for _, r := range run.records {
			if r.Machine == spec.Name {
				pieces[r.File] = append(pieces[r.File], keptBytes{r.Line, r.Raw})
			}
		}
		for _, k := range run.kept {
			if k.Machine == spec.Name {
				pieces[k.File] = append(pieces[k.File], keptBytes{k.Line, k.Bytes})
			}
		}
		content, err := os.ReadFile(filepath.Join(spec.Folder, "CAPF", "CAPF.phone"))
		if err != nil {
			t.Fatal(err)
		}
		_, want, _ := bytes.Cut(content, []byte("\n"))
		want = bytes.TrimPrefix(want, []byte("\x1a"))
		if got := joined(pieces["CAPF/CAPF.phone"]); !bytes.Equal(got, want) {
			t.Errorf("%s: records and kept lines are %q, the file %q", spec.Name, got, want)
		}
		if got := joined(pieces["CAPF/CAPF.cfg"]); !bytes.Contains(got, []byte("Trace=")) || !bytes.Contains(got, []byte("rubbish")) {
			t.Errorf("%s: of the configuration %q is kept", spec.Name, got)
		}
	}
}

func joined(pieces []keptBytes) []byte {
	slices.SortStableFunc(pieces, func(a, b keptBytes) int { return cmp.Compare(a.line, b.line) })
	var out []byte
	for _, piece := range pieces {
		out = append(out, piece.bytes...)
	}
	return out
}
