package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"capf/migrate"
	"capf/runtime/store"
)

// A run is killed while it reads, while it stages and while it makes visible what it staged. Nothing of it can be seen
// then, and the next one begins anew.

// killPoint is a state of the store at which a run is killed.
type killPoint struct {
	name  string
	query string // gives whether it has come to that
}

var killPoints = []killPoint{
	{"it has begun", `SELECT count(*) FROM migration_runs`},
	{"records are staged", `SELECT count(*) > 100 FROM import_records`},
	{"most records are staged", `SELECT count(*) > %d FROM import_records`},
	{"phones are staged", `SELECT count(*) > 100 FROM staged_phones`},
	{"most phones are staged", `SELECT count(*) > %d FROM staged_phones`},
	{"certificates are staged", `SELECT count(*) > 0 FROM legacy_files`},
	{"all is staged", `SELECT count(*) > 0 FROM legacy_files WHERE use = 'anchor'`},
}

// TestKillMigration compares what comes of a killed run and the next with what comes of one that nobody disturbs.
func TestKillMigration(t *testing.T) {
	phones := 10_000
	if brief() {
		phones = 5_000
	}
	source := "pub=" + oldFiles(t, phones, 20, false)
	undisturbed := newActivated(t)
	undisturbed.capf("migrate", "run", source)
	want := undisturbed.migrated(t)
	killed := 0
	for _, point := range killPoints {
		if strings.Contains(point.query, "%d") {
			point.query = fmt.Sprintf(point.query, phones*2/3)
		}
		t.Run(point.name, func(t *testing.T) {
			const tries = 5 // on a loaded machine a kill can come when the run has come to its end
			i := newActivated(t).in(t)
			met := i.killRun(t, source, point.query)
			for try := 1; try < tries && !met; try++ {
				i = newActivated(t).in(t)
				met = i.killRun(t, source, point.query)
			}
			if !met {
				return
			}
			killed++
			i.checkNothingVisible(t)
			i.capf("migrate", "run", source)
			if got := i.migrated(t); !slices.Equal(got, want) {
				t.Errorf("%d rows differ from those of an undisturbed run, the first: %s", len(got), firstDifference(got, want))
			}
			i.capf("migrate", "verify")
		})
	}
	if killed < len(killPoints)/2 {
		t.Errorf("only %d of %d kills have met a run before its end", killed, len(killPoints))
	}
}

// database opens the store beside the program.
func (i *installation) database(t testing.TB) *sql.DB {
	t.Helper()
	database, err := sql.Open("sqlite3", "file:"+filepath.Join(i.data, "capf.db")+"?mode=rw&_busy_timeout=5000")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { database.Close() })
	return database
}

// killRun kills a run as soon as the query gives true, and tells whether it had not ended before.
func (i *installation) killRun(t *testing.T, source, query string) bool {
	t.Helper()
	database := i.database(t)
	command := i.command("migrate", "run", source)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	for {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatal(err)
			}
			return false
		default:
		}
		var there bool
		if err := database.QueryRow(query).Scan(&there); err != nil || !there { // the table may not be there yet
			continue
		}
		if err := command.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		var failed *exec.ExitError
		return errors.As(<-ended, &failed) && failed.ExitCode() == -1
	}
}

func (i *installation) checkNothingVisible(t *testing.T) {
	t.Helper()
	if listed := len(i.phones()) + len(i.certificates("")); listed != 0 {
		t.Errorf("%d phones and certificates of a run that was killed can be seen", listed)
	}
	if anchors := i.capf("anchor", "list"); strings.Contains(anchors, "0badcafe") {
		t.Errorf("an anchor of it can be seen:\n%s", anchors)
	}
	var runs []map[string]any
	if i.read(&runs, "migrate", "list"); len(runs) != 0 {
		t.Errorf("runs %v", runs)
	}
}

// migrated gives all that a run makes, a row a line, but for generated strings and the time of the run.
func (i *installation) migrated(t *testing.T) []string {
	t.Helper()
	database := i.database(t)
	var all []string
	for _, query := range []string{
		`SELECT 'phone', p.device, p.description, p.auth_mode, iif(i.raw LIKE '%By Authentication String,,%', length(p.auth_string), p.auth_string),
			p.key_size, p.security_mode, p.lsc_known, p.mic, p.result, p.changed_at, i.line, i.verdict,
			o.operation, o.auth_mode, o.key_size, o.completes_by - o.created_at, o.created_by, o.ended_at, o.ended_by, o.ending, o.result, o.detail
			FROM phones p JOIN import_records i ON i.id = p.imported LEFT JOIN operations o ON o.id = p.last_operation ORDER BY p.device`,
		`SELECT 'operation', device, count(*) FROM operations GROUP BY device ORDER BY device`,
		`SELECT 'record', device, machine, file, line, digest, raw, time, verdict FROM import_records ORDER BY id`,
		`SELECT 'certificate', device, state, source, serial, sha256 FROM certificates ORDER BY device, sha256`,
		`SELECT 'anchor', serial, sha256, kind FROM anchors ORDER BY sha256`,
		`SELECT 'file', machine, file, line, sha256, use FROM legacy_files ORDER BY id`,
		`SELECT 'run', key, counts FROM migration_runs ORDER BY id`,
	} {
		all = append(all, rowsOf(t, database, query)...)
	}
	return all
}

func rowsOf(t testing.TB, database *sql.DB, query string) (all []string) {
	t.Helper()
	rows, err := database.Query(query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	values, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
	for n := range values {
		into[n] = &values[n]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprint(values))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func firstDifference(got, want []string) string {
	for n := range min(len(got), len(want)) {
		if got[n] != want[n] {
			return fmt.Sprintf("got %s, want %s", got[n], want[n])
		}
	}
	return fmt.Sprintf("%d rows, want %d", len(got), len(want))
}

// TestMigrateOneAtATime has a run and a rollback meet somebody who migrates already, and come after them.
func TestMigrateOneAtATime(t *testing.T) {
	i := newActivated(t)
	source := "pub=" + oldFiles(t, 100, 1, true)
	begin := time.Now()
	held, err := store.TakeRunLock(i.data, "migrate run", "somebody", begin)
	if err != nil {
		t.Fatal(err)
	}
	for _, arguments := range [][]string{{"migrate", "run", source}, {"migrate", "rollback", "1"}} {
		_, problem, err := i.try(arguments...)
		var failed *exec.ExitError
		if !errors.As(err, &failed) || failed.ExitCode() != 1 {
			t.Errorf("%v beside another: %v", arguments, err)
		}
		for _, want := range []string{"migrate run by somebody", "since " + begin.UTC().Format("2006-01-02T15:04:05Z"), "wait"} {
			if !strings.Contains(problem, want) {
				t.Errorf("%v beside another lacks %q: %s", arguments, want, problem)
			}
		}
	}
	i.capf("migrate", "plan", source) // changes nothing, and stands in nobody's way
	if err := held.Release(); err != nil {
		t.Fatal(err)
	}
	i.capf("migrate", "run", source)
	i.capf("migrate", "rollback", "1")
}

// TestVerifyFindsOneDigit changes one digit, first in the source and then in the store, among 100,000 phones.
func TestVerifyFindsOneDigit(t *testing.T) {
	if brief() {
		t.Skip("migrates 100,000 phones")
	}
	t.Parallel()
	const phones = 100_000
	folder := oldFiles(t, phones, 3, false)
	i := newActivated(t)
	i.capf("migrate", "run", "pub="+folder)
	i.capf("migrate", "verify")
	database := i.database(t)
	changes := []struct {
		phone             int
		what, query, back string
	}{
		{77_787, "authentication string", `UPDATE phones SET auth_string = '077788' WHERE device = ?1`, `UPDATE phones SET auth_string = '077787' WHERE device = ?1`},
		{1, "description", `UPDATE phones SET description = 'Desk 2' WHERE device = ?1`, `UPDATE phones SET description = 'Desk 1' WHERE device = ?1`},
		{99_999, "key size", `UPDATE phones SET key_size = '2048' WHERE device = ?1`, `UPDATE phones SET key_size = '1024' WHERE device = ?1`},
		{50_000, "stored bytes", `UPDATE import_records SET raw = CAST(replace(CAST(raw AS TEXT), '2004', '2005') AS BLOB) WHERE device = ?1`,
			`UPDATE import_records SET raw = CAST(replace(CAST(raw AS TEXT), '2005', '2004') AS BLOB) WHERE device = ?1`},
	}
	want := map[string]string{}
	for _, change := range changes {
		execute(t, database, change.query, oldDevice(change.phone))
		want[oldDevice(change.phone)] = change.what
	}
	i.wantDifferences(t, want)
	for _, change := range changes {
		execute(t, database, change.back, oldDevice(change.phone))
	}
	path := filepath.Join(folder, "CAPF.phone")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Replace(content, []byte(`,"Desk 77787"`), []byte(`,"Desk 77788"`), 1)
	if err := os.WriteFile(path, changed, 0o600); err != nil || bytes.Equal(content, changed) {
		t.Fatal("the source is as it was", err)
	}
	i.wantDifferences(t, map[string]string{oldDevice(77_787): "the bytes differ"})
}

func execute(t testing.TB, database *sql.DB, query string, arguments ...any) {
	t.Helper()
	result, err := database.ExecContext(context.Background(), query, arguments...)
	if err != nil {
		t.Fatal(err)
	}
	if rows, err := result.RowsAffected(); err != nil || rows != 1 {
		t.Fatalf("%s has changed %d rows, %v", query, rows, err)
	}
}

// wantDifferences expects that a verification finds something about each of these devices, and nothing else.
func (i *installation) wantDifferences(t *testing.T, want map[string]string) {
	t.Helper()
	stdout, _, err := i.try("--json", "migrate", "verify")
	var failed *exec.ExitError
	if !errors.As(err, &failed) || failed.ExitCode() != 1 {
		t.Errorf("verify: %v", err)
	}
	var found migrate.Verification
	if err := json.Unmarshal([]byte(stdout), &found); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, one := range found.Differences {
		seen[one.Device] = true
		if want[one.Device] == "" || !strings.Contains(one.What, want[one.Device]) {
			t.Errorf("a difference that nobody made: %+v", one)
		}
	}
	if len(seen) != len(want) {
		t.Errorf("differences of %v, want those of %v", seen, want)
	}
}
