package migrate

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/go-multierror"
	"github.com/pelletier/go-toml/v2"

	"capf/internal/plain"
	"capf/legacy"
	"capf/legacy/source"
	"capf/legacy/text"
	"capf/runtime/capf"
)

// In a conflict nothing puts the versions of a phone in order (merge.go). It is shown in a plan, a run is refused for it, and
// an administrator decides it: by a rule, or in a file that a plan writes and a run reads.

// conflicts gives those decided by the choice as well.
func (p *planner) conflicts() []Conflict {
	var out []Conflict
	for _, g := range p.groups {
		if g.isConflict() {
			out = append(out, p.conflict(g))
		}
	}
	return out
}

func (o *outcome) isConflict() bool { return o.among != nil || o.refused != nil || o.overruled != nil }

func (p *planner) conflict(g *group) Conflict {
	settled := g.outcome
	row := Conflict{Device: g.device, Why: settled.why, Digest: p.fingerprint(g)}
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
		out = append(out, undecided{&capf.Error{Code: capf.CodeConflict, Hint: hint,
			Message: fmt.Sprintf("%s: %s (%s)", c.Device, c.Why, strings.Join(places, "; "))}})
	}
	return out
}

// undecided is what a run is refused for: a conflict that nobody has decided.
type undecided struct{ error }

func (u undecided) Unwrap() error { return u.error }

// IsUndecided tells whether a run was refused for such a conflict.
func IsUndecided(err error) bool { return errors.As(err, new(undecided)) }

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

// decidedBefore says, where a rule for conflicts is given, which conflicts of these sources an earlier run decided
// otherwise: their records are in the store, so the rule finds no conflict any more.
func (p *planner) decidedBefore() []string {
	if p.options.Prefer == "" {
		return nil
	}
	var out []string
	for _, run := range p.runs {
		if !run.RolledBackAt.IsZero() || run.Counts.Conflicts == 0 || strings.EqualFold(p.resolved(run.Prefer), p.choice()) || !p.hasRead(run) {
			continue
		}
		out = append(out, fmt.Sprintf("--prefer %s changes nothing of what run %d decided about the same sources: %s, %s; to decide otherwise "+
			"go back before that run (`capf migrate rollback`, the newest run first), then run again with --prefer %[1]s", p.options.Prefer, run.ID,
			plain.Counted(run.Counts.Conflicts, "conflict"), decidedHow(run)))
	}
	return out
}

// hasRead tells whether a run has read one of the sources as it is now.
func (s *sources) hasRead(run capf.MigrationRun) bool {
	return slices.ContainsFunc(s.opened, func(opened *source.Source) bool {
		digest := opened.Digest()
		return slices.ContainsFunc(run.Sources, func(from capf.MigrationSource) bool { return from.Digest == hex.EncodeToString(digest[:]) })
	})
}

// decidedHow says how the conflicts of a run were decided.
func decidedHow(run capf.MigrationRun) string {
	var ways []string
	if run.Prefer != "" {
		ways = append(ways, "by --prefer "+run.Prefer)
	}
	if len(run.Decisions) > 0 {
		ways = append(ways, fmt.Sprintf("%d one by one", len(run.Decisions)))
	}
	return strings.Join(ways, " and ")
}

// Decisions are what an administrator has decided about conflicts, phone by phone. They go before Options.Prefer. The
// zero value, and nil, decide nothing.
type Decisions struct {
	path  string // of the file they were read from
	rows  []decision
	index map[string]int // of rows, by device
}

// decision is one row of a file of decisions.
type decision struct {
	device string
	choose string // a Place.Choice; empty: not decided
	digest string // Conflict.Digest, as it was when the file was written
	line   int
}

// about gives what was decided about a phone; empty: nothing.
func (d *Decisions) about(device string) string {
	if d != nil {
		if at, found := d.index[device]; found {
			return d.rows[at].choose
		}
	}
	return ""
}

func (d *Decisions) add(row decision) {
	if d.index == nil {
		d.index = map[string]int{}
	}
	d.index[row.device] = len(d.rows)
	d.rows = append(d.rows, row)
}

// made gives the decisions that were made, in the order of the phones and in one spelling: equal decisions are equal
// here, however the file was written.
func (d *Decisions) made() []capf.MigrationDecision {
	out := []capf.MigrationDecision{}
	if d == nil {
		return out
	}
	for _, one := range d.rows {
		if one.choose != "" {
			out = append(out, capf.MigrationDecision{Device: one.device, Choose: strings.ToLower(one.choose)})
		}
	}
	slices.SortFunc(out, func(a, b capf.MigrationDecision) int { return strings.Compare(a.Device, b.Device) })
	return out
}

// check sees that every row is about a conflict of these sources as they are now, and that it names one of its versions.
// All mistakes are in its error, each with file and line.
func (d *Decisions) check(p *planner) error {
	if d == nil {
		return nil
	}
	failed := several()
	for _, one := range d.rows {
		if problem := p.problemOf(one); problem != "" {
			failed = multierror.Append(failed, d.wrong(one.line, problem))
		}
	}
	return failed.ErrorOrNil()
}

// problemOf says what is wrong with a decision about the conflict of a phone; empty: nothing.
func (p *planner) problemOf(one decision) string {
	g := p.group(one.device)
	if g == nil || !g.isConflict() {
		return one.device + " has no conflict in these sources"
	}
	row := p.conflict(g)
	switch {
	case one.digest != row.Digest:
		return "the versions of " + one.device + " are not those that the file was written for: the sources or the store have changed since"
	case one.choose == "" || row.Chosen != nil:
		return ""
	case len(row.choices()) == 0:
		return one.device + ": there is nothing to choose: " + row.Why
	case g.refused != nil && g.among != nil:
		return fmt.Sprintf("%s: %q cannot be: %s", one.device, plain.Clip(one.choose), row.Why)
	}
	return fmt.Sprintf("%s: %q is none of the versions: choose %s", one.device, plain.Clip(one.choose), strings.Join(quoted(row.choices()), ", "))
}

func quoted(words []string) []string {
	var out []string
	for _, word := range words {
		out = append(out, strconv.Quote(word))
	}
	return out
}

func (d *Decisions) wrong(line int, problem string) error {
	return &capf.Error{Code: capf.CodeInvalid, Message: fmt.Sprintf("decisions %s:%d: %s", d.path, line, problem),
		Hint: "mend the line, or have `capf migrate plan --decisions` write a new file"}
}

// choices are the words by which versions can be chosen, each once and in order.
func (c *Conflict) choices() []string {
	var out []string
	for _, v := range c.Versions {
		if v.Choice != "" && !slices.Contains(out, v.Choice) {
			out = append(out, v.Choice)
		}
	}
	return out
}

// pick decides between contenders by the word of a decision or a rule: a version is also known by the place of a
// record, where its machine has several.
func pick(among []*version, choice string) *version {
	for _, v := range among {
		if slices.ContainsFunc(v.records, func(r *record) bool { return strings.EqualFold(r.placeName(), choice) }) {
			return v
		}
	}
	return choose(among, choice)
}

// choiceFor is the shortest word that picks a version.
func choiceFor(v *version, among []*version) string {
	if v.stored {
		return PreferStore
	}
	for _, machine := range v.machines {
		if choose(among, machine) == v {
			return machine
		}
	}
	return v.records[0].placeName()
}

// placeName tells the record from all others.
func (r *record) placeName() string { return r.machine + " " + r.position().String() }

// fingerprint changes with anything that a conflict depends on: the sources of its versions, their places, and the
// phone in the store. It is made of the digests of whole sources, never of records: an authentication string has so few
// digits that it could be found from the digest of its record.
func (p *planner) fingerprint(g *group) string {
	hash := sha256.New()
	fmt.Fprintf(hash, "phone %q\n", g.device)
	record := func(r *record) { fmt.Fprintf(hash, "record %q %q\n", r.placeName(), p.digestOf(r.machine)) }
	stored := g.among == nil && g.origin != nil
	for _, v := range g.among {
		stored = stored || v.stored
		for _, r := range v.records {
			record(r)
		}
	}
	if g.among == nil {
		record(g.disputed())
	}
	if stored {
		fmt.Fprintf(hash, "store %d\n", g.origin.changes)
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// digestOf is the digest of a source.
func (s *sources) digestOf(machine string) string {
	for _, opened := range s.opened {
		if opened.Name == machine {
			digest := opened.Digest()
			return hex.EncodeToString(digest[:])
		}
	}
	return ""
}

// maxDecisions is the size in bytes of the largest file of decisions that is read: tens of thousands of conflicts.
const maxDecisions = 16 << 20

// decisionsFile is a file of decisions as TOML has it.
type decisionsFile struct {
	Conflict []struct {
		Device string `toml:"device"`
		Digest string `toml:"digest"`
		Choose string `toml:"choose"`
	} `toml:"conflict"`
}

// ReadDecisions reads a file that Plan.WriteDecisions wrote and an administrator has edited. CodeInvalid, with file and
// line, for whatever it does not know. Whether it fits the sources is checked by NewPlan and Run.
func ReadDecisions(path string) (*Decisions, error) {
	opened, err := os.Open(path)
	if err != nil {
		return nil, &capf.Error{Code: capf.CodeInvalid, Message: "read the decisions", Err: err,
			Hint: "`capf migrate plan --decisions FILE` writes them"}
	}
	defer opened.Close()
	content, err := io.ReadAll(io.LimitReader(opened, maxDecisions+1))
	if err != nil {
		return nil, &capf.Error{Code: capf.CodeUnavailable, Message: "read the decisions " + path, Err: err}
	}
	if len(content) > maxDecisions {
		return nil, &capf.Error{Code: capf.CodeInvalid, Message: fmt.Sprintf("decisions %s: larger than %d bytes", path, maxDecisions)}
	}
	return parseDecisions(content, path)
}

func parseDecisions(content []byte, path string) (*Decisions, error) {
	out := &Decisions{path: path}
	content, err := text.AsUTF8(content)
	if err != nil {
		return nil, &capf.Error{Code: capf.CodeInvalid, Message: "decisions " + path, Err: err}
	}
	var file decisionsFile
	if line, problem := decodeStrict(content, &file); problem != "" {
		return nil, out.wrong(line, problem)
	}
	lines := linesOfConflicts(content)
	if len(lines) != len(file.Conflict) {
		return nil, out.wrong(1, "write each conflict as a table [[conflict]]")
	}
	failed := several()
	for i, one := range file.Conflict {
		row := decision{device: one.Device, choose: strings.TrimSpace(one.Choose), digest: one.Digest, line: lines[i]}
		problem := row.problem()
		if at, found := out.index[row.device]; found && problem == "" {
			problem = fmt.Sprintf("%s is decided in line %d already", row.device, out.rows[at].line)
		}
		if problem != "" {
			failed = multierror.Append(failed, out.wrong(row.line, problem))
			continue
		}
		out.add(row)
	}
	if err := failed.ErrorOrNil(); err != nil {
		return nil, err
	}
	return out, nil
}

// problem says what is wrong with a row by itself.
func (d *decision) problem() string {
	const digest = 64
	switch name, err := capf.ParseDevice(d.device); {
	case err != nil || name != d.device:
		return fmt.Sprintf("device: %q is not the name of a phone", plain.Clip(d.device))
	case len(d.digest) != digest:
		return d.device + ": digest: must stay as `capf migrate plan --decisions` wrote it"
	}
	return ""
}

// decodeStrict gives the line and what is wrong in it; nothing where nothing is.
func decodeStrict(content []byte, into any) (int, string) {
	err := toml.NewDecoder(bytes.NewReader(content)).DisallowUnknownFields().Decode(into)
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) && len(unknown.Errors) > 0 {
		row, _ := unknown.Errors[0].Position()
		return row, fmt.Sprintf("key %q is not known", plain.Clip(strings.Join(unknown.Errors[0].Key(), ".")))
	}
	var wrong *toml.DecodeError
	if errors.As(err, &wrong) {
		row, column := wrong.Position()
		return row, fmt.Sprintf("column %d: %s", column, strings.TrimPrefix(wrong.Error(), "toml: "))
	}
	if err != nil {
		return 1, err.Error()
	}
	return 0, ""
}

// conflictTable begins a table of a conflict.
var conflictTable = regexp.MustCompile(`^[ \t]*\[\[[ \t]*conflict[ \t]*\]\]`)

// linesOfConflicts gives the line of each [[conflict]].
func linesOfConflicts(content []byte) []int {
	var out []int
	for i, line := range bytes.Split(content, []byte("\n")) {
		if conflictTable.Match(line) {
			out = append(out, i+1)
		}
	}
	return out
}

const decisionsHead = `# Decisions about the conflicts of a migration, for ` + "`capf migrate run --decisions`" + `.
#
# Write behind choose which version is to hold, by the word that stands before it. What is left "" stays open: a rule
# (--prefer) decides it, or the run is refused. The digest must stay as it is: by it a file that is older than the
# sources, or than the phone in the store, is refused.
`

// WriteDecisions writes all conflicts for editing, with nothing decided. There is no authentication string in it.
func (p *Plan) WriteDecisions(w io.Writer) error {
	out := bufio.NewWriter(w)
	fmt.Fprint(out, decisionsHead)
	if len(p.Conflicts) == 0 {
		fmt.Fprint(out, "\n# There is no conflict.\n")
	}
	for i := range p.Conflicts {
		p.Conflicts[i].write(out)
	}
	return out.Flush()
}

func (c *Conflict) write(out *bufio.Writer) {
	fmt.Fprintf(out, "\n[[conflict]]\ndevice = %q\n# %s\n", c.Device, plain.Line(c.Why))
	for _, v := range c.Versions {
		choice := strconv.Quote(v.Choice)
		if v.Choice == "" {
			choice = "(cannot be chosen)"
		}
		fmt.Fprintf(out, "#   %s: %s: %s\n", plain.Line(choice), plain.Line(v.String()), plain.Line(v.Says))
	}
	switch {
	case c.Chosen != nil:
		fmt.Fprintf(out, "# decided by --prefer for %s; what is chosen here goes before it\n", plain.Line(c.Chosen.String()))
	case c.Refused && !slices.Contains(c.choices(), PreferStore):
		fmt.Fprint(out, "# There is nothing to choose: change the phone here first.\n")
	}
	fmt.Fprintf(out, "digest = %q\nchoose = \"\"\n", c.Digest)
}
