package migrate

import (
	"context"
	"slices"
	"strings"
	"time"

	"capf/runtime/capf"
)

// phones compares the phones in the store with the records that they were taken from. The store gives them in the order
// of the records' devices; so no groups are kept.
func (v *verifier) phones(ctx context.Context) error {
	records := <-v.sorted
	err := eachAhead(func(yield func(capf.TakenPhone) error) error {
		return v.store.TakenPhones(ctx, v.run, yield)
	}, nil, func(phone capf.TakenPhone) error {
		records = v.removed(records, func(device string) bool { return device < phone.Device })
		if len(records) > 0 && records[0].device == phone.Device {
			var g group
			g, records = firstGroup(records)
			v.phone(&g, &phone)
		}
		return nil
	})
	if err != nil {
		return err
	}
	v.removed(records, func(string) bool { return true })
	return nil
}

// removed tells of the groups in front that the store does not have, and gives the records behind them. Only a person
// removes a phone.
func (v *verifier) removed(records []*record, lacks func(device string) bool) []*record {
	for len(records) > 0 && lacks(records[0].device) {
		var g group
		g, records = firstGroup(records)
		if r := g.records[0]; r.known {
			v.differSince(r.machine, r.file, r.line, g.device, "the phone was removed here")
			v.superseded(&g, nil, ByRemoval, "")
		}
	}
	return records
}

// takenFrom finds the record that a phone comes from among those of its group; nil where it is none of them.
func (v *verifier) takenFrom(g *group, phone *capf.TakenPhone) *record {
	digest := phone.Digest
	if n := phone.Record; n > 0 && n <= len(v.stored) {
		other := false
		if digest, other = v.others[n]; !other && v.stored[n-1].device == g.device {
			return v.stored[n-1]
		}
	}
	at := slices.IndexFunc(g.records, func(r *record) bool { return r.hasDigest(digest) })
	if at < 0 {
		return nil
	}
	return g.records[at]
}

// phone compares one phone.
func (v *verifier) phone(g *group, taken *capf.TakenPhone) {
	g.origin = &origin{imported: taken.Record > 0 || taken.Digest != "", machine: taken.Machine, changedAt: taken.ChangedAt}
	r := v.takenFrom(g, taken)
	if r == nil {
		v.elsewhere(g)
		return
	}
	v.out.Phones++
	v.superseded(g, r, ByRecord, r.machine)
	phone := taken.Phone()
	what := g.differences(r, &phone)
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
	case r == nil:
		v.superseded(g, nil, ByStore, g.origin.machine)
	case v.found[r]:
	case !g.origin.imported:
		v.superseded(g, nil, ByRemoval, "")
		v.differSince(r.machine, r.file, r.line, g.device, "the phone was removed and added again here")
	case v.later:
		v.superseded(g, nil, ByLaterRun, g.origin.machine)
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
