package sqlite

import (
	"context"
	"testing"
	"time"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// TestStagedConditions holds what is checked before staging against the conditions of the schema: both refuse the same.
func TestStagedConditions(t *testing.T) {
	for name, spoil := range map[string]func(*capf.Phone){
		"nothing":                      func(*capf.Phone) {},
		"authentication mode":          func(p *capf.Phone) { p.AuthMode = "password" },
		"key size":                     func(p *capf.Phone) { p.KeySize = "1025" },
		"no key size":                  func(p *capf.Phone) { p.KeySize = "" },
		"security mode":                func(p *capf.Phone) { p.SecurityMode = "open" },
		"LSC":                          func(p *capf.Phone) { p.LSCKnown = capf.LSCExpired },
		"MIC":                          func(p *capf.Phone) { p.MIC = "perhaps" },
		"operation":                    func(p *capf.Phone) { p.Last.Operation = capf.OperationNone },
		"mode of the operation":        func(p *capf.Phone) { p.Last.AuthMode = "" },
		"key size of the operation":    func(p *capf.Phone) { p.Last.KeySize = "P256" },
		"ending":                       func(p *capf.Phone) { p.Last.Ending = "gone" },
		"all values are the last":      func(p *capf.Phone) { *p = lastValues(*p) },
		"no operation, another word":   func(p *capf.Phone) { p.Last = nil },
		"an operation that is kept":    func(p *capf.Phone) { p.Last = &capf.OperationRecord{Ref: capf.OperationRef{ID: 1}} },
		"a long-ended operation":       func(p *capf.Phone) { p.Last.Ending, p.Last.EndedAt = capf.EndingExpired, time.Unix(0, 0) },
		"a word in another case":       func(p *capf.Phone) { p.AuthMode = "Null-String" },
		"a word with a space":          func(p *capf.Phone) { p.KeySize = "1024 " },
		"a word that is much too long": func(p *capf.Phone) { p.MIC = capf.MICStatus(make([]byte, 1<<16)) },
	} {
		phone := *addedRecords(1, 1)[0].Phone
		spoil(&phone)
		s := open(t)
		if allowed, checked := schemaAllows(t, s, phone), checkPhone(&phone); allowed != (checked == nil) {
			t.Errorf("%s: the schema allows it: %t; the check says %v", name, allowed, checked)
		}
	}
}

// TestStagedEnd: a row that is staged as withdrawn would be refused only when it is made pending.
func TestStagedEnd(t *testing.T) {
	phone := *addedRecords(1, 1)[0].Phone
	phone.Last.Ending, phone.Last.EndedAt = capf.EndingNone, time.Now()
	wantCode(t, checkPhone(&phone), capf.CodeInvalid, phone.Device, "end of the operation")
}

// lastValues has the last of the values that each column may have.
func lastValues(p capf.Phone) capf.Phone {
	p.AuthMode, p.KeySize, p.SecurityMode = capf.AuthByMIC, capf.P521, capf.Encrypted
	p.LSCKnown, p.MIC = capf.LSCInstalled, capf.MICPresent
	p.Last = &capf.OperationRecord{Operation: capf.OperationTroubleshoot, AuthMode: capf.AuthByMIC, KeySize: capf.P521, Ending: capf.EndingReplaced}
	return p
}

// schemaAllows writes a phone as staging does, on a connection that looks at the conditions.
func schemaAllows(t *testing.T, s *Store, phone capf.Phone) (allowed bool) {
	t.Helper()
	run, err := s.BeginRun(t.Context(), capf.MigrationRun{Key: "key", By: "tester"})
	if err != nil {
		t.Fatal(err)
	}
	connection, err := s.bulkPool.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	checks := store.NewStatements(connection, s.classify)
	defer checks.Close()
	if _, err := checks.Exec(`PRAGMA foreign_keys = OFF`); err != nil {
		t.Fatal(err)
	}
	l := newLoader(s, connection)
	defer l.rows.close()
	stager := s.phoneStager(run)
	if err := stager.begin(checks); err != nil {
		t.Fatal(err)
	}
	_, err = l.writeSome(1, func(int) error {
		if phone.Last != nil && phone.Last.Ref.ID != 0 {
			phone.Last = nil
		}
		return stager.write(l.rows, stager.newRow(1, &phone))
	})
	return err == nil
}
