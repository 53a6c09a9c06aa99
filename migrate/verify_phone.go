package migrate

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"time"

	"capf/legacy"
	"capf/runtime/capf"
)

// phones compares the phones in the store with the records that they were taken from. The store gives both, phones and
// where they come from, in the order of the devices; so neither is kept.
func (v *verifier) phones(ctx context.Context) error {
	groups := groupsBy(v.reading.groups())
	next, stop := iter.Pull2(legacy.Ahead(v.origins(ctx), nil))
	defer stop()
	var from provenance
	var failed error
	seen := make([]bool, len(groups))
	err := v.store.Phones(ctx, capf.PhoneFilter{}, func(phone capf.Phone) error {
		for more := true; from.device < phone.Device && more; {
			from, failed, more = next()
		}
		if failed != nil {
			return failed
		}
		at, found := groups.place(phone.Device)
		if !found || from.device != phone.Device {
			return nil // not of the sources, or added or removed while we look
		}
		g := *groups[at]
		g.origin = from.origin
		v.phone(&g, &phone)
		seen[at] = true
		return nil
	})
	if err != nil {
		return err
	}
	for at, g := range groups {
		// Only a person removes a phone.
		if r := g.records[0]; !seen[at] && r.known {
			v.differSince(r.machine, r.file, r.line, g.device, "the phone was removed here")
			v.superseded(g, nil, ByRemoval, "")
		}
	}
	return nil
}

// provenance is where the store's version of a phone comes from.
type provenance struct {
	device string
	origin *origin
}

func (v *verifier) origins(ctx context.Context) iter.Seq2[provenance, error] {
	return func(yield func(provenance, error) bool) {
		enough := errors.New("enough")
		err := v.store.Provenances(ctx, func(device string, from capf.Provenance) error {
			if !yield(provenance{device, newOrigin(from)}, nil) {
				return enough
			}
			return nil
		})
		if err != nil && !errors.Is(err, enough) {
			yield(provenance{}, err)
		}
	}
}

// phone compares one phone.
func (v *verifier) phone(g *group, phone *capf.Phone) {
	at := slices.IndexFunc(g.records, func(r *record) bool { return g.origin.imported && r.hasDigest(g.origin.digest) })
	if at < 0 {
		v.elsewhere(g)
		return
	}
	v.out.Phones++
	r := g.records[at]
	v.superseded(g, r, ByRecord, r.machine)
	what := g.differences(r, phone)
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
		// An updated phone keeps its description where no record has one.
		differ("description", wanted != phone.Description && (wanted != "" || r.verdict == capf.VerdictNew))
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
	}
	return out
}
