package sqlite

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Tables that a rollback restores, with the column that says which phone a row is about.
var restoredTables = map[string]string{"phones": "device", "operations": "device", "certificates": "device", "wrong_strings": "device",
	"anchors": "'anchors'", "parameters": "'parameters'"}

// notRestored are columns that go on: the count of changes, and the session that a run has cut off.
var notRestored = []string{"changes", "serving"}

// dump gives all rows of those tables with all their columns, as SQL writes values, by the phones that they are about.
func dump(t testing.TB, s *Store) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, table := range []string{"phones", "operations", "certificates", "wrong_strings", "anchors", "parameters"} {
		about := restoredTables[table]
		query := fmt.Sprintf(`SELECT %s, %s FROM %s ORDER BY 1, 2`, about, quotedColumns(t, s, table), table)
		rows, err := s.readPool.Query(query)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var whose, row string
			if err := rows.Scan(&whose, &row); err != nil {
				t.Fatal(err)
			}
			out[whose] += table + " " + row + "\n"
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// quotedColumns gives an expression with every column of a table by its name.
func quotedColumns(t testing.TB, s *Store, table string) string {
	t.Helper()
	rows, err := s.readPool.Query(`SELECT name FROM pragma_table_info(?1)`, table)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var columns []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(notRestored, name) {
			columns = append(columns, fmt.Sprintf("'%s=' || quote(%s)", name, name))
		}
	}
	if len(columns) == 0 {
		t.Fatalf("table %s has no columns", table)
	}
	return strings.Join(columns, " || ' ' || ")
}

// sameDump compares two dumps but for the phones named.
func sameDump(t testing.TB, what string, got, want map[string]string, but ...string) {
	t.Helper()
	for whose := range merged(got, want) {
		if !slices.Contains(but, whose) && got[whose] != want[whose] {
			t.Errorf("%s: of %s there is\n%snot\n%s", what, whose, got[whose], want[whose])
		}
	}
}

func merged(maps ...map[string]string) map[string]bool {
	out := map[string]bool{}
	for _, one := range maps {
		for key := range one {
			out[key] = true
		}
	}
	return out
}

// checkSound looks for what a rollback, which works without foreign keys, could have left behind.
func checkSound(t testing.TB, s *Store) {
	t.Helper()
	for _, pragma := range []string{"foreign_key_check", "integrity_check"} {
		rows, err := s.readPool.Query("PRAGMA " + pragma)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var first string
			rest := make([]any, 3)
			into := []any{&first, &rest[0], &rest[1], &rest[2]}
			columns, _ := rows.Columns()
			if err := rows.Scan(into[:len(columns)]...); err != nil {
				t.Fatal(err)
			}
			if first != "ok" {
				t.Errorf("%s: %s %v", pragma, first, rest)
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	var left int
	if err := s.readPool.QueryRow(`SELECT (SELECT count(*) FROM phones_before b JOIN migration_runs r ON r.id = b.run WHERE r.rolled_back_at IS NOT NULL)
		+ (SELECT count(*) FROM certificate_issuers WHERE certificate NOT IN (SELECT id FROM certificates))`).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d rows are left behind, %v", left, err)
	}
}
