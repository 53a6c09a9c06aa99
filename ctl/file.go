package ctl

import (
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"slices"
)

// File is a list as it was read: the header's elements, its typed view, and the records.
type File struct {
	Elements []Element // of the header, as they came
	Header   Header
	Records  []Record
}

// Decode reads a list of at most MaxSize bytes. It is strict about structure: every length must fit, the
// header begins with its version and length and each record with its own, known elements stand once,
// texts end in one NUL, nothing is left over. It does not look at the signature: see Verify. The result
// does not share memory with raw. An error is a *FormatError, and comes without a result.
func Decode(raw []byte) (*File, error) {
	if len(raw) > MaxSize {
		return nil, faultAt(0, "file", "%d bytes, more than the %d that are read", len(raw), MaxSize)
	}
	raw = slices.Clone(raw)
	file := &File{}
	if err := file.decodeHeader(raw); err != nil {
		return nil, err
	}
	for at := file.Header.Length; at < len(raw); {
		if len(file.Records) == MaxRecords {
			return nil, faultAt(at, "file", "more than %d records", MaxRecords)
		}
		record, err := decodeRecord(raw, at, len(file.Records)+1)
		if err != nil {
			return nil, err
		}
		file.Records = append(file.Records, *record)
		at += record.Length
	}
	return file, nil
}

func (f *File) decodeHeader(raw []byte) error {
	version, err := leadingNumber(raw, 0, TagVersion, "header, version")
	if err != nil {
		return err
	}
	if Version(version)>>8 != FormatVersion>>8 {
		return faultAt(0, "header, version", "%s: only 1.x is known", Version(version))
	}
	length, err := leadingNumber(raw, 5, TagHeaderLength, "header, header length")
	if err != nil {
		return err
	}
	if length > len(raw) || length < 10 {
		return faultAt(5, "header, header length", "%d, in a file of %d bytes", length, len(raw))
	}
	f.Elements, err = headerFields.parse(span{raw, 0, length, "header"}, &f.Header)
	return err
}

// leadingNumber reads an element of two bytes that must be at that place: without it nothing that follows
// can be found.
func leadingNumber(raw []byte, at int, tag Tag, name string) (int, error) {
	if len(raw)-at < overhead+2 {
		return 0, faultAt(at, name, "the file ends here, after %d bytes", len(raw))
	}
	if Tag(raw[at]) != tag || binary.BigEndian.Uint16(raw[at+1:]) != 2 {
		return 0, faultAt(at, name, "tag %d with length 2 must stand here, not tag %d with length %d: this is no trust list",
			tag, raw[at], binary.BigEndian.Uint16(raw[at+1:]))
	}
	return int(binary.BigEndian.Uint16(raw[at+overhead:])), nil
}

func decodeRecord(raw []byte, at, number int) (*Record, error) {
	record := &Record{Position: at, Number: number}
	name := record.name() + ", record length"
	length, err := leadingNumber(raw, at, TagRecordLength, name)
	if err != nil {
		return nil, err
	}
	if length < overhead+2 || length > len(raw)-at {
		return nil, faultAt(at, name, "%d, but %d bytes are left in the file", length, len(raw)-at)
	}
	record.Elements, err = recordFields.parse(span{raw, at, at + length, record.name()}, record)
	if err != nil {
		return nil, err
	}
	if err := record.check(); err != nil {
		return nil, err
	}
	return record, nil
}

// Encode returns the list's bytes, made anew from the elements: those that were decoded.
func (f *File) Encode() []byte {
	size := sizeOf(f.Elements)
	for i := range f.Records {
		size += sizeOf(f.Records[i].Elements)
	}
	raw := appendElements(make([]byte, 0, size), f.Elements)
	for i := range f.Records {
		raw = appendElements(raw, f.Records[i].Elements)
	}
	return raw
}

// RecordsOf returns the records with one of the roles, in the list's order.
func (f *File) RecordsOf(roles ...Role) []*Record {
	var found []*Record
	for i := range f.Records {
		if slices.Contains(roles, f.Records[i].Role) {
			found = append(found, &f.Records[i])
		}
	}
	return found
}

// Certificates returns the certificates with one of the roles, in the list's order: with RoleCAPF those
// that a phone takes from a CAPF server, with RoleSAST those that may sign the next list. Hash records
// are passed over. A certificate that cannot be read is an error.
func (f *File) Certificates(roles ...Role) ([]*x509.Certificate, error) {
	var certificates []*x509.Certificate
	for _, record := range f.RecordsOf(roles...) {
		if record.IsHash() {
			continue
		}
		certificate, err := record.ParseCertificate()
		if err != nil {
			return nil, err
		}
		certificates = append(certificates, certificate)
	}
	return certificates, nil
}

// Unknown says where the elements stand whose tags ctl-format.md does not name, and the records of roles that it does not
// name: `byte 140 (record 1): TAG 77, 3 bytes`. They are kept with the list; what they mean nobody here knows.
func (f *File) Unknown() []string {
	found := headerViews.unknown(nil, "header", f.Elements)
	for i := range f.Records {
		record := &f.Records[i]
		if _, known := roleWords[record.Role]; !known {
			found = append(found, fmt.Sprintf("byte %d (%s): %s", record.Position, record.name(), record.Role))
		}
		found = recordViews.unknown(found, record.name(), record.Elements)
	}
	return found
}

// fault places a problem at one of the header's elements, or at its begin where that is absent.
func (f *File) fault(tag Tag, problem string, arguments ...any) *FormatError {
	position := 0
	if element, ok := findDeep(f.Elements, tag); ok {
		position = element.Position
	}
	return faultAt(position, "header, "+headerName(tag), problem, arguments...)
}

// findDeep looks in the wrappers too. Within the header each number has one meaning.
func findDeep(elements []Element, tag Tag) (Element, bool) {
	for _, element := range elements {
		if element.Tag == tag {
			return element, true
		}
		if inner, ok := findDeep(element.Inner, tag); ok {
			return inner, true
		}
	}
	return Element{}, false
}

func headerName(tag Tag) string {
	for _, level := range []schema[Header]{headerFields, signerFields, signatureFields, algorithmFields} {
		if known, ok := level[tag]; ok {
			return known.name
		}
	}
	return "unknown element"
}
