package migrate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"capf/legacy"
)

// acrossZones is the difference under which local times of two machines are no order: the clocks of the earth show
// times up to 26 hours apart (legacy-layout.md).
const acrossZones = 26 * time.Hour

// version is one thing that is said about a phone: by all records that say the same, or by the store.
type version struct {
	records  []*record // that say it, in order; empty for what only the store says
	machines []string  // that it comes from
	time     legacy.Time
	// stored tells that the store says it; held, that a person or a phone made it so here: no record is newer then.
	stored, held bool
}

// versionsOf gathers records that say the same.
func versionsOf(records []*record) []*version {
	var out []*version
	for _, r := range records {
		at := slices.IndexFunc(out, func(v *version) bool { return v.records[0].content == r.content })
		if at < 0 {
			at = len(out)
			out = append(out, &version{time: r.time})
		}
		out[at].records = append(out[at].records, r)
		out[at].machines = append(out[at].machines, r.machine)
	}
	return out
}

// newerThan says whether the times alone put it after the other. All comparisons follow the order of the clocks'
// figures, so there are no circles.
func (v *version) newerThan(other *version) bool {
	if other.held || v.time.IsZero() || other.time.IsZero() {
		return false
	}
	ahead := v.time.Clock.Sub(other.time.Clock)
	if v.comparable(other) {
		return ahead > 0
	}
	return ahead >= acrossZones
}

// comparable tells whether both times are of one clock: of the world's, or of one machine's.
func (v *version) comparable(other *version) bool {
	if v.time.Absolute || other.time.Absolute {
		return v.time.Absolute && other.time.Absolute
	}
	return slices.ContainsFunc(v.machines, other.isFrom)
}

func (v *version) isFrom(machine string) bool {
	return slices.ContainsFunc(v.machines, func(own string) bool { return strings.EqualFold(own, machine) })
}

// contenders are the versions that no other is newer than. One: it wins. Several: nothing puts them in order.
func contenders(versions []*version) []*version {
	var out []*version
	for _, v := range versions {
		if !slices.ContainsFunc(versions, func(other *version) bool { return other.newerThan(v) }) {
			out = append(out, v)
		}
	}
	return out
}

// choose decides between contenders by the administrator's choice; nil where it does not. The publisher stands for its
// machine already. The name of a source is what that source says now: what an earlier run took from it, before it was
// corrected, is the store's version.
func choose(among []*version, choice string) *version {
	switch choice {
	case "":
		return nil
	case PreferLatest:
		return latest(among)
	case PreferStore:
		return only(among, func(v *version) bool { return v.stored })
	}
	says := func(v *version) bool {
		return slices.ContainsFunc(v.records, func(r *record) bool { return strings.EqualFold(r.machine, choice) })
	}
	if slices.ContainsFunc(among, says) {
		return only(among, says)
	}
	return only(among, func(v *version) bool { return v.isFrom(choice) })
}

// only gives the version that something holds for; nil where it holds for none or for several.
func only(among []*version, holds func(*version) bool) *version {
	var found *version
	for _, v := range among {
		if !holds(v) {
			continue
		}
		if found != nil {
			return nil
		}
		found = v
	}
	return found
}

// rulesFor gives the words for Options.Prefer that decide between contenders: the publisher's name is given too, where
// one is known.
func rulesFor(among []*version, publisher string) []string {
	var out []string
	add := func(word, choice string) {
		if choice != "" && !slices.Contains(out, word) && choose(among, choice) != nil {
			out = append(out, word)
		}
	}
	add(PreferLatest, PreferLatest)
	add(PreferPublisher, publisher)
	add(PreferStore, PreferStore)
	for _, v := range among {
		for _, r := range v.records {
			add(r.machine, r.machine)
		}
	}
	return out
}

// latest takes the figures of the clocks as they are. Where one shows none, or two show the same, there is no latest.
func latest(among []*version) *version {
	newest := slices.MaxFunc(among, func(a, b *version) int { return a.time.Clock.Compare(b.time.Clock) })
	for _, v := range among {
		if v.time.IsZero() || v != newest && v.time.Clock.Equal(newest.time.Clock) {
			return nil
		}
	}
	return newest
}

// whyConflict says for a person what keeps contenders from being ordered.
func whyConflict(among []*version) string {
	for _, v := range among {
		if v.time.IsZero() {
			return "not all of them have a time"
		}
	}
	for _, v := range among {
		if v.held {
			return "the phone was changed here, and the record is not known to be older"
		}
	}
	for i, v := range among {
		for _, other := range among[:i] {
			if v.time.Clock.Equal(other.time.Clock) {
				return "equal times with different content"
			}
		}
	}
	return fmt.Sprintf("times of different clocks, less than %d hours apart", int(acrossZones.Hours()))
}
