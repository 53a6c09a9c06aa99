package migrate

import (
	"strings"
	"testing"

	"capf/runtime/capf"
)

// TestRunOfAnOlderCAPF: its key is another one, with the dialects that it had, and so it is known by what it has stored.
func TestRunOfAnOlderCAPF(t *testing.T) {
	specs, store := sampleCluster(), newMemoryStore()
	first := mustRun(t, specs, testOptions(), store)
	store.applied[0].Key = "of an older capf"
	dump := store.dump(t)
	if plan := mustPlan(t, specs, testOptions(), store); plan.Applied != first.Run {
		t.Errorf("the plan names run %d, not %d", plan.Applied, first.Run)
	}
	again := mustRun(t, specs, testOptions(), store)
	if first.KeptSettings != 12 || again.KeptSettings != 12 {
		t.Errorf("settings kept aside: %d, again %d, want 12", first.KeptSettings, again.KeptSettings)
	}
	if !again.Already || again.Run != first.Run || again.Counts.Unchanged != 72 || len(store.applied) != 1 || store.dump(t) != dump {
		t.Errorf("the same again: %+v", again)
	}
}

// TestAnsweredRunOfAnOlderCAPF: a run in which more was decided, at the terminal of a capf that asked, is known too.
func TestAnsweredRunOfAnOlderCAPF(t *testing.T) {
	specs, store := twoConflicts(t), newMemoryStore()
	options := deciding(t, written(t, mustPlan(t, specs, testOptions(), store), map[string]string{otherDevice: "west CAPF.phone:3"}))
	options.Prefer = "east"
	mustRun(t, specs, options, store)
	store.applied[0].Key = "of an older capf"
	for name, again := range map[string]Options{"the same decisions": options, "none": preferring("east")} {
		if report := mustRun(t, specs, again, store); !report.Already {
			t.Errorf("with %s: %+v", name, report)
		}
	}
	other := preferring("east")
	other.Decisions = &Decisions{}
	other.Decisions.add(decision{device: otherDevice, choose: "east CAPF.phone:3"})
	if _, err := Run(t.Context(), specs, other, store, "tester"); err == nil || !strings.Contains(err.Error(), "no conflict") {
		t.Errorf("another decision about what was decided: %v", err)
	}
}

// TestRunThatIsNotTheSame: an earlier run did something else wherever something else is in the store of it.
func TestRunThatIsNotTheSame(t *testing.T) {
	for name, change := range map[string]func(*memoryRun, *Options){
		"another source":       func(r *memoryRun, _ *Options) { r.Sources[0].Digest = capf.HexSHA256(nil) },
		"another machine":      func(r *memoryRun, _ *Options) { r.Sources[0].Machine = "elsewhere" },
		"one source more":      func(r *memoryRun, _ *Options) { r.Sources = append(r.Sources, r.Sources[0]) },
		"taken back":           func(r *memoryRun, _ *Options) { r.RolledBackAt = testNow },
		"another rule":         func(_ *memoryRun, o *Options) { o.Prefer = PreferLatest },
		"a record elsewhere":   func(r *memoryRun, _ *Options) { r.records[3].Line++ },
		"a record twice":       func(r *memoryRun, _ *Options) { r.records = append(r.records, r.records[0]) },
		"a line not kept":      func(r *memoryRun, _ *Options) { r.kept = r.kept[1:] },
		"another line kept":    func(r *memoryRun, _ *Options) { r.kept[0].SHA256 = capf.HexSHA256(nil) },
		"a certificate less":   func(r *memoryRun, _ *Options) { r.files = r.files[1:] },
		"a certificate's use":  func(r *memoryRun, _ *Options) { r.files[0].Use = "other" },
		"another certificate":  func(r *memoryRun, _ *Options) { r.files[0].SHA256 = capf.HexSHA256(nil) },
		"a certificate's file": func(r *memoryRun, _ *Options) { r.files[0].File = "elsewhere" },
	} {
		specs, store, options := sampleCluster(), newMemoryStore(), testOptions()
		mustRun(t, specs, options, store)
		store.applied[0].Key = "of an older capf"
		change(store.applied[0], &options)
		if report := mustRun(t, specs, options, store); report.Already || len(store.applied) != 2 {
			t.Errorf("%s: %+v", name, report)
		}
	}
}
