package migrate

import (
	"testing"

	"capf/legacy/source"
)

// TestSettingsStayOpen: what all sources together left open is not decided by giving fewer of them, or others; a choice
// decides, and so does going back.
func TestSettingsStayOpen(t *testing.T) {
	specs := settingFolders(t, map[string]string{"a": "KeySize=2048\n", "b": "KeySize=512\n"})
	other := settingFolders(t, map[string]string{"c": "KeySize=512\nCAPF Phone Port=3999\n"})
	a := []source.Spec{specs[0]}
	if a[0].Name != "a" {
		a[0] = specs[1]
	}
	store := newMemoryStore()
	mustRun(t, specs, testOptions(), store)
	const want = "the configurations differ about key-size since run 1: prefer a source, or set the parameter"
	for _, some := range [][]source.Spec{a, other} {
		report := mustRun(t, some, testOptions(), store)
		if first := report.Settings[0]; first.Use != SettingNotTaken || first.Why != want || store.parameters["key-size"] != "" {
			t.Errorf("of %s alone: %+v, parameters %v", some[0].Name, first, store.parameters)
		}
		if !mustVerify(t, store, report.Run).OK() {
			t.Errorf("verify finds a difference in the run of %s", some[0].Name)
		}
	}
	if store.parameters["capf-phone-port"] != "3999" {
		t.Errorf("a parameter that nobody contradicts is left: %v", store.parameters)
	}
	if mustRun(t, a, preferring("a"), store); store.parameters["key-size"] != "2048" {
		t.Errorf("the choice does not decide: %v", store.parameters)
	}

	store = newMemoryStore()
	mustRun(t, specs, testOptions(), store)
	store.applied[0].RolledBackAt = testNow
	if mustRun(t, a, testOptions(), store); store.parameters["key-size"] != "2048" {
		t.Errorf("a run that was rolled back keeps it open: %v", store.parameters)
	}
}

// TestSettingsOneByOne: what a source alone has set is in force, and later sources neither change nor unset it.
func TestSettingsOneByOne(t *testing.T) {
	specs := settingFolders(t, map[string]string{"a": "KeySize=2048\n", "b": "KeySize=512\n"})
	store := newMemoryStore()
	for _, spec := range specs {
		mustRun(t, []source.Spec{spec}, testOptions(), store)
	}
	first := store.parameters["key-size"]
	report := mustRun(t, specs, testOptions(), store)
	if store.parameters["key-size"] != first || first == "" {
		t.Errorf("key size %q became %q", first, store.parameters["key-size"])
	}
	for _, one := range report.Settings {
		if one.Use == SettingTaken {
			t.Errorf("%+v", one)
		}
	}
}
