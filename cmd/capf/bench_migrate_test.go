package main

import (
	"bytes"
	"database/sql"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// What a migration may take at most.
const (
	mostOfRun    = 15  // seconds, a verification too
	mostOfMemory = 250 // MiB
	mostOfAgain  = 0.1 // of a run
)

// BenchmarkMigrate200k migrates 200,000 phones from one CAPF.phone, with 1,000 certificates. Its records lie in no order,
// as they do where phones were added one by one, and then in that of the devices. The benchmark reports the medians of
// several rounds:
//
//	import-s        the sqlite3 shell, importing the same rows in the same order into one table with the columns and
//	                indexes of the phones, with WAL and full synchronisation
//	run-s           `migrate run` into a new store
//	ratio           run-s in import-s
//	run-MiB         resident memory of the run at most
//	verify-s        `migrate verify`
//	verify-MiB      its resident memory
//	again-s         the same run once more, with nothing to do
//
// and of one more run, with the service's work going on beside it,
//
//	locked-ms       the longest time for which the write lock of the store could not be had
//	answered-ms     the longest time that a session waited for what it wrote
//	read-ms         the longest time that a session waited for a phone
func BenchmarkMigrate200k(b *testing.B) {
	phones, certificates, rounds := 200_000, 1000, 3
	if testing.Short() {
		phones, certificates, rounds = 20_000, 100, 1
	}
	for _, inOrder := range []bool{false, true} {
		name := "unordered"
		if inOrder {
			name = "ordered"
		}
		b.Run(name, func(b *testing.B) {
			m := &measuredMigration{source: "pub=" + oldFiles(b, phones, certificates, inOrder), phones: phones, inOrder: inOrder}
			for b.Loop() {
				for range rounds {
					m.round(b)
				}
				m.beside(b)
			}
			m.report(b)
		})
	}
}

// measuredMigration gathers what rounds take.
type measuredMigration struct {
	source                       string
	phones                       int
	inOrder                      bool
	imports, runs, verifies      []time.Duration
	agains                       []time.Duration
	runPeak, verifyPeak          int // bytes
	locked, answered, readsAfter time.Duration
}

func (m *measuredMigration) round(b *testing.B) {
	b.Helper()
	program, err := buildProgram()
	if err != nil {
		b.Fatal(err)
	}
	i := &installation{t: b, program: program, data: filepath.Join(b.TempDir(), "data")}
	took, peak := i.measured("migrate", "run", m.source)
	m.runs, m.runPeak = append(m.runs, took), max(m.runPeak, peak)
	took, peak = i.measured("migrate", "verify")
	m.verifies, m.verifyPeak = append(m.verifies, took), max(m.verifyPeak, peak)
	took, _ = i.measured("migrate", "run", m.source)
	m.agains = append(m.agains, took)
	m.imports = append(m.imports, i.importPhones(b, m.phones))
}

// measured runs a command, and gives how long it took and how much memory was resident at most. The figure of wait4(2) is of
// no use: a process inherits that of who starts it, and a benchmark may have more than the command.
func (i *installation) measured(arguments ...string) (took time.Duration, peak int) {
	i.t.Helper()
	command := i.command(arguments...)
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	begin := time.Now()
	if err := command.Start(); err != nil {
		i.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	looks := time.NewTicker(20 * time.Millisecond)
	defer looks.Stop()
	for {
		select {
		case <-looks.C:
			peak = max(peak, memoryOf(command.Process.Pid, "VmHWM:"))
		case err := <-ended:
			if err != nil {
				i.t.Fatalf("capf %s: %v\n%s", strings.Join(arguments, " "), err, output.String())
			}
			return time.Since(begin), peak
		}
	}
}

// importPhones has the sqlite3 shell import the phones of the store, in the order of their records.
func (i *installation) importPhones(b *testing.B, phones int) time.Duration {
	b.Helper()
	shell := foreign(b, "sqlite3", "apt-get install sqlite3")
	folder := b.TempDir()
	schema := i.exportPhones(b, filepath.Join(folder, "phones.csv"), phones)
	script := "PRAGMA journal_mode = WAL;\nPRAGMA synchronous = FULL;\n" + schema + ".import --csv " + filepath.Join(folder, "phones.csv") + " phones\n"
	command := exec.Command(shell, filepath.Join(folder, "phones.db"))
	command.Stdin = strings.NewReader(script)
	begin := time.Now()
	output, err := command.CombinedOutput()
	took := time.Since(begin)
	if err != nil || strings.Contains(string(output), "rror") {
		b.Fatalf("sqlite3: %v\n%s", err, output)
	}
	database, err := sql.Open("sqlite3", filepath.Join(folder, "phones.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer database.Close()
	if rows := rowsOf(b, database, `SELECT count(*) FROM phones`); rows[0] != fmt.Sprintf("[{%d true}]", phones) {
		b.Fatalf("%v rows were imported", rows)
	}
	return took
}

// exportPhones writes the phones as CSV and gives the statements that make a table for them. It has the columns and
// indexes of the phones, but none of their conditions: the shell imports texts, and cannot import NULL.
func (i *installation) exportPhones(b *testing.B, path string, phones int) (schema string) {
	b.Helper()
	database := i.database(b)
	columns := textsOf(b, database, `SELECT name || ' ' || type || iif("notnull", ' NOT NULL', '') || iif(pk, ' PRIMARY KEY', '') FROM pragma_table_info('phones')`)
	indexes := textsOf(b, database, `SELECT sql || ';' FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'phones' AND sql IS NOT NULL`)
	schema = "CREATE TABLE phones (" + strings.Join(columns, ", ") + ") WITHOUT ROWID;\n" + strings.Join(append(indexes, ""), "\n")
	rows, err := database.Query(`SELECT p.* FROM phones p JOIN import_records i ON i.id = p.imported ORDER BY i.id`)
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Close()
	if written := writeCSV(b, path, rows, len(columns)); written != phones {
		b.Fatalf("%d phones are in the store", written)
	}
	return schema
}

// textsOf gives the one column of a query.
func textsOf(b *testing.B, database *sql.DB, query string) (all []string) {
	b.Helper()
	rows, err := database.Query(query)
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			b.Fatal(err)
		}
		all = append(all, text)
	}
	if err := rows.Err(); err != nil {
		b.Fatal(err)
	}
	return all
}

// writeCSV writes rows one by one: a process counts the memory of the one that started it as its own.
func writeCSV(b *testing.B, path string, rows *sql.Rows, columns int) (written int) {
	b.Helper()
	file, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	out := csv.NewWriter(file)
	values, into, texts := make([]sql.NullString, columns), make([]any, columns), make([]string, columns)
	for n := range values {
		into[n] = &values[n]
	}
	for ; rows.Next(); written++ {
		if err := rows.Scan(into...); err != nil {
			b.Fatal(err)
		}
		for n := range values {
			texts[n] = values[n].String
		}
		if err := out.Write(texts); err != nil {
			b.Fatal(err)
		}
	}
	out.Flush()
	if err := errors.Join(rows.Err(), out.Error()); err != nil {
		b.Fatal(err)
	}
	return written
}

func median(times []time.Duration) float64 {
	times = slices.Clone(times)
	slices.Sort(times)
	return times[len(times)/2].Seconds()
}

func (m *measuredMigration) report(b *testing.B) {
	b.Helper()
	imported, run, verify, again := median(m.imports), median(m.runs), median(m.verifies), median(m.agains)
	for name, value := range map[string]float64{
		"ns/op": 0, "import-s": imported, "run-s": run, "ratio": run / imported, "verify-s": verify, "again-s": again,
		"run-MiB": mebibytes(m.runPeak), "verify-MiB": mebibytes(m.verifyPeak),
		"locked-ms": m.locked.Seconds() * 1000, "answered-ms": m.answered.Seconds() * 1000, "read-ms": m.readsAfter.Seconds() * 1000,
	} {
		b.ReportMetric(value, name)
	}
	if testing.Short() {
		return // too few phones for figures that hold
	}
	for what, bad := range map[string]bool{
		fmt.Sprintf("a run takes %.1f s, not at most %d", run, mostOfRun):                                          run > mostOfRun,
		fmt.Sprintf("a run has %.0f MiB resident, not at most %d", mebibytes(m.runPeak), mostOfMemory):             mebibytes(m.runPeak) > mostOfMemory,
		fmt.Sprintf("a verification has %.0f MiB resident, not at most %d", mebibytes(m.verifyPeak), mostOfMemory): mebibytes(m.verifyPeak) > mostOfMemory,
		fmt.Sprintf("a verification takes %.1f s, not at most %d", verify, mostOfRun):                              verify > mostOfRun,
		fmt.Sprintf("the same again takes %.2f s, more than a tenth of the run", again):                            again > mostOfAgain*run,
	} {
		if bad {
			b.Error(what)
		}
	}
	if b.Failed() { // then the figures are not shown
		b.Logf("import %.2f s, run %.2f s, %.0f MiB, verify %.2f s, %.0f MiB, again %.2f s, locked %v, answered %v, read %v", imported, run,
			mebibytes(m.runPeak), verify, mebibytes(m.verifyPeak), again, m.locked, m.answered, m.readsAfter)
	}
}
