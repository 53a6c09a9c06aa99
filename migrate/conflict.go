package migrate

import (
	"fmt"
	"strings"

	"capf/legacy"
	"capf/runtime/capf"
)

// conflicts gives those decided by the choice as well.
func (p *planner) conflicts() []Conflict {
	var out []Conflict
	for i := range p.outcomes {
		if p.isConflict(i) {
			out = append(out, p.conflict(i))
		}
	}
	return out
}

func (p *planner) isConflict(at int) bool {
	settled := &p.outcomes[at]
	return settled.among != nil || settled.refused != nil || settled.overruled != nil
}

func (p *planner) conflict(at int) Conflict {
	g, settled := p.groups[at], &p.outcomes[at]
	row := Conflict{Device: g.device, Why: settled.why, Digest: p.fingerprint(g, settled)}
	for _, v := range settled.among {
		row.Versions = append(row.Versions, g.places(v, choiceFor(v, settled.among))...)
	}
	if settled.among != nil {
		row.rules = rulesFor(settled.among, p.publisher)
	} else {
		row.Versions = []Place{settled.disputed().place()}
		if g.origin != nil {
			row.Versions = append(row.Versions, g.storedPlace())
		}
	}
	switch {
	case settled.refused != nil:
		row.Refused, row.Why = true, settled.refused.Error()
	case settled.record != nil:
		chosen := settled.record.place()
		row.Chosen = &chosen
	case settled.verdict != "":
		chosen := g.storedPlace()
		row.Chosen = &chosen
	}
	return row
}

// disputed is the record that cannot go together with what the phone is set to here.
func (o *outcome) disputed() *record {
	if o.overruled != nil {
		return o.overruled
	}
	return o.record
}

// places gives a version by all that say it.
func (g *group) places(v *version, choice string) []Place {
	var out []Place
	if v.stored {
		out = append(out, g.storedPlace())
	}
	for _, r := range v.records {
		place := r.place()
		place.Choice = choice
		out = append(out, place)
	}
	return out
}

// storedPlace is the store's version.
func (g *group) storedPlace() Place {
	out := Place{Machine: PreferStore, Says: phoneSays(g.phone), Choice: PreferStore}
	if g.origin.untouched() {
		out.Machine = g.origin.machine
		out.Time = g.origin.time.String()
		out.Says += " (taken over by an earlier run)"
	} else {
		out.Time = capf.FormatTime(g.origin.changedAt)
	}
	return out
}

// phoneSays describes the store's phone in the words of record.says.
func phoneSays(phone *capf.Phone) string {
	says := record{common: &common{status: capf.StatusNone, mode: phone.AuthMode, keySize: phone.KeySize}, secret: phone.AuthString,
		description: phone.Description}
	if last := phone.Last; last != nil {
		says.operation = last.Operation
		says.status = map[capf.Ending]capf.Status{capf.EndingNone: capf.StatusPending, capf.EndingSuccess: capf.StatusSuccess,
			capf.EndingFailed: capf.StatusFailed, capf.EndingExpired: capf.StatusExpired}[last.Ending]
		if says.status == "" {
			says.status = capf.StatusNone
		}
	}
	return says.says()
}

func (r *record) place() Place {
	return Place{Machine: r.machine, File: r.file, Line: r.line, Time: r.time.String(), Says: r.says()}
}

// conflictErrors names each conflict that nobody has decided.
func conflictErrors(conflicts []Conflict) []error {
	var out []error
	for _, c := range conflicts {
		if c.Chosen != nil {
			continue
		}
		var places []string
		for _, v := range c.Versions {
			places = append(places, v.String())
		}
		hint := fmt.Sprintf("choose with --prefer %s, or one by one with --decisions FILE; nothing is stored", strings.Join(c.rules, " or "))
		if len(c.rules) == 0 {
			hint = "no --prefer tells them apart: choose one by one with --decisions FILE; nothing is stored"
		}
		if c.Refused {
			hint = "change the phone here first, or choose the store's version with --decisions FILE; nothing is stored"
		}
		out = append(out, &capf.Error{Code: capf.CodeConflict, Hint: hint,
			Message: fmt.Sprintf("%s: %s (%s)", c.Device, c.Why, strings.Join(places, "; "))})
	}
	return out
}

// String gives the place with its time, such as "SUBSCRIBER1 CAPF/CAPF.phone:12 at 2005-03-01T08:00:00".
func (p Place) String() string {
	out := p.Machine
	if p.File != "" {
		out += " " + legacy.Position{File: p.File, Line: p.Line}.String()
	}
	if p.Time != "" {
		out += " at " + p.Time
	}
	return out
}
