package dialect

import (
	"fmt"
	"strings"

	"capf/internal/plain"
	"capf/legacy"
)

// Reading is what one dialect made of one file, line by line. Blank lines and comments are neither read nor unread.
type Reading struct {
	Dialect *Dialect
	// Structure says why the file does not have the structure of the dialect; nil if it does.
	Structure error

	read, unread lineSet
	header       lineSet // understood as the header: another dialect must not fail at it, but it is no record
	reasons      []string
}

// shownReasons is how many of the lines that stand in the way an error names.
const shownReasons = 3

// MarkRead notes that lines were understood.
func (r *Reading) MarkRead(lines ...int) {
	for _, line := range lines {
		r.read.add(line)
	}
}

// MarkHeader notes that a line was understood as the header.
func (r *Reading) MarkHeader(line int) { r.header.add(line) }

// IsEmpty tells that no line was read, and none was not understood.
func (r *Reading) IsEmpty() bool { return r.read.count+r.unread.count == 0 }

// NeedsReason tells whether the next line that was not understood will be named in an error.
func (r *Reading) NeedsReason() bool { return len(r.reasons) < shownReasons }

// MarkUnread notes that a line was not understood.
func (r *Reading) MarkUnread(line int, reason string) {
	if !r.unread.add(line) || !r.NeedsReason() {
		return
	}
	r.reasons = append(r.reasons, fmt.Sprintf("line %d: %s", line, reason))
}

// fits is the rule of legacy-layout.md: it reads the structure and at least nine lines in ten, and no other dialect
// reads a line that it cannot. The text says why not.
func (r *Reading) fits(all []*Reading) (problem string) {
	if r.Structure != nil {
		return r.Structure.Error()
	}
	if total := r.read.count + r.unread.count; r.read.count*10 < total*9 {
		return fmt.Sprintf("reads %d of %s, fewer than nine in ten: %s",
			r.read.count, plain.Counted(total, "line"), strings.Join(r.reasons, ", "))
	}
	for _, other := range all {
		if other == r {
			continue
		}
		for _, lines := range []*lineSet{&other.read, &other.header} {
			if line := lines.firstIn(&r.unread); line > 0 {
				return fmt.Sprintf("line %d is read by %s only", line, other.Dialect)
			}
		}
	}
	return ""
}

// Choose gives the one dialect that fits the file, by the readings of all that could. It gives nil where none of them
// found a line to read or to keep aside: then there is nothing to choose for.
func Choose(file string, readings []*Reading) (*Dialect, error) {
	var fitting []string
	var problems []string
	var chosen *Dialect
	lines := 0
	for _, reading := range readings {
		lines += reading.read.count + reading.unread.count
		problem := reading.fits(readings)
		if problem == "" {
			chosen = reading.Dialect
			fitting = append(fitting, reading.Dialect.String())
			continue
		}
		problems = append(problems, fmt.Sprintf("%s: %s", reading.Dialect, problem))
	}
	switch {
	case lines == 0:
		return nil, nil
	case len(fitting) == 1:
		return chosen, nil
	case len(fitting) > 1:
		return nil, fmt.Errorf("%s: more than one dialect fits (%s): choose its form in one of your own "+
			"(`capf migrate dialect SOURCE` prints one to begin with) and name it with --dialect FILE",
			legacy.Position{File: file}, strings.Join(fitting, ", "))
	default:
		return nil, fmt.Errorf("%s: no dialect fits: %s: describe the file in one (`capf migrate dialect SOURCE` prints "+
			"one to begin with) and name it with --dialect FILE",
			legacy.Position{File: file}, strings.Join(problems, "; "))
	}
}

// lineSet is a set of line numbers.
type lineSet struct {
	lines []bool
	count int
}

// add tells whether the line was not there yet.
func (s *lineSet) add(line int) bool {
	for line >= len(s.lines) {
		s.lines = append(s.lines, false)
	}
	before := s.lines[line]
	if s.lines[line] = true; !before {
		s.count++
	}
	return !before
}

func (s *lineSet) has(line int) bool { return line < len(s.lines) && s.lines[line] }

// firstIn gives the first line that is in both sets; 0 for none, since lines count from 1.
func (s *lineSet) firstIn(other *lineSet) int {
	for line := range s.lines {
		if s.lines[line] && other.has(line) {
			return line
		}
	}
	return 0
}
