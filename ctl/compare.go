package ctl

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// What one list has other than another, and how that is said.

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
	pairs, taken := map[*Record]*Record{}, map[*Record]bool{}
	for _, alike := range likenesses {
		for i := range first.Records {
			record := &first.Records[i]
			for j := 0; j < len(second.Records) && pairs[record] == nil; j++ {
				if other := &second.Records[j]; !taken[other] && alike(record, other) {
					pairs[record], taken[other] = other, true
				}
			}
		}
	}
	return pairs
}

// likenesses are what two records of a pair can have in common, from what says most to what says least. Tokens are
// nothing but their certificate: by role, name and address all are alike.
var likenesses = []func(a, b *Record) bool{
	(*Record).equal,
	func(a, b *Record) bool { return a.Role == b.Role && a.DNSName == b.DNSName && a.sameCertificate(b) },
	func(a, b *Record) bool { return a.Role == b.Role && a.Address == b.Address && a.sameCertificate(b) },
	func(a, b *Record) bool { return a.Role == b.Role && a.server() && a.DNSName == b.DNSName },
	func(a, b *Record) bool { return a.Role == b.Role && a.server() && a.Address == b.Address },
	func(a, b *Record) bool {
		return a.server() && b.server() && a.DNSName == b.DNSName && a.sameCertificate(b)
	},
	func(a, b *Record) bool {
		return a.server() && b.server() && a.Address == b.Address && a.sameCertificate(b)
	},
}

func (r *Record) server() bool { return r.Role != RoleSAST }

// equal tells whether two records have the same elements; a record has no wrappers.
func (r *Record) equal(other *Record) bool {
	return slices.EqualFunc(r.Elements, other.Elements, func(a, b Element) bool { return a.Tag == b.Tag && bytes.Equal(a.Value, b.Value) })
}

func (r *Record) sameCertificate(other *Record) bool {
	return bytes.Equal(r.Certificate, other.Certificate) && bytes.Equal(r.Hash, other.Hash)
}

// certificateTags follow from the certificate.
var certificateTags = []Tag{TagSubject, TagIssuer, TagSerial, TagPublicKey, TagCertificateSignature, TagCertificate, TagCertificateHash, TagHashAlgorithm}

// changeOf gives nil where both records are the same.
func changeOf(from, to *Record) *RecordChange {
	if from.equal(to) {
		return nil
	}
	without := []Tag{TagRecordLength}
	change := &RecordChange{Kind: Changed, From: identityOf(from), To: identityOf(to)}
	if !from.sameCertificate(to) {
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
	before, after := map[Tag]tagged{}, map[Tag]tagged{}
	v.gather(from, before)
	v.gather(to, after)
	tags := slices.Concat(slices.Collect(maps.Keys(before)), slices.Collect(maps.Keys(after)))
	slices.Sort(tags)
	changes := []ValueChange{}
	for _, tag := range slices.Compact(tags) {
		if slices.Contains(without, tag) || bytes.Equal(before[tag].raw, after[tag].raw) {
			continue
		}
		changes = append(changes, ValueChange{What: v.of(Element{Tag: tag}).title, From: before[tag].shown, To: after[tag].shown})
	}
	return changes
}

// tagged are the elements with one tag.
type tagged struct {
	raw   []byte // of all of them
	shown string // of the first: only unknown tags are there several times
}

func (v views) gather(elements []Element, into map[Tag]tagged) {
	const most = 16 * 3 // of a value in hex
	for _, element := range elements {
		found, again := into[element.Tag]
		if !again {
			found.shown = v.of(element).show(element)
			if isColonHex(found.shown) && len(found.shown) > most {
				found.shown = found.shown[:most-1] + "…"
			}
		}
		found.raw = appendElements(found.raw, []Element{element})
		into[element.Tag] = found
		v.gather(element.Inner, into)
	}
}

// Print writes the difference in words, a line for each change. The names stand for the lists.
func (d *Difference) Print(w io.Writer, from, to string) error {
	out := bufio.NewWriter(w) // keeps the first error for Flush
	if d.Equal {
		fmt.Fprintf(out, "%s and %s are equal.\n", from, to)
		return out.Flush()
	}
	fmt.Fprintf(out, "From %s to %s:\n", from, to)
	for _, change := range d.Header {
		fmt.Fprintf(out, "header: %s\n", change)
	}
	for _, change := range d.Records {
		fmt.Fprintln(out, change)
	}
	if d.Reordered {
		fmt.Fprintln(out, "what both have stands in another order")
	}
	return out.Flush()
}

// Lost gives what the second list has no more, a line each: records, and elements of unknown tags. A list is made anew
// from what is known of the cluster, so that what another maker put into the one before ends with it.
func (d *Difference) Lost() []string {
	var lost []string
	gone := func(of string, values []ValueChange) {
		for _, value := range values {
			if value.To == "" && strings.HasPrefix(value.What, unknownTag) {
				lost = append(lost, of+": "+value.String())
			}
		}
	}
	gone("header", d.Header)
	for _, change := range d.Records {
		if change.Kind == Removed {
			lost = append(lost, change.who()+": "+change.From.String())
		}
		gone(change.who(), change.Values)
	}
	return lost
}

// String gives the change in words.
func (c ValueChange) String() string {
	switch {
	case c.From == c.To: // longer than what is shown of it
		return fmt.Sprintf("%s is another one", c.What)
	case c.From == "":
		return fmt.Sprintf("%s %s is new", c.What, c.To)
	case c.To == "":
		return fmt.Sprintf("%s %s is gone", c.What, c.From)
	}
	return fmt.Sprintf("%s from %s to %s", c.What, c.From, c.To)
}

// String gives the change in words: which server in which role, and what became of it.
func (c RecordChange) String() string {
	words := []string{fmt.Sprintf("%s %s", c.who(), c.Kind)}
	switch c.Kind {
	case Added:
		words = append(words, c.To.String())
	case Removed:
		words = append(words, c.From.String())
	case Replaced:
		words = append(words, "from "+c.From.String(), "to "+c.To.String())
	case Changed:
		words = append(words, c.To.String())
	}
	for _, value := range c.Values {
		words = append(words, value.String())
	}
	return words[0] + ": " + strings.Join(words[1:], "; ")
}

// who names the record: a token, or a role and where its server is.
func (c RecordChange) who() string {
	if c.Role == RoleSAST.String() {
		return "token"
	}
	who := c.Role
	if c.DNSName != "" {
		who += " " + c.DNSName
	}
	if c.Address != "" && c.Address != c.DNSName {
		who += " (" + c.Address + ")"
	}
	return who
}

// String names the certificate, its key and its validity.
func (i *Identity) String() string {
	text := fmt.Sprintf("%s serial %s", i.Subject, i.Serial)
	if i.Hash != "" {
		return fmt.Sprintf("%s, the hash %s", text, i.Hash)
	}
	if i.NotAfter == nil {
		return text + ", not readable"
	}
	return fmt.Sprintf("%s, %s, valid %s to %s", text, i.Key, i.NotBefore.Format(time.RFC3339), i.NotAfter.Format(time.RFC3339))
}
