package migrate

import (
	"context"
	"encoding/hex"

	"capf/legacy/machine"
	"capf/legacy/source"
	"capf/runtime/capf"
)

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
	out := capf.MigrationVerification{Run: v.Run, By: actor, Changes: v.changes, Records: v.Records, Phones: v.Phones,
		Certificates: v.Certificates, KeptAside: v.KeptAside, Differences: len(v.Differences), Since: len(v.Since)}
	for _, from := range v.Sources {
		if from.State != SourceUnchanged {
			out.OtherSources++
		}
	}
	return store.RecordVerification(ctx, out)
}

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

// OK tells that everything was compared and is the same.
func (v *Verification) OK() bool {
	for _, s := range v.Sources {
		if s.State != SourceUnchanged {
			return false
		}
	}
	return len(v.Differences) == 0
}

// Verify reads the sources of a run again, from where they were, and compares them with the store: every record with
// its bytes and its phone, every certificate, every line kept aside, every parameter that it set. Run 0 is the newest. Differences are no error.
func Verify(ctx context.Context, id int64, store VerifyStore) (*Verification, error) {
	return VerifyTelling(ctx, id, store, func(Phase, int, int) {})
}

// VerifyTelling is Verify for somebody who waits: progress is told as Options.Progress is.
func VerifyTelling(ctx context.Context, id int64, store VerifyStore, progress func(phase Phase, done, total int)) (_ *Verification, err error) {
	runs, err := store.Runs(ctx)
	if err != nil {
		return nil, err
	}
	run, later, err := findRun(runs, id)
	if err != nil {
		return nil, err
	}
	v := &verifier{store: store, run: run.ID, later: len(later) > 0, found: map[*record]bool{}, others: map[int]string{}, progress: progress, lines: newCounted(),
		out: &Verification{Run: run.ID, Differences: []Difference{}, Since: []Difference{}, Superseded: []Superseded{}, changes: capf.RunChanges(runs)}}
	if v.sources, err = openAgain(run, v.out); err != nil {
		return nil, err
	}
	defer closing(v.sources, &err)
	if err := v.read(ctx); err != nil {
		return nil, err
	}
	for _, compare := range []func(context.Context) error{v.records, v.phones, v.kept, v.certificates, v.parameters} {
		if err := compare(ctx); err != nil {
			return nil, err
		}
	}
	v.tellSuperseded()
	return v.out, nil
}

// openAgain opens those sources of a run that are still there, and notes what has become of each.
func openAgain(run capf.MigrationRun, out *Verification) (*sources, error) {
	options, err := Options{Dialect: run.Dialect}.filled()
	if err != nil {
		return nil, err
	}
	again := &sources{options: options}
	if again.dialect, err = loadDialect(run.Dialect); err != nil {
		return nil, err
	}
	for _, from := range run.Sources {
		row := VerifiedSource{Machine: from.Machine, Path: from.Path, State: SourceUnchanged}
		opened, err := source.Open(source.Spec{Name: from.Machine, Folder: from.Path})
		if err != nil {
			row.State, row.Problem = SourceGone, err.Error()
		} else {
			again.opened = append(again.opened, opened)
			if digest := opened.Digest(); hex.EncodeToString(digest[:]) != from.Digest {
				row.State, row.Problem = SourceChanged, "its files are not those that the run read"
			}
		}
		out.Sources = append(out.Sources, row)
	}
	return again, nil
}

// verifier compares one run.
type verifier struct {
	store    VerifyStore
	run      int64
	later    bool // runs were applied since
	progress func(phase Phase, done, total int)
	out      *Verification
	sources  *sources
	reading  *reading
	sorted   <-chan []*record   // by their devices, once they are
	lines    *counted           // kept aside, in the sources
	found    map[*record]bool   // of which a difference was found
	stored   []*record          // in the order of the store; nil where it was not read
	others   map[int]string     // digests of those that are not as they were read, by their numbers from 1
	left     map[Superseded]int // records without a phone to compare, by what holds in their place
}

// read reads what can be read. A machine that cannot is named and left out.
func (v *verifier) read(ctx context.Context) error {
	v.reading = &reading{sources: v.sources}
	before := 0
	for _, opened := range v.sources.opened {
		m, err := readMachine(ctx, opened, machine.Options{Dialect: v.sources.dialect},
			gathering{countLines: true, progress: func(done int) { v.progress(PhaseReading, before+done, 0) }})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			v.unreadable(opened.Name, err)
			continue
		}
		m.countKept(m.counted)
		v.lines.merge(m.counted)
		m.counted = nil
		v.reading.machines = append(v.reading.machines, m)
		before += len(m.records)
	}
	v.reading.number()
	sorted := make(chan []*record, 1)
	v.sorted = sorted
	go func() { sorted <- v.reading.byDevice() }() // beside the records' comparison, which changes neither order nor number
	return nil
}

func (v *verifier) unreadable(name string, err error) {
	for i := range v.out.Sources {
		if s := &v.out.Sources[i]; s.Machine == name {
			s.State, s.Problem = SourceUnreadable, err.Error()
		}
	}
}

// wasRead tells whether a machine could be read again.
func (v *verifier) wasRead(name string) bool {
	for _, m := range v.reading.machines {
		if m.name == name {
			return true
		}
	}
	return false
}

func (v *verifier) differ(machine, file string, line int, device, what string) {
	v.out.Differences = append(v.out.Differences, Difference{machine, file, line, device, what})
}

func (v *verifier) differSince(machine, file string, line int, device, what string) {
	v.out.Since = append(v.out.Since, Difference{machine, file, line, device, what})
}
