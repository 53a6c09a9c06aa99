package migrate

import (
	"strings"
	"testing"
)

// TestPreferComesTooLate: a rule for conflicts that an earlier run has decided changes nothing, and says so: what was
// decided then, how, and how to decide otherwise.
func TestPreferComesTooLate(t *testing.T) {
	specs, store := twoConflicts(t), newMemoryStore()
	options := deciding(t, written(t, mustPlan(t, specs, testOptions(), store), map[string]string{otherDevice: "west CAPF.phone:3"}))
	options.Prefer = "east"
	first := mustRun(t, specs, options, store)
	if first.Counts.Conflicts != 2 || len(first.Warnings) != 0 {
		t.Fatalf("the first run decided %d conflicts, and warns %q", first.Counts.Conflicts, first.Warnings)
	}
	const want = "--prefer west changes nothing of what run 1 decided about the same sources: 2 conflicts, by --prefer east and 1 one by one; " +
		"to decide otherwise go back before that run (`capf migrate rollback`, the newest run first), then run again with --prefer west"
	before := store.phones[device].Description
	wantWarning(t, mustPlan(t, specs, preferring("west"), store).Warnings, want)
	for range 2 { // as another run, and as the same again
		wantWarning(t, mustRun(t, specs, preferring("west"), store).Warnings, want)
	}
	if got := store.phones[device].Description; got != before {
		t.Errorf("the phone was %q and is %q", before, got)
	}
	if warnings := mustPlan(t, specs, preferring("EAST"), store).Warnings; strings.Contains(strings.Join(warnings, ""), "changes nothing") {
		t.Errorf("the rule of then is said to come too late: %q", warnings)
	}
	store.applied[0].RolledBackAt = testNow
	if warnings := mustPlan(t, specs, preferring("west"), store).Warnings; len(warnings) != 0 {
		t.Errorf("what was decided in a run that was rolled back is said to stand: %q", warnings)
	}
}
