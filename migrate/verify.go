package migrate

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"capf/internal/plain"
	"capf/legacy"
	"capf/legacy/machine"
	"capf/legacy/source"
	"capf/runtime/capf"
)

// A verification reads the sources of a run once more and puts what they say beside what the store has, kind by kind:
// records, phones, lines kept aside, certificates, parameters. One routine (compare) tells what only one side has; what
// both have is looked at for its kind. What came after the run is told from what should not be.

// Verification says how the sources of a run, read once more, compare with what the store has.
type Verification struct {
	Run     int64            `json:"run"`
	Sources []VerifiedSource `json:"sources"`
	// What was compared.
	Records      int `json:"records"`
	Phones       int `json:"phones"`
	Certificates int `json:"certificates"`
	KeptAside    int `json:"kept-aside"`
	Parameters   int `json:"parameters"`
	// Superseded are the records that no phone was compared with.
	Superseded []Superseded `json:"superseded"`

	// Differences should not be. Since are those that came after the run: by a person, the phone or a later run.
	Differences []Difference `json:"differences"`
	Since       []Difference `json:"since"`

	changes int // of the store by runs, before it began
}

// VerificationStore keeps what verifications found.
type VerificationStore interface {
	// RecordVerification takes the place of the one of that run before.
	RecordVerification(ctx context.Context, verification capf.MigrationVerification) error
}

// Record keeps what was found with the run, in the name of the actor.
func (v *Verification) Record(ctx context.Context, store VerificationStore, actor string) error {
	return store.RecordVerification(ctx, capf.MigrationVerification{Run: v.Run, By: actor, Changes: v.changes, Records: v.Records, Phones: v.Phones,
		Certificates: v.Certificates, KeptAside: v.KeptAside, Differences: len(v.Differences), Since: len(v.Since), OtherSources: v.OtherSources()})
}

// OtherSources counts the sources that are not as the run read them.
func (v *Verification) OtherSources() int {
	others := 0
	for _, from := range v.Sources {
		if from.State != SourceUnchanged {
			others++
		}
	}
	return others
}

// OK tells that everything was compared and is the same.
func (v *Verification) OK() bool { return v.OtherSources()+len(v.Differences) == 0 }

// VerifiedSource is one machine.
type VerifiedSource struct {
	Machine string      `json:"machine"`
	Path    string      `json:"path"`
	State   SourceState `json:"state"`
	Problem string      `json:"problem,omitempty"`
}

// SourceState says what has become of a source.
type SourceState string

// What can have become of a source.
const (
	SourceUnchanged  SourceState = "unchanged"
	SourceChanged    SourceState = "changed"    // its files are not those that the run read; compared all the same
	SourceGone       SourceState = "gone"       // not there any more; not compared
	SourceUnreadable SourceState = "unreadable" // there, but cannot be read; not compared
)

// Difference is something that the sources say and the store does not, or the other way round.
type Difference struct {
	Machine string `json:"machine"`
	File    string `json:"file"`
	Line    int    `json:"line"`
	Device  string `json:"device,omitempty"`
	What    string `json:"what"`
}

// Verify reads the sources of a run again, from where they were, and compares them with the store: every record with
// its bytes and its phone, every certificate, every line kept aside, every parameter that it set. Run 0 is the newest.
// Differences are no error. Progress is told as Options.Progress is.
func Verify(ctx context.Context, id int64, store VerifyStore, progress func(phase Phase, done, total int)) (_ *Verification, err error) {
	runs, err := store.Runs(ctx)
	if err != nil {
		return nil, err
	}
	run, later, err := findRun(runs, id)
	if err != nil {
		return nil, err
	}
	options, err := Options{Dialect: run.Dialect, Progress: progress}.filled()
	if err != nil {
		return nil, err
	}
	v := &verifier{store: store, later: len(later) > 0, reading: &reading{sources: &sources{options: options}}, found: map[*record]bool{}, superseded: map[Superseded]int{},
		Verification: &Verification{Run: run.ID, Differences: []Difference{}, Since: []Difference{}, Superseded: []Superseded{}, changes: capf.RunChanges(runs)}}
	if v.reading.dialect, err = loadDialect(run.Dialect); err != nil {
		return nil, err
	}
	defer closing(v.reading.sources, &err)
	if err := v.read(ctx, run.Sources); err != nil {
		return nil, err
	}
	for _, compare := range []func(context.Context) error{v.records, v.phones, v.kept, v.certificates, v.parameters} {
		if err := compare(ctx); err != nil {
			return nil, err
		}
	}
	v.tellSuperseded()
	return v.Verification, nil
}

// verifier compares one run.
type verifier struct {
	*Verification
	store   VerifyStore
	later   bool     // runs were applied since
	reading *reading // what could be read

	digests    []digest           // of the records that the run has stored, in their order
	found      map[*record]bool   // records of which a difference was found
	superseded map[Superseded]int // records without a phone to compare, by what holds in their place
}

// read reads those sources of the run that are still there, and notes what has become of each.
func (v *verifier) read(ctx context.Context, from []capf.MigrationSource) error {
	before := 0
	for _, one := range from {
		row := VerifiedSource{Machine: one.Machine, Path: one.Path, State: SourceUnchanged}
		opened, err := source.Open(source.Spec{Name: one.Machine, Folder: one.Path})
		if err != nil {
			row.State, row.Problem = SourceGone, err.Error()
			v.Sources = append(v.Sources, row)
			continue
		}
		v.reading.opened = append(v.reading.opened, opened)
		if v.reading.digestOf(one.Machine) != one.Digest {
			row.State, row.Problem = SourceChanged, "its files are not those that the run read"
		}
		m, err := readMachine(ctx, opened, machine.Options{Dialect: v.reading.dialect},
			func(done int) { v.reading.options.Progress(PhaseReading, before+done, 0) })
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			row.State, row.Problem = SourceUnreadable, err.Error()
		} else {
			v.reading.machines = append(v.reading.machines, m)
			before += len(m.records)
		}
		v.Sources = append(v.Sources, row)
	}
	return nil
}

// spot is where something stands in the sources, and what tells it from others that may stand there.
type spot struct {
	machine, file string
	line          int
	identity      string
}

func (v *verifier) differ(at spot, device, what string) {
	v.Differences = append(v.Differences, Difference{at.machine, at.file, at.line, device, what})
}

func (v *verifier) differSince(at spot, device, what string) {
	v.Since = append(v.Since, Difference{at.machine, at.file, at.line, device, what})
}

// wasRead tells whether a machine could be read again.
func (v *verifier) wasRead(machine string) bool { return v.reading.machine(machine) != nil }

// comparison is of rows of one kind: those of the sources, and those that the store hands out.
type comparison[S, T any] struct {
	source     []S
	sourceSpot func(S) spot
	stored     func(yield func(T) error) error
	storedSpot func(T) spot

	both       func(S, T) // in the order of the store
	onlyStored func(T)
	onlySource func(S) // behind all others, in the order of the sources
}

// compare pairs what is in the same spot. What is there several times is paired as often.
func (c comparison[S, T]) compare() error {
	first := make(map[spot]int, len(c.source)) // the first that is not paired, counted from 1
	next := make([]int, len(c.source))         // the one behind it in the same spot
	for i := len(c.source) - 1; i >= 0; i-- {
		at := c.sourceSpot(c.source[i])
		first[at], next[i] = i+1, first[at]
	}
	paired := make([]bool, len(c.source))
	err := c.stored(func(one T) error {
		at := c.storedSpot(one)
		if i := first[at] - 1; i >= 0 {
			first[at], paired[i] = next[i], true
			c.both(c.source[i], one)
		} else {
			c.onlyStored(one)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i, one := range c.source {
		if !paired[i] {
			c.onlySource(one)
		}
	}
	return nil
}

// records compares every record with the one that was stored from its spot.
func (v *verifier) records(ctx context.Context) error {
	var all []*record
	for _, m := range v.reading.machines {
		all = append(all, m.records...)
	}
	v.digests = make([]digest, 0, len(all))
	storedSpot := func(r capf.ImportRecord) spot { return spot{machine: r.Machine, file: r.File, line: r.Line} }
	return comparison[*record, capf.ImportRecord]{
		source: all, sourceSpot: (*record).spot, storedSpot: storedSpot,
		stored: func(yield func(capf.ImportRecord) error) error { return v.store.ImportRecords(ctx, v.Run, yield) },
		both: func(r *record, stored capf.ImportRecord) {
			if v.Records++; v.Records%batch == 0 {
				v.reading.options.Progress(PhaseComparing, v.Records, len(all))
			}
			v.digests = append(v.digests, parseDigest(stored.Digest))
			r.known, r.verdict = true, stored.Verdict
			if what := recordDifferences(r, &stored); len(what) > 0 {
				v.found[r] = true
				v.differ(r.spot(), stored.Device, strings.Join(what, ", "))
			}
		},
		onlyStored: func(stored capf.ImportRecord) {
			v.digests = append(v.digests, parseDigest(stored.Digest))
			if v.wasRead(stored.Machine) {
				v.differ(storedSpot(stored), stored.Device, "is in the store, not in the source")
			}
		},
		onlySource: func(r *record) { v.differ(r.spot(), r.device, "is in the source, not in the store") },
	}.compare()
}

func (r *record) spot() spot { return spot{machine: r.machine, file: r.file, line: r.line} }

// recordDifferences says what is not the same of a record and the one stored from its spot.
func recordDifferences(r *record, stored *capf.ImportRecord) []string {
	var out []string
	raw := digest(sha256.Sum256(stored.Raw))
	if raw.hex() != stored.Digest {
		out = append(out, "the stored bytes are not those of the stored digest")
	}
	if raw != r.digest {
		out = append(out, "the bytes differ")
	}
	if stored.Device != r.device {
		out = append(out, fmt.Sprintf("the source says %s", r.device))
	}
	if stored.Time != r.time.String() {
		out = append(out, fmt.Sprintf("the status time is %q in the store, %q in the source", stored.Time, r.time))
	}
	return out
}

// item is a line kept aside or a certificate: its spot has the digest of what it is.
type item struct {
	spot
	optional bool // it need not be in the store
}

// items compares lines kept aside, or certificates. It gives what only one side has.
func (v *verifier) items(kind string, source []item, stored func(yield func(item) error) error) (odd []Difference, err error) {
	at := func(one item) spot { return one.spot }
	add := func(one item, what string) {
		odd = append(odd, Difference{one.machine, one.file, one.line, "", kind + what})
	}
	err = comparison[item, item]{
		source: source, sourceSpot: at, stored: stored, storedSpot: at,
		both:       func(item, item) {},
		onlyStored: func(one item) { add(one, " is in the store, not in the source") },
		onlySource: func(one item) {
			if !one.optional {
				add(one, " is in the source, not in the store")
			}
		},
	}.compare()
	return odd, err
}

// kept compares the lines kept aside. That of a parameter is optional: whether it was kept aside depends on what the
// parameters were then. An earlier capf kept the text of certificate files, and took it for other lines than this one does:
// where it has, those of the file are not compared.
func (v *verifier) kept(ctx context.Context) error {
	var source []item
	withheld, earlier := map[spot]bool{}, map[spot]bool{} // files of which no text is kept; of which some was
	add := func(machine string, at legacy.Position, digest digest, optional bool) {
		source = append(source, item{spot{machine, at.File, at.Line, digest.hex()}, optional})
	}
	for _, m := range v.reading.machines {
		for _, line := range m.unread {
			add(m.name, line.Position, line.digest, false)
		}
		for _, line := range m.Kept {
			add(m.name, line.Position, line.SHA256, false)
			if line.Bytes == nil && !line.PrivateKey {
				withheld[spot{machine: m.name, file: line.File}] = true
			}
		}
		for _, from := range m.Settings() {
			line := (&setting{from: from}).kept()
			add(m.name, line.Position, line.SHA256, from.Parameter != "")
		}
	}
	odd, err := v.items("line kept aside", source, func(yield func(item) error) error {
		return v.store.KeptLines(ctx, v.Run, func(line capf.KeptLine) error {
			if !v.wasRead(line.Machine) {
				return nil
			}
			v.KeptAside++
			at := spot{line.Machine, line.File, line.Line, line.SHA256}
			if line.Bytes != nil && capf.HexSHA256(line.Bytes) != line.SHA256 {
				v.differ(at, "", "the stored bytes of the line kept aside are not those of their digest")
			}
			if file := (spot{machine: line.Machine, file: line.File}); line.Bytes != nil && withheld[file] {
				earlier[file] = true
			}
			return yield(item{spot: at})
		})
	})
	odd = slices.DeleteFunc(odd, func(d Difference) bool { return earlier[spot{machine: d.Machine, file: d.File}] })
	v.Differences = append(v.Differences, odd...)
	return err
}

// certificates compares the certificates, and sees that those which were trusted or belong to phones still are and do.
func (v *verifier) certificates(ctx context.Context) error {
	var source []item
	for _, m := range v.reading.machines {
		for _, c := range m.Certificates {
			source = append(source, item{spot: spot{m.name, c.File, c.Line, digest(c.SHA256).hex()}})
		}
	}
	anchors, err := v.store.Anchors(ctx, capf.LSC)
	if err != nil {
		return err
	}
	// Whether the bytes of what is trusted, and of what belongs to phones, are those of their digests.
	trusted, ofPhones := map[string]bool{}, map[string]bool{}
	for _, anchor := range anchors {
		trusted[anchor.SHA256] = capf.HexSHA256(anchor.DER) == anchor.SHA256
	}
	err = v.store.Certificates(ctx, "", func(c capf.Certificate) error {
		whole, known := ofPhones[c.SHA256]
		ofPhones[c.SHA256] = (whole || !known) && capf.HexSHA256(c.DER) == c.SHA256
		return nil
	})
	if err != nil {
		return err
	}
	odd, err := v.items("certificate", source, func(yield func(item) error) error {
		return v.store.LegacyFiles(ctx, v.Run, func(file capf.LegacyFile) error {
			if !v.wasRead(file.Machine) {
				return nil
			}
			v.Certificates++
			at := spot{file.Machine, file.File, file.Line, file.SHA256}
			if capf.HexSHA256(file.DER) != file.SHA256 {
				v.differ(at, "", "the stored certificate is not that of its digest")
			}
			switch file.Use {
			case capf.LegacyAnchor:
				if whole, known := trusted[file.SHA256]; !known {
					v.differSince(at, "", "the trust anchor was removed here")
				} else if !whole {
					v.differ(at, "", "the stored trust anchor is not that of its digest")
				}
			case capf.LegacyLSC:
				if whole, known := ofPhones[file.SHA256]; !known {
					v.differ(at, "", "the LSC is not among the certificates of phones")
				} else if !whole {
					v.differ(at, "", "the stored LSC of a phone is not that of its digest")
				}
			}
			return yield(item{spot: at})
		})
	})
	v.Differences = append(v.Differences, odd...)
	return err
}

// parameters compares what the run set with the configurations, and with what is in force.
func (v *verifier) parameters(ctx context.Context) error {
	taken, err := v.store.TakenParameters(ctx, v.Run)
	if err != nil {
		return err
	}
	for _, one := range taken {
		from := v.settingOf(one)
		if from == nil {
			continue
		}
		v.Parameters++
		at := spot{machine: from.Machine, file: from.File, line: from.Line}
		switch {
		case from.normal != one.Value:
			v.differ(at, "", fmt.Sprintf("the run set the parameter %s to %q, the source has %q", one.Name, one.Value, from.Value))
		case one.Now == one.Value:
		case one.ChangedBy != "":
			v.differSince(at, "", fmt.Sprintf("the parameter %s was set to %q here by %s on %s", one.Name, one.Now, one.ChangedBy, capf.FormatTime(one.ChangedAt)))
		default:
			v.differ(at, "", fmt.Sprintf("the parameter %s is %q, the run set it to %q", one.Name, one.Now, one.Value))
		}
	}
	return nil
}

// settingOf finds the setting that a parameter was taken from: one with its value, else the first of that parameter; nil
// where it may be that of a machine that was not read again.
func (v *verifier) settingOf(one capf.TakenParameter) (first *setting) {
	for _, m := range v.reading.machines {
		for _, from := range m.Settings() {
			if from.Parameter != one.Name {
				continue
			}
			at := settingFrom(m.name, from)
			if at.normal == one.Value {
				return at
			}
			if first == nil && len(v.reading.machines) == len(v.Sources) {
				first = at
			}
		}
	}
	return first
}

// phones compares the phones in the store with the records that they were taken from.
func (v *verifier) phones(ctx context.Context) error {
	return comparison[*group, capf.TakenPhone]{
		source:     v.reading.groups(),
		sourceSpot: func(g *group) spot { return spot{identity: g.device} },
		stored:     func(yield func(capf.TakenPhone) error) error { return v.store.TakenPhones(ctx, v.Run, yield) },
		storedSpot: func(phone capf.TakenPhone) spot { return spot{identity: phone.Device} },
		both:       v.phone,
		onlyStored: func(capf.TakenPhone) {}, // it comes from elsewhere
		onlySource: func(g *group) { // only a person removes a phone
			if r := g.records[0]; r.known {
				v.differSince(r.spot(), g.device, "the phone was removed here")
				v.supersede(g, nil, ByRemoval, "")
			}
		},
	}.compare()
}

// phone compares one phone. The group stays as it is: of many phones more would be remembered than is needed.
func (v *verifier) phone(all *group, taken capf.TakenPhone) {
	g := &group{device: all.device, records: all.records}
	g.origin = &origin{imported: taken.Record > 0 || taken.Digest != "", machine: taken.Machine, changedAt: taken.ChangedAt}
	from := parseDigest(taken.Digest)
	if taken.Record > 0 && taken.Record <= len(v.digests) {
		from = v.digests[taken.Record-1]
	}
	at := slices.IndexFunc(g.records, func(r *record) bool { return r.digest == from })
	if at < 0 {
		v.elsewhere(g)
		return
	}
	r := g.records[at]
	v.Phones++
	v.supersede(g, r, ByRecord, r.machine)
	phone := taken.Phone()
	what := g.differences(r, &phone)
	if len(what) == 0 {
		return
	}
	text := "the phone in the store differs: " + strings.Join(what, ", ")
	if g.origin.untouched() {
		v.differ(r.spot(), g.device, text)
	} else {
		v.differSince(r.spot(), g.device, text+" (changed here on "+capf.FormatTime(g.origin.changedAt)+")")
	}
}

// elsewhere deals with a phone that comes from none of the records. Where the run took it from one, it was replaced
// since. Where the run did not, the store's version was the newer one.
func (v *verifier) elsewhere(g *group) {
	r := g.takenBy()
	switch {
	case r == nil:
		v.supersede(g, nil, ByStore, g.origin.machine)
	case v.found[r]:
	case !g.origin.imported:
		v.supersede(g, nil, ByRemoval, "")
		v.differSince(r.spot(), g.device, "the phone was removed and added again here")
	case v.later:
		v.supersede(g, nil, ByLaterRun, g.origin.machine)
		v.differSince(r.spot(), g.device, "the phone was taken from another record by a later run")
	default:
		v.differ(r.spot(), g.device, "the phone in the store does not come from the record that it was taken from")
	}
}

// takenBy is the record from which the run took the phone; nil where it did not.
func (g *group) takenBy() *record {
	for _, r := range g.records {
		if r.verdict == capf.VerdictNew || r.verdict == capf.VerdictUpdated {
			return r
		}
	}
	return nil
}

// differences names what the phone has otherwise than the record says that it was taken from, and, while nobody has
// changed it, what a run would not have made so.
func (g *group) differences(r *record, phone *capf.Phone) []string {
	out := differences(r, phone)
	if !g.origin.untouched() {
		return out
	}
	differ := func(what string, does bool) {
		if does {
			out = append(out, what)
		}
	}
	if r.description == "" {
		wanted := g.descriptionFor(r)
		// An updated phone keeps its description where no record has one, and one that stayed as it was has what the
		// sources of an earlier run said.
		differ("description", wanted != phone.Description &&
			(r.verdict == capf.VerdictNew || r.verdict == capf.VerdictUpdated && wanted != ""))
	}
	last := phone.Last
	running := last != nil && last.Ending == capf.EndingNone
	differ("authentication string without an operation", !running && !phone.AuthString.IsZero())
	if last == nil {
		return out
	}
	differ("key size of the operation", last.KeySize != phone.KeySize)
	differ("authentication mode of the operation", last.AuthMode != phone.AuthMode)
	if r.status == capf.StatusSuccess || r.status == capf.StatusFailed {
		wanted := builder{}.ended(r, *phone)
		differ("time or place of the operation's end", last.Detail != wanted.Detail || last.EndedBy != wanted.EndedBy ||
			!last.EndedAt.Equal(wanted.EndedAt.Truncate(time.Second)))
		differ("result of the operation", last.Result == nil || *last.Result != *wanted.Result)
	}
	return out
}

// SupersededBy says what holds in place of a record.
type SupersededBy string

// What can hold in place of a record.
const (
	ByRecord   SupersededBy = "record"    // another record of the sources: newer, chosen, or saying the same
	ByStore    SupersededBy = "store"     // what the store had, when the run was made
	ByLaterRun SupersededBy = "later-run" // what a later run took
	ByRemoval  SupersededBy = "removal"   // nothing, or a new phone: the phone was removed here
)

// Superseded counts records that were compared with what is stored of them, and with no phone: something else holds.
type Superseded struct {
	By SupersededBy `json:"by"`
	// Machine is the source of the record that holds; empty where it is none.
	Machine string `json:"machine,omitempty"`
	Records int    `json:"records"`
}

// String says in one line how many and by what.
func (s Superseded) String() string {
	of := ""
	if s.Machine != "" {
		of = " of " + s.Machine
	}
	by := map[SupersededBy]string{
		ByRecord:   "another record" + of + " that is newer, was chosen or says the same",
		ByStore:    "what the store had" + of + " when the run was made",
		ByLaterRun: "what a later run took" + of,
		ByRemoval:  "the removal of their phones here",
	}[s.By]
	return fmt.Sprintf("%s not compared with a phone: superseded by %s", plain.Counted(s.Records, "record"), by)
}

// supersede counts the records of a phone that are in the store and not the one that is given. Those of which a
// difference was found are told by that.
func (v *verifier) supersede(g *group, holds *record, by SupersededBy, machine string) {
	for _, r := range g.records {
		if r != holds && r.known && !v.found[r] {
			v.superseded[Superseded{By: by, Machine: machine}]++
		}
	}
}

// tellSuperseded lists what was counted, in a fixed order.
func (v *verifier) tellSuperseded() {
	for one, count := range v.superseded {
		one.Records = count
		v.Superseded = append(v.Superseded, one)
	}
	slices.SortFunc(v.Superseded, func(a, b Superseded) int {
		return cmp.Or(strings.Compare(string(a.By), string(b.By)), strings.Compare(a.Machine, b.Machine))
	})
}
