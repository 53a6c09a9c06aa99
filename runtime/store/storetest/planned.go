package storetest

import (
	"context"
	"slices"
	"strings"

	"capf/runtime/capf"
)

// Planned is a record of a run, with the phone that comes of it: nil for one that is only kept.
type Planned struct {
	capf.ImportRecord
	Phone   *capf.Phone
	Changes int64 // as in capf.StagedPhone
}

// Stager takes the rows of a run.
type Stager interface {
	StageRecords(ctx context.Context, run int64, records []capf.ImportRecord) error
	StagePhones(ctx context.Context, run int64, phones []capf.StagedPhone) error
}

// Stage stages all that a run has planned as a migration does: the records, then the phones in the order of their
// devices.
func Stage(ctx context.Context, store Stager, run int64, rows []Planned) error {
	records, phones := make([]capf.ImportRecord, len(rows)), []capf.StagedPhone{}
	for n, row := range rows {
		records[n] = row.ImportRecord
		if row.Phone != nil {
			phones = append(phones, capf.StagedPhone{Record: n + 1, Verdict: row.Verdict, Phone: *row.Phone, Changes: row.Changes})
		}
	}
	slices.SortStableFunc(phones, func(a, b capf.StagedPhone) int { return strings.Compare(a.Phone.Device, b.Phone.Device) })
	if err := store.StageRecords(ctx, run, records); err != nil {
		return err
	}
	return store.StagePhones(ctx, run, phones)
}
