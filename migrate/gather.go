package migrate

import (
	"context"

	"capf/legacy"
	"capf/legacy/machine"
	"capf/legacy/phonefile"
	"capf/legacy/source"
)

// gathered is what is remembered of files with phone records.
type gathered struct {
	records []*record         // in the order in which the files give them
	kept    int               // lines that were not understood
	lines   []legacy.KeptLine // those, while they are few
	keys    []legacy.Position // where the files hold private keys
	// findings are those of the files with phone records; the others are the Machine's.
	findings []legacy.Finding
	doubts   doubts
	counted  *counted // all lines that were not understood; nil where nobody wants them

	room    []record // records are made many at a time, and never move
	commons commons  // of the records of a file
}

// take adds what a file holds.
func (g *gathered) take(machine string, item phonefile.Item) {
	switch item.Kind {
	case phonefile.KindRecord:
		if len(g.room) == 0 {
			g.room = make([]record, 256)
		}
		g.room[0] = newRecord(machine, item.Record, &g.doubts, &g.commons)
		g.records, g.room = append(g.records, &g.room[0]), g.room[1:]
	case phonefile.KindKept:
		g.keep(*item.Kept)
		if g.counted != nil {
			g.counted.addLine(machine, *item.Kept)
		}
		if item.Kept.PrivateKey {
			g.keys = append(g.keys, item.Position)
		}
	case phonefile.KindFinding:
		g.findings = append(g.findings, *item.Finding)
	}
}

// keep counts a line kept aside, and remembers it while those are few.
func (g *gathered) keep(line legacy.KeptLine) {
	if g.kept == len(g.lines) && g.kept < fewLines && len(line.Bytes) <= fewBytes {
		g.lines = append(g.lines, line)
	}
	g.kept++
}

// join adds what the next file holds.
func (g *gathered) join(next *gathered) {
	if len(g.records) == 0 {
		g.records = next.records
	} else {
		g.records = append(g.records, next.records...)
	}
	if g.kept == len(g.lines) && next.kept == len(next.lines) && g.kept+next.kept <= fewLines {
		g.lines = append(g.lines, next.lines...)
	} else {
		g.lines = nil // no longer all of them
	}
	g.kept += next.kept
	g.keys, g.findings = append(g.keys, next.keys...), append(g.findings, next.findings...)
	g.doubts.join(next.doubts)
	if g.counted != nil {
		g.counted.merge(next.counted)
	}
}

// gathering says how to gather.
type gathering struct {
	countLines bool
	progress   func(records int)
}

func (g gathering) begin() *gathered {
	if g.countLines {
		return &gathered{counted: newCounted()}
	}
	return &gathered{}
}

// readMachine reads a machine, and what is compared of its records. A file is read through for that once more only where
// it was not heard while it was found out how it is read.
func readMachine(ctx context.Context, from *source.Source, options machine.Options, how gathering) (*machineReading, error) {
	var hearers []*hearer
	options.Listen = func() phonefile.Listener {
		one := &hearer{ctx: ctx, machine: from.Name, how: how}
		for _, earlier := range hearers {
			earlier.end()
			one.before += earlier.records()
		}
		hearers = append(hearers, one)
		return one
	}
	read, err := machine.Read(from, options)
	for _, one := range hearers {
		one.end()
	}
	if err != nil {
		return nil, err
	}
	out := &machineReading{Machine: read, name: from.Name, gathered: *how.begin()}
	for _, part := range read.Parts() {
		heard, _ := part.Heard.(*hearer)
		if heard == nil {
			heard = &hearer{ctx: ctx, machine: from.Name, how: how, before: len(out.records)}
			if err := heard.hearAll(part); err != nil {
				return nil, err
			}
		}
		out.join(heard.gathered)
		*heard = hearer{}
	}
	return out, nil
}

// Items are handed on at once when there are so many of them, or so many bytes in them.
const (
	heardAtOnce      = 256
	heardBytesAtOnce = 64 << 10
)

// hearer gathers what a file holds, beside whoever reads it: that cuts lines into records while others of them are
// judged.
type hearer struct {
	ctx     context.Context
	machine string
	how     gathering
	before  int // records of other files

	gathered *gathered
	part     []phonefile.Item
	bytes    int // in it
	parts    chan []phonefile.Item
	done     chan struct{}
}

// Begin forgets what was heard.
func (h *hearer) Begin() {
	h.end()
	h.gathered = h.how.begin()
	h.parts, h.done = make(chan []phonefile.Item, 2), make(chan struct{})
	go h.listen(h.gathered, h.parts, h.done)
}

func (h *hearer) listen(into *gathered, parts <-chan []phonefile.Item, done chan<- struct{}) {
	defer close(done)
	told := -batch
	for part := range parts {
		if len(into.records)-told >= batch {
			told = len(into.records)
			h.how.progress(h.before + told)
		}
		for _, item := range part {
			into.take(h.machine, item)
		}
	}
}

// Hear hands an item on. Its error is that of the context.
func (h *hearer) Hear(item phonefile.Item) error {
	if h.part == nil {
		h.part = make([]phonefile.Item, 0, heardAtOnce)
	}
	h.part = append(h.part, item)
	switch item.Kind {
	case phonefile.KindRecord:
		h.bytes += len(item.Record.Bytes)
	case phonefile.KindKept:
		h.bytes += len(item.Kept.Bytes)
	}
	if len(h.part) < heardAtOnce && h.bytes < heardBytesAtOnce {
		return nil
	}
	h.parts <- h.part
	h.part, h.bytes = nil, 0
	return h.ctx.Err()
}

// end waits until everything that was heard is gathered.
func (h *hearer) end() {
	if h.parts == nil {
		return
	}
	if len(h.part) > 0 {
		h.parts <- h.part
	}
	close(h.parts)
	<-h.done
	h.part, h.bytes, h.parts = nil, 0, nil
}

func (h *hearer) records() int {
	if h.gathered == nil {
		return 0
	}
	return len(h.gathered.records)
}

func (h *hearer) hearAll(part machine.Part) error {
	h.Begin()
	defer h.end()
	for item, err := range part.Items {
		if err == nil {
			err = h.Hear(item)
		}
		if err != nil {
			return err
		}
	}
	return h.ctx.Err()
}
