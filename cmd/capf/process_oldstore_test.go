package main

import (
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mattn/go-sqlite3"
	"github.com/pressly/goose/v3"
)

// schemaFolder has the numbered files of the store's schema.
const schemaFolder = "../../runtime/store/sqlite/migrations"

// Schemas from which on something was kept.
const (
	schemaOfPhones   = 3
	schemaOfRollback = 12
)

// TestStoreOfEveryOlderSchema has the program come upon the store of each older one: no command works on it but init,
// which makes a copy and upgrades it. Then all do, with the phones that were there.
func TestStoreOfEveryOlderSchema(t *testing.T) {
	files, err := filepath.Glob(schemaFolder + "/*.sql")
	if err != nil || len(files) < schemaOfRollback {
		t.Fatalf("%d files of the schema, %v", len(files), err)
	}
	i := newActivated(t)
	i.capf("phone", "add", "SEP00000000FFFF", "--operation", "install", "--auth-string", "00424242")
	before := i.capf("phone", "list")
	var sources []string
	for _, name := range []string{"publisher", "subscriber-1", "subscriber-2"} {
		folder, err := filepath.Abs("../../testdata/legacy/cluster/" + name)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, name+"="+folder)
	}
	i.capf(append([]string{"migrate", "run"}, sources...)...)
	after := i.capf("phone", "list")
	for version := 1; version < len(files); version++ {
		if brief() && version%4 != 3 {
			continue
		}
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			t.Parallel()
			i.copied(t, "older").checkUpgrade(version, len(files), sources, before, after)
		})
	}
}

// checkUpgrade makes the store one of an older schema and goes on with it; before and after are the phones that the
// newest one lists without the run and with it, which read the sources.
func (i *installation) checkUpgrade(version, newest int, sources []string, before, after string) {
	i.t.Helper()
	i.toSchema(version)
	_, problem, err := i.try("phone", "list")
	if err == nil || !strings.Contains(problem, fmt.Sprintf("has schema %d; this program needs %d", version, newest)) || !strings.Contains(problem, "capf init") {
		i.t.Fatalf("before the upgrade: %v: %s", err, problem)
	}
	copied := filepath.Join(i.data, fmt.Sprintf("capf.db.schema-%d", version))
	if _, said, err := i.try("init"); err != nil || !strings.Contains(said, copied) {
		i.t.Fatalf("init: %v: %s", err, said)
	}
	if info, err := os.Stat(copied); err != nil || info.Mode() != 0o600 {
		i.t.Errorf("the copy: %v, %v", info, err)
	}
	if _, problem, err := i.try("checklist"); err != nil && err.(*exec.ExitError).ExitCode() != 3 {
		i.t.Errorf("checklist: %v: %s", err, problem)
	}
	if version < schemaOfPhones {
		return
	}
	if got := i.capf("phone", "list"); got != after {
		i.t.Errorf("the phones are\n%s\nnot\n%s", got, after)
	}
	i.checkNothingToDo(sources)
	if said := i.capf("migrate", "verify"); !strings.Contains(said, "differences\t0") {
		i.t.Errorf("verify: %s", said)
	}
	_, problem, err = i.try("migrate", "rollback", "1")
	if version < schemaOfRollback {
		if err == nil || !strings.Contains(problem, "earlier capf") {
			i.t.Errorf("taking back a run of which nothing was kept: %v: %s", err, problem)
		}
		return
	}
	if err != nil {
		i.t.Fatalf("rollback: %v: %s", err, problem)
	}
	if got := i.capf("phone", "list"); got != before {
		i.t.Errorf("taken back, the phones are\n%s\nnot\n%s", got, before)
	}
}

// checkNothingToDo runs the same again: the older capf had other dialects, and so another key for it.
func (i *installation) checkNothingToDo(sources []string) {
	i.t.Helper()
	i.exec(filepath.Join(i.data, "capf.db"), `UPDATE migration_runs SET key = 'of an older capf'`)
	runs := i.capf("migrate", "list")
	_, said, err := i.try(append([]string{"migrate", "run"}, sources...)...)
	if err != nil || !strings.Contains(said, "did this already; nothing was changed") {
		i.t.Errorf("the same sources again: %v: %s", err, said)
	}
	if got := i.capf("migrate", "list"); got != runs {
		i.t.Errorf("after the same sources again the runs are\n%s\nnot\n%s", got, runs)
	}
}

// toSchema puts a store of that schema in the place of the newest one, with all that it has room for.
func (i *installation) toSchema(version int) {
	i.t.Helper()
	path, from := filepath.Join(i.data, "capf.db"), filepath.Join(i.t.TempDir(), "newest.db")
	i.exec(path, `VACUUM INTO '`+from+`'`)
	for _, ending := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + ending); err != nil && !os.IsNotExist(err) {
			i.t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		i.t.Fatal(err)
	}
	database := i.exec(path, `PRAGMA application_id = 1128353862`) // "CAPF"
	database.SetMaxOpenConns(1)                                    // what is taught is so on one connection
	teachKeyIdentity(i.t, database)
	provider, err := goose.NewProvider(goose.DialectSQLite3, database, os.DirFS(schemaFolder), goose.WithLogger(goose.NopLogger()), goose.WithDisableGlobalRegistry(true))
	if err == nil {
		_, err = provider.UpTo(i.t.Context(), int64(version))
	}
	if err != nil {
		i.t.Fatal(err)
	}
	i.exec(path, append([]string{`ATTACH '` + from + `' AS newest`}, copyStatements(i.t, database, from)...)...)
}

// teachKeyIdentity gives a connection the function of Go that a step of the schema calls. No row is there for it yet: those
// that are copied have their identity.
func teachKeyIdentity(t testing.TB, database *sql.DB) {
	t.Helper()
	connection, err := database.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	err = connection.Raw(func(driver any) error {
		return driver.(*sqlite3.SQLiteConn).RegisterFunc("key_identity", func(_ []byte, before string) string { return before }, true)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// copyStatements copy every table that both have, in the columns that both have.
func copyStatements(t testing.TB, database *sql.DB, from string) (statements []string) {
	t.Helper()
	database.SetMaxOpenConns(1) // what is attached is so on one connection
	if _, err := database.Exec(`ATTACH '` + from + `' AS newest`); err != nil {
		t.Fatal(err)
	}
	const common = `SELECT o.name || '(' || group_concat(c.name, ', ') || ')', group_concat(c.name, ', ') || ' FROM newest.' || o.name
		FROM main.sqlite_schema o JOIN newest.sqlite_schema n ON n.name = o.name JOIN pragma_table_info(o.name, 'main') c
		WHERE o.type = 'table' AND o.name NOT LIKE 'sqlite_%' AND o.name <> 'goose_db_version'
		AND EXISTS (SELECT 1 FROM pragma_table_info(o.name, 'newest') d WHERE d.name = c.name) GROUP BY o.name`
	rows, err := database.Query(common)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var into, what string
		if err := rows.Scan(&into, &what); err != nil {
			t.Fatal(err)
		}
		statements = append(statements, "INSERT OR REPLACE INTO main."+into+" SELECT "+what)
	}
	if err := rows.Err(); err != nil || len(statements) == 0 {
		t.Fatalf("%d tables, %v", len(statements), err)
	}
	return statements
}

// exec runs statements one after the other on one connection to a file.
func (i *installation) exec(path string, statements ...string) *sql.DB {
	i.t.Helper()
	database, err := sql.Open("sqlite3", path+"?_journal_mode=WAL&_foreign_keys=off")
	if err != nil {
		i.t.Fatal(err)
	}
	i.t.Cleanup(func() { database.Close() })
	database.SetMaxOpenConns(1)
	for _, statement := range statements {
		if _, err := database.Exec(statement); err != nil {
			i.t.Fatalf("%s: %v", statement, err)
		}
	}
	return database
}
