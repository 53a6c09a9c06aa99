package migrate

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/go-multierror"

	"capf/internal/plain"
	"capf/runtime/capf"
)

// Decisions are what an administrator has decided about conflicts, phone by phone. They go before Options.Prefer. The
// zero value, and nil, decide nothing.
type Decisions struct {
	path  string // of the file they were read from
	rows  []decision
	index map[string]int // of rows, by device
}

// decision is one row of a file of decisions, or one answer.
type decision struct {
	device string
	choose string // a Place.Choice; empty: not decided
	digest string // Conflict.Digest, as it was when the file was written; empty for an answer
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

// with gives decisions with one answer more; those that it is called on stay as they are.
func (d *Decisions) with(device, choose string) *Decisions {
	out := &Decisions{}
	answer := decision{device: device, choose: choose}
	if d != nil {
		out.path = d.path
		for _, row := range d.rows {
			if row.device == device {
				answer.digest, answer.line = row.digest, row.line
			} else {
				out.add(row)
			}
		}
	}
	out.add(answer)
	return out
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
	byDevice := map[string]int{}
	for i := range p.outcomes {
		if p.isConflict(i) {
			byDevice[p.groups[i].device] = i
		}
	}
	failed := several()
	for _, one := range d.rows {
		at, found := byDevice[one.device]
		if problem := p.problemOf(one, at, found); problem != "" {
			failed = multierror.Append(failed, d.wrong(one.line, problem))
		}
	}
	return failed.ErrorOrNil()
}

// problemOf says what is wrong with a decision about the conflict of one group; empty: nothing.
func (p *planner) problemOf(one decision, at int, found bool) string {
	if !found {
		return one.device + " has no conflict in these sources"
	}
	row, settled := p.conflict(at), &p.outcomes[at]
	switch {
	case one.digest != "" && one.digest != row.Digest:
		return "the versions of " + one.device + " are not those that the file was written for: the sources or the store have changed since"
	case one.choose == "" || row.Chosen != nil:
		return ""
	case len(row.choices()) == 0:
		return one.device + ": there is nothing to choose: " + row.Why
	case settled.refused != nil && settled.among != nil:
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

// offers tells whether a version can be chosen by that word.
func (c *Conflict) offers(choice string) bool { return slices.Contains(c.choices(), choice) }

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
func (p *planner) fingerprint(g *group, settled *outcome) string {
	hash := sha256.New()
	fmt.Fprintf(hash, "phone %q\n", g.device)
	record := func(r *record) { fmt.Fprintf(hash, "record %q %q\n", r.placeName(), p.digestOf(r.machine)) }
	stored := settled.among == nil && g.origin != nil
	for _, v := range settled.among {
		stored = stored || v.stored
		for _, r := range v.records {
			record(r)
		}
	}
	if settled.among == nil {
		record(settled.disputed())
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
