package migrate

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"capf/legacy"
	"capf/legacy/source"
	"capf/runtime/capf"
)

// A plan says what a run would do: what becomes of each phone, line, certificate and setting, what is in the way, and what
// an administrator should act on before. Its rows are those of a run's report too.

// Plan is what a run would do. Nothing in it is a secret: authentication strings are not there, texts of sources are
// masked. All rows are in a fixed order, whatever the order of the sources.
type Plan struct {
	// Key is what the run is known by (see Run).
	Key string `json:"key"`
	// Applied is the run that did the same already; 0 for none.
	Applied int64 `json:"applied-run,omitempty"`
	// Publisher is the source that counts as the publisher; empty where that cannot be told.
	Publisher string `json:"publisher,omitempty"`
	Prefer    string `json:"prefer,omitempty"`
	// At is when the plan was made.
	At time.Time `json:"at"`
	// Ready tells that nothing stands in the way of a run: no conflict is open, nothing is missing that was not accepted.
	Ready         bool                     `json:"ready"`
	Missing       []Missing                `json:"missing"`
	AcceptMissing bool                     `json:"accept-missing"`
	Decisions     []capf.MigrationDecision `json:"decisions"`

	Sources []PlannedSource      `json:"sources"`
	Counts  capf.MigrationCounts `json:"counts"`

	Conflicts []Conflict `json:"conflicts"`
	// Pending counts the operations that would go on, by authentication mode, in the order of cli.md.
	Pending      []PendingCount       `json:"pending"`
	Kept         []KeptLine           `json:"kept-aside"`
	Certificates []PlannedCertificate `json:"certificates"`
	Settings     []Setting            `json:"settings"`
	// Warnings are for the administrator to act on before the run; Findings are all that the readers came across.
	Warnings []string  `json:"warnings"`
	Findings []Finding `json:"findings"`

	planner *planner // has the phones, which are too many to be there twice
}

// Phones hands out what becomes of each phone, in the order of their names; those with an open conflict are not among
// them.
func (p *Plan) Phones(yield func(PlannedPhone) bool) {
	for _, g := range p.planner.groups {
		if !g.open() && !yield(g.phoneRow()) {
			return
		}
	}
}

// planHead is a plan without its phones.
type planHead Plan

// WriteJSON writes the plan as one JSON document, phone by phone at its end, so that it needs no memory for all of them.
func (p *Plan) WriteJSON(w io.Writer) error {
	var head bytes.Buffer
	if err := encodeJSON(&head, "  ", (*planHead)(p)); err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	out.Write(bytes.TrimSuffix(head.Bytes(), []byte("\n}\n")))
	out.WriteString(",\n  \"phones\": [")
	separator := "\n    "
	var row bytes.Buffer
	for phone := range p.Phones {
		row.Reset()
		if err := encodeJSON(&row, "", phone); err != nil {
			return err
		}
		out.WriteString(separator)
		out.Write(bytes.TrimSpace(row.Bytes()))
		separator = ",\n    "
	}
	if separator[0] == ',' {
		out.WriteString("\n  ")
	}
	out.WriteString("]\n}\n")
	return out.Flush()
}

// MarshalJSON gives the document of WriteJSON.
func (p *Plan) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	err := p.WriteJSON(&out)
	return out.Bytes(), err
}

func encodeJSON(into io.Writer, indent string, value any) error {
	encoder := json.NewEncoder(into)
	encoder.SetIndent("", indent)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// PlannedSource is one machine.
type PlannedSource struct {
	Machine string `json:"machine"`
	Path    string `json:"path"`
	Digest  string `json:"digest"`
	Dialect string `json:"dialect"` // of its phone records; empty where there are none
	Records int    `json:"records"`
}

// PlannedPhone is what becomes of a phone.
type PlannedPhone struct {
	Device string `json:"device"`
	// Verdict is new, updated or unchanged.
	Verdict capf.Verdict `json:"verdict"`
	// From is the record that it is taken from; nil where the store's version stays.
	From *Place `json:"from,omitempty"`
	// Why says, where the store's version stays though other records were read, that it is newer.
	Why string `json:"why,omitempty"`
	// Older is the number of records that are kept as its history.
	Older int `json:"older"`
}

// Place is a record and what it says.
type Place struct {
	Machine string `json:"machine"`
	File    string `json:"file,omitempty"` // empty for the store
	Line    int    `json:"line,omitempty"`
	Time    string `json:"time,omitempty"` // without a zone where none is known
	Says    string `json:"says"`
	// Choice is the word by which a decision chooses this version; empty where there is nothing to choose.
	Choice string `json:"choice,omitempty"`
}

// Conflict is a phone whose versions differ, and nothing puts them in order.
type Conflict struct {
	Device   string  `json:"device"`
	Why      string  `json:"why"`
	Versions []Place `json:"versions"`
	// Chosen is the version that the choice names; nil: the run is refused.
	Chosen *Place `json:"chosen,omitempty"`
	// Refused tells that what the phone is set to here and the record cannot go together.
	Refused bool `json:"refused,omitempty"`
	// Digest changes with the sources of the versions and with the phone in the store.
	Digest string `json:"digest"`

	rules []string // words for Options.Prefer that decide it
}

// PendingCount is how many operations of one mode would go on.
type PendingCount struct {
	AuthMode capf.AuthMode `json:"auth-mode"`
	Count    int           `json:"count"`
}

// KeptLine is a line that would be kept aside.
type KeptLine struct {
	Machine string `json:"machine"`
	File    string `json:"file"`
	Line    int    `json:"line"`
	Reason  string `json:"reason"`
	Text    string `json:"text"`             // masked
	SHA256  string `json:"sha256,omitempty"` // only of what is withheld
}

// PlannedCertificate is what becomes of a certificate.
type PlannedCertificate struct {
	Machine   string         `json:"machine"`
	File      string         `json:"file"`
	Line      int            `json:"line"`
	Subject   string         `json:"subject"`
	NotBefore time.Time      `json:"not-before"`
	NotAfter  time.Time      `json:"not-after"`
	SHA256    string         `json:"sha256"`
	Use       capf.LegacyUse `json:"use"`
	Why       string         `json:"why"`
	Device    string         `json:"device,omitempty"` // of an LSC
	// Known tells that it is an anchor in the store already.
	Known bool `json:"known,omitempty"`
}

// Finding is something that a reader came across.
type Finding struct {
	Machine  string `json:"machine"`
	File     string `json:"file"`
	Line     int    `json:"line"`
	Severity string `json:"severity"`
	Reason   string `json:"reason"`
}

// Open counts the conflicts that nobody has decided.
func (p *Plan) Open() int {
	open := 0
	for _, conflict := range p.Conflicts {
		if conflict.Chosen == nil {
			open++
		}
	}
	return open
}

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
		err := m.readAgain(func(*record, []byte) error { return nil }, func(line legacy.KeptLine) error {
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
	for _, g := range p.groups {
		counts.Records += len(g.records)
		if !g.open() {
			counts.History += g.older()
		}
		if g.isConflict() {
			counts.Conflicts++
		}
		switch {
		case g.open():
		case g.verdict == capf.VerdictNew:
			counts.New++
		case g.verdict == capf.VerdictUpdated:
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
func (g *group) phoneRow() PlannedPhone {
	row := PlannedPhone{Device: g.device, Verdict: g.verdict, Older: g.older()}
	if g.record != nil {
		place := g.record.place()
		row.From = &place
	}
	if g.newerHere {
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

// warnings are what an administrator should act on.
func (p *planner) warnings() []string {
	out := p.decidedBefore()
	warn := func(count int, text string) {
		if count > 0 {
			out = append(out, fmt.Sprintf(text, count))
		}
	}
	var null, without, short int
	for r := range p.taken {
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
	}
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
	for _, g := range p.groups {
		if g.removed && g.record != nil && !g.open() {
			back = append(back, g.device)
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
	for r := range p.taken {
		if r.time.Clock.After(today) {
			if count++; first == nil {
				first = r
			}
		}
	}
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

// taken gives the records that phones are taken from, in the order of the phones.
func (p *planner) taken(yield func(*record) bool) {
	for _, g := range p.groups {
		if g.record != nil && !g.open() && !yield(g.record) {
			return
		}
	}
}

// pending counts the operations that would go on.
func (p *planner) pending() []PendingCount {
	counts := map[capf.AuthMode]int{}
	for r := range p.taken {
		if r.status == capf.StatusPending {
			counts[r.authMode()]++
		}
	}
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
