package phonefile

import (
	"fmt"
	"maps"
	"slices"

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
}

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

// judgeColumns says which columns the dialect seems to have wrong: more than one value in ten is not of their shape.
func (o *output) judgeColumns() {
	for _, name := range slices.Sorted(maps.Keys(o.misread)) {
		misread := o.misread[name]
		if total := o.records + misread; misread*10 > total {
			o.warn(legacy.Position{File: o.file}, fmt.Sprintf("column %q was not understood in %d of %d records: "+
				"see whether the dialect describes it rightly", name, misread, total))
		}
	}
}
