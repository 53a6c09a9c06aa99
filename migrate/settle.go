package migrate

import (
	"time"

	"capf/legacy"
	"capf/runtime/capf"
)

// group is all that is known about one phone: its records in all sources, in order, and the store's version.
type group struct {
	device  string
	records []*record
	origin  *origin     // nil: the store does not have the phone
	phone   *capf.Phone // the store's, where it matters
	// removed tells that an earlier run has read a record of the phone and the store does not have it any more.
	removed bool

	*outcome // once it is settled
}

// origin is what the store knows of where its version of a phone comes from.
type origin struct {
	imported  bool // from a record
	machine   string
	digest    string
	time      legacy.Time
	changedAt time.Time
	changes   int64
}

func newOrigin(from capf.Provenance) *origin {
	out := &origin{changedAt: from.ChangedAt, changes: from.Changes}
	if record := from.Imported; record != nil {
		out.imported, out.machine, out.digest, out.time = true, record.Machine, record.Digest, storedTime(record.Time)
	}
	return out
}

// untouched tells that neither a person nor the phone has changed it since it was imported.
func (o *origin) untouched() bool { return o.imported && o.changedAt.IsZero() }

// localTime is the form of a time without a zone, as legacy.Time writes it.
const localTime = "2006-01-02T15:04:05"

// storedTime reads a time that was stored as legacy.Time writes it. Whatever it cannot read is no time: then nothing is
// ordered by it.
func storedTime(text string) legacy.Time {
	if clock, err := time.Parse(time.RFC3339, text); err == nil {
		return legacy.Time{Clock: clock.UTC(), Absolute: true}
	}
	if clock, err := time.Parse(localTime, text); err == nil {
		return legacy.Time{Clock: clock}
	}
	return legacy.Time{}
}

// settlement is what goes into an updated phone beside its record.
type settlement struct {
	phone   *capf.Phone // as the store has it
	changes int64
}

// outcome is what becomes of one phone.
type outcome struct {
	verdict capf.Verdict // new, updated or unchanged; empty for a conflict that nobody has decided
	record  *record      // that it is taken from; nil where the store's version stays
	among   []*version   // that nothing but a choice can put in order; nil: no conflict
	why     string
	// newerHere tells that records were read which the store's version is newer than.
	newerHere bool
	// refused is the rule of the domain that forbids to take the record over what the store has.
	refused error
	// overruled is a record that was refused, where the store's version was chosen in its place.
	overruled *record
}

// open tells that the run cannot go on: nobody has decided, or what was decided cannot be.
func (o *outcome) open() bool { return o.verdict == "" || o.refused != nil }

// settle decides which version of a phone holds, and gives its records their verdicts. The store's own version is one
// of them: where it was imported and nobody has changed it since, with the time and the machine of its record; where a
// person or the phone made it so, with the time of that, and then no record goes before it without a choice.
func (g *group) settle(choice string) outcome {
	var fresh []*record
	for _, r := range g.records {
		r.settled = nil
		if r.verdict = capf.VerdictHistory; r.known {
			r.verdict = capf.VerdictUnchanged
		} else {
			fresh = append(fresh, r)
		}
	}
	if len(fresh) == 0 {
		return g.settleKnown()
	}
	versions := versionsOf(fresh)
	if g.origin != nil {
		versions = g.withStored(versions)
	}
	out := outcome{}
	among := contenders(versions)
	winner := among[0]
	if len(among) > 1 {
		winner = pick(among, choice)
		out.among, out.why = among, whyConflict(among)
	}
	switch {
	case winner == nil:
		return out
	case winner.stored:
		for _, r := range winner.records {
			r.verdict = capf.VerdictUnchanged
		}
		out.verdict, out.newerHere = capf.VerdictUnchanged, len(winner.records) < len(fresh)
		return out
	}
	out.record = winner.records[0]
	out.verdict = g.take(out.record)
	return out
}

// keepStored has the store's version hold in place of a record that was refused.
func (o *outcome) keepStored() outcome {
	o.record.verdict, o.record.settled = capf.VerdictHistory, nil
	if o.record.known {
		o.record.verdict = capf.VerdictUnchanged
	}
	return outcome{verdict: capf.VerdictUnchanged, overruled: o.record, why: o.refused.Error(), newerHere: true}
}

// settleKnown deals with a phone of which every record is in the store. Nothing changes, unless the record that it was
// taken from reads otherwise now, by a dialect that was corrected.
func (g *group) settleKnown() outcome {
	if g.phone != nil && g.origin.untouched() {
		for _, r := range g.records {
			if r.hexDigest() == g.origin.digest && len(differences(r, g.phone)) > 0 {
				return outcome{verdict: g.take(r), record: r}
			}
		}
	}
	return outcome{verdict: capf.VerdictUnchanged}
}

// take makes the record the one that the phone is taken from.
func (g *group) take(r *record) capf.Verdict {
	r.verdict, r.settled = capf.VerdictNew, nil
	if g.origin != nil {
		r.verdict = capf.VerdictUpdated
		r.settled = &settlement{phone: g.phone, changes: g.origin.changes}
	}
	if r.description == "" {
		r.description = g.descriptionFor(r)
	}
	return r.verdict
}

// descriptionFor finds the newest description that another record of the phone has.
func (g *group) descriptionFor(taken *record) string {
	var best *record
	for _, r := range g.records {
		if r != taken && r.description != "" && (best == nil || r.time.Clock.After(best.time.Clock)) {
			best = r
		}
	}
	if best == nil {
		return ""
	}
	return best.description
}

// withStored adds the store's version, as a version of its own or as one of the records' where they say nothing else.
func (g *group) withStored(versions []*version) []*version {
	stored := &version{stored: true, held: !g.origin.untouched()}
	if stored.held {
		stored.time = legacy.Time{Clock: g.origin.changedAt.UTC(), Absolute: !g.origin.changedAt.IsZero()}
	} else {
		stored.time, stored.machines = g.origin.time, []string{g.origin.machine}
	}
	out := []*version{stored}
	for _, v := range versions {
		same := len(differences(v.records[0], g.phone)) == 0
		if same && (stored.held || sameTime(v.time, stored.time)) {
			stored.records = append(stored.records, v.records...)
			stored.machines = append(stored.machines, v.machines...)
		} else {
			out = append(out, v)
		}
	}
	return out
}

func sameTime(a, b legacy.Time) bool { return a.Absolute == b.Absolute && a.Clock.Equal(b.Clock) }

// differences names what the phone in the store has otherwise than the record says. What the record does not say is no
// difference, and neither is that a pending operation has expired since.
func differences(r *record, phone *capf.Phone) []string {
	var out []string
	differ := func(what string, does bool) {
		if does {
			out = append(out, what)
		}
	}
	differ("operation", !sameOperation(r, phone.Last))
	differ("authentication mode", r.mode != "" && r.mode != phone.AuthMode)
	running := phone.Last != nil && phone.Last.Ending == capf.EndingNone
	differ("authentication string", running && !r.secret.IsZero() && !r.secret.Same(phone.AuthString))
	differ("key size", r.keySize != "" && r.keySize != phone.KeySize)
	differ("description", r.description != "" && r.description != phone.Description)
	return out
}

func sameOperation(r *record, last *capf.OperationRecord) bool {
	switch r.status {
	case capf.StatusPending:
		return last != nil && last.Operation == r.operation &&
			(last.Ending == capf.EndingNone || last.Ending == capf.EndingExpired)
	case capf.StatusSuccess:
		return last != nil && last.Operation == r.operation && last.Ending == capf.EndingSuccess
	case capf.StatusFailed:
		return last != nil && last.Operation == r.operation && last.Ending == capf.EndingFailed
	}
	return last == nil
}
