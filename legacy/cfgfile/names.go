package cfgfile

import (
	"fmt"
	"strings"

	"capf/legacy"
	"capf/legacy/text"
)

// A configuration may be written as a table: the names of settings on one line, their values on the next. No dialect
// describes that, and a line of two names would look like a name with its value. So such a line is never read, and what
// is to be done is said.

const (
	namesProblem = "names several settings and has no value"
	namesAdvice  = "names on one line and values on the next are not read: put NAME=VALUE lines into a copy of the folder, " +
		"or leave the file out of it and use `capf parameter set`"
)

// isNames tells whether a line holds the names of two parameters or more, in columns.
func (r *reader) isNames(line string) bool {
	if strings.ContainsAny(line, "=:") {
		return false
	}
	for _, separator := range []string{",", ";", "\t", "|", " "} {
		known := 0
		for _, cell := range strings.Split(line, separator) {
			if _, is := r.Dialect.Parameter(strings.Trim(strings.TrimSpace(cell), `"'`)); is {
				known++
			}
		}
		if known > 1 {
			return true
		}
	}
	return false
}

// keepNames keeps such a line aside; the first one is told of.
func (r *reader) keepNames(line text.Line) {
	r.keep(line, namesProblem)
	if r.names == 0 {
		r.names = line.Number
		r.Findings.Warn(r.at(line), namesProblem+": "+namesAdvice)
	}
}

// asNames gives the error for a file that no dialect fits where that is why; else the one that there is.
func asNames(input legacy.Input, files []*File, err error) error {
	for _, file := range files {
		if file.names > 0 {
			return fmt.Errorf("%s: %s: %s", legacy.Position{File: input.File, Line: file.names}, namesProblem, namesAdvice)
		}
	}
	return err
}
