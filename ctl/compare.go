package ctl

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// Difference is what one list has other than another.
type Difference struct {
	Equal     bool           `json:"equal"`     // byte for byte
	Header    []ValueChange  `json:"header"`    // of the signature itself only where nothing else is other
	Records   []RecordChange `json:"records"`   // tokens too: they have the role sast
	Reordered bool           `json:"reordered"` // records that both have, or elements of these, stand in another order
}

// ValueChange is a value that is another one; empty: it is not there. Values are fit for a line.
type ValueChange struct {
	What string `json:"what"`
	From string `json:"from"`
	To   string `json:"to"`
}

// ChangeKind says what became of a record.
type ChangeKind string

// What can become of a record.
const (
	Added    ChangeKind = "added"
	Removed  ChangeKind = "removed"
	Replaced ChangeKind = "replaced" // the same server and role, another certificate
	Changed  ChangeKind = "changed"  // the same certificate, another name, address or role
)

// RecordChange is a record that came, went, or is another one.
type RecordChange struct {
	Kind    ChangeKind    `json:"kind"`
	Role    string        `json:"role"`
	DNSName string        `json:"dns-name"` // as it is in the newer list, where it is in that
	Address string        `json:"address"`
	From    *Identity     `json:"from,omitempty"` // nil: added
	To      *Identity     `json:"to,omitempty"`   // nil: removed
	Values  []ValueChange `json:"values,omitempty"`
}

// Identity is the certificate of a record.
type Identity struct {
	Subject   string     `json:"subject"`
	Serial    string     `json:"serial"`               // lower-case hex
	NotBefore *time.Time `json:"not-before,omitempty"` // UTC; nil where there is no readable certificate
	NotAfter  *time.Time `json:"not-after,omitempty"`
	Key       string     `json:"key,omitempty"`
	Hash      string     `json:"hash,omitempty"` // of a hash record, lower-case hex
}

// Compare tells what the second list has other than the first. Both need only be readable; an error says which one is
// not.
func Compare(from, to []byte) (*Difference, error) {
	first, err := Decode(from)
	if err != nil {
		return nil, fmt.Errorf("first list: %w", err)
	}
	second, err := Decode(to)
	if err != nil {
		return nil, fmt.Errorf("second list: %w", err)
	}
	difference := &Difference{Equal: bytes.Equal(from, to), Header: []ValueChange{}, Records: []RecordChange{}}
	pairs := pairRecords(first, second)
	last := 0
	for i := range first.Records {
		record := &first.Records[i]
		other := pairs[record]
		if other == nil {
			difference.add(&RecordChange{Kind: Removed, From: identityOf(record)}, record)
			continue
		}
		difference.Reordered = difference.Reordered || other.Number < last
		last = other.Number
		difference.add(changeOf(record, other), other)
	}
	paired := slices.Collect(maps.Values(pairs))
	for i := range second.Records {
		if record := &second.Records[i]; !slices.Contains(paired, record) {
			difference.add(&RecordChange{Kind: Added, To: identityOf(record)}, record)
		}
	}
	difference.Header = headerChanges(first, second, difference.Equal || len(difference.Records) > 0 || difference.Reordered)
	if !difference.Equal && len(difference.Header)+len(difference.Records) == 0 {
		difference.Reordered = true // nothing else is left
	}
	return difference, nil
}

// add adds a change, if it is one, under the record's role, name and address.
func (d *Difference) add(change *RecordChange, record *Record) {
	if change == nil {
		return
	}
	change.Role, change.DNSName = record.Role.String(), quoted(record.DNSName)
	if record.Address.IsValid() {
		change.Address = record.Address.String()
	}
	d.Records = append(d.Records, *change)
}

// pairRecords finds for each record of the first list the one of the second that took its place: the same one, else the
// same certificate in that role, else another certificate of that server in that role, else the same certificate in
// another role.
func pairRecords(first, second *File) map[*Record]*Record {
	one, other := keysOf(first), keysOf(second)
	pairs, taken := map[*Record]*Record{}, map[*Record]bool{}
	for step := range pairKeys {
		waiting := map[pairKey][]*Record{}
		for i := range second.Records {
			if record := &second.Records[i]; !taken[record] {
				waiting[other[i][step]] = append(waiting[other[i][step]], record)
			}
		}
		delete(waiting, pairKey{})
		for i := range first.Records {
			record, key := &first.Records[i], one[i][step]
			if candidates := waiting[key]; pairs[record] == nil && len(candidates) > 0 {
				pairs[record], taken[candidates[0]] = candidates[0], true
				waiting[key] = candidates[1:]
			}
		}
	}
	return pairs
}

// pairKey is what two records of a pair have in common. The zero one has no pair.
type pairKey struct {
	role    Role
	name    string
	address netip.Addr
	digest  [sha256.Size]byte // of the certificate, or of the whole record
	whole   bool              // the latter
}

const pairKeys = 7

// keysOf gives the keys of each record, from the one that says most to the one that says least.
func keysOf(file *File) [][pairKeys]pairKey {
	keys := make([][pairKeys]pairKey, len(file.Records))
	for i := range file.Records {
		keys[i] = file.Records[i].keys()
	}
	return keys
}

// keys are those of one record. Tokens are nothing but their certificate: by role, name and address all are alike.
func (r *Record) keys() (keys [pairKeys]pairKey) {
	whole := sha256.New()
	for _, element := range r.Elements { // a record has no wrappers
		whole.Write([]byte{byte(element.Tag), byte(len(element.Value) >> 8), byte(len(element.Value))})
		whole.Write(element.Value)
	}
	certificate := sha256.Sum256(r.Certificate)
	if r.IsHash() {
		certificate = sha256.Sum256(r.Hash)
	}
	keys[0] = pairKey{digest: [sha256.Size]byte(whole.Sum(nil)), whole: true}
	keys[1] = pairKey{role: r.Role, name: r.DNSName, digest: certificate}
	keys[2] = pairKey{role: r.Role, address: r.Address, digest: certificate}
	if r.Role == RoleSAST {
		return keys
	}
	keys[3] = pairKey{role: r.Role, name: r.DNSName}
	keys[4] = pairKey{role: r.Role, address: r.Address}
	keys[5] = pairKey{name: r.DNSName, digest: certificate}
	keys[6] = pairKey{address: r.Address, digest: certificate}
	return keys
}

// certificateTags follow from the certificate.
var certificateTags = []Tag{TagSubject, TagIssuer, TagSerial, TagPublicKey, TagCertificateSignature, TagCertificate, TagCertificateHash, TagHashAlgorithm}

// changeOf gives nil where both records are the same.
func changeOf(from, to *Record) *RecordChange {
	if slices.EqualFunc(from.Elements, to.Elements, func(a, b Element) bool { return a.Tag == b.Tag && bytes.Equal(a.Value, b.Value) }) {
		return nil
	}
	without := []Tag{TagRecordLength}
	change := &RecordChange{Kind: Changed, From: identityOf(from), To: identityOf(to)}
	if !bytes.Equal(from.Certificate, to.Certificate) || !bytes.Equal(from.Hash, to.Hash) {
		change.Kind = Replaced
		without = append(without, certificateTags...)
	}
	change.Values = recordViews.changes(from.Elements, to.Elements, without)
	if change.Kind == Changed && len(change.Values) == 0 {
		return nil
	}
	return change
}

func identityOf(record *Record) *Identity {
	identity := &Identity{Subject: quoted(record.ID.Subject), Serial: hex.EncodeToString(record.ID.Serial), Hash: hex.EncodeToString(record.Hash)}
	if record.IsHash() {
		return identity
	}
	if certificate, err := record.ParseCertificate(); err == nil {
		before, after := certificate.NotBefore.UTC(), certificate.NotAfter.UTC()
		identity.NotBefore, identity.NotAfter, identity.Key = &before, &after, keyName(certificate)
	}
	return identity
}

// headerChanges compares the headers. The signature is another one wherever anything is, so it is left out then.
func headerChanges(first, second *File, otherwise bool) []ValueChange {
	changes := headerViews.changes(first.Elements, second.Elements,
		[]Tag{TagHeaderLength, TagPadding, TagSignerID, TagSignatureInfo, TagSignatureAlgorithmInfo, TagSignature})
	if otherwise || len(changes) > 0 {
		return changes
	}
	return headerViews.changes(first.Elements, second.Elements, []Tag{TagSignerID, TagSignatureInfo, TagSignatureAlgorithmInfo})
}

// changes compares elements by their tags, those within wrappers too.
func (v views) changes(from, to []Element, without []Tag) []ValueChange {
	before, after := v.texts(from), v.texts(to)
	tags := slices.Concat(slices.Collect(maps.Keys(before)), slices.Collect(maps.Keys(after)))
	slices.Sort(tags)
	changes := []ValueChange{}
	for _, tag := range slices.Compact(tags) {
		if slices.Contains(without, tag) || bytes.Equal(before[tag].raw, after[tag].raw) {
			continue
		}
		name := cmp.Or(v[tag].name, fmt.Sprintf(unknownTag+"%d", tag))
		changes = append(changes, ValueChange{What: name, From: before[tag].shown, To: after[tag].shown})
	}
	return changes
}

type shownElement struct {
	raw   []byte // of all elements with the tag
	shown string
}

// texts gives the elements by their tags. A tag that stands there several times, as only unknown ones do, is shown by
// its first.
func (v views) texts(elements []Element) map[Tag]shownElement {
	const most = 16 * 3 // of a value in hex
	texts := map[Tag]shownElement{}
	for _, one := range v.describe(nil, elements) {
		found, again := texts[one.Tag]
		if !again {
			found.shown = one.Value
			if isColonHex(one.Value) && len(one.Value) > most {
				found.shown = one.Value[:most-1] + "…"
			}
		}
		texts[one.Tag] = found
	}
	v.raws(elements, texts)
	return texts
}

func (v views) raws(elements []Element, texts map[Tag]shownElement) {
	for _, element := range elements {
		found := texts[element.Tag]
		found.raw = appendElements(found.raw, []Element{element})
		texts[element.Tag] = found
		v.raws(element.Inner, texts)
	}
}
