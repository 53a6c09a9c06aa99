package ctl

import (
	"bytes"
	"crypto"
	_ "crypto/sha256" // of hash records
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// A list as it was read: its header, its records, and what can be asked of it.

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
	return faultAt(position, "header, "+headerViews[tag].name, problem, arguments...)
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

// FileName is the name that a list carries and that phones ask TFTP servers for.
const FileName = "CTLFile.tlv"

// ITLFileName is the name of the list that newer phones take beside it, and without it. Its layout is that of
// ctl-format.md; which records it has is explained at Contents.ITL.
const ITLFileName = "ITLFile.tlv"

// SignerID names a certificate: that of the token that signed, or that of a record.
type SignerID struct {
	Subject string // RFC 4514
	Issuer  string // RFC 4514
	Serial  []byte // see SerialBytes
}

// Equal tells whether both name the same certificate, byte by byte as phones compare them.
func (id SignerID) Equal(other SignerID) bool {
	return id.Subject == other.Subject && id.Issuer == other.Issuer && string(id.Serial) == string(other.Serial)
}

// Header is the typed view of a list's header. It is read from the elements; changing it changes no file.
type Header struct {
	Version            Version
	Length             int     // bytes of the header, signature and padding included
	SignerVersion      Version // 0 where the element is absent
	Signer             SignerID
	Digest             Digest
	SignatureAlgorithm byte // 0: RSA
	Modulus            Modulus
	Signature          []byte
	FileName           string
	Timestamp          time.Time // UTC, whole seconds
}

const algorithmRSA = 0

// headerFields is the schema of ctl-format.md, "Header". All but the signer version and the padding are
// in every list.
var headerFields = schema[Header]{
	TagVersion:       numberField("version", "VERSION", 2, func(h *Header, n uint32) { h.Version = Version(n) }).must().shown(showVersion),
	TagHeaderLength:  numberField("header length", "HEADERLENGTH", 2, func(h *Header, n uint32) { h.Length = int(n) }).must(),
	TagSignerVersion: numberField("signer version", "SIGNERVERSION", 2, func(h *Header, n uint32) { h.SignerVersion = Version(n) }).shown(showVersion),
	TagSignerID:      wrapper("signer ID", "SIGNERID", signerFields),
	TagSignatureInfo: wrapper("signature info", "SIGNATUREINFO", signatureFields),
	TagSignature:     bytesField("signature", "SIGNATURE", func(h *Header) *[]byte { return &h.Signature }).must(),
	TagFileName:      textField("file name", "FILENAME", func(h *Header) *string { return &h.FileName }).must(),
	TagTimestamp:     numberField("timestamp", "TIMESTAMP", 4, (*Header).setTime).must().shown(showTime),
	TagPadding:       {view: view{name: "padding", title: "PADDING"}, bare: true},
}

func (h *Header) setTime(seconds uint32) { h.Timestamp = time.Unix(int64(seconds), 0).UTC() }

var signerFields = schema[Header]{
	TagSignerName:   textField("signer name", "SIGNERNAME", func(h *Header) *string { return &h.Signer.Subject }).must(),
	TagSignerIssuer: textField("issuer name", "CANAME", func(h *Header) *string { return &h.Signer.Issuer }).must(),
	TagSignerSerial: bytesField("serial number", "SERIALNUMBER", func(h *Header) *[]byte { return &h.Signer.Serial }).must(),
}

var signatureFields = schema[Header]{
	TagDigestAlgorithm: numberField("digest algorithm", "DIGESTALGORITHM", 1, func(h *Header, n uint32) { h.Digest = Digest(n) }).
		must().shown(func(value []byte) string { return Digest(value[0]).String() }),
	TagSignatureAlgorithmInfo: wrapper("signature algorithm info", "SIGNATUREALGORITHMINFO", algorithmFields),
}

var algorithmFields = schema[Header]{
	TagSignatureAlgorithm: numberField("signature algorithm", "SIGNATUREALGORITHM", 1, func(h *Header, n uint32) { h.SignatureAlgorithm = byte(n) }).
		must().shown(showAlgorithm),
	TagSignatureModulus: numberField("signature modulus", "SIGNATUREMODULUS", 1, func(h *Header, n uint32) { h.Modulus = Modulus(n) }).
		must().shown(func(value []byte) string { return Modulus(value[0]).String() }),
}

// Record is one certificate with one role. It is read from the elements; changing it changes no file.
type Record struct {
	Position int       // the byte at which it begins
	Number   int       // from 1, as a list is shown
	Elements []Element // as they came

	Length               int
	DNSName              string
	Role                 Role
	ID                   SignerID // subject, issuer and serial number
	PublicKey            []byte   // RSA: PKCS #1 RSAPublicKey; EC: the uncompressed point
	CertificateSignature []byte
	Certificate          []byte     // DER; nil in a hash record
	Address              netip.Addr // not valid where it is absent
	Hash                 []byte     // of the certificate, in a hash record
	HashAlgorithm        []byte     // as it came: ctl-format.md gives no numbers for it
}

// IsHash tells whether the record carries a hash instead of a certificate.
func (r *Record) IsHash() bool { return r.Certificate == nil }

// hashes are the hash functions by the length of what they give. The record's algorithm (tag 12) has no numbers in
// ctl-format.md, and lists that are in use do not always set it; the length says the same.
var hashes = map[int]struct {
	name string
	hash crypto.Hash
}{
	20: {"sha1", crypto.SHA1}, 32: {"sha256", crypto.SHA256}, 48: {"sha384", crypto.SHA384}, 64: {"sha512", crypto.SHA512},
}

// HashName names the function of a hash record, or says how many bytes it has where no function gives that many.
func (r *Record) HashName() string {
	if known, ok := hashes[len(r.Hash)]; ok {
		return known.name
	}
	return fmt.Sprintf("%d bytes", len(r.Hash))
}

// FindHashed gives the certificate of which a hash record has the hash; nil where none of them is it.
func (r *Record) FindHashed(certificates []*x509.Certificate) *x509.Certificate {
	known, ok := hashes[len(r.Hash)]
	if !ok {
		return nil
	}
	for _, certificate := range certificates {
		hash := known.hash.New()
		hash.Write(certificate.Raw)
		if bytes.Equal(hash.Sum(nil), r.Hash) {
			return certificate
		}
	}
	return nil
}

// ParseCertificate reads the record's certificate. A hash record has none.
func (r *Record) ParseCertificate() (*x509.Certificate, error) {
	if r.IsHash() {
		return nil, faultAt(r.Position, r.name(), "carries a hash, not a certificate")
	}
	certificate, err := x509.ParseCertificate(r.Certificate)
	if err != nil {
		return nil, r.fault(TagCertificate, "not a readable certificate: %w", err)
	}
	return certificate, nil
}

func (r *Record) name() string { return fmt.Sprintf("record %d", r.Number) }

// fault places a problem at one of the record's elements, or at the record itself where that is absent.
func (r *Record) fault(tag Tag, problem string, arguments ...any) *FormatError {
	position := r.Position
	if element, ok := find(r.Elements, tag); ok {
		position = element.Position
	}
	return faultAt(position, r.name()+", "+recordFields[tag].name, problem, arguments...)
}

// recordFields is the schema of ctl-format.md, "Records". Which elements a certificate record must have
// is Verify's to say: a list that is only carried along need not be perfect to be shown.
var recordFields = schema[Record]{
	TagRecordLength: numberField("record length", "RECORDLENGTH", 2, func(r *Record, n uint32) { r.Length = int(n) }).must(),
	TagDNSName:      textField("DNS name", "DNSNAME", func(r *Record) *string { return &r.DNSName }),
	TagSubject:      textField("subject name", "SUBJECTNAME", func(r *Record) *string { return &r.ID.Subject }),
	TagRole: numberField("function", "FUNCTION", 2, func(r *Record, n uint32) { r.Role = Role(n) }).
		must().shown(func(value []byte) string { return Role(binary.BigEndian.Uint16(value)).Title() }),
	TagIssuer:               textField("issuer name", "ISSUERNAME", func(r *Record) *string { return &r.ID.Issuer }),
	TagSerial:               bytesField("serial number", "SERIALNUMBER", func(r *Record) *[]byte { return &r.ID.Serial }),
	TagPublicKey:            bytesField("public key", "PUBLICKEY", func(r *Record) *[]byte { return &r.PublicKey }),
	TagCertificateSignature: bytesField("signature", "SIGNATURE", func(r *Record) *[]byte { return &r.CertificateSignature }),
	TagCertificate:          filledField("certificate", "CERTIFICATE", func(r *Record) *[]byte { return &r.Certificate }).shown(showCertificate),
	TagAddress:              numberField("IP address", "IPADDRESS", 4, (*Record).setAddress).shown(showAddress),
	TagCertificateHash:      filledField("certificate hash", "CERTIFICATEHASH", func(r *Record) *[]byte { return &r.Hash }),
	TagHashAlgorithm:        bytesField("hash algorithm", "HASHALGORITHM", func(r *Record) *[]byte { return &r.HashAlgorithm }),
}

func (r *Record) setAddress(number uint32) {
	r.Address = netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, number)))
}

// check refuses a record that is neither a certificate record nor a hash record.
func (r *Record) check() error {
	_, certificate := find(r.Elements, TagCertificate)
	_, hash := find(r.Elements, TagCertificateHash)
	_, algorithm := find(r.Elements, TagHashAlgorithm)
	switch {
	case !certificate && !hash:
		return faultAt(r.Position, r.name(), "neither a certificate nor a certificate hash")
	case certificate && hash:
		return faultAt(r.Position, r.name(), "both a certificate and a certificate hash")
	case hash != algorithm:
		return faultAt(r.Position, r.name(), "a certificate hash and its algorithm belong together")
	}
	return nil
}
