package sqlite

import (
	"path/filepath"
	"strings"
	"testing"

	"capf/runtime/capf"
)

// queryPlan gives SQLite's plan for a query, a step a line.
func queryPlan(t *testing.T, s *Store, query string, arguments ...any) string {
	t.Helper()
	rows, err := s.readPool.Query("EXPLAIN QUERY PLAN "+query, arguments...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var steps []string
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, step)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(steps, "\n")
}

// TestQueriesGoByAnIndex looks at the queries that run for every session and every page: none may read a
// whole table or sort it.
func TestQueriesGoByAnIndex(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "capf.db"), nil)
	install, pending := capf.OperationInstall, capf.StatusPending
	page, pageArguments := phonePage(capf.PhoneFilter{Device: "SEP0011*", Operation: &install, Status: &pending})
	whole, wholeArguments := phonePage(capf.PhoneFilter{Device: "SEP001122334455"})
	all, _ := phonePage(capf.PhoneFilter{})
	for name, test := range map[string]struct {
		query     string
		arguments []any
		want      string
	}{
		"phone":             {selectPhone, []any{"x"}, "SEARCH p USING PRIMARY KEY (device=?)"},
		"page of phones":    {all, []any{""}, "SEARCH p USING PRIMARY KEY (device>?)"},
		"page of a prefix":  {page, append([]any{""}, pageArguments...), "SEARCH p USING PRIMARY KEY (device>? AND device<?)"},
		"page of one":       {whole, append([]any{""}, wholeArguments...), "SEARCH p USING PRIMARY KEY (device=?)"},
		"key owner":         {selectKeyOwner, []any{"x"}, "certificates_key (key_sha256=?)"},
		"what is withdrawn": {selectWithdrawn, []any{"x", "x", "lsc", "x", "x"}, "anchors_once (kind=? AND sha256=?)"},
		"certificates":      {pageOfAll, []any{0, 1}, "INTEGER PRIMARY KEY (rowid>?)"},
		"late operations":   {selectLate, []any{1, 1, "x"}, "operations_deadline (completes_by<?)"},
		"late ones counted": {countLate, []any{1}, "COVERING INDEX operations_deadline (completes_by<?)"},
	} {
		plan := queryPlan(t, s, test.query, test.arguments...)
		if !strings.Contains(plan, test.want) {
			t.Errorf("%s: the plan lacks %q:\n%s", name, test.want, plan)
		}
		for _, bad := range []string{"SCAN p", "SCAN o", "SCAN c", "SCAN a", "SCAN operations", "SCAN certificates", "SCAN anchors", "TEMP B-TREE"} {
			if strings.Contains(plan, bad) {
				t.Errorf("%s: the plan has %q:\n%s", name, bad, plan)
			}
		}
	}
	if bounds := strings.Count(page, "p.device >"); bounds != 1 {
		t.Errorf("%d lower bounds of the name: SQLite takes the first for the index, and reads what lies between:\n%s", bounds, page)
	}
	if open := queryPlan(t, s, countOpen); !strings.Contains(open, "COVERING INDEX operations_") {
		t.Errorf("open operations are counted by reading them:\n%s", open)
	}
	device := queryPlan(t, s, pageOfDevice, 0, 1, "x")
	if !strings.Contains(device, "device=?") {
		t.Errorf("certificates of a device:\n%s", device)
	}
}

// TestConnections checks what the DSN asks for on every connection.
func TestConnections(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "capf.db"), nil)
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "temp_store": "2", "secure_delete": "1", "query_only": "1", "busy_timeout": "7000"} {
		var got string
		if err := s.readPool.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
			t.Errorf("reader: %s is %q, %v; want %q", pragma, got, err, want)
		}
		if pragma == "query_only" {
			want = "0"
		}
		if err := s.bulkPool.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
			t.Errorf("writer: %s is %q, %v; want %q", pragma, got, err, want)
		}
	}
	if _, err := s.readPool.Exec(`DELETE FROM health`); err == nil {
		t.Error("a reader can write")
	}
}

func TestTablesAreStrict(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "capf.db"), nil)
	var loose int
	err := s.readPool.QueryRow(`SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND strict = 0
		AND name NOT LIKE 'sqlite_%' AND name <> 'goose_db_version'`).Scan(&loose)
	if err != nil || loose != 0 {
		t.Errorf("%d tables are not strict, %v", loose, err)
	}
}

// TestRunsGoByAnIndex looks at what is written of all phones of a run under the lock: no table is gone through for each of
// them.
func TestRunsGoByAnIndex(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "capf.db"), nil)
	for query, want := range map[string][]string{
		phonesBefore:       {"SEARCH p USING PRIMARY KEY (device=?)", "operations_pending (device=?)"},
		wrongStringsBefore: {"SEARCH b USING PRIMARY KEY (run=? AND device=?)"},
		endOfRun:           {"SEARCH operations USING INTEGER PRIMARY KEY (rowid=?)", "SEARCH s USING PRIMARY KEY (device=?)"},
		phonesOfRun:        {"SCAN s", "operations_device (device=?)", "attempts_device (device=?)"},
		attemptsOfRun:      {"attempts_unknown", "SEARCH s USING PRIMARY KEY (device=?)"},
		selectChanged:      {"SCAN s", "SEARCH p USING PRIMARY KEY (device=?)"},
		clearBefore:        {"SEARCH phones_before USING PRIMARY KEY (run=? AND device=?)"},
	} {
		plan := queryPlan(t, s, query, 1, 2, "by", "z")
		for _, step := range want {
			if !strings.Contains(plan, step) {
				t.Errorf("%s: the plan lacks %q:\n%s", query, step, plan)
			}
		}
		if strings.Contains(plan, "AUTOMATIC") || strings.Contains(plan, "SCAN operations") || strings.Contains(plan, "SCAN phones") {
			t.Errorf("%s: the plan goes through a table for each row:\n%s", query, plan)
		}
	}
}

// TestKnownRecordsGoByTheirIDs: no page is sorted, however many records there are behind it.
func TestKnownRecordsGoByTheirIDs(t *testing.T) {
	plan := queryPlan(t, open(t), selectKnownRecords, 0, pageSize)
	if !strings.Contains(plan, "SEARCH i USING INTEGER PRIMARY KEY (rowid>?)") || strings.Contains(plan, "TEMP B-TREE") {
		t.Errorf("the plan:\n%s", plan)
	}
}
