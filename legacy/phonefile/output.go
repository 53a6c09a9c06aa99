package phonefile

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"capf/internal/plain"
	"capf/legacy"
	"capf/legacy/text"
)

// output hands items to whoever reads, until they have had enough.
type output struct {
	file    string
	yield   func(Item, error) bool
	stopped bool

	records int
	kept    int
	misread map[string]int // records kept aside, by the column that was not understood

	unknown []string        // columns without a meaning to us that hold something, in the order met
	met     map[string]bool // those of unknown
}

// mostUnknown is how many columns without a meaning are told of: a hostile file could name a key of its own in every block.
const mostUnknown = 50

func (o *output) send(item Item) {
	if !o.stopped {
		o.stopped = !o.yield(item, nil)
	}
}

func (o *output) fail(err error) {
	if !o.stopped {
		o.stopped = true
		o.yield(Item{}, err)
	}
}

func (o *output) position(line text.Line) legacy.Position {
	return legacy.Position{File: o.file, Line: line.Number}
}

// pass tells of a line without data.
func (o *output) pass(kind Kind, line text.Line) {
	o.send(Item{Kind: kind, Position: o.position(line)})
}

func (o *output) record(record *Record, last text.Line, places []Place) {
	o.records++
	record.finish()
	o.meet(record.Extra)
	o.send(Item{Kind: KindRecord, Position: record.Position, Record: record, Places: places})
	if last.Torn {
		o.warn(o.position(last), "the file ends without a line end: see whether the last record is whole")
	}
}

// keep puts a line aside. Private key text comes with a warning, since somebody has to act.
func (o *output) keep(line text.Line, reason string, places []Place) {
	if line.Problem != "" {
		reason = line.Problem
	}
	if line.Torn {
		reason += " (the file ends within the line)"
	}
	o.kept++
	kept := line.Kept(o.file, reason)
	o.send(Item{Kind: KindKept, Position: kept.Position, Kept: &kept, Places: places})
	if line.PrivateKey {
		o.warn(kept.Position, legacy.PrivateKeyAdvice)
	}
}

func (o *output) warn(position legacy.Position, reason string) {
	o.find(legacy.Warning, position, reason)
}

func (o *output) find(severity legacy.Severity, position legacy.Position, reason string) {
	finding := legacy.Finding{Position: position, Severity: severity, Reason: reason}
	o.send(Item{Kind: KindFinding, Position: position, Finding: &finding})
}

func (o *output) misreadColumn(name string) {
	if o.misread == nil {
		o.misread = map[string]int{}
	}
	// A hostile file could name a key of its own in every block.
	if len(o.misread) < 1000 || o.misread[name] > 0 {
		o.misread[name]++
	}
}

// meet remembers columns that are not read.
func (o *output) meet(extras []Extra) {
	for _, extra := range extras {
		if o.met[extra.Name] || len(o.unknown) > mostUnknown {
			continue
		}
		if o.met == nil {
			o.met = map[string]bool{}
		}
		o.met[extra.Name] = true
		o.unknown = append(o.unknown, extra.Name)
	}
}

// tellUnknown names the columns that are not read: a string or a time may stand in one whose name no dialect knows.
func (o *output) tellUnknown() {
	if len(o.unknown) == 0 {
		return
	}
	names, more := o.unknown, ""
	if len(names) > mostUnknown {
		names, more = names[:mostUnknown], " and others"
	}
	var masked []string
	for _, name := range names {
		masked = append(masked, shown(name))
	}
	o.find(legacy.Note, legacy.Position{File: o.file}, "columns without a meaning to us, kept with their records: "+
		strings.Join(masked, ", ")+more+"; where one is a field after all, name it in a dialect")
}

// judgeColumns says which columns the dialect seems to have wrong: more than one value in ten is not of their shape.
func (o *output) judgeColumns() {
	for _, name := range slices.Sorted(maps.Keys(o.misread)) {
		misread := o.misread[name]
		if total := o.records + misread; misread*10 > total {
			o.warn(legacy.Position{File: o.file}, fmt.Sprintf("column %q was not understood in %d of %s: "+
				"see whether the dialect describes it rightly", name, misread, plain.Counted(total, "record")))
		}
	}
}
