package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"math/bits"
	"strconv"
	"strings"

	"github.com/mattn/go-sqlite3"

	"capf/runtime/capf"
)

// rawStatements insert rows through the driver, many with one statement: that takes a third of the time. They work
// inside loader.writeSome only.
type rawStatements struct {
	classify   func(error) error
	connection *sqlite3.SQLiteConn
	kept       map[prepared]driver.StmtQueryContext
	gathered   map[string]*gathered // by the statement that they are for
}

// mostKept is how many statements are kept. One for many rows takes some ten KiB, and which columns have one value in all
// of them depends on the rows.
const mostKept = 64

// gathered are rows that are not written yet.
type gathered struct {
	columns int
	values  []driver.Value      // row by row
	given   []driver.NamedValue // as SQLite gets them; used again
}

// insert adds a row to those that an INSERT of one row writes, with many `?` and other constants. Values are of the kinds
// that drivers know. The error may be that of rows before.
func (r *rawStatements) insert(query string, values ...driver.Value) error {
	rows := r.gathered[query]
	if rows == nil {
		rows = &gathered{columns: len(values), values: make([]driver.Value, 0, rowsAtOnce*len(values))}
		r.gathered[query] = rows
	}
	rows.values = append(rows.values, values...)
	if len(rows.values) < cap(rows.values) {
		return nil
	}
	return r.write(query, rows)
}

// flush writes all that is gathered.
func (r *rawStatements) flush() error {
	for query, rows := range r.gathered {
		if err := r.write(query, rows); err != nil {
			return err
		}
	}
	return nil
}

// write writes rows, by statements for a power of two of them: so that few kinds of statements do for all that is left at
// the end of a transaction.
func (r *rawStatements) write(query string, rows *gathered) error {
	values := rows.values
	rows.values = rows.values[:0]
	for len(values) > 0 {
		next := values[:rows.columns<<(bits.Len(uint(len(values)/rows.columns))-1)]
		values = values[len(next):]
		if err := r.writeAtOnce(query, rows, next); err != nil {
			return err
		}
	}
	return nil
}

func (r *rawStatements) writeAtOnce(query string, rows *gathered, values []driver.Value) error {
	key := prepared{query, len(values) / rows.columns, rows.constants(values)}
	statement, err := r.prepare(key)
	if err == nil {
		err = run(statement, rows.bound(key.constant, values))
	}
	if isUnique(err) {
		// Which of the rows it is, SQLite does not say.
		return &capf.Error{Code: capf.CodeConflict, Message: "a phone comes from two records of the run", Err: err}
	}
	if err != nil {
		return r.classify(err)
	}
	return nil
}

// run executes a statement that writes. The driver hands values over all at once where rows are asked for, and one by one
// otherwise.
func run(statement driver.StmtQueryContext, values []driver.NamedValue) error {
	none, err := statement.QueryContext(context.Background(), values)
	if err != nil {
		return err
	}
	return none.Close()
}

// constants gives the columns that have one value in all rows, a bit each. Such a value is given to SQLite once: to give
// it values takes as long as what it does with them, and runs and their machines are in every row.
func (g *gathered) constants(values []driver.Value) (constant uint64) {
	for column := range g.columns {
		first := values[column]
		same := true
		for at := column + g.columns; same && at < len(values); at += g.columns {
			same = sameValue(first, values[at])
		}
		if same {
			constant |= 1 << column
		}
	}
	return constant
}

// sameValue compares two values. Bytes are taken for different ones: they are those of lines and certificates.
func sameValue(a, b driver.Value) bool {
	if _, bytes := a.([]byte); bytes {
		return false
	}
	if _, bytes := b.([]byte); bytes {
		return false
	}
	return a == b
}

// bound gives the values that a statement with these constants needs: those first, then the others row by row.
func (g *gathered) bound(constant uint64, values []driver.Value) []driver.NamedValue {
	g.given = g.given[:0]
	give := func(value driver.Value) {
		g.given = append(g.given, driver.NamedValue{Ordinal: len(g.given) + 1, Value: value})
	}
	for column := range g.columns {
		if constant&(1<<column) != 0 {
			give(values[column])
		}
	}
	for at, value := range values {
		if constant&(1<<(at%g.columns)) == 0 {
			give(value)
		}
	}
	return g.given
}

// prepare gives the statement for so many rows.
func (r *rawStatements) prepare(key prepared) (driver.StmtQueryContext, error) {
	if statement, ok := r.kept[key]; ok {
		return statement, nil
	}
	if len(r.kept) == mostKept {
		if err := r.close(); err != nil {
			return nil, err
		}
	}
	made, err := r.connection.Prepare(key.text())
	if err != nil {
		return nil, err
	}
	statement := made.(driver.StmtQueryContext)
	r.kept[key] = statement
	return statement, nil
}

// prepared is what a statement is kept by.
type prepared struct {
	query    string
	rows     int
	constant uint64 // columns, a bit each
}

// text writes the statement: its one row, as often as there are to be, with the numbers that bound gives values in.
func (p prepared) text() string {
	const mark = "VALUES "
	at := strings.Index(p.query, mark) + len(mark)
	parts := strings.Split(p.query[at:], "?")
	next := bits.OnesCount64(p.constant)
	var out strings.Builder
	out.WriteString(p.query[:at])
	for row := range p.rows {
		if row > 0 {
			out.WriteString(", ")
		}
		constant := 0
		for column, part := range parts[:len(parts)-1] {
			number := &next
			if p.constant&(1<<column) != 0 {
				number = &constant
			}
			*number++
			out.WriteString(part + "?" + strconv.Itoa(*number))
		}
		out.WriteString(parts[len(parts)-1])
	}
	return out.String()
}

func (r *rawStatements) close() error {
	var failures []error
	for _, statement := range r.kept {
		failures = append(failures, statement.(driver.Stmt).Close())
	}
	clear(r.kept)
	return errors.Join(failures...)
}
