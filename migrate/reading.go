package migrate

import (
	"context"
	"fmt"
	"slices"

	"github.com/hashicorp/go-multierror"

	"capf/legacy"
	"capf/legacy/machine"
	"capf/legacy/phonefile"
)

// reading is what the sources of a run hold.
type reading struct {
	*sources
	machines []*machineReading // by name
}

// machineReading is what one machine holds.
type machineReading struct {
	*machine.Machine
	name    string
	records []*record         // in the order in which the files give them
	kept    int               // lines of phone files that were not understood
	lines   []legacy.KeptLine // those, while they are few
	keys    []legacy.Position // where phone files hold private keys
	// findings are those of phone files; the others are the Machine's.
	findings []legacy.Finding
	doubts   doubts
}

// read reads all machines, or lists everything that cannot be read.
func (s *sources) read(ctx context.Context) (*reading, error) {
	out := &reading{sources: s}
	failed := several()
	before := 0
	for _, opened := range s.opened {
		read, err := machine.Read(opened, machine.Options{Dialect: s.dialect, Now: s.options.Clock()})
		m := &machineReading{Machine: read, name: opened.Name}
		if err == nil {
			err = m.gather(ctx, func(done int) { s.options.Progress(PhaseReading, before+done, 0) }, func(legacy.KeptLine) {})
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		for _, problem := range problemsOf(err) {
			failed = multierror.Append(failed, unavailable(problem))
		}
		before += len(m.records)
		out.machines = append(out.machines, m)
	}
	if err := failed.ErrorOrNil(); err != nil {
		return nil, err
	}
	out.number()
	return out, nil
}

// number counts the records of all machines.
func (r *reading) number() {
	number := 0
	for _, m := range r.machines {
		for _, one := range m.records {
			number++
			one.number = number
		}
	}
}

// batch is how many rows are handed to the store at once.
const batch = 4000

// gather reads the phone files through once and remembers what is compared of each record. It tells how many it has, and
// of each line kept aside.
func (m *machineReading) gather(ctx context.Context, progress func(done int), kept func(legacy.KeptLine)) error {
	var room []record // records are made many at a time, and never move
	for item, err := range ahead(m.Items()) {
		if err != nil {
			return err
		}
		switch item.Kind {
		case phonefile.KindRecord:
			if len(m.records)%batch == 0 {
				progress(len(m.records))
				if ctx.Err() != nil {
					return ctx.Err()
				}
			}
			if len(room) == 0 {
				room = make([]record, 256)
			}
			room[0] = newRecord(m.name, item.Record, &m.doubts)
			m.records, room = append(m.records, &room[0]), room[1:]
		case phonefile.KindKept:
			m.keep(*item.Kept)
			kept(*item.Kept)
			if item.Kept.PrivateKey {
				m.keys = append(m.keys, item.Position)
			}
		case phonefile.KindFinding:
			m.findings = append(m.findings, *item.Finding)
		}
	}
	return nil
}

// allFindings gives everything that was found about a machine, also about the meaning of its records.
func (m *machineReading) allFindings() []legacy.Finding {
	return slices.Concat(m.Findings, m.findings, m.doubts.findings())
}

// doubts gathers what many records may have in common, so that it is said once.
type doubts struct {
	reasons []string
	first   map[string]legacy.Position
	count   map[string]int
}

func (d *doubts) add(position legacy.Position, reason string) {
	if d.count == nil {
		d.count, d.first = map[string]int{}, map[string]legacy.Position{}
	}
	if d.count[reason]++; d.count[reason] == 1 {
		d.reasons = append(d.reasons, reason)
		d.first[reason] = position
	}
}

func (d *doubts) findings() []legacy.Finding {
	var out []legacy.Finding
	for _, reason := range d.reasons {
		text := reason
		if n := d.count[reason]; n > 1 {
			text = fmt.Sprintf("%s (the first of %d such records)", reason, n)
		}
		out = append(out, legacy.Finding{Position: d.first[reason], Severity: legacy.Warning, Reason: text})
	}
	return out
}
