package machine_test

import (
	"fmt"
	"strings"
	"testing"

	"capf/legacy/dialect"
	"capf/legacy/machine"
)

// Machines of other countries are read in their form and their encoding, and each says what is not certain about it.
func TestAbroad(t *testing.T) {
	moscow, err := dialect.Load(samples + "abroad/moscow.toml")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]struct {
		options        machine.Options
		reading, place string // dialect and encoding; a description
		first          string // time
		finding        string
	}{
		"osaka":    {machine.Options{}, "sections windows-932", "会議室A", "2006-10-21T11:00:00", "the only page in which they look like text"},
		"seoul":    {machine.Options{}, "headerless windows-949", "", "", "columns are known by their shapes alone: 1 is device, 2 is operation, 3 is state, 4 is status-time, 5 is authentication-mode, 6 is authentication-string, 7 is key-size"},
		"taipei":   {machine.Options{}, "delimited windows-950", "林美玲 三樓", "", "read as windows-950"},
		"beijing":  {machine.Options{}, "blocks windows-936", "李娜 三楼", "", "read as windows-936"},
		"budapest": {machine.Options{}, "delimited utf-16le", "Szőke Gyűrű", "", ""},
		"london":   {machine.Options{}, "blocks windows-1252", "Café – lobby", "", "read as windows-1252, since the pages of one byte a character cannot be told apart"},
		"chicago":  {machine.Options{}, "headerless windows-1252", "", "", "columns are known by their shapes"},
		"moscow":   {machine.Options{Dialect: moscow}, "moscow windows-1251", "Переговорная", "", ""},
	} {
		got := readMachine(t, samples+"abroad/"+name, want.options)
		reading := got.PhoneFiles[0].Reading
		if is := fmt.Sprintf("%s %s", reading.Dialect.Name, reading.Encoding); is != want.reading || len(got.records) != 14 || len(got.kept) > 0 {
			t.Errorf("%s: %s, %d records, kept %v", name, is, len(got.records), got.kept)
			continue
		}
		descriptions, times := "", 0
		for i, record := range got.records {
			descriptions += record.Description + "\n"
			if !record.StatusTime.IsZero() {
				times++
			}
			if i%3 == 0 && (record.State != "pending" || record.StatusTime.IsZero() || record.KeySize == 0) {
				t.Errorf("%s: %+v", name, record)
			}
		}
		if !strings.Contains(descriptions, want.place) || times < 8 {
			t.Errorf("%s: descriptions %q, %d times", name, descriptions, times)
		}
		if findings := fmt.Sprint(got.findings); !strings.Contains(findings, want.finding) || want.finding == "" && len(got.findings) > 0 {
			t.Errorf("%s: findings %s", name, findings)
		}
	}
	for _, name := range []string{"london", "chicago"} {
		if r := readMachine(t, samples+"abroad/"+name, machine.Options{}).records[0]; r.StatusTime.Clock.Year() < 2006 {
			t.Errorf("%s: %v", name, r)
		}
	}
}
