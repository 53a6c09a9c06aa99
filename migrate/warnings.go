package migrate

import (
	"fmt"
	"slices"

	"capf/legacy"
	"capf/legacy/source"
	"capf/runtime/capf"
)

// warnings are what an administrator should act on.
func (p *planner) warnings() []string {
	out := p.decidedBefore()
	warn := func(count int, text string) {
		if count > 0 {
			out = append(out, fmt.Sprintf(text, count))
		}
	}
	var null, without, short int
	p.eachTaken(func(r *record) {
		length := len(r.secret.Reveal())
		switch {
		case r.status != capf.StatusPending:
		case r.authMode() == capf.AuthByNullString:
			null++
		case r.authMode() == capf.AuthByString && length == 0:
			without++
		case length > 0 && length < capf.ShortAuthString:
			short++
		}
	})
	warn(null, "pending operations by null string: %d. That is no authentication: for closed environments only")
	warn(without, "pending operations by authentication string without a string in the files: %d. Each gets a generated one: see the CAPF report")
	warn(short, fmt.Sprintf("pending operations with an authentication string of fewer than %d digits: %%d. Such a string can be found by trying",
		capf.ShortAuthString))
	out = append(out, p.comingBack()...)
	out = append(out, p.aheadOfToday()...)
	for _, m := range p.reading.machines {
		for _, place := range m.privateKeys() {
			out = append(out, fmt.Sprintf("%s: %s: %s", m.name, place, legacy.KeyAdvice(m.isIdentity(place.File))))
		}
		out = append(out, m.notTaken()...)
	}
	for _, m := range p.reading.machines {
		if path := m.withoutPhones(); path != "" {
			out = append(out, fmt.Sprintf("%s: %s: no phones in it", m.name, legacy.Position{File: path}))
		}
	}
	if !slices.ContainsFunc(p.reading.machines, func(m *machineReading) bool { return len(m.PhoneFiles)+len(m.Further) > 0 }) {
		out = append(out, "no source has a CAPF.phone: if CAPF 1.0(1) ran on another machine, its files must be copied first")
	}
	return out
}

// notTaken says what of a source is not read though it may be CAPF's: members of an archive that are links or devices or
// lead out of it, files that cannot be opened, an archive that may be torn.
func (m *machineReading) notTaken() []string {
	var out []string
	for _, found := range m.Source.Findings {
		if found.Severity == legacy.Warning {
			out = append(out, fmt.Sprintf("%s: %s: %s", m.name, found.Position, found.Reason))
		}
	}
	return out
}

// withoutPhones gives a file for phones on a machine on which no phone was found; empty where one was, or lines of it were
// kept aside, which is told elsewhere.
func (m *machineReading) withoutPhones() string {
	if len(m.records) > 0 {
		return ""
	}
	paths := m.phoneFiles()
	if len(paths) == 0 || slices.ContainsFunc(m.Kept, func(line legacy.KeptLine) bool { return slices.Contains(paths, line.File) }) {
		return ""
	}
	return paths[0]
}

// phoneFiles gives the paths of the files for phones.
func (m *machineReading) phoneFiles() []string {
	var paths []string
	for _, one := range m.PhoneFiles {
		paths = append(paths, one.File.Path)
	}
	for _, one := range m.Further {
		paths = append(paths, one.File.Path)
	}
	return paths
}

// comingBack warns of phones that somebody has removed here and that sources still have.
func (p *planner) comingBack() []string {
	var back []string
	for i := range p.outcomes {
		if out := &p.outcomes[i]; p.groups[i].removed && out.record != nil && !out.open() {
			back = append(back, p.groups[i].device)
		}
	}
	if len(back) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("phones that were removed here since an earlier run took them over, and come back: %d, such as %s. Where that is not wanted: `capf phone remove`",
		len(back), back[0])}
}

// aheadOfToday warns of phones whose record is the newest by a clock that cannot have been right.
func (p *planner) aheadOfToday() []string {
	count, first, today := 0, (*record)(nil), p.options.Clock().Add(acrossZones)
	p.eachTaken(func(r *record) {
		if r.time.Clock.After(today) {
			if count++; first == nil {
				first = r
			}
		}
	})
	if first == nil {
		return nil
	}
	return []string{fmt.Sprintf("records of phones with a time later than today: %d, such as %s. A clock was wrong there: such a record goes before those of other machines, so look whether it is the newer one",
		count, first.place())}
}

// isIdentity tells capf.pem, whose key can be of use.
func (m *machineReading) isIdentity(path string) bool {
	return slices.ContainsFunc(m.Source.Files, func(file source.File) bool { return file.Path == path && file.Kind == source.Identity })
}

// privateKeys are the places of private keys on a machine.
func (m *machineReading) privateKeys() []legacy.Position {
	out := slices.Clone(m.keys)
	for _, line := range m.Kept {
		if line.PrivateKey {
			out = append(out, line.Position)
		}
	}
	return out
}

// eachTaken calls for every record that a phone is taken from.
func (p *planner) eachTaken(yield func(*record)) {
	for i := range p.outcomes {
		if out := &p.outcomes[i]; out.record != nil && !out.open() {
			yield(out.record)
		}
	}
}

// pending counts the operations that would go on.
func (p *planner) pending() []PendingCount {
	counts := map[capf.AuthMode]int{}
	p.eachTaken(func(r *record) {
		if r.status == capf.StatusPending {
			counts[r.authMode()]++
		}
	})
	var out []PendingCount
	for _, mode := range capf.AuthModes {
		if counts[mode] > 0 {
			out = append(out, PendingCount{mode, counts[mode]})
		}
	}
	return out
}

// authMode is the mode that the phone will have.
func (r *record) authMode() capf.AuthMode {
	if r.mode == "" {
		return capf.AuthByString
	}
	return r.mode
}
