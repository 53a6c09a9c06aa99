package sqlite

import (
	"context"
	"crypto/x509"
	"fmt"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// What puts a CAPF certificate in force is a rename in the folder of the keys, of which the store knows nothing:
// the audit trail says before it what is about to be done, and after it that it was.
const (
	auditActivating = "ca activating"
	auditActivated  = "ca activate"
)

// KeepPastAuthority makes the CAPF certificate that is about to be replaced an anchor for LSCs, so that what it
// issued stays good, and notes in the audit trail who is about to activate which successor. Done twice it adds
// no second anchor; each attempt is an entry.
func (s *Store) KeepPastAuthority(ctx context.Context, past, successor *x509.Certificate, actor string) error {
	serial := capf.FormatSerial(successor.SerialNumber)
	anchor := capf.Anchor{Kind: capf.LSC, DER: past.Raw, Origin: "CAPF certificate before " + serial}
	return s.writer.Do(ctx, func(tx *store.Statements) error {
		if _, err := s.addAnchor(tx, &anchor, actor); err != nil {
			return err
		}
		return s.audit(tx, actor, auditActivating, serial, fmt.Sprintf("subject=%q after serial=%s subject=%q",
			successor.Subject, anchor.Serial, anchor.Subject))
	})
}

const selectActivation = `SELECT at, actor, action, subject, detail FROM audit
	WHERE subject = +?1 AND action IN ('ca activating', 'ca activate') ORDER BY id`

// RecordActivation notes in the audit trail that a CAPF certificate is in force, under the name of who was about
// to activate it, and reports whether it did. It does so once, and never for one that nobody activated (the first).
// note says why it comes late, empty where it does not.
func (s *Store) RecordActivation(ctx context.Context, inForce *x509.Certificate, note string) (recorded bool, err error) {
	serial := capf.FormatSerial(inForce.SerialNumber)
	open, err := openActivation(s.reads, serial)
	if err != nil || open == nil {
		return false, err // as nearly always: nothing is written
	}
	err = s.writer.Do(ctx, func(tx *store.Statements) error {
		recorded = false
		open, err := openActivation(tx, serial)
		if err != nil || open == nil {
			return err
		}
		recorded = true
		if note != "" {
			open.Detail += fmt.Sprintf(" begun=%s: %s", capf.FormatTime(open.At), note)
		}
		return s.audit(tx, open.Actor, auditActivated, serial, open.Detail)
	})
	return recorded && err == nil, err
}

// openActivation gives the last entry about an activation of which the trail does not say that it was done; nil
// where there is none.
func openActivation(statements *store.Statements, serial string) (open *capf.AuditEntry, err error) {
	entries, err := store.Collect(statements, scanAudit, selectActivation, serial)
	if err != nil {
		return nil, err
	}
	for i := range entries {
		if entries[i].Action == auditActivated {
			return nil, nil
		}
		open = &entries[i]
	}
	return open, nil
}
