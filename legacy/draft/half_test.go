package draft_test

import (
	"strings"
	"testing"

	"capf/legacy"
	"capf/legacy/dialect"
	"capf/legacy/draft"
)

// Half a time is no moment, so that no field can take it; but it is not without a meaning, which a person who looks for
// the missing times must learn.
func TestHalvesOfTimes(t *testing.T) {
	tests := []struct{ name, content, clock, day string }{
		{"with names", "Phone;Op;When;Day;Room\nSEP000AB8001C40;install;12:30:00;2005-01-02;x\nSEP000AB8001C41;delete;1:05 PM;13.1.2005;y\n",
			`# times of day without a date: "When"; a time of the status`, `# dates without a time: "Day"; a time of the status`},
		{"named as a time", "Device Name;Op;Status Time;Completes By\nSEP000AB8001C40;install;12:30:00;2005-01-02\nSEP000AB8001C41;delete;13:05;13.1.2005\n",
			`# times of day without a date: "Status Time"; `, `# dates without a time: "Completes By"; `},
		{"without names", "SEP000AB8001C40;install;12:30:00;2005-01-02;x\nSEP000AB8001C41;delete;13:05;13.1.2005;y\n",
			`"",  # column 3: times of day without a date: `, `"",  # column 4: dates without a time: `},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			drafted, err := draft.Phones(legacy.BytesInput("CAPF.phone", []byte(test.content)), "")
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{test.clock, test.day} {
				if !strings.Contains(drafted, want) {
					t.Errorf("%q is not in\n%s", want, drafted)
				}
			}
			for line := range strings.Lines(drafted) {
				if strings.Contains(line, "without a meaning") && (strings.Contains(line, "When") || strings.Contains(line, "Day")) {
					t.Errorf("a time is said to have no meaning: %s", line)
				}
			}
			if strings.Contains(drafted, dialect.FillIn+`"`) {
				t.Errorf("something is to be filled in that cannot be:\n%s", drafted)
			}
		})
	}
}
