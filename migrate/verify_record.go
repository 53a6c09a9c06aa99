package migrate

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"

	"capf/runtime/capf"
)

// spot is where something stands in the sources.
type spot struct {
	machine, file string
	line          int
}

func (r *record) spot() spot { return spot{r.machine, r.file, r.line} }

// inOrder finds records by their spots. They come in the order in which they were read, unless the sources have changed:
// only then it takes a map of them.
type inOrder struct {
	records []*record
	next    int
	by      map[spot]*record
}

func (r *reading) inOrder() *inOrder {
	out := &inOrder{}
	for _, m := range r.machines {
		out.records = append(out.records, m.records...)
	}
	return out
}

// find gives nil where nothing stands.
func (o *inOrder) find(at spot) *record {
	if o.next < len(o.records) && o.records[o.next].spot() == at {
		o.next++
		return o.records[o.next-1]
	}
	if o.by == nil {
		o.by = make(map[spot]*record, len(o.records))
		for _, one := range o.records {
			o.by[one.spot()] = one
		}
	}
	return o.by[at]
}

// records compares every record with the one that was stored from its place.
func (v *verifier) records(ctx context.Context) error {
	read := v.reading.inOrder()
	err := eachAhead(func(yield func(capf.ImportRecord) error) error {
		return v.store.ImportRecords(ctx, v.run, yield)
	}, func(stored capf.ImportRecord) int { return len(stored.Raw) }, func(stored capf.ImportRecord) error {
		r := read.find(spot{stored.Machine, stored.File, stored.Line})
		v.stored = append(v.stored, r)
		if r == nil {
			v.others[len(v.stored)] = stored.Digest
			if v.wasRead(stored.Machine) {
				v.differ(stored.Machine, stored.File, stored.Line, stored.Device, "is in the store, not in the source")
			}
			return nil
		}
		if v.out.Records++; v.out.Records%batch == 0 {
			v.progress(PhaseComparing, v.out.Records, len(read.records))
		}
		r.known, r.verdict = true, stored.Verdict
		if what := compareRecord(r, &stored); len(what) > 0 {
			v.found[r], v.others[len(v.stored)] = true, stored.Digest
			v.differ(r.machine, r.file, r.line, stored.Device, strings.Join(what, ", "))
		}
		return nil
	})
	for _, r := range read.records {
		if !r.known && err == nil {
			v.differ(r.machine, r.file, r.line, r.device, "is in the source, not in the store")
		}
	}
	return err
}

// compareRecord says what is not the same of a record and the one stored from its place.
func compareRecord(r *record, stored *capf.ImportRecord) []string {
	var out []string
	raw := sha256.Sum256(stored.Raw)
	if !isHex(raw, stored.Digest) {
		out = append(out, "the stored bytes are not those of the stored digest")
	}
	if raw != r.digest {
		out = append(out, "the bytes differ")
	}
	if stored.Device != r.device {
		out = append(out, fmt.Sprintf("the source says %s", r.device))
	}
	if stored.Time != r.time.String() {
		out = append(out, fmt.Sprintf("the status time is %q in the store, %q in the source", stored.Time, r.time))
	}
	return out
}
