package migrate

import (
	"strings"
	"testing"
)

// A record that a wrong clock has put into the future goes before all others, so it is named; one that is only ahead by
// what zones are apart may be right.
func TestRecordsAheadOfToday(t *testing.T) {
	row := func(device, at string) string { return device + ",No Pending Operation,Upgrade Success," + at + ",,,," }
	specs := phoneFolders(t, map[string][]string{
		"east": {row("SEP000AB8001C40", "2035-04-03 10:00:00"), row("SEP000AB8001C41", "2048-04-03 10:00:00"), row("SEP000AB8001C42", "2026-03-02 13:00:00")},
		"west": {row("SEP000AB8001C40", "2006-04-03 10:00:00"), row("SEP000AB8001C43", "2026-03-02 14:00:01")},
	})
	const want = "records of phones with a time later than today: 3, such as east CAPF.phone:2 at 2035-04-03T10:00:00. A clock was wrong there"
	if got := strings.Join(mustPlan(t, specs, testOptions(), newMemoryStore()).Warnings, "\n"); !strings.Contains(got, want) {
		t.Errorf("warnings %q", got)
	}
	specs = phoneFolders(t, map[string][]string{"east": {row("SEP000AB8001C42", "2026-03-02 13:00:00"), row("SEP000AB8001C43", "")}})
	if got := mustPlan(t, specs, testOptions(), newMemoryStore()).Warnings; len(got) > 0 {
		t.Errorf("warnings %q of what may be right", got)
	}
}

// Somebody has removed a phone that a run had taken over. A run that reads more brings it back, and says so.
func TestRemovedPhonesComeBack(t *testing.T) {
	row := func(device string) string {
		return device + ",No Pending Operation,Upgrade Success,2005-03-01 10:00:00,,,,"
	}
	store := newMemoryStore()
	east := []string{row("SEP000AB8001C40"), row("SEP000AB8001C41")}
	mustRun(t, phoneFolders(t, map[string][]string{"east": east}), testOptions(), store)
	delete(store.phones, "SEP000AB8001C41")
	specs := phoneFolders(t, map[string][]string{"east": east, "west": {row("SEP000AB8001C42")}})
	const want = "phones that were removed here since an earlier run took them over, and come back: 1, such as SEP000AB8001C41. "
	report := mustRun(t, specs, testOptions(), store)
	if got := strings.Join(report.Warnings, "\n"); !strings.HasPrefix(got, want) || report.Counts.New != 2 {
		t.Errorf("warnings %q, %d new", got, report.Counts.New)
	}
	specs = phoneFolders(t, map[string][]string{"east": east, "south": {row("SEP000AB8001C43")}})
	if got := mustPlan(t, specs, testOptions(), store).Warnings; len(got) > 0 {
		t.Errorf("warnings %q, though no phone is gone", got)
	}
}
