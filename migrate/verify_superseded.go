package migrate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"capf/internal/plain"
)

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

// superseded counts the records of a phone that are in the store and not the one that is given. Those of which a
// difference was found are told by that.
func (v *verifier) superseded(g *group, holds *record, by SupersededBy, machine string) {
	for _, r := range g.records {
		if r == holds || !r.known || v.found[r] {
			continue
		}
		if v.left == nil {
			v.left = map[Superseded]int{}
		}
		v.left[Superseded{By: by, Machine: machine}]++
	}
}

// tellSuperseded lists what was counted, in a fixed order.
func (v *verifier) tellSuperseded() {
	for one, count := range v.left {
		one.Records = count
		v.out.Superseded = append(v.out.Superseded, one)
	}
	slices.SortFunc(v.out.Superseded, func(a, b Superseded) int {
		return cmp.Or(strings.Compare(string(a.By), string(b.By)), strings.Compare(a.Machine, b.Machine))
	})
}
