package migrate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"strings"

	"capf/legacy"
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
	var mine *rowDigests
	for _, run := range slices.Backward(p.runs) {
		if !p.asksSame(run) {
			continue
		}
		if mine == nil {
			var err error
			if mine, err = p.rowDigests(); err != nil {
				return err
			}
		}
		stored, err := storedDigests(ctx, p.store, run.ID)
		if err != nil {
			return err
		}
		if stored.sums() == mine.sums() {
			p.applied = &run
			return nil
		}
	}
	return nil
}

// changesNothing tells that all that the sources hold is in the store, and nothing is to be decided.
func (p *planner) changesNothing() bool {
	for i := range p.outcomes {
		if out := &p.outcomes[i]; out.open() || out.verdict != capf.VerdictUnchanged {
			return false
		}
	}
	for _, m := range p.reading.machines {
		if slices.ContainsFunc(m.records, func(r *record) bool { return r.verdict != capf.VerdictUnchanged }) {
			return false
		}
	}
	newAnchor := func(c *judged) bool { return c.use == capf.LegacyAnchor && !p.isTrusted(c) }
	return len(taken(p.settings)) == 0 && !slices.ContainsFunc(p.certificates, newAnchor)
}

// asksSame tells whether a run that stands was about the same sources, with the same rule, and with all decisions that are
// made now; what more was decided then was answered (see answered).
func (p *planner) asksSame(run capf.MigrationRun) bool {
	if !run.RolledBackAt.IsZero() || len(run.Sources) != len(p.opened) || !strings.EqualFold(p.resolved(run.Prefer), p.choice()) {
		return false
	}
	for _, decision := range p.options.Decisions.made() {
		if !slices.Contains(run.Decisions, decision) {
			return false
		}
	}
	for _, from := range run.Sources {
		if p.digestOf(from.Machine) != from.Digest {
			return false
		}
	}
	return true
}

// rowDigests are digests of what a run stores, in the order in which it does. The reasons, for a person, are not in
// them: another capf may have other words.
type rowDigests struct{ records, kept, files hash.Hash }

func newRowDigests() *rowDigests {
	return &rowDigests{records: sha256.New(), kept: sha256.New(), files: sha256.New()}
}

func (d *rowDigests) addRecord(r capf.ImportRecord) error {
	fmt.Fprintf(d.records, "%q %q %d %q %s\n", r.Machine, r.File, r.Line, r.Device, r.Digest)
	return nil
}

func (d *rowDigests) addKept(line capf.KeptLine) error {
	fmt.Fprintf(d.kept, "%q %q %d %s\n", line.Machine, line.File, line.Line, line.SHA256)
	return nil
}

func (d *rowDigests) addFile(file capf.LegacyFile) error {
	fmt.Fprintf(d.files, "%q %q %d %s %s\n", file.Machine, file.File, file.Line, file.SHA256, file.Use)
	return nil
}

func (d *rowDigests) sums() string {
	return hex.EncodeToString(slices.Concat(d.records.Sum(nil), d.kept.Sum(nil), d.files.Sum(nil)))
}

// rowDigests gives those of what this run would store.
func (p *planner) rowDigests() (*rowDigests, error) {
	out := newRowDigests()
	for _, m := range p.reading.machines {
		err := m.again(func(known *record, bytes []byte) error {
			return out.addRecord(importRow(known, bytes))
		}, func(line legacy.KeptLine) error {
			return out.addKept(keptRow(m.name, line))
		})
		if err != nil {
			return nil, err
		}
		for _, line := range p.keptBeside(m) {
			_ = out.addKept(keptRow(m.name, line))
		}
	}
	for _, c := range p.certificates {
		_ = out.addFile(c.file())
	}
	return out, nil
}

// storedDigests gives those of what a run has stored.
func storedDigests(ctx context.Context, store RunRows, run int64) (*rowDigests, error) {
	out := newRowDigests()
	if err := store.ImportRecords(ctx, run, out.addRecord); err != nil {
		return nil, err
	}
	if err := store.KeptLines(ctx, run, out.addKept); err != nil {
		return nil, err
	}
	return out, store.LegacyFiles(ctx, run, out.addFile)
}
