package main

import (
	"bytes"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"capf/runtime/capf"
)

// found is what one run has stored of one file.
type found struct {
	text         []byte // records and lines kept aside, in the order of the file
	rows         []string
	certificates []string // their DER, in hex
	withheld     []string // SHA-256 of what is not kept
}

// storedOf gives what the store has of a run, by machine and file.
func storedOf(t *testing.T, database *sql.DB, run int64) map[string]*found {
	t.Helper()
	out := map[string]*found{}
	query := `SELECT machine, file, line, id, 0 AS kind, hex(raw), digest FROM import_records WHERE run = ?1
		UNION ALL SELECT machine, file, line, id, iif(bytes IS NULL, 2, 1), hex(bytes), sha256 FROM kept_lines WHERE run = ?1
		UNION ALL SELECT machine, file, line, id, 3, hex(der), sha256 FROM legacy_files WHERE run = ?1 ORDER BY 1, 2, 3, 4`
	rows, err := database.Query(query, run)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var machine, file, text, digest string
		var line, id, kind int
		if err := rows.Scan(&machine, &file, &line, &id, &kind, &text, &digest); err != nil {
			t.Fatal(err)
		}
		name := machine + " " + file
		if out[name] == nil {
			out[name] = &found{}
		}
		out[name].add(t, kind, text, digest)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func (f *found) add(t *testing.T, kind int, text, digest string) {
	t.Helper()
	raw, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	switch kind {
	case 2:
		f.withheld = append(f.withheld, digest)
		return
	case 3:
		f.certificates = append(f.certificates, text)
	default:
		f.text, f.rows = append(f.text, raw...), append(f.rows, string(raw))
	}
	if capf.HexSHA256(raw) != digest {
		t.Errorf("%q is stored with the digest %s", raw, digest)
	}
}

// checkUnion sees that what is stored and what is kept aside are together exactly what was there, but for private keys
// and what is no certificate in a certificate file, of which the place and the digest are.
func (m *treeMachine) checkUnion(t *testing.T, all map[string]*found, parameters []string) {
	t.Helper()
	for _, file := range m.files {
		got := all[m.spec.Name+" "+file.path]
		delete(all, m.spec.Name+" "+file.path)
		if got == nil {
			got = &found{}
		}
		if file.rows != nil {
			file.checkRows(t, got)
			continue
		}
		want := &found{}
		for _, one := range file.pieces {
			switch one.fate {
			case setting:
				if bytes.Contains(got.text, one.raw) {
					want.text = append(want.text, one.raw...)
				} else if !slices.Contains(parameters, string(one.beside)) {
					t.Errorf("%s: %s is neither a parameter nor kept aside: %q", file.path, one.beside, parameters)
				}
			case taken:
				want.text = append(want.text, one.raw...)
			case withheld:
				want.withheld = append(want.withheld, capf.HexSHA256(one.raw))
			case stored:
				want.certificates = append(want.certificates, strings.ToUpper(hex.EncodeToString(one.der)))
			}
		}
		if !bytes.Equal(got.text, want.text) {
			t.Errorf("%s %s: records and lines kept aside are\n%q\nnot\n%q", m.spec.Name, file.path, got.text, want.text)
		}
		if !slices.Equal(got.certificates, want.certificates) || !slices.Equal(got.withheld, want.withheld) {
			t.Errorf("%s %s: certificates %d and keys %q, not %d and %q of\n%q", m.spec.Name, file.path, len(got.certificates), got.withheld,
				len(want.certificates), want.withheld, file.content())
		}
	}
}

// checkRows holds the rows of a database against what was written into it, value by value.
func (f *treeFile) checkRows(t *testing.T, got *found) {
	t.Helper()
	if len(got.rows) != len(f.rows) {
		t.Fatalf("%s: %d rows are stored, not %d", f.path, len(got.rows), len(f.rows))
	}
	var keys, certificates int
	for i, row := range f.rows {
		var stored map[string]any
		if err := json.Unmarshal([]byte(got.rows[i]), &stored); err != nil {
			t.Fatal(err)
		}
		for column, value := range row {
			want := any(value)
			switch {
			case strings.Contains(value, "PRIVATE KEY"):
				keys++
				want = map[string]any{"private-key-sha256": capf.HexSHA256([]byte(value))}
			case value == "\xff\xfe":
				want = map[string]any{"text": "fffe"}
			case strings.Contains(value, "BEGIN CERTIFICATE"):
				certificates++
			}
			if fmt.Sprint(stored[column]) != fmt.Sprint(want) {
				t.Errorf("%s: row %d has %q in column %s, not %q", f.path, i+1, stored[column], column, want)
			}
		}
		if len(stored) != len(row) {
			t.Errorf("%s: row %d is stored as %s", f.path, i+1, got.rows[i])
		}
	}
	if len(got.withheld) != keys || len(got.certificates) != certificates {
		t.Errorf("%s: %d keys and %d certificates, not %d and %d", f.path, len(got.withheld), len(got.certificates), keys, certificates)
	}
}
