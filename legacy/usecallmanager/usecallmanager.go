// Package usecallmanager reads the database in which the *usecallmanager* CAPF daemons keep their phones: a SQLite file
// with the table
//
//	devices(device_name, operation, authentication, password, key_size, curve_name, certificate, serial_number,
//	        not_valid_before, not_valid_after)
//
// and its earlier forms: words with a capital and no curve; `curve` without `authentication`, where a password means
// authentication by it; `curve` before it was renamed, with secp256k1 and secp384p1 standing for secp256r1 and
// secp384r1. Their words are none, install, fetch (our troubleshoot) and delete; no password (null string), password
// (authentication string) and certificate (existing certificate, the LSC first: the daemons know no MIC by it).
//
// Opening a database writes beside it, even where it is only read, and without its write-ahead log rows are missed. So
// database and log are copied to a private folder, the copy is opened, and the folder is removed while it is still read:
// nothing of it is left on disk however the process ends.
package usecallmanager

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"capf/legacy"
	"capf/legacy/certfile"
	"capf/legacy/phonefile"
)

// File is a database of which it is known how to read it.
type File struct {
	// Unknown are the columns that have no meaning to us. Their values are in the bytes of the records.
	Unknown []string
	// Certificates are those of the column certificate, each with the row that it stood in as its line.
	Certificates []certfile.Certificate
	// Findings are about the table and the certificates; those about records are among the items.
	Findings legacy.Findings

	database legacy.Input
	logs     []legacy.Input
}

// OtherError says that a database is none of a usecallmanager daemon.
type OtherError struct{ Reason string }

// Error gives the reason.
func (e *OtherError) Error() string { return e.Reason }

// Open reads a database through, with the files that belong to it: its write-ahead log (-wal) or its rollback journal
// (-journal). An *OtherError: it has no table of phones. Whatever single rows hold is no
// error, but a table whose pages are not whole is one: SQLite gives what a torn copy lacks as rows without values.
func Open(database legacy.Input, logs []legacy.Input) (*File, error) {
	out := &File{database: database, logs: logs}
	err := out.scan(func(ctx context.Context, opened *copied, t *table) error {
		for _, c := range t.columns {
			if c.meaning == "" {
				out.Unknown = append(out.Unknown, c.name)
			}
		}
		if err := opened.check(ctx, t); err != nil {
			return err
		}
		return out.missesLog(ctx, opened)
	}, func(t *table, r row) bool {
		out.certificates(t, r)
		return true
	})
	if err != nil {
		return nil, err
	}
	if len(out.Unknown) > 0 {
		out.Findings.Note(out.at(0), "columns without a meaning to us, kept with their records: "+strings.Join(out.Unknown, ", "))
	}
	return out, nil
}

// at is the place of a row; 0 stands for all.
func (f *File) at(row int) legacy.Position { return legacy.Position{File: f.database.File, Line: row} }

// missesLog says where a log was forgotten or is torn: one that the daemon had open has the newest rows.
func (f *File) missesLog(ctx context.Context, opened *copied) error {
	for _, log := range f.logs {
		whole, err := wholeLog(log)
		if err != nil {
			return err
		}
		if !whole {
			f.Findings.Warn(legacy.Position{File: log.File},
				"is not whole: the newest rows may be missing; copy the database and it once more, with the daemon stopped")
		}
	}
	var mode string
	if err := opened.conn.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode); err != nil {
		return err
	}
	if mode == "wal" && len(f.logs) == 0 {
		f.Findings.Note(f.at(0), "is written with a log, and none (-wal) lies beside it: right where the daemon was stopped before it was copied, else its newest rows are missing")
	}
	return nil
}

// certificates takes those of a row, and says where they do not go with it.
func (f *File) certificates(t *table, r row) {
	at := t.index(columnCertificate)
	if at < 0 || r.values[at].size == 0 || r.oversize() {
		return
	}
	// Bytes in memory do not fail to be read.
	content, err := certfile.Read(legacy.BytesInput(f.database.File, r.values[at].bytes()), certfile.Options{})
	if err != nil {
		return
	}
	device, _ := legacy.DeviceName(r.text(t, columnDevice))
	for _, one := range content.Certificates {
		one.Line, one.Row = r.number, device
		f.Certificates = append(f.Certificates, one)
		for _, what := range r.contradicts(t, one.Parsed()) {
			f.Findings.Warn(f.at(r.number), what+" is not that of the certificate beside it")
		}
	}
	if len(content.Certificates) == 0 {
		f.Findings.Warn(f.at(r.number), "column certificate holds none that can be read")
	}
}

// Items reads the table from its beginning, in the order of its rows: each is a record or is kept aside. Lines are the
// numbers of rows, from 1. After an error nothing follows.
func (f *File) Items() iter.Seq2[phonefile.Item, error] {
	return func(yield func(phonefile.Item, error) bool) {
		stopped := false
		begin := func(context.Context, *copied, *table) error { return nil } // Open has seen to it
		err := f.scan(begin, func(t *table, r row) bool {
			for _, item := range f.read(t, r) {
				if !yield(item, nil) {
					stopped = true
					return false
				}
			}
			return true
		})
		if err != nil && !stopped {
			yield(phonefile.Item{}, err)
		}
	}
}

// scan copies the database, has begin look at the table and hands out its rows until it is told to stop.
func (f *File) scan(begin func(context.Context, *copied, *table) error, each func(*table, row) bool) (err error) {
	ctx := context.Background()
	opened, err := openCopy(ctx, f.database, f.logs)
	if err != nil {
		return err
	}
	defer func() {
		if failed := opened.close(); err == nil {
			err = failed
		}
	}()
	found, err := opened.table(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", f.at(0), err)
	}
	if err := begin(ctx, opened, found); err != nil {
		return fmt.Errorf("%s: table devices: %w: the database is damaged; copy it again, or mend a copy with `sqlite3 COPY .recover`",
			f.at(0), err)
	}
	number := 0
	err = opened.rows(ctx, found, func(values []value) bool {
		number++
		return each(found, row{number, values})
	})
	if err != nil {
		return fmt.Errorf("%s: row %d of devices: %w: the database is damaged; mend a copy with `sqlite3 COPY .recover`",
			f.at(0), number+1, err)
	}
	return nil
}

// read makes the items of a row.
func (f *File) read(t *table, r row) []phonefile.Item {
	position := f.at(r.number)
	var out []phonefile.Item
	for at, one := range r.values {
		if !one.withheld {
			continue
		}
		kept := legacy.WithholdKey(position, 0, 0, one.size, one.digest, fmt.Sprintf("private key in column %q, not kept", t.columns[at].name))
		finding := legacy.Finding{Position: position, Severity: legacy.Warning, Reason: legacy.PrivateKeyAdvice}
		out = append(out, phonefile.Item{Kind: phonefile.KindKept, Position: position, Kept: &kept},
			phonefile.Item{Kind: phonefile.KindFinding, Position: position, Finding: &finding})
	}
	record := &phonefile.Record{Position: position, Lines: []int{r.number}, Bytes: r.encode(t)}
	if problem := fill(record, t, r); problem != "" {
		kept := legacy.Keep(position, 0, record.Bytes, problem)
		return append(out, phonefile.Item{Kind: phonefile.KindKept, Position: position, Kept: &kept})
	}
	return append(out, phonefile.Item{Kind: phonefile.KindRecord, Position: position, Record: record})
}

// index gives the place of a column by its meaning; -1 where the table does not have it.
func (t *table) index(meaning columnMeaning) int {
	return slices.IndexFunc(t.columns, func(c column) bool { return c.meaning == meaning })
}
