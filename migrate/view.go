package migrate

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"capf/legacy"
	"capf/runtime/capf"
)

// plan puts what was decided into rows.
func (p *planner) plan() (*Plan, error) {
	out := &Plan{
		At: p.build.now.Truncate(time.Second), Missing: listed(p.lacking), AcceptMissing: p.options.AcceptMissing, Decisions: p.options.Decisions.made(),
		Key: p.key, Publisher: p.publisher, Prefer: p.options.Prefer, Counts: p.counts(), Kept: []KeptLine{},
		planner: p, Conflicts: listed(p.conflicts()), Pending: listed(p.pending()),
		Certificates: listed(p.certificateRows()), Settings: listed(p.settingRows()), Warnings: listed(p.warnings()),
		Findings: listed(p.reading.findings()),
	}
	if p.applied != nil {
		out.Applied = p.applied.ID
	}
	out.Ready = out.Open() == 0 && len(out.Stopping()) == 0
	for i, row := range p.reading.rows() {
		out.Sources = append(out.Sources, PlannedSource{Machine: row.Machine, Path: row.Path, Digest: row.Digest,
			Dialect: row.Dialect, Records: len(p.reading.machines[i].records)})
	}
	for _, m := range p.reading.machines {
		for _, line := range p.keptBeside(m) {
			out.Kept = append(out.Kept, shownLine(m.name, line))
		}
		err := m.again(func(*record, []byte) error { return nil }, func(line legacy.KeptLine) error {
			out.Kept = append(out.Kept, shownLine(m.name, line))
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(out.Kept, func(a, b KeptLine) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Machine), strings.ToLower(b.Machine)), strings.Compare(a.File, b.File),
			cmp.Compare(a.Line, b.Line))
	})
	return out, nil
}

// listed makes an empty list of none, so that scripts find one in JSON.
func listed[T any](rows []T) []T {
	if rows == nil {
		return []T{}
	}
	return rows
}

// counts are those of a run.
func (p *planner) counts() capf.MigrationCounts {
	counts := capf.MigrationCounts{KeptAside: p.keptCount()}
	for i, g := range p.groups {
		out := &p.outcomes[i]
		counts.Records += len(g.records)
		if !out.open() {
			counts.History += g.older()
		}
		if p.isConflict(i) {
			counts.Conflicts++
		}
		switch {
		case out.open():
		case out.verdict == capf.VerdictNew:
			counts.New++
		case out.verdict == capf.VerdictUpdated:
			counts.Updated++
		default:
			counts.Unchanged++
		}
	}
	for _, one := range p.pending() {
		counts.Pending += one.Count
	}
	p.countCertificates(&counts)
	return counts
}

// older counts the records that are kept as history.
func (g *group) older() int {
	count := 0
	for _, r := range g.records {
		if r.verdict == capf.VerdictHistory {
			count++
		}
	}
	return count
}

// countCertificates counts each once, on however many machines it lies.
func (p *planner) countCertificates(counts *capf.MigrationCounts) {
	seen := map[string]bool{}
	for _, c := range p.certificates {
		switch {
		case seen[c.digest]:
		case c.use == capf.LegacyLSC:
			counts.LSCs++
		case c.use == capf.LegacyStored:
			counts.Stored++
		case !p.isTrusted(c):
			counts.Anchors++
		}
		seen[c.digest] = true
	}
}

// isTrusted tells that the store has the anchor already.
func (p *planner) isTrusted(c *judged) bool {
	return slices.ContainsFunc(p.trusted, func(anchor capf.Anchor) bool { return anchor.SHA256 == c.digest })
}

// phoneRow says what becomes of the phone of a group.
func (p *planner) phoneRow(at int) PlannedPhone {
	g, settled := p.groups[at], &p.outcomes[at]
	row := PlannedPhone{Device: g.device, Verdict: settled.verdict, Older: g.older()}
	if settled.record != nil {
		place := settled.record.place()
		row.From = &place
	}
	if settled.newerHere {
		row.Why = "the store's version is newer, or was chosen"
	}
	return row
}

func (p *planner) certificateRows() []PlannedCertificate {
	var out []PlannedCertificate
	for _, c := range p.certificates {
		parsed := c.Parsed()
		out = append(out, PlannedCertificate{
			Machine: c.machine, File: c.File, Line: c.Line, Subject: parsed.Subject.String(),
			NotBefore: parsed.NotBefore.UTC(), NotAfter: parsed.NotAfter.UTC(), SHA256: c.digest,
			Use: c.use, Why: c.why, Device: c.device, Known: c.use == capf.LegacyAnchor && p.isTrusted(c),
		})
	}
	return out
}

// findings gives everything that the readers came across.
func (r *reading) findings() []Finding {
	var out []Finding
	for _, m := range r.machines {
		out = append(out, m.findingRows()...)
	}
	return out
}

func (m *machineReading) findingRows() []Finding {
	var out []Finding
	for _, f := range m.allFindings() {
		out = append(out, Finding{Machine: m.name, File: f.File, Line: f.Line, Severity: string(f.Severity), Reason: f.Reason})
	}
	return out
}
