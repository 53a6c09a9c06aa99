package capf

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"capf/internal/plain"
)

// GenerateWord stands where an authentication string is to be generated.
const GenerateWord = "generate"

// bulkColumns says how each column of a bulk file is read (G2).
var bulkColumns = map[string]func(*PhoneChange, string) error{
	"device":        func(c *PhoneChange, text string) (err error) { c.Device, err = ParseDevice(text); return },
	"operation":     func(c *PhoneChange, text string) error { return fill(&c.Operation, text) },
	"auth-mode":     func(c *PhoneChange, text string) error { return fill(&c.AuthMode, text) },
	"auth-string":   func(c *PhoneChange, text string) error { return c.SetAuthString(text) },
	"key-size":      func(c *PhoneChange, text string) error { return fill(&c.KeySize, text) },
	"completes-by":  func(c *PhoneChange, text string) error { return c.SetCompletesBy(text) },
	"security-mode": func(c *PhoneChange, text string) error { return fill(&c.SecurityMode, text) },
	"lsc-hash":      func(c *PhoneChange, text string) error { return fill(&c.LSCHash, text) },
	"description":   func(c *PhoneChange, text string) error { c.Description = &text; return nil },
}

// SetAuthString takes digits or `generate`.
func (c *PhoneChange) SetAuthString(text string) error {
	if text == GenerateWord {
		c.GenerateString = true
		return nil
	}
	digits, err := ParseAuthenticationString(text)
	c.AuthString = &digits
	return err
}

// SetCompletesBy takes a time as RFC 3339.
func (c *PhoneChange) SetCompletesBy(text string) error {
	t, err := ParseTime(text)
	c.CompletesBy = &t
	return err
}

func fill[T any, P interface {
	*T
	UnmarshalText([]byte) error
}](target **T, text string) error {
	*target = new(T)
	return P(*target).UnmarshalText([]byte(text))
}

// ReadBulk reads a bulk file: CSV in UTF-8 with a header line, whose columns are `device` and any of
// `operation`, `auth-mode`, `auth-string`, `key-size`, `completes-by`, `security-mode`, `lsc-hash`, `description`. An
// empty field leaves the value alone. The other columns of the report may be there and are not read, so
// that a report can be edited and applied. The error joins one a row, each with its line.
func ReadBulk(r io.Reader) ([]PhoneChange, error) {
	rows := csv.NewReader(skipMark(r))
	rows.ReuseRecord = true
	header, err := rows.Read()
	if err != nil {
		return nil, bulkError(1, "the header line cannot be read (it names the columns, `device` among them)", err)
	}
	columns, err := readHeader(header)
	if err != nil {
		return nil, err
	}
	var changes []PhoneChange
	var failures []error
	lines := make(map[string]int)
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		var broken *csv.ParseError
		if errors.As(err, &broken) && errors.Is(err, csv.ErrFieldCount) {
			failures = append(failures, bulkError(broken.StartLine, fmt.Sprintf("%d fields under %d columns", len(row), len(columns)), nil))
			continue
		}
		if err != nil {
			return nil, errors.Join(append(failures, bulkError(0, "the rest cannot be read", err))...)
		}
		line, _ := rows.FieldPos(0)
		change, err := readRow(columns, row, line)
		if err == nil && lines[change.Device] != 0 {
			err = bulkError(line, fmt.Sprintf("%s stands in line %d already", change.Device, lines[change.Device]), nil)
		}
		if err != nil {
			failures = append(failures, err)
			continue
		}
		lines[change.Device] = line
		changes = append(changes, change)
	}
	if len(failures) > 0 {
		return nil, errors.Join(failures...)
	}
	return changes, nil
}

// skipMark drops the byte-order mark that spreadsheets write.
func skipMark(r io.Reader) io.Reader {
	buffered := bufio.NewReader(r)
	if mark, err := buffered.Peek(3); err == nil && string(mark) == "\xef\xbb\xbf" {
		_, _ = buffered.Discard(len(mark))
	}
	return buffered
}

func readHeader(header []string) ([]string, error) {
	columns := slices.Clone(header)
	for i, name := range columns {
		columns[i] = strings.TrimSpace(name)
		if bulkColumns[columns[i]] == nil && !slices.Contains(ReportColumns, columns[i]) {
			return nil, bulkError(1, fmt.Sprintf("column %q does not exist; separate columns with commas, and use device, operation, auth-mode, auth-string, key-size, completes-by, security-mode, lsc-hash, description", plain.Clip(name)), nil)
		}
		if slices.Contains(columns[:i], columns[i]) {
			return nil, bulkError(1, fmt.Sprintf("column %q stands there twice", plain.Clip(name)), nil)
		}
	}
	if !slices.Contains(columns, "device") {
		return nil, bulkError(1, "no column `device`", nil)
	}
	return columns, nil
}

func readRow(columns, row []string, line int) (PhoneChange, error) {
	var change PhoneChange
	for i, text := range row {
		text = unguardFormula(strings.TrimSpace(text))
		read := bulkColumns[columns[i]]
		if read == nil || text == "" {
			continue
		}
		if err := read(&change, text); err != nil {
			return PhoneChange{}, bulkError(line, "column "+columns[i], err)
		}
	}
	if change.Device == "" {
		return PhoneChange{}, bulkError(line, "no device", nil)
	}
	return change, nil
}

func bulkError(line int, message string, cause error) error {
	if line > 0 {
		message = fmt.Sprintf("line %d: %s", line, message)
	}
	return &Error{Code: CodeInvalid, Message: message, Err: cause}
}

// formulaMarks begin a text that a spreadsheet would run as a formula.
const formulaMarks = "=+-@"

// guardFormula puts a quote before text that a spreadsheet would take for a formula, and before text that
// looks as if it had been guarded, so that unguardFormula gives back exactly what there was.
func guardFormula(text string) string {
	if looksLikeFormula(strings.TrimLeft(text, "'")) {
		return "'" + text
	}
	return text
}

// unguardFormula takes off what guardFormula put before.
func unguardFormula(text string) string {
	if strings.HasPrefix(text, "'") && looksLikeFormula(strings.TrimLeft(text, "'")) {
		return text[1:]
	}
	return text
}

func looksLikeFormula(text string) bool {
	return text != "" && strings.IndexByte(formulaMarks, text[0]) >= 0
}
