package migrate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

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

	// Differences should not be. Since are those that came after the run: by a person, the phone or a later run.
	Differences []Difference `json:"differences"`
	Since       []Difference `json:"since"`
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
// its bytes and its phone, every certificate, every line kept aside. Run 0 is the newest. Differences are no error.
func Verify(ctx context.Context, id int64, store VerifyStore) (_ *Verification, err error) {
	run, later, err := findRun(ctx, store, id)
	if err != nil {
		return nil, err
	}
	v := &verifier{store: store, run: run.ID, later: len(later) > 0, found: map[*record]bool{}, out: &Verification{Run: run.ID, Differences: []Difference{}, Since: []Difference{}}}
	if v.sources, err = openAgain(run, v.out); err != nil {
		return nil, err
	}
	defer closing(v.sources, &err)
	if err := v.read(ctx); err != nil {
		return nil, err
	}
	for _, compare := range []func(context.Context) error{v.records, v.phones, v.kept, v.certificates} {
		if err := compare(ctx); err != nil {
			return nil, err
		}
	}
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
	store   VerifyStore
	run     int64
	later   bool // runs were applied since
	out     *Verification
	sources *sources
	reading *reading
	found   map[*record]bool // of which a difference was found
}

// read reads what can be read. A machine that cannot is named and left out.
func (v *verifier) read(ctx context.Context) error {
	v.reading = &reading{sources: v.sources}
	for _, opened := range v.sources.opened {
		read, err := machine.Read(opened, machine.Options{Dialect: v.sources.dialect})
		m := &machineReading{Machine: read, name: opened.Name}
		if err == nil {
			err = m.gather(ctx)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			v.unreadable(opened.Name, err)
			continue
		}
		v.reading.machines = append(v.reading.machines, m)
	}
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

// spot is where something stands in the sources.
type spot struct {
	machine, file string
	line          int
}

// records compares every record with the one that was stored from its place.
func (v *verifier) records(ctx context.Context) error {
	read := map[spot]*record{}
	for _, m := range v.reading.machines {
		for i := range m.records {
			r := &m.records[i]
			read[spot{r.machine, r.file, r.line}] = r
		}
	}
	err := v.store.ImportRecords(ctx, v.run, func(stored capf.ImportRecord) error {
		r := read[spot{stored.Machine, stored.File, stored.Line}]
		if r == nil {
			if v.wasRead(stored.Machine) {
				v.differ(stored.Machine, stored.File, stored.Line, stored.Device, "is in the store, not in the source")
			}
			return nil
		}
		v.out.Records++
		r.known, r.verdict = true, stored.Verdict
		if what := compareRecord(r, &stored); len(what) > 0 {
			v.found[r] = true
			v.differ(r.machine, r.file, r.line, stored.Device, strings.Join(what, ", "))
		}
		return nil
	})
	for _, m := range v.reading.machines {
		for i := range m.records {
			if r := &m.records[i]; !r.known && err == nil {
				v.differ(r.machine, r.file, r.line, r.device, "is in the source, not in the store")
			}
		}
	}
	return err
}

// compareRecord says what is not the same of a record and the one stored from its place.
func compareRecord(r *record, stored *capf.ImportRecord) []string {
	var out []string
	raw := sha256.Sum256(stored.Raw)
	if hex.EncodeToString(raw[:]) != stored.Digest {
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
