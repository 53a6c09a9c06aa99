package dialect

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/text/width"
)

// AtStarts stands for a separator where columns begin at fixed places. No line has it: it is not UTF-8.
const AtStarts byte = 0xff

// MostStarts is how many columns a dialect may name: several times those of a phone record.
const MostStarts = 64

// Cells is how many columns of a screen a character takes. Programs of those years padded by bytes, and in their code
// pages what takes two bytes is shown as wide as two.
func Cells(r rune) int {
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// startSpans gives the places of the values of a line with padded columns, all of them, those that the line is too short
// for empty and at its end; or says why it cannot.
func (d *Dialect) startSpans(line string) (spans []Span, problem string) {
	cell, from := 1, 0
	next := 0 // of the starts
	for at, r := range line {
		if r == '\t' {
			return spans, "has a tab: columns cannot be counted"
		}
		if next < len(d.Starts) && cell >= d.Starts[next] {
			if cell > d.Starts[next] {
				return spans, fmt.Sprintf("a character stands across the beginning of column %d", next+1)
			}
			if problem := d.endColumn(&spans, line[:at], from, next); problem != "" {
				return spans, problem
			}
			from = at
			next++
		}
		cell += Cells(r)
	}
	if problem := d.endColumn(&spans, line, from, next); problem != "" {
		return spans, problem
	}
	for len(spans) < len(d.Starts) {
		spans = append(spans, Span{len(line), len(line)})
	}
	return spans, ""
}

// endColumn adds the column before the next one, which goes from there to the end of what is given.
func (d *Dialect) endColumn(spans *[]Span, line string, from, next int) (problem string) {
	value := strings.TrimSpace(line[from:])
	if next > 0 {
		*spans = append(*spans, spanOf(line, from, value))
	} else if value != "" {
		return "has text before the first column"
	}
	return ""
}

func (d *Dialect) cutAtStarts(values []string, line string) ([]string, string) {
	spans, problem := d.startSpans(line)
	for _, span := range spans {
		values = append(values, line[span.From:span.To])
	}
	return values, problem
}

// checkStarts holds the beginnings of padded columns to their order.
func (f *file) checkStarts() error {
	switch {
	case f.Separators != nil || f.Repeated || f.Quote != "":
		return errors.New("starts: columns that begin at fixed places have no separators and no quote")
	case slices.Contains(f.Files, Configuration):
		return errors.New(`starts: are for phones; a padded configuration is read with separators = [" "] and repeated-separators = true`)
	case len(f.Starts) < 2 || len(f.Starts) > MostStarts:
		return fmt.Errorf("starts: %d columns, not 2 to %d", len(f.Starts), MostStarts)
	case f.Order != nil && len(f.Order) != len(f.Starts):
		return fmt.Errorf("order: has %d columns, starts has %d", len(f.Order), len(f.Starts))
	}
	last := 0
	for i, start := range f.Starts {
		if start <= last {
			return fmt.Errorf("starts: %d of column %d is not behind %d", start, i+1, last)
		}
		last = start
	}
	return nil
}
