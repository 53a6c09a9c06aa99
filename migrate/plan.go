package migrate

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"time"

	"capf/runtime/capf"
)

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
	for i := range p.planner.outcomes {
		if !p.planner.outcomes[i].open() && !yield(p.planner.phoneRow(i)) {
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

// Conflict is a phone of which versions differ and nothing puts them in order.
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
