package ctl

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"
)

// A list as it is shown: for machines (Describe) and as text (Show).

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
	Key        string               `json:"key,omitempty"`        // of the certificate: `RSA 2048`, `EC P-256`
	NotBefore  *time.Time           `json:"not-before,omitempty"` // UTC, of a certificate that can be read
	NotAfter   *time.Time           `json:"not-after,omitempty"`
	Hash       string               `json:"hash,omitempty"`  // of a hash record: `sha1`, or how long it is
	Known      string               `json:"known,omitempty"` // of a hash record: which known certificate has that hash
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

// Describe decodes a list, of either kind, and verifies it. A list that cannot be decoded is an error, one that does
// not verify is described as that. Hash records are compared with the known certificates, if there are any.
func Describe(raw []byte, known ...*x509.Certificate) (*Description, error) {
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
	inspection := file.inspect(raw, func(found *Inspection, record *Record, certificate *x509.Certificate) {
		one := describeRecord(record, certificate, known)
		one.SignedList = found.SAST == record // its signature is good, whatever else is wrong
		description.Records = append(description.Records, one)
	}, FileName, ITLFileName)
	if description.Signature.Verified = len(inspection.Faults) == 0; !description.Signature.Verified {
		description.Signature.Error = inspection.Faults[0].Error()
	}
	return description, nil
}

func describeRecord(record *Record, certificate *x509.Certificate, known []*x509.Certificate) RecordDescription {
	description := RecordDescription{
		Number: record.Number, Position: record.Position, Length: record.Length, Role: record.Role.String(),
		DNSName: quoted(record.DNSName), Subject: quoted(record.ID.Subject), Issuer: quoted(record.ID.Issuer),
		Serial:   hex.EncodeToString(record.ID.Serial),
		Elements: recordViews.describe(nil, record.Elements),
	}
	if record.Address.IsValid() {
		description.Address = record.Address.String()
	}
	if record.IsHash() {
		description.Hash = record.HashName()
		if certificate := record.FindHashed(known); certificate != nil {
			description.Known = nameOf(certificate)
		} else if len(known) > 0 {
			description.Known = "none"
		}
	} else if certificate != nil {
		before, after := certificate.NotBefore.UTC(), certificate.NotAfter.UTC()
		description.Key, description.NotBefore, description.NotAfter = keyName(certificate), &before, &after
	}
	return description
}

// nameOf gives subject and serial number of a certificate for one line.
func nameOf(certificate *x509.Certificate) string {
	id, err := idOf(certificate)
	if err != nil {
		return "serial " + hex.EncodeToString(SerialBytes(certificate))
	}
	return id.String()
}

func keyName(certificate *x509.Certificate) string {
	switch key := certificate.PublicKey.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", key.N.BitLen())
	case *ecdsa.PublicKey:
		return "EC " + key.Params().Name
	}
	return certificate.PublicKeyAlgorithm.String()
}

// views says how the elements of the header, or of records, are shown.
type views map[Tag]view

var headerViews, recordViews = headerFields.views(), recordFields.views()

// unknownTag begins the title under which an element is shown that has none.
const unknownTag = "TAG "

// of gives the view of an element, which may have none of its own.
func (v views) of(element Element) view {
	if known, ok := v[element.Tag]; ok {
		return known
	}
	return view{title: fmt.Sprintf(unknownTag+"%d", element.Tag), value: colonHex}
}

func (v view) show(element Element) string {
	if v.value == nil {
		return ""
	}
	return v.value(element.Value)
}

func (v views) describe(described []ElementDescription, elements []Element) []ElementDescription {
	for _, element := range elements {
		known := v.of(element)
		one := ElementDescription{Position: element.Position, Tag: element.Tag, Name: known.title, Value: known.show(element)}
		if !element.Bare {
			length := len(element.Value)
			one.Length = &length
		}
		described = v.describe(append(described, one), element.Inner)
	}
	return described
}

// unknown says where the elements without a view stand.
func (v views) unknown(found []string, part string, elements []Element) []string {
	for _, element := range elements {
		if _, known := v[element.Tag]; !known {
			found = append(found, fmt.Sprintf("byte %d (%s): "+unknownTag+"%d, %d bytes", element.Position, part, element.Tag, len(element.Value)))
		}
		found = v.unknown(found, part, element.Inner)
	}
	return found
}

func showVersion(value []byte) string { return Version(binary.BigEndian.Uint16(value)).String() }

func showNumber(value []byte) string { return fmt.Sprint(binary.BigEndian.Uint16(value)) }

func showText(value []byte) string { return quoted(string(value[:len(value)-1])) }

func showAddress(value []byte) string { return netip.AddrFrom4([4]byte(value)).String() }

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

func colonHex(value []byte) string { return strings.ReplaceAll(fmt.Sprintf("% X", value), " ", ":") }

// Show prints a list as a CallManager's `show ctl` does: byte position, tag name, length and value of each
// element, the header first, then record by record, then whether the signature verifies. A list that
// cannot be decoded is an error and nothing is printed; one that does not verify is printed and said to be
// so (see Describe for a program's use).
func Show(w io.Writer, raw []byte) error {
	description, err := Describe(raw)
	if err != nil {
		return err
	}
	return description.Print(w)
}

// Print writes the description as text.
func (d *Description) Print(w io.Writer) error {
	out := bufio.NewWriter(w) // keeps the first error for Flush
	kind := "CTL"
	if d.FileName == ITLFileName {
		kind = "ITL"
	}
	fmt.Fprintf(out, kind+" file %s, %d bytes, %s\nSHA-256 %s\n\n", d.FileName, d.Size, d.Timestamp.Format(time.RFC3339), d.SHA256)
	fmt.Fprintf(out, "Version:       %s\nHeader length: %d (bytes)\n\n", d.Version, d.HeaderLength)
	printElements(out, d.Header)
	for _, record := range d.Records {
		fmt.Fprintf(out, "\n%s Record #:%d\n----\n", kind, record.Number)
		printElements(out, record.Elements)
		if record.SignedList {
			fmt.Fprintln(out, "This token signed the list.")
		}
		switch record.Known {
		case "":
		case "none":
			fmt.Fprintf(out, "No certificate that is known here has this hash (%s).\n", record.Hash)
		default:
			fmt.Fprintf(out, "The hash (%s) is that of %s.\n", record.Hash, record.Known)
		}
	}
	fmt.Fprintln(out)
	if d.Signature.Verified {
		fmt.Fprintf(out, "The signature verifies: %s, RSA %d bits, by %s serial %s.\n",
			d.Signature.Digest, d.Signature.KeySize, d.Signature.Signer, d.Signature.Serial)
	} else {
		fmt.Fprintf(out, "The list does NOT verify: %s\n", d.Signature.Error)
	}
	return out.Flush()
}

// The columns of an element; long values go on below their column, 16 bytes of hex a line.
const (
	elementColumns = "%-8v %-22s %-7v %s"
	valueIndent    = "                                        "
	hexLine        = 16 * 3
)

func printElements(out *bufio.Writer, elements []ElementDescription) {
	printRow(out, "BYTEPOS", "TAG", "LENGTH", "VALUE")
	printRow(out, "-------", "---", "------", "-----")
	for _, element := range elements {
		length := ""
		if element.Length != nil {
			length = fmt.Sprint(*element.Length)
		}
		value := element.Value
		if !isColonHex(value) {
			printRow(out, element.Position, element.Name, length, value)
			continue
		}
		printRow(out, element.Position, element.Name, length, value[:min(hexLine, len(value))])
		for at := hexLine; at < len(value); at += hexLine {
			out.WriteString(valueIndent)
			out.WriteString(value[at:min(at+hexLine, len(value))])
			out.WriteByte('\n')
		}
	}
}

func printRow(out *bufio.Writer, columns ...any) {
	fmt.Fprintln(out, strings.TrimRight(fmt.Sprintf(elementColumns, columns...), " "))
}

// isColonHex tells the values that may be broken into lines from texts.
func isColonHex(value string) bool {
	if len(value) <= hexLine {
		return false
	}
	for i := range len(value) {
		digit := value[i] >= '0' && value[i] <= '9' || value[i] >= 'A' && value[i] <= 'F'
		if colon := i%3 == 2; colon != (value[i] == ':') || !colon && !digit {
			return false
		}
	}
	return true
}
