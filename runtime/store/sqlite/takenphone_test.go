package sqlite

import (
	"fmt"
	"strings"
	"testing"

	"capf/runtime/capf"
	"capf/runtime/store/storetest"
)

// TestTakenPhonesOfDamagedRun: where a record of the run is gone, IDs tell no numbers, and every phone has the digest.
func TestTakenPhonesOfDamagedRun(t *testing.T) {
	s := open(t)
	records := addedRecords(0, 3)
	extra := records[0]
	extra.Verdict, extra.Phone = capf.VerdictHistory, nil
	id := stageRun(t, s, "key", []storetest.Planned{records[0], extra, records[1], records[2]})
	if err := s.ApplyRun(t.Context(), id, capf.MigrationCounts{}); err != nil {
		t.Fatal(err)
	}
	digest := func(n int) string { return records[n].Digest }
	for _, test := range []struct{ damage, want string }{
		{`SELECT 1`, "1 , 3 , 4 "},
		{`DELETE FROM import_records WHERE verdict = 'history'`, fmt.Sprintf("0 %s, 0 %s, 0 %s", digest(0), digest(1), digest(2))},
	} {
		if _, err := s.bulkPool.Exec(test.damage); err != nil {
			t.Fatal(err)
		}
		var got []string
		err := s.TakenPhones(t.Context(), id, func(phone capf.TakenPhone) error {
			got = append(got, fmt.Sprint(phone.Record, " ", phone.Digest))
			return nil
		})
		if text := strings.Join(got, ", "); err != nil || text != test.want {
			t.Errorf("%s: got %s, %v; want %s", test.damage, text, err, test.want)
		}
	}
}

// TestTakenPhonesGoByTheirNames: no page is sorted, and no table but that of the phones is read through.
func TestTakenPhonesGoByTheirNames(t *testing.T) {
	plan := queryPlan(t, open(t), selectTakenPhones, "", 1, 1, 2)
	for _, want := range []string{"SEARCH p USING PRIMARY KEY (device>?)", "SEARCH o USING INTEGER PRIMARY KEY", "SEARCH i USING INTEGER PRIMARY KEY"} {
		if !strings.Contains(plan, want) {
			t.Errorf("the plan lacks %q:\n%s", want, plan)
		}
	}
	if strings.Contains(plan, "TEMP B-TREE") {
		t.Errorf("the plan sorts:\n%s", plan)
	}
}
