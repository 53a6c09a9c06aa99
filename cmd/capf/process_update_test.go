package main

import (
	"fmt"
	"testing"
)

// updatePoints are states of the store at which a run is killed that updates phones.
var updatePoints = []killPoint{
	{"records are staged", `SELECT count(*) > 100 FROM import_records WHERE run > 1`},
	{"phones are staged", `SELECT count(*) > 100 FROM staged_phones`},
	{"most phones are staged", `SELECT count(*) > 2000 FROM staged_phones`},
}

// TestKillUpdate kills a run that updates phones, while it stages, and as its WAL grows: nothing of it can be seen then, and the same command does the whole, which can be taken back. That a kill meets the
// last transaction is certain in the tests of the store, which hold it.
func TestKillUpdate(t *testing.T) {
	i := newActivated(t)
	i.capf("migrate", "run", "pub="+i.phoneFile("first", updatedPhones, "pending", "2005-03-01 10:00:00"))
	before := i.records()
	source := "pub=" + i.phoneFile("second", updatedPhones, "pending", "2005-03-02 10:00:00")
	grown := i.copied(t, "whole").killedAt(t, -1, "migrate", "run", source)
	killed := 0
	killing := func(name string, kill func(*testing.T, *installation)) {
		t.Run(name, func(t *testing.T) {
			one := i.copied(t, "part")
			kill(t, one)
			var applied int
			if err := one.database(t).QueryRow(`SELECT count(*) FROM migration_runs WHERE applied_at IS NOT NULL`).Scan(&applied); err != nil {
				t.Fatal(err)
			}
			if applied == 1 { // the last steps come close to the end, or behind it
				killed++
				if one.records() != before {
					t.Error("something of a run that was killed can be seen")
				}
				one.capf("migrate", "run", source)
			}
			one.checkUpdated(t, before)
		})
	}
	for _, point := range updatePoints {
		killing(point.name, func(t *testing.T, one *installation) { one.killRun(t, source, point.query) })
	}
	const steps = 5
	for step := int64(1); step < steps && !brief(); step++ {
		killing(fmt.Sprint(step, " of ", steps), func(t *testing.T, one *installation) {
			one.killedAt(t, grown*step/steps, "migrate", "run", source)
		})
	}
	if killed == 0 {
		t.Error("no kill has met a run before its end")
	}
	t.Logf("%d were killed before their end", killed)
}

const updatedPhones = 3000

// checkUpdated looks at what a run leaves that has updated all phones, and takes it back.
func (i *installation) checkUpdated(t *testing.T, before string) {
	t.Helper()
	database := i.database(t)
	for query, want := range map[string]int{
		`SELECT count(*) FROM phones p JOIN operations o ON o.id = p.last_operation AND o.ending = '' WHERE p.description = 'second'`: updatedPhones,
		`SELECT count(*) FROM operations WHERE ending = 'replaced'`:                                                                   updatedPhones,
		`SELECT count(*) FROM operations`:    2 * updatedPhones,
		`SELECT count(*) FROM phones_before`: updatedPhones,
		`SELECT count(*) FROM staged_phones`: 0,
	} {
		var got int
		if err := database.QueryRow(query).Scan(&got); err != nil || got != want {
			t.Errorf("%s gives %d, %v; want %d", query, got, err, want)
		}
	}
	i.capf("migrate", "verify")
	var run string
	if err := database.QueryRow(`SELECT max(id) FROM migration_runs`).Scan(&run); err != nil {
		t.Fatal(err)
	}
	i.capf("migrate", "rollback", run)
	if i.records() != before {
		t.Error("after the rollback the records are not those of before the run")
	}
	var images int
	if err := database.QueryRow(`SELECT count(*) FROM phones_before`).Scan(&images); err != nil || images != 0 {
		t.Errorf("%d images are left, %v", images, err)
	}
}
