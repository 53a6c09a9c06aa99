package ctl

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Description is a list as it is shown, for machines too.
type Description struct {
	Size         int                  `json:"size"`   // bytes
	SHA256       string               `json:"sha256"` // lower-case hex
	Version      string               `json:"version"`
	HeaderLength int                  `json:"header-length"` // bytes
	FileName     string               `json:"file-name"`
	Timestamp    time.Time            `json:"timestamp"` // UTC
	Header       []ElementDescription `json:"header"`
	Records      []RecordDescription  `json:"records"`
	Signature    SignatureDescription `json:"signature"`
}

// ElementDescription is one element. Those within a wrapper follow it.
type ElementDescription struct {
	Position int    `json:"position"` // the byte of its tag in the file, from 0
	Tag      Tag    `json:"tag"`
	Name     string `json:"name"`
	Length   *int   `json:"length,omitempty"` // of the value; padding has none
	Value    string `json:"value"`            // text, a word, or hex pairs with colons
}

// RecordDescription is one record with all its elements.
type RecordDescription struct {
	Number     int                  `json:"number"`   // from 1
	Position   int                  `json:"position"` // byte in the file
	Length     int                  `json:"length"`
	Role       string               `json:"role"`
	DNSName    string               `json:"dns-name"`
	Address    string               `json:"address"`
	Subject    string               `json:"subject"`
	Issuer     string               `json:"issuer"`
	Serial     string               `json:"serial"` // lower-case hex
	SignedList bool                 `json:"signed-list"`
	Elements   []ElementDescription `json:"elements"`
}

// SignatureDescription says whether the list verifies, and if not, why.
type SignatureDescription struct {
	Verified bool   `json:"verified"`
	Error    string `json:"error,omitempty"`
	Signer   string `json:"signer"`
	Issuer   string `json:"issuer"`
	Serial   string `json:"serial"` // lower-case hex
	Digest   string `json:"digest"`
	KeySize  int    `json:"key-size"` // bits
}

// Describe decodes a list and verifies it. A list that cannot be decoded is an error, one that does not
// verify is described as that.
func Describe(raw []byte) (*Description, error) {
	file, err := Decode(raw)
	if err != nil {
		return nil, err
	}
	header := &file.Header
	sum := sha256.Sum256(raw)
	description := &Description{
		Size: len(raw), SHA256: hex.EncodeToString(sum[:]), Version: header.Version.String(),
		HeaderLength: header.Length, FileName: quoted(header.FileName), Timestamp: header.Timestamp,
		Header: headerViews.describe(nil, file.Elements), Records: make([]RecordDescription, 0, len(file.Records)),
		Signature: SignatureDescription{
			Signer: quoted(header.Signer.Subject), Issuer: quoted(header.Signer.Issuer),
			Serial: hex.EncodeToString(header.Signer.Serial), Digest: header.Digest.String(), KeySize: header.Modulus.Bits(),
		},
	}
	signer := 0
	if verification, err := file.verify(raw); err != nil {
		description.Signature.Error = err.Error()
	} else {
		description.Signature.Verified, signer = true, verification.SAST.Number
	}
	for i := range file.Records {
		description.Records = append(description.Records, describeRecord(&file.Records[i], signer))
	}
	return description, nil
}

func describeRecord(record *Record, signer int) RecordDescription {
	description := RecordDescription{
		Number: record.Number, Position: record.Position, Length: record.Length, Role: record.Role.String(),
		DNSName: quoted(record.DNSName), Subject: quoted(record.ID.Subject), Issuer: quoted(record.ID.Issuer),
		Serial: hex.EncodeToString(record.ID.Serial), SignedList: record.Number == signer,
		Elements: recordViews.describe(nil, record.Elements),
	}
	if record.Address.IsValid() {
		description.Address = record.Address.String()
	}
	return description
}

// views says how the elements of the header, or of records, are shown.
type views map[Tag]view

type view struct {
	name  string
	value func([]byte) string // nil: nothing, for wrappers and padding
}

func (v views) describe(described []ElementDescription, elements []Element) []ElementDescription {
	for _, element := range elements {
		known, ok := v[element.Tag]
		if !ok {
			known = view{fmt.Sprintf("TAG %d", element.Tag), colonHex}
		}
		one := ElementDescription{Position: element.Position, Tag: element.Tag, Name: known.name}
		if !element.Bare {
			length := len(element.Value)
			one.Length = &length
		}
		if known.value != nil {
			one.Value = known.value(element.Value)
		}
		described = v.describe(append(described, one), element.Inner)
	}
	return described
}

// headerViews also has the elements within wrappers, whose numbers mean one thing in all of the header.
var headerViews = views{
	TagVersion:                {"VERSION", showVersion},
	TagHeaderLength:           {"HEADERLENGTH", showNumber},
	TagSignerVersion:          {"SIGNERVERSION", showVersion},
	TagSignerID:               {"SIGNERID", nil},
	TagSignerName:             {"SIGNERNAME", showText},
	TagSignerIssuer:           {"CANAME", showText},
	TagSignerSerial:           {"SERIALNUMBER", colonHex},
	TagSignatureInfo:          {"SIGNATUREINFO", nil},
	TagDigestAlgorithm:        {"DIGESTALGORITHM", func(value []byte) string { return Digest(value[0]).String() }},
	TagSignatureAlgorithmInfo: {"SIGNATUREALGORITHMINFO", nil},
	TagSignatureAlgorithm:     {"SIGNATUREALGORITHM", showAlgorithm},
	TagSignatureModulus:       {"SIGNATUREMODULUS", func(value []byte) string { return Modulus(value[0]).String() }},
	TagSignature:              {"SIGNATURE", colonHex},
	TagPadding:                {"PADDING", nil},
	TagFileName:               {"FILENAME", showText},
	TagTimestamp:              {"TIMESTAMP", showTime},
}

var recordViews = views{
	TagRecordLength:         {"RECORDLENGTH", showNumber},
	TagDNSName:              {"DNSNAME", showText},
	TagSubject:              {"SUBJECTNAME", showText},
	TagRole:                 {"FUNCTION", func(value []byte) string { return Role(binary.BigEndian.Uint16(value)).Title() }},
	TagIssuer:               {"ISSUERNAME", showText},
	TagSerial:               {"SERIALNUMBER", colonHex},
	TagPublicKey:            {"PUBLICKEY", colonHex},
	TagCertificateSignature: {"SIGNATURE", colonHex},
	TagCertificate:          {"CERTIFICATE", showCertificate},
	TagAddress:              {"IPADDRESS", func(value []byte) string { return netip.AddrFrom4([4]byte(value)).String() }},
	TagCertificateHash:      {"CERTIFICATEHASH", colonHex},
	TagHashAlgorithm:        {"HASHALGORITHM", colonHex},
}

// The values below have the lengths that decoding made sure of.

func showVersion(value []byte) string { return Version(binary.BigEndian.Uint16(value)).String() }

func showNumber(value []byte) string { return fmt.Sprint(binary.BigEndian.Uint16(value)) }

func showText(value []byte) string { return quoted(string(value[:len(value)-1])) }

func showTime(value []byte) string {
	return time.Unix(int64(binary.BigEndian.Uint32(value)), 0).UTC().Format(time.RFC3339)
}

func showAlgorithm(value []byte) string {
	if value[0] == algorithmRSA {
		return "RSA"
	}
	return fmt.Sprintf("unknown (%d)", value[0])
}

// showCertificate gives the SHA-1 fingerprint, by which phones and administrators compare certificates.
func showCertificate(value []byte) string {
	sum := sha1.Sum(value)
	return colonHex(sum[:]) + " (SHA-1)"
}

func colonHex(value []byte) string {
	if len(value) == 0 {
		return ""
	}
	const digits = "0123456789ABCDEF"
	var text strings.Builder
	text.Grow(3 * len(value))
	for i, char := range value {
		if i > 0 {
			text.WriteByte(':')
		}
		text.WriteByte(digits[char>>4])
		text.WriteByte(digits[char&15])
	}
	return text.String()
}
