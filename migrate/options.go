package migrate

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"capf/internal/plain"
	"capf/legacy/source"
	"capf/runtime/capf"
)

// What Options.Prefer can be beside the name of a machine.
const (
	PreferLatest    = "latest"    // the later time as the clocks showed it, whatever their zones
	PreferPublisher = "publisher" // the record of the publisher
	PreferStore     = "store"     // what a person or a phone changed here
)

// Options say how sources are read and conflicts decided. The zero value reads by the built-in dialects and decides
// nothing.
type Options struct {
	// Dialect is the path of a dialect file; empty: each file is read by the built-in one that fits it.
	Dialect string
	// Prefer decides conflicts: PreferLatest, PreferPublisher, PreferStore or the name of a source; empty: nothing does.
	Prefer string
	// Anchors are SHA-256 digests, in hex, of certificates that the administrator names as trust anchors.
	Anchors []string
	// Decisions decide single conflicts, and go before Prefer; nil: none.
	Decisions *Decisions
	// AcceptMissing has a run go on though something is missing. The same data taken over are the same run with it and
	// without, so it plays no part in the key; what was accepted stands in the run.
	AcceptMissing bool
	// Clock gives the time; nil: time.Now.
	Clock func() time.Time
	// Random makes authentication strings where a file has none; nil: crypto/rand.
	Random io.Reader
	// Progress is told in which phase a run is, and how much of how much is done in it; total 0: that is not known, done
	// counts records. Nil: nobody is told.
	Progress func(phase Phase, done, total int)
}

// Phase is what a run or a verification is about.
type Phase string

// The phases, in the order of a run and of a verification.
const (
	PhaseReading   Phase = "records read"
	PhaseRecords   Phase = "records staged"
	PhasePhones    Phase = "phones staged"
	PhaseApplying  Phase = "making visible"
	PhaseComparing Phase = "records compared"
)

// filled gives options without holes, their digests in one form.
func (o Options) filled() (Options, error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Progress == nil {
		o.Progress = func(Phase, int, int) {}
	}
	named := make([]string, len(o.Anchors))
	for i, text := range o.Anchors {
		digest := strings.ToLower(strings.NewReplacer(":", "", " ", "").Replace(text))
		if raw, err := hex.DecodeString(digest); err != nil || len(raw) != 32 {
			return o, &capf.Error{Code: capf.CodeInvalid, Message: fmt.Sprintf("anchor %q", plain.Clip(text)),
				Hint: "give the SHA-256 of the certificate, 64 hex digits"}
		}
		named[i] = digest
	}
	slices.Sort(named)
	o.Anchors = slices.Compact(named)
	return o, nil
}

// checkPrefer sees that the choice names something.
func checkPrefer(prefer string, specs []source.Spec) error {
	switch prefer {
	case "", PreferLatest, PreferPublisher, PreferStore:
		return nil
	}
	names := make([]string, len(specs))
	for i, spec := range specs {
		if names[i] = spec.Name; strings.EqualFold(spec.Name, prefer) {
			return nil
		}
	}
	return &capf.Error{Code: capf.CodeInvalid, Message: fmt.Sprintf("prefer %q: no source has that name", plain.Clip(prefer)),
		Hint: fmt.Sprintf("use %s, %s, %s or one of: %s", PreferLatest, PreferPublisher, PreferStore, strings.Join(names, ", "))}
}

// sorted checks the names of the sources and puts them into the order in which everything is done.
func sorted(specs []source.Spec) ([]source.Spec, error) {
	if len(specs) == 0 {
		return nil, &capf.Error{Code: capf.CodeInvalid, Message: "no source", Hint: "give FOLDER or NAME=FOLDER"}
	}
	out := slices.Clone(specs)
	slices.SortFunc(out, func(a, b source.Spec) int {
		return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
	})
	for i, spec := range out {
		if strings.EqualFold(spec.Name, PreferStore) {
			return nil, &capf.Error{Code: capf.CodeInvalid, Message: fmt.Sprintf("source %q has the name that stands for the store", spec.Name),
				Hint: "write NAME=FOLDER with another name"}
		}
		if i > 0 && strings.EqualFold(spec.Name, out[i-1].Name) {
			return nil, &capf.Error{Code: capf.CodeInvalid, Message: fmt.Sprintf("two sources are named %q", spec.Name),
				Hint: "name them apart with NAME=FOLDER"}
		}
	}
	return out, nil
}
