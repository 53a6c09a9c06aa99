package migrate

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"capf/runtime/capf"
)

// memoryStore keeps what a run stores, by the rules that the store's conformance suite holds engines to: nothing of a
// run can be seen before it is applied, and a phone that changed since it was planned with refuses all of it.
type memoryStore struct {
	now          time.Time
	parameters   capf.Parameters
	nodes        []capf.Node
	anchors      []capf.Anchor
	certificates []capf.Certificate
	phones       map[string]*memoryPhone
	applied      []*memoryRun
	staged       *memoryRun
	lastID       int64
	beforeApply  func() // what somebody else does while a run is staged
	beforePhones func() // and while it is planned
}

type memoryPhone struct {
	capf.Phone
	capf.Provenance
}

type memoryRun struct {
	capf.MigrationRun
	records    []memoryRecord
	kept       []capf.KeptLine
	files      []capf.LegacyFile
	parameters map[string]string
}

// memoryRecord is a record with the phone that comes of it, nil for none.
type memoryRecord struct {
	capf.ImportRecord
	phone   *capf.Phone
	changes int64
}

func newMemoryStore() *memoryStore {
	return &memoryStore{now: testNow, parameters: capf.Parameters{}, phones: map[string]*memoryPhone{}}
}

func (s *memoryStore) Parameters(context.Context) (capf.Parameters, error) {
	return s.parameters.Clone(), nil
}

func (s *memoryStore) TakenParameters(_ context.Context, id int64) (out []capf.TakenParameter, _ error) {
	for _, run := range s.applied {
		for _, name := range slices.Sorted(maps.Keys(run.parameters)) {
			if run.ID == id {
				out = append(out, capf.TakenParameter{Name: name, Value: run.parameters[name], Now: s.parameters[name]})
			}
		}
	}
	return out, nil
}

func (s *memoryStore) Nodes(context.Context) ([]capf.Node, error) { return s.nodes, nil }

func (s *memoryStore) Anchors(_ context.Context, kind capf.CertificateKind) ([]capf.Anchor, error) {
	return slices.DeleteFunc(slices.Clone(s.anchors), func(a capf.Anchor) bool { return kind != "" && a.Kind != kind }), nil
}

func (s *memoryStore) Certificates(_ context.Context, device string, yield func(capf.Certificate) error) error {
	for _, c := range s.certificates {
		if device != "" && c.Device != device {
			continue
		}
		if err := yield(c); err != nil {
			return err
		}
	}
	return nil
}

func (s *memoryStore) Phones(_ context.Context, filter capf.PhoneFilter, yield func(capf.Phone) error) error {
	if filter != (capf.PhoneFilter{}) {
		return fmt.Errorf("unexpected filter %+v", filter)
	}
	if s.beforePhones != nil {
		s.beforePhones()
	}
	for _, device := range slices.Sorted(maps.Keys(s.phones)) {
		if err := yield(s.phones[device].Phone); err != nil {
			return err
		}
	}
	return nil
}

func (s *memoryStore) Provenances(_ context.Context, yield func(string, capf.Provenance) error) error {
	for _, device := range slices.Sorted(maps.Keys(s.phones)) {
		if err := yield(device, s.phones[device].Provenance); err != nil {
			return err
		}
	}
	return nil
}

func (s *memoryStore) TakenPhones(_ context.Context, id int64, yield func(capf.TakenPhone) error) error {
	for _, device := range slices.Sorted(maps.Keys(s.phones)) {
		p := s.phones[device]
		taken := capf.TakenPhone{Device: device, Description: p.Description, AuthMode: p.AuthMode, AuthString: p.AuthString,
			KeySize: p.KeySize, Last: p.Last, ChangedAt: p.ChangedAt}
		if p.Imported != nil {
			if taken.Record = s.numberOf(id, *p.Imported); taken.Record == 0 {
				taken.Digest, taken.Machine = p.Imported.Digest, p.Imported.Machine
			}
		}
		if err := yield(taken); err != nil {
			return err
		}
	}
	return nil
}

// numberOf gives the number of a record among those of a run, from 1; 0 where it is not among them.
func (s *memoryStore) numberOf(id int64, of capf.ImportRecord) int {
	for _, run := range s.applied {
		if run.ID == id {
			return 1 + slices.IndexFunc(run.records, func(r memoryRecord) bool {
				return r.Machine == of.Machine && r.File == of.File && r.Line == of.Line && r.Digest == of.Digest
			})
		}
	}
	return 0
}

func (s *memoryStore) KnownRecords(_ context.Context, yield func(device, digest string) error) error {
	for _, run := range s.applied {
		for _, r := range run.records {
			if err := yield(r.Device, r.Digest); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *memoryStore) AppliedRun(_ context.Context, key string) (*capf.MigrationRun, error) {
	for _, run := range s.applied {
		if run.Key == key {
			found := run.MigrationRun
			return &found, nil
		}
	}
	return nil, nil
}

func (s *memoryStore) Runs(context.Context) ([]capf.MigrationRun, error) {
	var out []capf.MigrationRun
	for _, run := range s.applied {
		out = append(out, run.MigrationRun)
	}
	return out, nil
}

func (s *memoryStore) run(id int64) *memoryRun {
	for _, run := range s.applied {
		if run.ID == id {
			return run
		}
	}
	return &memoryRun{}
}

func (s *memoryStore) ImportRecords(_ context.Context, id int64, yield func(capf.ImportRecord) error) error {
	return each(s.run(id).records, func(r memoryRecord) error { return yield(r.ImportRecord) })
}

func (s *memoryStore) KeptLines(_ context.Context, id int64, yield func(capf.KeptLine) error) error {
	return each(s.run(id).kept, yield)
}

func (s *memoryStore) LegacyFiles(_ context.Context, id int64, yield func(capf.LegacyFile) error) error {
	return each(s.run(id).files, yield)
}

func each[T any](rows []T, yield func(T) error) error {
	for _, row := range rows {
		if err := yield(row); err != nil {
			return err
		}
	}
	return nil
}

func (s *memoryStore) BeginRun(_ context.Context, run capf.MigrationRun) (int64, error) {
	s.lastID++
	run.ID = s.lastID
	s.staged = &memoryRun{MigrationRun: run, parameters: map[string]string{}}
	return run.ID, nil
}

func (s *memoryStore) open(id int64) (*memoryRun, error) {
	if s.staged == nil || s.staged.ID != id {
		return nil, fmt.Errorf("run %d is not staged", id)
	}
	return s.staged, nil
}

func (s *memoryStore) StageRecords(_ context.Context, id int64, records []capf.ImportRecord) error {
	run, err := s.open(id)
	if err != nil {
		return err
	}
	for _, one := range records {
		run.records = append(run.records, memoryRecord{ImportRecord: one})
	}
	return nil
}

func (s *memoryStore) StagePhones(_ context.Context, id int64, phones []capf.StagedPhone) error {
	run, err := s.open(id)
	if err != nil {
		return err
	}
	for _, one := range phones {
		record := &run.records[one.Record-1]
		if record.phone != nil || record.Device != one.Phone.Device || record.Verdict != one.Verdict {
			return fmt.Errorf("the phone %+v does not come of the record %+v", one, record)
		}
		record.phone, record.changes = &one.Phone, one.Changes
	}
	return nil
}

func (s *memoryStore) StageKept(_ context.Context, id int64, lines []capf.KeptLine) error {
	run, err := s.open(id)
	if err == nil {
		run.kept = append(run.kept, lines...)
	}
	return err
}

func (s *memoryStore) StageFiles(_ context.Context, id int64, files []capf.LegacyFile) error {
	run, err := s.open(id)
	if err == nil {
		run.files = append(run.files, files...)
	}
	return err
}

func (s *memoryStore) StageParameters(_ context.Context, id int64, values map[string]string) error {
	run, err := s.open(id)
	if err == nil {
		maps.Copy(run.parameters, values)
	}
	return err
}

func (s *memoryStore) ApplyRun(_ context.Context, id int64, counts capf.MigrationCounts) error {
	run, err := s.open(id)
	if err != nil {
		return err
	}
	if s.beforeApply != nil {
		s.beforeApply()
	}
	for _, r := range run.records {
		if had := s.phones[r.Device]; r.phone != nil && (r.changes == 0) != (had == nil) ||
			r.phone != nil && had != nil && had.Changes != r.changes {
			return &capf.Error{Code: capf.CodeConflict, Message: "phone " + r.Device + " has changed since the run was planned"}
		}
	}
	for _, r := range run.records {
		if r.phone != nil {
			s.apply(r)
		}
	}
	for _, file := range run.files {
		s.applyFile(file)
	}
	for name, value := range run.parameters {
		if _, set := s.parameters[name]; !set {
			s.parameters[name] = value
		}
	}
	run.AppliedAt, run.Counts = s.now, counts
	s.applied, s.staged = append(s.applied, run), nil
	return nil
}

func (s *memoryStore) apply(r memoryRecord) {
	phone := &memoryPhone{Phone: *r.phone}
	phone.Provenance = capf.Provenance{Imported: &r.ImportRecord, Changes: 1}
	if had := s.phones[r.Device]; had != nil {
		phone.Changes = had.Changes + 1
	}
	s.phones[r.Device] = phone
}

func (s *memoryStore) applyFile(file capf.LegacyFile) {
	switch file.Use {
	case capf.LegacyAnchor:
		if !slices.ContainsFunc(s.anchors, func(a capf.Anchor) bool { return a.SHA256 == file.SHA256 }) {
			s.anchors = append(s.anchors, capf.Anchor{Kind: capf.LSC, SHA256: file.SHA256, DER: file.DER})
		}
	case capf.LegacyLSC:
		s.certificates = append(s.certificates, capf.Certificate{Kind: capf.LSC, SHA256: file.SHA256, DER: file.DER})
	}
}

// change is what a person does to a phone.
func (s *memoryStore) change(t *testing.T, change capf.PhoneChange) {
	t.Helper()
	phone := s.phones[change.Device]
	if phone == nil {
		phone = &memoryPhone{Phone: capf.NewPhone(change.Device, s.parameters)}
		s.phones[change.Device] = phone
	}
	changed, err := change.Apply(phone.Phone, capf.ChangeContext{Now: s.now, Actor: "a person", Parameters: s.parameters, Random: testRandom()})
	if err != nil {
		t.Fatal(err)
	}
	phone.Phone = changed.Phone
	phone.ChangedAt = s.now
	phone.Changes++
}

// dump is everything that a run may change, in a form that can be compared. The strings are in it.
func (s *memoryStore) dump(t *testing.T) string {
	t.Helper()
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetIndent("", " ")
	for _, device := range slices.Sorted(maps.Keys(s.phones)) {
		phone := s.phones[device]
		for _, value := range []any{phone.Phone, phone.AuthString.Reveal(), phone.Provenance} {
			if err := encoder.Encode(value); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, value := range []any{s.anchors, s.certificates, s.parameters} {
		if err := encoder.Encode(value); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}
