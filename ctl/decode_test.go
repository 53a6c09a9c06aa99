package ctl

import (
	"bytes"
	"encoding/binary"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func goldens(t testing.TB) [][]byte {
	return [][]byte{readFile(t, filepath.Join(data, "golden-sha1.tlv")), readFile(t, filepath.Join(data, "golden-sha512.tlv"))}
}

func TestDecodeGolden(t *testing.T) {
	raw := goldens(t)[1]
	file, err := Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	header := file.Header
	if header.Version != FormatVersion || header.SignerVersion != SignerVersion10 || header.Digest != SHA512 ||
		header.Modulus.Bits() != 2048 || header.FileName != FileName || header.Timestamp.Unix() != 1100000001 {
		t.Errorf("header: %+v", header)
	}
	if want := `"CN=SAST-2048,OU=Security Tokens,O=Example" serial 20480001`; header.Signer.String() != want {
		t.Errorf("signer %s instead of %s", header.Signer, want)
	}
	var roles []string
	for _, record := range file.Records {
		roles = append(roles, record.Role.String())
	}
	if diff := cmp.Diff([]string{"sast", "sast", "ccm+tftp", "tftp", "capf"}, roles); diff != "" {
		t.Errorf("roles (-want +got):\n%s", diff)
	}
	clear(raw)
	if file.Records[2].DNSName != "publisher.example" || file.Records[2].ID.Serial[0] != 0xF0 {
		t.Error("the decoded list shares memory with the bytes that it came from")
	}
}

func TestCertificatesByRole(t *testing.T) {
	file, err := Decode(goldens(t)[0])
	if err != nil {
		t.Fatal(err)
	}
	for role, want := range map[Role]int{RoleSAST: 2, RoleCAPF: 1, RoleCCM: 0, RoleTFTP: 1} {
		certificates, err := file.Certificates(role)
		if err != nil || len(certificates) != want {
			t.Errorf("%s: %d certificates instead of %d, %v", role, len(certificates), want, err)
		}
	}
	capf, err := file.Certificates(RoleCAPF)
	if err != nil || !capf[0].Equal(loadCertificate(t, "capf")) {
		t.Errorf("not the CAPF certificate: %v", err)
	}
}

// list puts a list together from a header's elements and records, with the right lengths.
func list(header []Element, records ...[]Element) []byte {
	length := Element{Tag: TagHeaderLength, Value: make([]byte, 2)}
	header = append([]Element{{Tag: TagVersion, Value: []byte{1, 2}}, length}, header...)
	binary.BigEndian.PutUint16(length.Value, uint16(sizeOf(header)))
	raw := appendElements(nil, header)
	for _, record := range records {
		length := Element{Tag: TagRecordLength, Value: make([]byte, 2)}
		record = append([]Element{length}, record...)
		binary.BigEndian.PutUint16(length.Value, uint16(sizeOf(record)))
		raw = appendElements(raw, record)
	}
	return raw
}

func leastHeader() []Element {
	return []Element{
		{Tag: TagSignerID, Inner: []Element{{Tag: TagSignerName, Value: text("CN=a")}, {Tag: TagSignerIssuer, Value: text("")}, {Tag: TagSignerSerial}}},
		{Tag: TagSignatureInfo, Inner: []Element{
			{Tag: TagDigestAlgorithm, Value: []byte{1}},
			{Tag: TagSignatureAlgorithmInfo, Inner: []Element{{Tag: TagSignatureAlgorithm, Value: []byte{0}}, {Tag: TagSignatureModulus, Value: []byte{1}}}},
		}},
		{Tag: TagSignature, Value: []byte("signature")},
		{Tag: TagFileName, Value: text(FileName)},
		{Tag: TagTimestamp, Value: []byte{0, 0, 0, 1}},
	}
}

var hashRecord = []Element{
	{Tag: TagRole, Value: []byte{0, 4}}, {Tag: TagCertificateHash, Value: []byte("12345678901234567890")}, {Tag: TagHashAlgorithm, Value: []byte{1}},
}

// TestUnknownElementsAreKept decodes a list with elements of tags that nobody knows, in every container.
func TestUnknownElementsAreKept(t *testing.T) {
	header := append(leastHeader(), Element{Tag: 200, Value: []byte("new")}, Element{Tag: 200, Value: []byte("twice")}, Element{Tag: TagPadding, Bare: true})
	header[0].Inner = append(header[0].Inner, Element{Tag: 99})
	record := append(slices.Clone(hashRecord), Element{Tag: 77, Value: []byte{1, 2, 3}})
	raw := list(header, record, hashRecord)
	file, err := Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(file.Encode(), raw) {
		t.Errorf("re-encoded differently:\n% x\n% x", raw, file.Encode())
	}
	if first := file.Records[0]; !first.IsHash() || string(first.Hash) != "12345678901234567890" || !bytes.Equal(first.HashAlgorithm, []byte{1}) {
		t.Errorf("hash record: %+v", first)
	}
	var shown strings.Builder
	if err := Show(&shown, raw); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"TAG 200", "TAG 99", "TAG 77", "CERTIFICATEHASH", "6E:65:77", "PADDING"} {
		if !strings.Contains(shown.String(), want) {
			t.Errorf("not shown: %s", want)
		}
	}
}

// TestListsOfOtherMakers decodes a header that is padded further than to a multiple of 4, and as many records as there
// may be.
func TestListsOfOtherMakers(t *testing.T) {
	padding := slices.Repeat([]Element{{Tag: TagPadding, Bare: true}}, maxPadding)
	header := append(leastHeader(), slices.Repeat([]Element{{Tag: 99}}, maxElements-len(leastHeader())-2)...)
	raw := list(append(header, padding...), slices.Repeat([][]Element{hashRecord}, MaxRecords)...)
	file, err := Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	if len(file.Records) != MaxRecords || !bytes.Equal(file.Encode(), raw) {
		t.Errorf("%d records, re-encoded alike: %t", len(file.Records), bytes.Equal(file.Encode(), raw))
	}
	for name, do := range ways(raw) {
		if err := do(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	with := func(elements ...Element) []Element { return append(leastHeader(), elements...) }
	replaced := func(at int, element Element) []Element {
		header := leastHeader()
		header[at] = element
		return header
	}
	record := func(elements ...Element) []byte { return list(leastHeader(), elements) }
	role := Element{Tag: TagRole, Value: []byte{0, 1}}
	whole := list(leastHeader(), hashRecord)
	cases := []struct {
		name, want string
		raw        []byte
	}{
		{"empty", "byte 0 (header, version): the file ends here", nil},
		{"text", "this is no trust list", []byte("hello, this is no list")},
		{"version 2", "2.2: only 1.x", append([]byte{1, 0, 2, 2}, whole[4:]...)},
		{"too large", "more than the 4194304", make([]byte, MaxSize+1)},
		{"header beyond the file", "byte 5 (header, header length)", whole[:20]},
		{"header of nothing", "signer ID (tag 3) is missing", []byte{1, 0, 2, 1, 2, 2, 0, 2, 0, 10}},
		{"header length of 4", "4, in a file", []byte{1, 0, 2, 1, 2, 2, 0, 2, 0, 4}},
		{"no signature", "signature (tag 12) is missing", list(replaced(2, Element{Tag: 99}))},
		{"twice", "header, timestamp): stands there twice", list(with(Element{Tag: TagTimestamp, Value: []byte{0, 0, 0, 1}}))},
		{"element after padding", "follows the padding", list(with(Element{Tag: TagPadding, Bare: true}, Element{Tag: 99}))},
		{"much padding", "more than 64 bytes of padding", list(with(slices.Repeat([]Element{{Tag: TagPadding, Bare: true}}, 65)...))},
		{"many elements", "more than 24 elements", list(with(slices.Repeat([]Element{{Tag: 99}}, 25)...))},
		{"torn element", "too few for a tag and a length", list(with(Element{Tag: 99, Bare: true}))},
		{"wrapper too short", "signer ID, serial number", list(replaced(0, Element{Tag: TagSignerID, Value: []byte{5, 0, 9, 1}}))},
		{"digest of two bytes", "length 2 instead of 1", list(replaced(1, Element{Tag: TagSignatureInfo, Value: []byte{8, 0, 2, 0, 1}}))},
		{"no NUL", "does not end in a NUL", list(replaced(3, Element{Tag: TagFileName, Value: []byte("x")}))},
		{"empty text", "does not end in a NUL", list(replaced(3, Element{Tag: TagFileName}))},
		{"two NULs", "a NUL within", list(replaced(3, Element{Tag: TagFileName, Value: []byte("a\x00b\x00")}))},
		{"torn record", "record 1, record length", whole[:len(whole)-1]},
		{"bytes after the last record", "record 2", append(slices.Clone(whole), 0)},
		{"record without role", "function (tag 4) is missing", record()},
		{"record of nothing", "neither a certificate", record(role)},
		{"certificate and hash", "both", record(role, Element{Tag: TagCertificate, Value: []byte{1}}, hashRecord[1], hashRecord[2])},
		{"hash without algorithm", "belong together", record(role, hashRecord[1])},
		{"empty certificate", "is empty", record(role, Element{Tag: TagCertificate})},
		{"long address", "IP address): length 16", record(role, Element{Tag: TagAddress, Value: make([]byte, 16)})},
		{"many records", "more than 4096 records", list(leastHeader(), slices.Repeat([][]Element{hashRecord}, MaxRecords+1)...)},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			file, err := Decode(c.raw)
			var format *FormatError
			if !errors.As(err, &format) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q instead of one with %q", err, c.want)
			}
			if file != nil {
				t.Error("a result beside an error")
			}
		})
	}
}
