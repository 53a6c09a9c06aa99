package ctl

import (
	"bytes"
	"crypto"
	_ "crypto/sha256" // of hash records
	"crypto/x509"
	"fmt"
	"net/netip"
)

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
	TagRecordLength:         {name: "record length", required: true, read: readNumber(2, func(r *Record, n uint32) { r.Length = int(n) })},
	TagDNSName:              {name: "DNS name", read: readText(func(r *Record) *string { return &r.DNSName })},
	TagSubject:              {name: "subject name", read: readText(func(r *Record) *string { return &r.ID.Subject })},
	TagRole:                 {name: "function", required: true, read: readNumber(2, func(r *Record, n uint32) { r.Role = Role(n) })},
	TagIssuer:               {name: "issuer name", read: readText(func(r *Record) *string { return &r.ID.Issuer })},
	TagSerial:               {name: "serial number", read: readBytes(func(r *Record) *[]byte { return &r.ID.Serial })},
	TagPublicKey:            {name: "public key", read: readBytes(func(r *Record) *[]byte { return &r.PublicKey })},
	TagCertificateSignature: {name: "signature", read: readBytes(func(r *Record) *[]byte { return &r.CertificateSignature })},
	TagCertificate:          {name: "certificate", read: readSome(func(r *Record) *[]byte { return &r.Certificate })},
	TagAddress: {name: "IP address", read: readNumber(4, func(r *Record, n uint32) {
		r.Address = netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
	})},
	TagCertificateHash: {name: "certificate hash", read: readSome(func(r *Record) *[]byte { return &r.Hash })},
	TagHashAlgorithm:   {name: "hash algorithm", read: readBytes(func(r *Record) *[]byte { return &r.HashAlgorithm })},
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
