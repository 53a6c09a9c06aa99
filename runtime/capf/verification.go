package capf

import (
	"fmt"
	"time"

	"capf/internal/plain"
)

// MigrationVerification is how a run compared with its sources when somebody had them read again.
type MigrationVerification struct {
	Run int64
	At  time.Time
	By  string
	// Changes is what RunChanges gave before it began. What it says holds until that has grown.
	Changes int
	// What was compared.
	Records, Phones, Certificates, KeptAside int
	// Differences should not be; Since are those that a person, a phone or a later run has made.
	Differences, Since int
	// OtherSources are not as the run read them: changed, gone or not to be read any more.
	OtherSources int
}

// OK tells that everything was compared and is the same.
func (v *MigrationVerification) OK() bool { return v.Differences == 0 && v.OtherSources == 0 }

// String says what it found, for a person.
func (v *MigrationVerification) String() string {
	text := fmt.Sprintf("%s, %s, %s, %s kept aside compared: %s", plain.Counted(v.Records, "record"), plain.Counted(v.Phones, "phone"),
		plain.Counted(v.Certificates, "certificate"), plain.Counted(v.KeptAside, "line"), plain.Counted(v.Differences, "difference"))
	if v.OtherSources > 0 {
		text += fmt.Sprintf(", %s not as the run read them", plain.Counted(v.OtherSources, "source"))
	}
	if v.Since > 0 {
		text += fmt.Sprintf(", %d changed since", v.Since)
	}
	return text
}

// TakenParameter is a parameter that a migration run set.
type TakenParameter struct {
	Name  string
	Value string // that the run set
	Now   string // the value in force
	// ChangedBy set it since, at ChangedAt; empty and zero where nobody has.
	ChangedAt time.Time
	ChangedBy string
}

// RunChanges counts how often runs have changed the store: each once when it was applied, and once when it was rolled
// back. It never becomes less.
func RunChanges(runs []MigrationRun) int {
	count := len(runs)
	for _, run := range runs {
		if !run.RolledBackAt.IsZero() {
			count++
		}
	}
	return count
}
