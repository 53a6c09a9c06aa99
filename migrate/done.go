package migrate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"strings"

	"capf/runtime/capf"
)

// The key of a run has the built-in dialects in it, and an earlier capf had others: a run of that is not found by its
// key. It is known by what it has stored.

// findDone finds, where this run would change nothing, the newest one that stands and did the same: it has read the same
// sources by the same rule and the same decisions, and has stored the same records, lines and certificates.
func (p *planner) findDone(ctx context.Context) error {
	if p.applied != nil || !p.changesNothing() {
		return nil
	}
	mine := p.storedDigest()
	for _, run := range slices.Backward(p.runs) {
		if !p.asksSame(run) {
			continue
		}
		stored, err := digestOfStored(ctx, p.store, run.ID)
		if err != nil {
			return err
		}
		if stored == mine {
			p.applied = &run
			return nil
		}
	}
	return nil
}

// changesNothing tells that all that the sources hold is in the store, and nothing is to be decided.
func (p *planner) changesNothing() bool {
	changed := func(r *record) bool { return r.verdict != capf.VerdictUnchanged }
	for _, g := range p.groups {
		if g.open() || g.verdict != capf.VerdictUnchanged || slices.ContainsFunc(g.records, changed) {
			return false
		}
	}
	newAnchor := func(c *judged) bool { return c.use == capf.LegacyAnchor && !p.isTrusted(c) }
	return len(takenValues(p.settings)) == 0 && !slices.ContainsFunc(p.certificates, newAnchor)
}

// asksSame tells whether a run that stands was about the same sources, with the same rule, and with all decisions that are
// made now. An earlier capf asked about conflicts: what more was decided then was answered at its terminal.
func (p *planner) asksSame(run capf.MigrationRun) bool {
	if !run.RolledBackAt.IsZero() || len(run.Sources) != len(p.opened) || !strings.EqualFold(p.resolved(run.Prefer), p.choice()) {
		return false
	}
	for _, decision := range p.options.Decisions.made() {
		if !slices.Contains(run.Decisions, decision) {
			return false
		}
	}
	return !slices.ContainsFunc(run.Sources, func(from capf.MigrationSource) bool { return p.digestOf(from.Machine) != from.Digest })
}

// rowHash is a digest of what a run stores: its records, then its lines kept aside, then its certificates. The reasons,
// for a person, are not in it: another capf may have other words.
type rowHash struct{ hash.Hash }

func (h rowHash) add(kind, machine, file string, line int, digest, more string) {
	fmt.Fprintf(h, "%s %q %q %d %s %q\n", kind, machine, file, line, digest, more)
}

func (h rowHash) sum() string { return hex.EncodeToString(h.Sum(nil)) }

// storedDigest gives that of what this run would store.
func (p *planner) storedDigest() string {
	out := rowHash{sha256.New()}
	for _, m := range p.reading.machines {
		for _, r := range m.records {
			out.add("record", m.name, r.file, r.line, r.hexDigest(), r.device)
		}
	}
	for _, m := range p.reading.machines {
		for _, line := range m.unread {
			out.add("kept", m.name, line.File, line.Line, line.digest.hex(), "")
		}
		for _, line := range p.keptBeside(m) {
			out.add("kept", m.name, line.File, line.Line, hex.EncodeToString(line.SHA256[:]), "")
		}
	}
	for _, c := range p.certificates {
		out.add("certificate", c.machine, c.File, c.Line, c.digest, string(c.use))
	}
	return out.sum()
}

// digestOfStored gives that of what a run has stored.
func digestOfStored(ctx context.Context, store RunRows, run int64) (string, error) {
	out := rowHash{sha256.New()}
	err := store.ImportRecords(ctx, run, func(r capf.ImportRecord) error {
		out.add("record", r.Machine, r.File, r.Line, r.Digest, r.Device)
		return nil
	})
	if err != nil {
		return "", err
	}
	err = store.KeptLines(ctx, run, func(line capf.KeptLine) error {
		out.add("kept", line.Machine, line.File, line.Line, line.SHA256, "")
		return nil
	})
	if err != nil {
		return "", err
	}
	err = store.LegacyFiles(ctx, run, func(file capf.LegacyFile) error {
		out.add("certificate", file.Machine, file.File, file.Line, file.SHA256, string(file.Use))
		return nil
	})
	return out.sum(), err
}
