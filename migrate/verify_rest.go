package migrate

import (
	"context"
	"encoding/hex"
	"maps"

	"capf/legacy"
	"capf/runtime/capf"
)

// item is a kept line or a certificate: where it stands and what it is.
type item struct {
	spot
	digest string
}

// counted is how many of an item were read and not yet found in the store. What may be missing there is optional:
// whether a setting was kept aside depends on what the parameters were then.
type counted struct {
	items    map[item]int
	optional map[item]bool
	order    []item
}

func newCounted() *counted {
	return &counted{items: map[item]int{}, optional: map[item]bool{}}
}

func (c *counted) add(one item) {
	c.items[one]++
	c.order = append(c.order, one)
}

// take tells whether one was still there.
func (c *counted) take(one item) bool {
	if c.items[one] == 0 {
		return false
	}
	c.items[one]--
	return true
}

// left calls for each that was not taken and should have been.
func (c *counted) left(yield func(item)) {
	for _, one := range c.order {
		if !c.optional[one] && c.take(one) {
			yield(one)
		}
	}
}

// addLine adds a line kept aside.
func (c *counted) addLine(machine string, line legacy.KeptLine) item {
	one := item{spot{machine, line.File, line.Line}, hex.EncodeToString(line.SHA256[:])}
	c.add(one)
	return one
}

func (c *counted) merge(other *counted) {
	for _, one := range other.order {
		c.add(one)
	}
	maps.Copy(c.optional, other.optional)
}

// kept compares the lines kept aside.
func (v *verifier) kept(ctx context.Context) error {
	read := v.lines
	err := v.store.KeptLines(ctx, v.run, func(line capf.KeptLine) error {
		if !v.wasRead(line.Machine) {
			return nil
		}
		v.out.KeptAside++
		if line.Bytes != nil && capf.HexSHA256(line.Bytes) != line.SHA256 {
			v.differ(line.Machine, line.File, line.Line, "", "the stored bytes of the line kept aside are not those of their digest")
		}
		if !read.take(item{spot{line.Machine, line.File, line.Line}, line.SHA256}) {
			v.differ(line.Machine, line.File, line.Line, "", "line kept aside is in the store, not in the source")
		}
		return nil
	})
	if err == nil {
		read.left(func(one item) {
			v.differ(one.machine, one.file, one.line, "", "line kept aside is in the source, not in the store")
		})
	}
	return err
}

// countKept counts what is kept aside of a machine beside the lines of its phone files.
func (m *machineReading) countKept(into *counted) {
	for _, line := range m.Kept {
		into.addLine(m.name, line)
	}
	for _, from := range m.Settings() {
		one := setting{from: from}
		at := into.addLine(m.name, one.kept())
		into.optional[at] = from.Parameter != ""
	}
}

// certificates compares the certificates, and sees that those which were trusted or belong to phones still are and do.
func (v *verifier) certificates(ctx context.Context) error {
	read := newCounted()
	for _, m := range v.reading.machines {
		for _, c := range m.Certificates {
			read.add(item{spot{m.name, c.File, c.Line}, hex.EncodeToString(c.SHA256[:])})
		}
	}
	trusted, err := v.trusted(ctx)
	if err != nil {
		return err
	}
	of, err := v.ofPhones(ctx)
	if err != nil {
		return err
	}
	err = v.store.LegacyFiles(ctx, v.run, func(file capf.LegacyFile) error {
		if !v.wasRead(file.Machine) {
			return nil
		}
		v.out.Certificates++
		if capf.HexSHA256(file.DER) != file.SHA256 {
			v.differ(file.Machine, file.File, file.Line, "", "the stored certificate is not that of its digest")
		}
		if !read.take(item{spot{file.Machine, file.File, file.Line}, file.SHA256}) {
			v.differ(file.Machine, file.File, file.Line, "", "certificate is in the store, not in the source")
		}
		v.certificate(file, trusted, of)
		return nil
	})
	if err == nil {
		read.left(func(one item) {
			v.differ(one.machine, one.file, one.line, "", "certificate is in the source, not in the store")
		})
	}
	return err
}

// certificate compares what was made of a certificate: a trust anchor, or one of a phone.
func (v *verifier) certificate(file capf.LegacyFile, trusted, of map[string]held) {
	switch {
	case file.Use == capf.LegacyAnchor && trusted[file.SHA256] == heldNot:
		v.differSince(file.Machine, file.File, file.Line, "", "the trust anchor was removed here")
	case file.Use == capf.LegacyAnchor && trusted[file.SHA256] == heldDamaged:
		v.differ(file.Machine, file.File, file.Line, "", "the stored trust anchor is not that of its digest")
	case file.Use == capf.LegacyLSC && of[file.SHA256] == heldNot:
		v.differ(file.Machine, file.File, file.Line, "", "the LSC is not among the certificates of phones")
	case file.Use == capf.LegacyLSC && of[file.SHA256] == heldDamaged:
		v.differ(file.Machine, file.File, file.Line, "", "the stored LSC of a phone is not that of its digest")
	}
}

// held says how the store has a certificate.
type held int

const (
	heldNot held = iota
	heldWell
	heldDamaged // its bytes have another digest
)

// holds tells whether stored bytes are those of the digest beside them.
func holds(der []byte, digest string) held {
	if capf.HexSHA256(der) != digest {
		return heldDamaged
	}
	return heldWell
}

// trusted gives the anchors of LSCs by their digests.
func (v *verifier) trusted(ctx context.Context) (map[string]held, error) {
	anchors, err := v.store.Anchors(ctx, capf.LSC)
	out := map[string]held{}
	for _, anchor := range anchors {
		out[anchor.SHA256] = holds(anchor.DER, anchor.SHA256)
	}
	return out, err
}

// ofPhones gives the LSCs that phones are known to have had by their digests.
func (v *verifier) ofPhones(ctx context.Context) (map[string]held, error) {
	out := map[string]held{}
	err := v.store.Certificates(ctx, "", func(c capf.Certificate) error {
		out[c.SHA256] = max(out[c.SHA256], holds(c.DER, c.SHA256))
		return nil
	})
	return out, err
}
