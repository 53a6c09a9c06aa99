package main

import (
	"bytes"
	"database/sql"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"capf/legacy/source"
	"capf/legacy/source/sourcetest"
	"capf/migrate"
)

// TestGeneratedTrees: on any tree, what is stored and kept aside is what was there; the order of the sources does not
// matter; the same again changes nothing; a verification finds no difference; and the sources are as they were.
func TestGeneratedTrees(t *testing.T) {
	eachTree(t, 10, func(t *testing.T, f *forest) {
		machines := f.cluster()
		specs := specsOf(machines)
		before := sourcetest.Footprint(t, f.root)
		g := newGrove(t, f.pick("latest", "publisher", "Sub-1", ""))
		report := g.run(shuffled(f, specs))
		all := storedOf(t, g.database(), report.Run)
		for _, machine := range machines {
			machine.checkUnion(t, all, g.parameters())
		}
		for name := range all {
			t.Errorf("%s is stored, and no such file is there", name)
		}
		g.checkNoKey(f.pool.keyText())
		if v := g.verify(report.Run); !v.OK() || v.Records != report.Counts.Records || v.KeptAside != report.Counts.KeptAside || v.Records == 0 {
			t.Errorf("verification %+v of %+v", v, report.Counts)
		}
		dump := g.dump()
		g.checkAgain(f, specs, dump)
		other := newGrove(t, g.prefer)
		if counts := other.run(shuffled(f, specs)).Counts; counts != report.Counts {
			t.Errorf("another order of the sources gives counts %+v in place of %+v", counts, report.Counts)
		}
		sameDump(t, "another order of the sources", other.dump(), dump)
		if after := sourcetest.Footprint(t, f.root); !maps.Equal(after, before) {
			t.Errorf("the sources were\n%v\nand are\n%v", before, after)
		}
	})
}

// checkAgain runs the same again, and some of it.
func (g *grove) checkAgain(f *forest, specs []source.Spec, dump string) {
	g.t.Helper()
	// Where a file decided the first time, none is needed now.
	if again := g.run(shuffled(f, specs)); !again.Already || again.Counts.New+again.Counts.Updated+again.Counts.Anchors+again.Counts.Pending > 0 {
		g.t.Errorf("the same again: %+v", again)
	}
	sameDump(g.t, "the same again", g.dump(), dump)
	some := shuffled(f, specs)[:1+f.IntN(len(specs))]
	if slices.ContainsFunc(some, func(s source.Spec) bool { return strings.EqualFold(s.Name, g.prefer) }) || g.prefer == "latest" || g.prefer == "" {
		counts := g.run(some).Counts
		if counts.New+counts.Updated != 0 {
			g.t.Errorf("some of it again: %+v", counts)
		}
		// Of settings, some may agree about what all of them did not.
		sameDump(g.t, "some of it again", withoutParameters(g.dump()), withoutParameters(dump))
	}
}

func withoutParameters(dump string) string {
	phones, _, _ := strings.Cut(dump, "\nparameters ")
	return strings.TrimSpace(phones)
}

// TestGeneratedTreesRollBack: runs upon runs, with a person at work between them, go back to the byte, the newest first,
// each to what was before it; and all can be run again.
func TestGeneratedTreesRollBack(t *testing.T) {
	eachTree(t, 6, func(t *testing.T, f *forest) {
		specs := specsOf(f.cluster())
		g := newGrove(t, f.pick("latest", "store", ""))
		g.live(f)
		var before []string
		var runs []int64
		for _, some := range [][]source.Spec{shuffled(f, specs)[:1], specs, specsOf(f.elsewhere().cluster())} {
			g.now = g.now.Add(time.Hour)
			before = append(before, g.dump())
			runs = append(runs, g.run(some).Run)
		}
		last := g.dump()
		for i := len(runs) - 1; i >= 0; i-- {
			done, err := migrate.Rollback(t.Context(), runs[i], false, g.Store, "undoer")
			if err != nil {
				t.Fatal(err)
			}
			if len(done.Kept) > 0 {
				t.Errorf("run %d: %+v stays", runs[i], done.Kept)
			}
			sameDump(t, fmt.Sprintf("run %d taken back", runs[i]), g.dump(), before[i])
		}
		if last == before[0] {
			t.Error("the runs have changed nothing")
		}
		again := newGrove(t, g.prefer)
		if report := g.run(specs); report.Already || report.Counts.Records != again.run(specs).Counts.Records {
			t.Errorf("after all was taken back: %+v", report)
		}
		if v := g.verify(0); !v.OK() {
			t.Errorf("verification %+v", v)
		}
	})
}

// TestGeneratedTreesVerify flips one bit at a time, of what is stored and of what was read: each is found, and nothing is
// any more when it is put back.
func TestGeneratedTreesVerify(t *testing.T) {
	eachTree(t, 4, func(t *testing.T, f *forest) {
		machines := f.cluster()
		g := newGrove(t, "latest")
		run := g.run(specsOf(machines)).Run
		database := g.database()
		for column, where := range map[string]string{"import_records.raw": "", "kept_lines.bytes": "length(bytes) > 0", "legacy_files.der": "",
			"anchors.der": "", "certificates.der": "source = 'legacy'"} {
			g.flipStored(f, database, run, column, where)
		}
		for range 4 {
			where, put := f.flipped(machines[f.IntN(len(machines))])
			if v := g.verify(run); v.OK() {
				t.Errorf("%s is another, and no difference is found", where)
			}
			put()
		}
		if v := g.verify(run); !v.OK() {
			t.Errorf("with everything put back: %+v", v)
		}
	})
}

// flipStored flips a bit in one of the rows that have that column.
func (g *grove) flipStored(f *forest, database *sql.DB, run int64, name, where string) {
	g.t.Helper()
	table, column, _ := strings.Cut(name, ".")
	if where == "" {
		where = "1"
	}
	ids := rowsOf(g.t, database, fmt.Sprintf("SELECT id FROM %s WHERE %s", table, where))
	if len(ids) == 0 {
		return
	}
	var id int64
	var content []byte
	query := fmt.Sprintf("SELECT id, %s FROM %s WHERE %s ORDER BY id LIMIT 1 OFFSET %d", column, table, where, f.IntN(len(ids)))
	if err := database.QueryRow(query).Scan(&id, &content); err != nil {
		g.t.Fatal(err)
	}
	flipped := bytes.Clone(content)
	flipped[f.IntN(len(flipped))] ^= 1 << f.IntN(8)
	update := fmt.Sprintf("UPDATE %s SET %s = ?2 WHERE id = ?1", table, column)
	execute(g.t, database, update, id, flipped)
	if v := g.verify(run); v.OK() {
		g.t.Errorf("%s of row %d was %q, is %q, and no difference is found", name, id, content, flipped)
	}
	execute(g.t, database, update, id, content)
}

// openChoice is a version in a file of decisions, which stands above the line where one is to be filled in.
var openChoice = regexp.MustCompile(`^#   ("(?:[^"\\]|\\.)*"): `)

// decided fills in the first version of each conflict.
func decided(content string) string {
	var out strings.Builder
	first := ""
	for line := range strings.Lines(content) {
		if found := openChoice.FindStringSubmatch(line); found != nil && first == "" {
			first = found[1]
		}
		if strings.TrimSpace(line) == `choose = ""` {
			line, first = "choose = "+first+"\n", ""
		}
		out.WriteString(line)
	}
	return out.String()
}

// TestGeneratedTreesByCommand: the same with the program itself.
func TestGeneratedTreesByCommand(t *testing.T) {
	eachTree(t, 2, func(t *testing.T, f *forest) {
		machines := f.cluster()
		before := sourcetest.Footprint(t, f.root)
		i := newInstallation(t)
		i.capf("phone", "add", "SEP000000000001", "--operation", "install")
		database := i.database(t)
		was := dumpOf(t, database)
		decisions := filepath.Join(t.TempDir(), "decisions.toml")
		sources := func() (arguments []string) {
			for _, spec := range shuffled(f, specsOf(machines)) {
				arguments = append(arguments, spec.Name+"="+spec.Folder)
			}
			return append(arguments, "--prefer", "latest", "--accept-missing", "--decisions", decisions)
		}
		i.capf(append([]string{"migrate", "plan"}, sources()...)...)
		content, err := os.ReadFile(decisions)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(decisions, []byte(decided(string(content))), 0o600); err != nil {
			t.Fatal(err)
		}
		i.capf(append([]string{"migrate", "run"}, sources()...)...)
		all, parameters := storedOf(t, database, 1), []string{"key-size=" + strings.TrimSpace(i.capf("parameter", "get", "key-size"))}
		for _, machine := range machines {
			machine.checkUnion(t, all, parameters)
		}
		dump := dumpOf(t, database)
		i.capf("migrate", "verify")
		if _, said, err := i.try(append([]string{"migrate", "run"}, sources()...)...); err != nil || !strings.Contains(said, "did this already") {
			t.Errorf("the same again: %v: %s", err, said)
		}
		sameDump(t, "the same again", dumpOf(t, database), dump)
		i.capf("migrate", "rollback", "1")
		sameDump(t, "taken back", dumpOf(t, database), was)
		if after := sourcetest.Footprint(t, f.root); !maps.Equal(after, before) {
			t.Errorf("the sources were\n%v\nand are\n%v", before, after)
		}
	})
}
