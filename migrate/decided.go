package migrate

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"capf/internal/plain"
	"capf/legacy/source"
	"capf/runtime/capf"
)

// decidedBefore says, where a rule for conflicts is given, which conflicts of these sources an earlier run decided
// otherwise: their records are in the store, so the rule finds no conflict any more.
func (p *planner) decidedBefore() []string {
	if p.options.Prefer == "" {
		return nil
	}
	var out []string
	for _, run := range p.runs {
		if !run.RolledBackAt.IsZero() || run.Counts.Conflicts == 0 || strings.EqualFold(p.resolved(run.Prefer), p.choice()) || !p.hasRead(run) {
			continue
		}
		out = append(out, fmt.Sprintf("--prefer %s changes nothing of what run %d decided about the same sources: %s, %s; to decide otherwise "+
			"go back before that run (`capf migrate rollback`, the newest run first), then run again with --prefer %[1]s", p.options.Prefer, run.ID,
			plain.Counted(run.Counts.Conflicts, "conflict"), decidedHow(run)))
	}
	return out
}

// hasRead tells whether a run has read one of the sources as it is now.
func (s *sources) hasRead(run capf.MigrationRun) bool {
	return slices.ContainsFunc(s.opened, func(opened *source.Source) bool {
		digest := opened.Digest()
		return slices.ContainsFunc(run.Sources, func(from capf.MigrationSource) bool { return from.Digest == hex.EncodeToString(digest[:]) })
	})
}

// decidedHow says how the conflicts of a run were decided.
func decidedHow(run capf.MigrationRun) string {
	var ways []string
	if run.Prefer != "" {
		ways = append(ways, "by --prefer "+run.Prefer)
	}
	if len(run.Decisions) > 0 {
		ways = append(ways, fmt.Sprintf("%d one by one", len(run.Decisions)))
	}
	return strings.Join(ways, " and ")
}
