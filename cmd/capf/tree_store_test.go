package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"capf/legacy/source"
	"capf/migrate"
	"capf/runtime/capf"
	"capf/runtime/store/sqlite"
)

// Whole clusters made from a seed are migrated into real stores. TREE_SEEDS=FROM-TO tries other seeds than those of
// every day.

const treeSeeds = "TREE_SEEDS"

// eachTree runs a test for each seed, and says how a failing one is repeated.
func eachTree(t *testing.T, seeds uint64, test func(t *testing.T, f *forest)) {
	from, to := uint64(0), seeds
	if brief() {
		to = (seeds + 2) / 3
	}
	if text := os.Getenv(treeSeeds); text != "" {
		first, last, _ := strings.Cut(text, "-")
		var err, other error
		from, err = strconv.ParseUint(first, 10, 64)
		to, other = strconv.ParseUint(last, 10, 64)
		if err = errors.Join(err, other); err != nil {
			t.Fatalf("%s: %v", treeSeeds, err)
		}
	}
	for seed := from; seed < to; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("again: %s=%d-%d go test -run '^%s$' ./cmd/capf", treeSeeds, seed, seed+1, strings.TrimSuffix(t.Name(), fmt.Sprint("/", seed)))
				}
			})
			test(t, newForest(t, seed))
		})
	}
}

// grove is a store into which trees are migrated, at a time that stands still unless it is moved.
type grove struct {
	*sqlite.Store
	t      *testing.T
	folder string
	now    time.Time
	prefer string
}

func newGrove(t *testing.T, prefer string) *grove {
	t.Helper()
	g := &grove{t: t, folder: t.TempDir(), now: time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC), prefer: prefer}
	var err error
	g.Store, err = sqlite.Open(t.Context(), sqlite.Options{Path: g.path(), Create: true, Clock: func() time.Time { return g.now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

func (g *grove) path() string { return filepath.Join(g.folder, "capf.db") }

// database opens the file beside the store.
func (g *grove) database() *sql.DB {
	g.t.Helper()
	pool, err := sql.Open("sqlite3", "file:"+g.path()+"?mode=rw&_busy_timeout=5000")
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { pool.Close() })
	return pool
}

// run migrates. What the rule leaves open is decided by a file that hangs on nothing but the conflicts.
func (g *grove) run(specs []source.Spec) *migrate.Report {
	g.t.Helper()
	options := migrate.Options{Prefer: g.prefer, AcceptMissing: true, Clock: func() time.Time { return g.now }, Random: mathrand.NewChaCha8([32]byte{1})}
	options.Decisions = g.decisions(specs, options)
	report, err := migrate.Run(g.t.Context(), specs, options, g.Store, "tester")
	if err != nil {
		g.t.Fatal(err)
	}
	return report
}

// decisions decide the conflicts that are open: each for the first of its versions that can be, in the order of their
// words. Nil where there is none.
func (g *grove) decisions(specs []source.Spec, options migrate.Options) *migrate.Decisions {
	g.t.Helper()
	plan, err := migrate.NewPlan(g.t.Context(), specs, options, g.Store)
	if err != nil {
		g.t.Fatal(err)
	}
	if plan.Open() == 0 {
		return nil
	}
	tried := map[string]int{} // versions that cannot be, by device
	for {
		if options.Decisions, err = migrate.ReadDecisions(g.filledIn(plan, tried)); err != nil {
			g.t.Fatal(err)
		}
		_, err := migrate.NewPlan(g.t.Context(), specs, options, g.Store)
		if err == nil {
			return options.Decisions
		}
		before := maps.Clone(tried)
		for _, conflict := range plan.Conflicts {
			if strings.Contains(err.Error(), conflict.Device+`: "`) {
				tried[conflict.Device]++
			}
		}
		if maps.Equal(tried, before) {
			g.t.Fatal(err)
		}
	}
}

// filledIn writes the file of decisions of a plan and chooses for each conflict that is open.
func (g *grove) filledIn(plan *migrate.Plan, tried map[string]int) string {
	g.t.Helper()
	var content bytes.Buffer
	if err := plan.WriteDecisions(&content); err != nil {
		g.t.Fatal(err)
	}
	parts := strings.Split(content.String(), "[[conflict]]")
	for i, conflict := range plan.Conflicts {
		if conflict.Chosen != nil {
			continue
		}
		var choices []string
		for _, version := range conflict.Versions {
			if version.Choice != "" && !slices.Contains(choices, version.Choice) {
				choices = append(choices, version.Choice)
			}
		}
		slices.Sort(choices)
		if tried[conflict.Device] >= len(choices) {
			g.t.Fatalf("no version of %s can be: %s", conflict.Device, conflict.Why)
		}
		parts[i+1] = strings.Replace(parts[i+1], `choose = ""`, fmt.Sprintf("choose = %q", choices[tried[conflict.Device]]), 1)
	}
	path := filepath.Join(g.t.TempDir(), "decisions.toml")
	if err := os.WriteFile(path, []byte(strings.Join(parts, "[[conflict]]")), 0o600); err != nil {
		g.t.Fatal(err)
	}
	return path
}

// dumped are the tables that a rollback restores. A count of changes goes on.
var dumped = []string{"phones", "operations", "certificates", "wrong_strings", "anchors", "parameters"}

// dump gives all their rows, one a line, as SQL writes values.
func (g *grove) dump() string {
	g.t.Helper()
	database := g.database()
	defer database.Close()
	return dumpOf(g.t, database)
}

func dumpOf(t *testing.T, database *sql.DB) string {
	t.Helper()
	var out strings.Builder
	for _, table := range dumped {
		var columns string
		err := database.QueryRow(`SELECT group_concat('quote(' || name || ')', ' || '' '' || ') FROM pragma_table_info(?1)
			WHERE name NOT IN ('changes', 'serving')`, table).Scan(&columns)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rowsOf(t, database, fmt.Sprintf(`SELECT %s FROM %s ORDER BY 1`, columns, table)) {
			fmt.Fprintln(&out, table, row)
		}
	}
	return out.String()
}

func sameDump(t *testing.T, what string, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %s", what, firstDifference(strings.Split(got, "\n"), strings.Split(want, "\n")))
	}
}

func (g *grove) verify(run int64) *migrate.Verification {
	g.t.Helper()
	found, err := migrate.Verify(g.t.Context(), run, g.Store, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	return found
}

// live has a person work with phones that the trees have too, and with others.
func (g *grove) live(f *forest) {
	g.t.Helper()
	for range 5 + f.IntN(20) {
		install, mode, text := capf.OperationInstall, capf.AuthByNullString, f.pick("mine", "Jörg", "")
		change := capf.PhoneChange{Device: fmt.Sprintf("SEP000000000%03d", f.IntN(200)), Description: &text}
		if f.one(2) {
			change.Operation, change.AuthMode = &install, &mode
		}
		if _, err := g.ApplyChanges(context.Background(), capf.ApplyUpsert, []capf.PhoneChange{change}, capf.ChangeContext{Actor: "a person"}); err != nil {
			g.t.Fatal(err)
		}
		g.now = g.now.Add(time.Second)
	}
}

// checkNoKey looks for the text of a private key in the whole file of the store and its log.
func (g *grove) checkNoKey(key string) {
	g.t.Helper()
	for _, path := range []string{g.path(), g.path() + "-wal"} {
		content, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			g.t.Fatal(err)
		}
		if bytes.Contains(content, []byte(key)) || bytes.Contains(content, []byte(strings.Join(strings.Split(key, ""), "\x00"))) {
			g.t.Errorf("a private key is in %s", path)
		}
	}
}

// parameters gives NAME=VALUE of each.
func (g *grove) parameters() (out []string) {
	g.t.Helper()
	values, err := g.Store.Parameters(g.t.Context())
	if err != nil {
		g.t.Fatal(err)
	}
	return append(out, "key-size="+values.Get(capf.ParamKeySize))
}
