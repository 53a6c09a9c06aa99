package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"capf/internal/plain"
)

// list prints rows under columns: aligned on a terminal, tab-separated without one, as one JSON array of
// objects with --json. It holds back nothing but what alignment needs.
type list struct {
	columns []string
	out     *bufio.Writer
	table   *tabwriter.Writer // nil unless on a terminal
	json    bool
	rows    int
	err     error // the first; bufio keeps those of writing by itself
}

func (a *app) list(columns ...string) *list {
	l := &list{columns: columns, out: bufio.NewWriter(a.stdout), json: a.json}
	if !a.json && isTerminal(a.stdout) {
		l.table = tabwriter.NewWriter(l.out, 0, 0, 2, ' ', 0)
	}
	if !a.json {
		l.line(columns)
	}
	return l
}

// add prints a row, whose values are in the order of the columns. What fails at that, close tells.
func (l *list) add(values ...any) {
	l.rows++
	if l.json {
		l.addJSON(values)
		return
	}
	cells := make([]string, len(values))
	for i, value := range values {
		cells[i] = fmt.Sprint(value)
	}
	l.line(cells)
}

func (l *list) line(cells []string) {
	for i, cell := range cells {
		cells[i] = plain.Line(cell)
	}
	if l.table != nil {
		fmt.Fprintln(l.table, strings.Join(cells, "\t"))
		return
	}
	fmt.Fprintln(l.out, strings.Join(cells, "\t"))
}

// addJSON keeps the order of the columns, which a map would not.
func (l *list) addJSON(values []any) {
	separator := ",\n  "
	if l.rows == 1 {
		separator = "[\n  "
	}
	_, _ = l.out.WriteString(separator)
	l.err = cmp.Or(l.err, writeObject(l.out, l.columns, values))
}

func writeObject(w *bufio.Writer, names []string, values []any) error {
	for i, value := range values {
		encoded, err := json.Marshal(value)
		if err != nil {
			return fmt.Errorf("print %s: %w", names[i], err)
		}
		separator := ", "
		if i == 0 {
			separator = "{"
		}
		fmt.Fprintf(w, "%s%q: %s", separator, names[i], encoded)
	}
	_, err := w.WriteString("}")
	return err
}

// close prints what is left.
func (l *list) close() error {
	switch {
	case l.json && l.rows == 0:
		_, _ = l.out.WriteString("[]\n")
	case l.json:
		_, _ = l.out.WriteString("\n]\n")
	case l.table != nil:
		l.err = cmp.Or(l.err, l.table.Flush())
	}
	return cmp.Or(l.err, l.out.Flush())
}

// safeLine is plain.Line, but leaves the tabs between columns. Everything that is printed for people goes through either.
func safeLine(text string) string {
	columns := strings.Split(text, "\t")
	for i := range columns {
		columns[i] = plain.Line(columns[i])
	}
	return strings.Join(columns, "\t")
}

// printJSON prints one document.
func (a *app) printJSON(value any) error {
	encoder := json.NewEncoder(a.stdout)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// say prints a line about what was done, or a warning, for a person.
func (a *app) say(format string, values ...any) {
	fmt.Fprintln(a.stderr, safeLine(fmt.Sprintf(format, values...)))
}

// fields prints one thing as names and values, or as one JSON object.
func (a *app) fields(names []string, values []any) error {
	out := bufio.NewWriter(a.stdout)
	if a.json {
		if err := writeObject(out, names, values); err != nil {
			return err
		}
		fmt.Fprintln(out)
		return out.Flush()
	}
	if !isTerminal(a.stdout) {
		writeFields(out, names, values)
		return out.Flush()
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	writeFields(table, names, values)
	return cmp.Or(table.Flush(), out.Flush())
}

func writeFields(w io.Writer, names []string, values []any) {
	for i, name := range names {
		fmt.Fprintf(w, "%s\t%s\n", name, plain.Line(fmt.Sprint(values[i])))
	}
}
