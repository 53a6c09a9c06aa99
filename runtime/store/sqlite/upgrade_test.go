package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// olderRows fills the tables of each schema, by the migration that made them, with columns that were there then.
var olderRows = map[int64][]string{
	1: {`INSERT INTO parameters (name, value, changed_at, changed_by) VALUES ('key-size', '2048', 7, 'older')`,
		`INSERT INTO audit (at, actor, action, subject, detail) VALUES (7, 'older', 'parameter set', 'key-size', 'x')`},
	2: {`INSERT INTO migration_runs (key, dialect, prefer, started_at, applied_at, by, counts) VALUES ('k', '', '', 7, 8, 'older', '{"records":1}')`,
		`INSERT INTO migration_runs (key, dialect, prefer, started_at, applied_at, by, counts) VALUES ('staged', '', '', 7, NULL, 'older', '{}')`,
		`INSERT INTO migration_sources (run, position, machine, path, digest, dialect) VALUES (1, 0, 'pub', '/old', 'd', 'delimited')`,
		`INSERT INTO import_records (run, device, machine, file, line, digest, raw, time, verdict) VALUES (1, 'SEP000000000001', 'pub', 'f', 1, 'd', x'00ff', '', 'new')`,
		`INSERT INTO kept_lines (run, machine, file, line, bytes, sha256, reason) VALUES (1, 'pub', 'f', 2, x'1a', 's', 'torn')`,
		`INSERT INTO legacy_files (run, machine, file, line, sha256, subject, der, use, why) VALUES (1, 'pub', 'c.0', 1, 's', 'CN=x', x'30', 'stored', 'w')`},
	3: {`INSERT INTO operations (revision, device, operation, auth_mode, key_size, completes_by, created_at, created_by, ended_at, ended_by, ending, result, detail, serving)
			VALUES (2, 'SEP000000000001', 'install', 'authentication-string', '1024', 1900000000, 7, 'older', NULL, '', '', NULL, '', '')`,
		`INSERT INTO certificates (device, kind, state, source, serial, subject, issuer, not_before, not_after, der, sha256, key_sha256, operation, recorded_at, confirmed_at, revoked_at, revoke_reason)
			VALUES ('SEP000000000001', 'lsc', 'confirmed', 'issued', '01', 'CN=s', 'CN=i', 1, 2, x'30', 'c', 'k', 1, 7, 8, NULL, '')`,
		`INSERT INTO anchors (kind, subject, serial, not_before, not_after, der, sha256, key_sha256, origin, added_at) VALUES ('lsc', 'CN=i', '02', 1, 2, x'30', 'a', 'k2', 'older', 7)`,
		`INSERT INTO phones (device, description, auth_mode, auth_string, key_size, security_mode, last_operation, lsc, lsc_known, mic, last_session, last_address, last_tls, result, result_mark, changes, changed_at, imported)
			VALUES ('SEP000000000001', 'older', 'authentication-string', '0042', '1024', 'non-secure', 1, 1, 'installed', 'present', 7, 'a', '1.0', 0, 0, 5, NULL, 1)`,
		`INSERT INTO attempts (device, known, address, at, result, detail) VALUES ('SEP000000000001', 1, 'a', 9, 3, 'x')`},
	4: {`INSERT INTO nodes (name, role, address, dns_name, publisher, certificate, target, certificates_dir, tftp_dir, added_at) VALUES ('pub', 'ccm', '192.0.2.1', '', 1, x'30', 'file:///x', 'c', 't', 7)`,
		`INSERT INTO tokens (name, location, certificate, added_at) VALUES ('t', '/t.pem', x'30', 7)`,
		`INSERT INTO ctl_versions (origin, mode, digest, signer, signed_at, added_at, sha256, file) VALUES ('built', 'mixed', 'sha1', 't', 7, 7, 's', x'01')`,
		`INSERT INTO deliveries (node, version, outcome, detail, at) VALUES ('pub', 1, 'done', '', 7)`},
	5: {`INSERT INTO certificate_issuers (issuer, certificate) VALUES ('a', 1)`,
		`INSERT INTO issuer_progress (issuer, certificate) VALUES ('a', 1)`,
		`INSERT INTO crls (issuer, number, read_at, revoked) VALUES ('a', 3, 7, 0)`},
	6: {`INSERT INTO traces (subject, level, changed_at, changed_by) VALUES ('all', 'debug', 7, 'older')`},
	7: {`INSERT INTO held_calls (device, operation, address, at, opens_at) VALUES ('SEP000000000001', 1, 'a', 7, 8)`,
		`INSERT INTO resets (device, at, by, problem) VALUES ('SEP000000000001', 7, 'older', '')`},
	8:  {`INSERT INTO wrong_strings (device, operation, address, count, last_at) VALUES ('SEP000000000001', 1, 'a', 4, 7)`},
	10: {`INSERT INTO idle_calls (device, address, tls, at) VALUES ('SEP000000000001', 'a', '1.0', 7)`},
	19: {`INSERT INTO restarts (node, version, since, done_at, done_by) VALUES ('pub', 1, 7, NULL, '')`},
}

// older makes a store of a schema, with rows in every table that it has.
func older(t *testing.T, path string, version int64) {
	t.Helper()
	atVersion(t, path, version)
	for _, migration := range slices.Sorted(maps.Keys(olderRows)) {
		if migration <= version {
			execute(t, path, olderRows[migration]...)
		}
	}
}

// tableRows gives all rows of a file by their tables, with those columns that `of` has; nil: all.
func tableRows(t *testing.T, path string, of map[string][]string) (rows map[string][]string, columns map[string][]string) {
	t.Helper()
	pool, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if columns = of; columns == nil {
		columns = map[string][]string{}
		// What was staged and not applied is staged again after an upgrade.
		found := texts(t, pool, `SELECT t.name || ' ' || c.name FROM sqlite_schema t JOIN pragma_table_info(t.name) c
			WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' 
				AND t.name NOT IN ('goose_db_version', 'staged_phones', 'staged_operations', 'staged_endings')
				AND NOT (t.name = 'operations' AND c.name = 'run')
				AND NOT (t.name = 'migration_runs' AND c.name IN ('basis', 'reserved_from', 'reserved_to'))`)
		for _, one := range found {
			table, column, _ := strings.Cut(one, " ")
			columns[table] = append(columns[table], "quote("+column+")")
		}
	}
	rows = map[string][]string{}
	for table, of := range columns {
		rows[table] = texts(t, pool, fmt.Sprintf(`SELECT %s FROM %s ORDER BY 1`, strings.Join(of, " || ' ' || "), table))
	}
	return rows, columns
}

func texts(t *testing.T, pool *sql.DB, query string) (all []string) {
	t.Helper()
	rows, err := pool.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var one string
		if err := rows.Scan(&one); err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestUpgradeFromEverySchema: all data stay, and the copy has the store as it was, to which one can go back.
func TestUpgradeFromEverySchema(t *testing.T) {
	known, err := knownVersion()
	if err != nil {
		t.Fatal(err)
	}
	for version := int64(1); version < known; version++ {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "capf.db")
			older(t, path, version)
			before, columns := tableRows(t, path, nil)
			for _, table := range []string{"parameters", "audit"} {
				if len(before[table]) == 0 {
					t.Fatalf("nothing is in the table %s to begin with", table)
				}
			}
			copied := upgraded(t, path, version)
			after, _ := tableRows(t, path, columns)
			sameRows(t, "after the upgrade", after, before)
			kept, _ := tableRows(t, copied, columns)
			sameRows(t, "in the copy", kept, before)
			noFiles(t, copied+"-wal", copied+"-shm", copied+".part")

			// The way back, as the README has it; then forward again.
			for _, name := range []string{path, path + "-wal", path + "-shm"} {
				if err := removeFile(name); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Rename(copied, path); err != nil {
				t.Fatal(err)
			}
			_, err := Open(t.Context(), Options{Path: path})
			wantCode(t, err, capf.CodeRefused, fmt.Sprintf("schema %d", version))
			back, _ := tableRows(t, path, columns)
			sameRows(t, "after going back", back, before)
			upgraded(t, path, version)
		})
	}
}

// upgraded opens a store so that it is upgraded, and gives the copy.
func upgraded(t *testing.T, path string, version int64) string {
	t.Helper()
	s, err := Open(t.Context(), Options{Path: path, Upgrade: true})
	if err != nil {
		t.Fatal(err)
	}
	done := s.Upgraded()
	if version >= 3 {
		checkOlderPhone(t, s)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if known, _ := knownVersion(); done == nil || done.From != version || done.To != known {
		t.Fatalf("upgraded is %+v", done)
	}
	info, err := os.Stat(done.Copy)
	if err != nil || info.Mode() != 0o600 {
		t.Fatalf("the copy has mode %v, %v", info, err)
	}
	return done.Copy
}

// checkOlderPhone reads the phone of olderRows, and asks to take its run back, for which nothing was kept.
func checkOlderPhone(t *testing.T, s *Store) {
	t.Helper()
	phone, err := s.Phone(t.Context(), deviceName(1))
	if err != nil || phone.AuthString.Reveal() != "0042" || phone.LSC == nil || phone.Last == nil || phone.LSCHash != capf.HashSHA256 {
		t.Errorf("the phone is %+v, %v", phone, err)
	}
	_, err = s.RollBackRun(t.Context(), 1, "undoer")
	wantCode(t, err, capf.CodeRefused, "earlier capf")
}

func sameRows(t *testing.T, what string, got, want map[string][]string) {
	t.Helper()
	for table := range want {
		if !slices.Equal(got[table], want[table]) {
			t.Errorf("%s: %s has %q, not %q", what, table, got[table], want[table])
		}
	}
}

func noFiles(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is there: %v", name, err)
		}
	}
}

// TestUpgradeFindsTheListInTheField: a store of before schema 15 knows of each trust list what became of its deliveries,
// and from these when the first node got it.
func TestUpgradeFindsTheListInTheField(t *testing.T) {
	path := filepath.Join(t.TempDir(), "capf.db")
	atVersion(t, path, 14)
	for version, deliveries := range [][]string{
		{"'done', 9", "'unchanged', 7", "'failed', 5"},
		{"'failed', 11"},
		{"'partly', 12", "'done', 13"},
		{"'refused', 14"},
		nil,
	} {
		version++
		execute(t, path, fmt.Sprintf(`INSERT INTO ctl_versions (version, origin, mode, digest, signer, signed_at, added_at, sha256, file)
			VALUES (%d, 'built', 'mixed', 'sha1', 't', 1, 1, 's%d', x'01')`, version, version))
		for i, one := range deliveries {
			execute(t, path, fmt.Sprintf(`INSERT INTO nodes (name, role, address, dns_name, publisher, certificate, target, certificates_dir, tftp_dir, added_at)
				VALUES ('n%d-%d', 'ccm', '192.0.2.%d%d', '', 0, x'30', 'file:///x', 'c', 't', 7)`, version, i, version, i),
				fmt.Sprintf(`INSERT INTO deliveries (node, version, detail, outcome, at) VALUES ('n%d-%d', %d, '', %s)`, version, i, version, one))
		}
	}
	s, err := Open(t.Context(), Options{Path: path, Upgrade: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	field, err := s.FieldCTL(t.Context())
	if err != nil || field.Version != 3 {
		t.Errorf("in the field is version %d, %v", field.Version, err)
	}
	got, _ := tableRows(t, path, map[string][]string{"ctl_versions": {"version", "coalesce(distributed_at, 'never')"}})
	if want := []string{"1 7", "2 never", "3 12", "4 never", "5 never"}; !slices.Equal(got["ctl_versions"], want) {
		t.Errorf("distributed are %q, not %q", got["ctl_versions"], want)
	}
}

// TestUpgradeKeepsTheNewestCopy: what was written since an earlier copy would be lost with that alone.
func TestUpgradeKeepsTheNewestCopy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "capf.db")
	older(t, path, 9)
	copied := path + ".schema-9"
	if err := os.WriteFile(copied, []byte("an earlier one"), 0o600); err != nil {
		t.Fatal(err)
	}
	upgraded(t, path, 9)
	content, err := os.ReadFile(copied + ".old")
	if err != nil || string(content) != "an earlier one" {
		t.Errorf("the earlier copy is %q, %v", content, err)
	}
	if rows, _ := tableRows(t, copied, map[string][]string{"phones": {"device"}}); len(rows["phones"]) != 1 {
		t.Errorf("the newer copy has %q", rows)
	}
}

// TestUpgradeBesideAServiceIsRefused: it was started by the older program.
func TestUpgradeBesideAServiceIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "capf.db")
	older(t, path, 9)
	lock, err := store.TakeServeLock(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), Options{Path: path, Upgrade: true})
	wantCode(t, err, capf.CodeBusy, "stop it")
	noFiles(t, path+".schema-9")
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	upgraded(t, path, 9)
}

// upgradeStore makes the test binary upgrade a store, under the limits of its parent.
const upgradeStore = "CAPF_TEST_UPGRADE_STORE"

func upgradeOnce(path string) error {
	signal.Ignore(syscall.SIGXFSZ)
	s, err := Open(context.Background(), Options{Path: path, Upgrade: true})
	if err != nil {
		return err
	}
	return s.Close()
}

// TestUpgradeWithoutRoom has the copy not fit: nothing is changed then, and nothing left.
func TestUpgradeWithoutRoom(t *testing.T) {
	path := filepath.Join(t.TempDir(), "capf.db")
	older(t, path, 9)
	execute(t, path, `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
		INSERT INTO audit (at, actor, action, subject, detail) SELECT i, 'older', 'filler', 'x', hex(randomblob(100)) FROM n`, `PRAGMA wal_checkpoint(TRUNCATE)`)
	before, columns := tableRows(t, path, nil)
	const blocks = 1000 // of 512 bytes: half of the store
	command := exec.Command("sh", "-c", fmt.Sprintf(`ulimit -f %d && exec "$0" -test.run=^$`, blocks), os.Args[0])
	command.Env = append(os.Environ(), upgradeStore+"="+path)
	output, err := command.CombinedOutput()
	if err == nil || !strings.Contains(string(output), "was not upgraded") || !strings.Contains(string(output), "room") {
		t.Fatalf("%v: %s", err, output)
	}
	noFiles(t, path+".schema-9", path+".schema-9.part", path+".schema-9.part-journal")
	_, err = Open(t.Context(), Options{Path: path})
	wantCode(t, err, capf.CodeRefused, "schema 9")
	after, _ := tableRows(t, path, columns)
	sameRows(t, "after the upgrade that failed", after, before)
	upgraded(t, path, 9)
}

// TestUpgradeIsCut: one that fails in the middle says what can be done, goes on later, and knows the copy from before all
// of it. It is not confused by a copy of another upgrade.
func TestUpgradeIsCut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "capf.db")
	older(t, path, 9)
	before, columns := tableRows(t, path, nil)
	execute(t, path, `CREATE TABLE verifications (in_the_way INTEGER)`)
	for range 2 {
		_, err := Open(t.Context(), Options{Path: path, Upgrade: true})
		wantCode(t, err, capf.CodeUnavailable, path, "upgraded in part, between schemas 9 and", path+".schema-9", "capf init")
	}
	_, err := Open(t.Context(), Options{Path: path})
	wantCode(t, err, capf.CodeRefused, "capf init")
	execute(t, path, `DROP TABLE verifications`)
	if copied := upgraded(t, path, 9); copied != path+".schema-9" {
		t.Errorf("the copy is %s", copied)
	}
	noFiles(t, path+".schema-9.old", path+".schema-16")
	after, _ := tableRows(t, path+".schema-9", columns)
	sameRows(t, "the copy", after, before)
	if found, err := inspect(t.Context(), Options{Path: path}); err != nil || found.mark != 0 {
		t.Errorf("after the upgrade: %+v, %v", found, err)
	}
}

// TestMarkOfAnotherUpgrade: the copy of one that was for another schema may be old by now.
func TestMarkOfAnotherUpgrade(t *testing.T) {
	path := filepath.Join(t.TempDir(), "capf.db")
	older(t, path, 9)
	older(t, path+".schema-8", 8)
	execute(t, path, fmt.Sprintf(`PRAGMA user_version = %d`, 8<<markShift|10))
	if copied := upgraded(t, path, 9); copied != path+".schema-9" {
		t.Errorf("the copy is %s", copied)
	}
}

// TestCreationIsCut has the making of a store fail after each step of its schema, as a kill there would leave it: there is no
// store yet, and the next program that makes one finishes it, without a copy of what never was.
func TestCreationIsCut(t *testing.T) {
	known, err := knownVersion()
	if err != nil {
		t.Fatal(err)
	}
	for version := range known {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "capf.db")
			atVersion(t, path, 0)
			execute(t, path, fmt.Sprintf(`CREATE TRIGGER cut BEFORE INSERT ON goose_db_version WHEN new.version_id > %d BEGIN SELECT raise(ABORT, 'cut'); END`, version))
			if _, err := Open(t.Context(), Options{Path: path, Create: true, Upgrade: true}); err == nil {
				t.Fatal("the store was made in spite of the cut")
			}
			if found, err := inspect(t.Context(), Options{Path: path}); err != nil || found.version != version {
				t.Fatalf("what is there has schema %d, %v", found.version, err)
			}
			_, err := Open(t.Context(), Options{Path: path, Upgrade: true})
			wantCode(t, err, capf.CodeNotActivated, "no store at")
			_, err = CheckFile(t.Context(), path)
			wantCode(t, err, capf.CodeNotActivated, "no store at")
			execute(t, path, `DROP TRIGGER cut`)
			s, err := Open(t.Context(), Options{Path: path, Create: true, Upgrade: true})
			if err != nil {
				t.Fatal(err)
			}
			if s.Upgraded() != nil {
				t.Errorf("the store is called upgraded: %+v", s.Upgraded())
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if copies, err := filepath.Glob(path + ".schema-*"); err != nil || len(copies) > 0 {
				t.Errorf("copies are left: %v, %v", copies, err)
			}
			if found, err := inspect(t.Context(), Options{Path: path}); err != nil || found.version != known || found.mark != 0 {
				t.Errorf("the store is %+v, %v", found, err)
			}
		})
	}
}

// TestUpgradeOfStagedRun: what an earlier capf had staged and not applied, in a table beside the phones and among the
// operations, is gone after an upgrade, its strings too, and the next run stages anew.
func TestUpgradeOfStagedRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "capf.db")
	const version, digits, added, changed = 19, "73104711", "SEP00000000000A", "SEP000000000001"
	older(t, path, version)
	operation := `INSERT INTO operations (run, revision, device, operation, auth_mode, key_size, completes_by, created_at, created_by, ended_at, ended_by, ending, result, detail, serving)
		VALUES (2, 0, '%s', 'install', 'authentication-string', '1024', 1900000000, 7, 'older', NULL, '', 'withdrawn', NULL, '', '')`
	execute(t, path, fmt.Sprintf(operation, added), fmt.Sprintf(operation, changed),
		`INSERT INTO staged_operations (id) SELECT id FROM operations WHERE run = 2`,
		`CREATE TABLE phones_next AS SELECT * FROM phones`,
		fmt.Sprintf(`UPDATE phones_next SET device = '%s', auth_string = '%s', last_operation = (SELECT id FROM operations WHERE device = '%[1]s')`, added, digits),
		fmt.Sprintf(`INSERT INTO staged_phones (device, run, record, expected, description, auth_mode, auth_string, key_size, security_mode, result, last_operation, replaces)
			SELECT device, 2, 1, changes, 'x', auth_mode, '%s', key_size, security_mode, NULL, last_operation, 1 FROM phones`, digits),
		`INSERT INTO staged_endings (id, ending) VALUES (1, 'replaced')`,
		`INSERT INTO phones_before (run, device, record, description, auth_mode, auth_string, key_size, security_mode, result_mark)
			SELECT 2, device, 1, description, auth_mode, auth_string, key_size, security_mode, 0 FROM phones`,
		`INSERT INTO import_records (run, device, machine, file, line, digest, raw, time, verdict) VALUES (2, 'SEP00000000000A', 'pub', 'f', 1, 'd', x'00ff', '', 'new')`)
	upgraded(t, path, version)
	s := openAt(t, path, nil)
	if strings.Contains(fileOf(t, s), digits) {
		t.Error("a staged string is in the file after the upgrade")
	}
	if tables := texts(t, s.readPool, `SELECT name FROM sqlite_schema WHERE name = 'phones_next'`); len(tables) > 0 {
		t.Errorf("left are %q", tables)
	}
	for device, want := range map[string]int{added: 0, changed: 1} {
		if history, err := s.Operations(t.Context(), device); err != nil || len(history) != want {
			t.Errorf("%s has %d operations, %v; want %d", device, len(history), err, want)
		}
	}
	records := addedRecords(10, 1)
	if err := s.ApplyRun(t.Context(), stageRun(t, s, "staged", records), capf.MigrationCounts{}); err != nil {
		t.Fatal(err)
	}
	if runs := texts(t, s.readPool, `SELECT key FROM migration_runs ORDER BY id`); !slices.Equal(runs, []string{"k", "staged"}) {
		t.Errorf("the runs are %q", runs)
	}
	checkWhole(t, s)
}
