package migrate

import (
	"context"
	"fmt"
	"slices"

	"github.com/hashicorp/go-multierror"

	"capf/legacy"
	"capf/legacy/machine"
)

// reading is what the sources of a run hold.
type reading struct {
	*sources
	machines []*machineReading // by name
}

// machineReading is what one machine holds.
type machineReading struct {
	*machine.Machine
	name string
	gathered
}

// read reads all machines, or lists everything that cannot be read.
func (s *sources) read(ctx context.Context) (*reading, error) {
	out := &reading{sources: s}
	failed := several()
	before := 0
	for _, opened := range s.opened {
		m, err := readMachine(ctx, opened, machine.Options{Dialect: s.dialect, Now: s.options.Clock()},
			gathering{progress: func(done int) { s.options.Progress(PhaseReading, before+done, 0) }})
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err == nil {
			err = m.checkRecognised(len(m.records))
		}
		for _, problem := range problemsOf(err) {
			failed = multierror.Append(failed, unavailable(problem))
		}
		if err != nil {
			continue
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
const batch = 8000

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

func (d *doubts) add(position legacy.Position, reason string) { d.addMany(position, reason, 1) }

func (d *doubts) addMany(first legacy.Position, reason string, count int) {
	if d.count == nil {
		d.count, d.first = map[string]int{}, map[string]legacy.Position{}
	}
	if d.count[reason] == 0 {
		d.reasons = append(d.reasons, reason)
		d.first[reason] = first
	}
	d.count[reason] += count
}

// join adds what came later.
func (d *doubts) join(later doubts) {
	for _, reason := range later.reasons {
		d.addMany(later.first[reason], reason, later.count[reason])
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
