package migrate

import (
	"context"
	"slices"
	"strings"

	"capf/runtime/capf"
)

// phones compares the phones in the store with the records that they were taken from.
func (v *verifier) phones(ctx context.Context) error {
	by := map[string]*group{}
	for _, g := range v.reading.groups() {
		by[g.device] = g
	}
	err := v.store.Provenances(ctx, func(device string, provenance capf.Provenance) error {
		if g := by[device]; g != nil {
			g.origin = newOrigin(provenance)
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = v.store.Phones(ctx, capf.PhoneFilter{}, func(phone capf.Phone) error {
		if g := by[phone.Device]; g != nil && g.origin != nil {
			v.phone(g, &phone)
			delete(by, phone.Device)
		}
		return nil
	})
	if err != nil {
		return err
	}
	v.removed(by)
	return nil
}

// phone compares one phone.
func (v *verifier) phone(g *group, phone *capf.Phone) {
	at := slices.IndexFunc(g.records, func(r *record) bool { return g.origin.imported && r.hexDigest() == g.origin.digest })
	if at < 0 {
		v.elsewhere(g)
		return
	}
	v.out.Phones++
	r := g.records[at]
	what := differences(r, phone)
	if len(what) == 0 {
		return
	}
	text := "the phone in the store differs: " + strings.Join(what, ", ")
	if g.origin.untouched() {
		v.differ(r.machine, r.file, r.line, g.device, text)
	} else {
		v.differSince(r.machine, r.file, r.line, g.device, text+" (changed here on "+capf.FormatTime(g.origin.changedAt)+")")
	}
}

// elsewhere deals with a phone that comes from none of the records. Where the run took it from one, it was replaced
// since. Where the run did not, the store's version was the newer one.
func (v *verifier) elsewhere(g *group) {
	r := g.takenBy()
	switch {
	case r == nil || v.found[r]:
	case !g.origin.imported:
		v.differSince(r.machine, r.file, r.line, g.device, "the phone was removed and added again here")
	case v.later:
		v.differSince(r.machine, r.file, r.line, g.device, "the phone was taken from another record by a later run")
	default:
		v.differ(r.machine, r.file, r.line, g.device, "the phone in the store does not come from the record that it was taken from")
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

// removed lists the phones that are not in the store any more: only a person removes them.
func (v *verifier) removed(missing map[string]*group) {
	for _, g := range v.reading.groups() {
		if missing[g.device] == nil {
			continue
		}
		if r := g.records[0]; r.known {
			v.differSince(r.machine, r.file, r.line, g.device, "the phone was removed here")
		}
	}
}
