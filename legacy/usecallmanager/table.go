package usecallmanager

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// columnMeaning is what a column stands for, by the name that it has in the newest form.
type columnMeaning string

const (
	columnDevice         columnMeaning = "device_name"
	columnOperation      columnMeaning = "operation"
	columnAuthentication columnMeaning = "authentication"
	columnPassword       columnMeaning = "password"
	columnKeySize        columnMeaning = "key_size"
	columnCurve          columnMeaning = "curve_name"
	columnCertificate    columnMeaning = "certificate"
	columnSerial         columnMeaning = "serial_number"
	columnNotBefore      columnMeaning = "not_valid_before"
	columnNotAfter       columnMeaning = "not_valid_after"
)

var meanings = []columnMeaning{columnDevice, columnOperation, columnAuthentication, columnPassword, columnKeySize, columnCurve,
	columnCertificate, columnSerial, columnNotBefore, columnNotAfter}

// oldCurve is the name of curve_name in the earlier forms.
const oldCurve = "curve"

const (
	maxColumns = 200     // of a table that is read
	maxValue   = 1 << 20 // bytes of a value that is read, as of a certificate file
	maxRow     = 4 << 20 // bytes of all values of a row that are read
)

type column struct {
	name    string
	meaning columnMeaning // empty: none to us
}

// table is the table of phones in one of its forms.
type table struct {
	name    string
	columns []column
	// early tells that the column of the curve has its old name, and with it the old names of curves.
	early bool
}

// table finds the table of phones. Views, and tables that are not stored in the database, are none.
func (c *copied) table(ctx context.Context) (*table, error) {
	out := &table{}
	err := c.conn.QueryRowContext(ctx, `SELECT name FROM sqlite_schema WHERE type = 'table' AND lower(name) = 'devices' AND rootpage > 0`).Scan(&out.name)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, c.other(ctx)
	}
	if err != nil {
		return nil, err
	}
	names, err := c.columnNames(ctx, out.name)
	if err != nil {
		return nil, err
	}
	if len(names) > maxColumns {
		return nil, fmt.Errorf("table devices has more than %d columns", maxColumns)
	}
	for _, name := range names {
		out.columns = append(out.columns, column{name: name, meaning: meaningOf(name)})
	}
	if out.index(columnCurve) < 0 {
		for i := range out.columns {
			if strings.EqualFold(out.columns[i].name, oldCurve) {
				out.columns[i].meaning, out.early = columnCurve, true
			}
		}
	}
	if out.index(columnDevice) < 0 || out.index(columnOperation) < 0 {
		return nil, &OtherError{"its table devices has no columns device_name and operation: no database of a usecallmanager daemon"}
	}
	return out, nil
}

func meaningOf(name string) columnMeaning {
	if meaning := columnMeaning(strings.ToLower(name)); slices.Contains(meanings, meaning) {
		return meaning
	}
	return ""
}

// other says what a database is that has no table of phones.
func (c *copied) other(ctx context.Context) error {
	var ours int
	err := c.conn.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('phones', 'migration_runs', 'ctl_lists')`).Scan(&ours)
	if err != nil {
		return err
	}
	if ours > 1 {
		return &OtherError{"is a store of capf itself, which is no source: work on it with --data"}
	}
	return &OtherError{"is a SQLite database without a table devices: no database of a usecallmanager daemon"}
}

// harmless are the beginnings of what a check of a table says about values that are read as they are.
var harmless = []string{"NULL value in ", "TEXT value in ", "NUMERIC value in ", "CHECK constraint failed in "}

// check looks whether the pages of the table are whole. What is wrong with them is said before what is wrong with
// values, so the first line tells.
func (c *copied) check(ctx context.Context, t *table) error {
	var found string
	if err := c.conn.QueryRowContext(ctx, `SELECT quick_check FROM pragma_quick_check(?1)`, t.name).Scan(&found); err != nil {
		return err
	}
	if found == "ok" || slices.ContainsFunc(harmless, func(begins string) bool { return strings.HasPrefix(found, begins) }) {
		return nil
	}
	lines := strings.Split(strings.TrimSpace(found), "\n")
	return errors.New(lines[min(1, len(lines)-1)]) // the first of several names the database only
}

// columnNames leaves out columns that are computed.
func (c *copied) columnNames(ctx context.Context, table string) ([]string, error) {
	rows, err := c.conn.QueryContext(ctx, `SELECT name FROM pragma_table_xinfo(?1) WHERE hidden = 0 ORDER BY cid`, table)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		out = append(out, name)
	}
	return out, rows.Err()
}

// rows hands out the values of each row, in the order in which they are stored, until it is told to stop. Values that
// are too large are not read. The plus keeps the driver from turning what a column calls a date into one.
func (c *copied) rows(ctx context.Context, t *table, each func([]value) bool) error {
	var wanted []string
	for _, column := range t.columns {
		name := quoted(column.name)
		wanted = append(wanted, fmt.Sprintf("iif(octet_length(%s) > %d, NULL, +%s), coalesce(octet_length(%s), 0)", name, maxValue, name, name))
	}
	rows, err := c.conn.QueryContext(ctx, "SELECT "+strings.Join(wanted, ", ")+" FROM main."+quoted(t.name)+" NOT INDEXED")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		scanned, into := make([]any, len(t.columns)), make([]any, 0, 2*len(t.columns))
		sizes := make([]int64, len(t.columns))
		for i := range scanned {
			into = append(into, &scanned[i], &sizes[i])
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
		values, left := make([]value, len(t.columns)), int64(maxRow)
		for i := range values {
			if left -= sizes[i]; left < 0 {
				scanned[i] = nil
			}
			values[i] = newValue(scanned[i], sizes[i])
		}
		if !each(values) {
			return nil
		}
	}
	return rows.Err()
}

func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
