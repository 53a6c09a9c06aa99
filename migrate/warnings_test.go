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
