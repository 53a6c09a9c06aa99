package ctl

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A second reader of lists, written from ctl-format.md alone; it uses no code of the package.
// It reads what Build writes, to the byte.

type plainElement struct {
	tag   byte
	value []byte
}

type plainList struct {
	header         []plainElement // wrappers opened, in order
	headerLength   int
	padding        int
	signatureStart int // of its tag
	signatureEnd   int
	records        [][]plainElement
}

func takeElement(t *testing.T, raw []byte) (plainElement, []byte) {
	t.Helper()
	if len(raw) < 3 || len(raw) < 3+int(binary.BigEndian.Uint16(raw[1:])) {
		t.Fatalf("torn element: % x", raw[:min(len(raw), 8)])
	}
	end := 3 + int(binary.BigEndian.Uint16(raw[1:]))
	return plainElement{raw[0], raw[3:end]}, raw[end:]
}

func readPlain(t *testing.T, raw []byte) plainList {
	t.Helper()
	if raw[5] != 2 {
		t.Fatalf("byte 5 is %d, not the header length's tag", raw[5])
	}
	list := plainList{headerLength: int(binary.BigEndian.Uint16(raw[8:]))}
	rest := raw[:list.headerLength]
	for len(rest) > 0 {
		if rest[0] == 13 {
			list.padding++
			rest = rest[1:]
			continue
		}
		at := list.headerLength - len(rest)
		var element plainElement
		element, rest = takeElement(t, rest)
		list.header = append(list.header, element)
		switch element.tag {
		case 3, 7:
			list.header = append(list.header, openWrapper(t, element.value)...)
		case 12:
			list.signatureStart, list.signatureEnd = at, list.headerLength-len(rest)
		}
	}
	for rest = raw[list.headerLength:]; len(rest) > 0; {
		length := int(binary.BigEndian.Uint16(rest[3:]))
		record := rest[:length]
		rest = rest[length:]
		var elements []plainElement
		for len(record) > 0 {
			var element plainElement
			element, record = takeElement(t, record)
			elements = append(elements, element)
		}
		list.records = append(list.records, elements)
	}
	return list
}

func openWrapper(t *testing.T, raw []byte) (elements []plainElement) {
	t.Helper()
	for len(raw) > 0 {
		var element plainElement
		element, raw = takeElement(t, raw)
		elements = append(elements, element)
		if element.tag == 9 {
			elements = append(elements, openWrapper(t, element.value)...)
		}
	}
	return elements
}

func tags(elements []plainElement) (tags []byte) {
	for _, element := range elements {
		tags = append(tags, element.tag)
	}
	return tags
}

func (l plainList) value(tag byte) []byte {
	for _, element := range l.header {
		if element.tag == tag {
			return element.value
		}
	}
	return nil
}

// TestBuildMatchesGolden holds Build to lists that were put together byte by byte without it.
func TestBuildMatchesGolden(t *testing.T) {
	contents := sampleContents(t)
	if diff := cmp.Diff(readFile(t, filepath.Join(data, "golden-sha1.tlv")), mustBuild(t, contents, loadToken(t, "1024"))); diff != "" {
		t.Errorf("SHA-1 (-golden +built):\n%s", diff)
	}
	contents.ITL = true
	if diff := cmp.Diff(readFile(t, filepath.Join(data, "golden-itl.tlv")), mustBuild(t, contents, loadToken(t, "1024"))); diff != "" {
		t.Errorf("ITL (-golden +built):\n%s", diff)
	}
	contents.ITL = false
	contents.Timestamp = contents.Timestamp.Add(1e9)
	contents.Digest = SHA512
	if diff := cmp.Diff(readFile(t, filepath.Join(data, "golden-sha512.tlv")), mustBuild(t, contents, loadToken(t, "2048"))); diff != "" {
		t.Errorf("SHA-512 (-golden +built):\n%s", diff)
	}
}

// TestBuildFollowsFormat reads built lists of every key size and digest with the reader above.
func TestBuildFollowsFormat(t *testing.T) {
	cases := []struct {
		token   string
		digest  Digest
		modulus byte
	}{
		{"512", SHA1, 0}, {"1024", SHA1, 1}, {"2048", SHA1, 2}, {"4096", SHA1, 3},
		{"1024", SHA512, 1}, {"2048", SHA512, 2}, {"4096", SHA512, 3},
	}
	for _, c := range cases {
		t.Run(c.token+"-"+c.digest.String(), func(t *testing.T) {
			signer := loadToken(t, c.token)
			contents := sampleContents(t)
			contents.Tokens[0].Certificate = signer.Certificate
			contents.Tokens[1].Certificate = loadToken(t, map[bool]string{true: "1024", false: "2048"}[c.token == "2048"]).Certificate
			contents.Digest = c.digest
			raw := mustBuild(t, contents, signer)
			checkPlain(t, raw, contents, signer.Certificate, plainWish{"\x01\x00", "CTLFile.tlv", c.modulus, ctlRows(contents)})
			verifyPlain(t, raw, signer.Certificate.PublicKey.(*rsa.PublicKey), c.digest)
			opensslVerify(t, raw, signer.Certificate.PublicKey.(*rsa.PublicKey), c.digest)
		})
	}
}

// plainWish is what a list should say that is not in what it was made of.
type plainWish struct {
	signerVersion string // two bytes; empty: the element is absent
	fileName      string
	modulus       byte
	rows          []plainRow
}

func checkPlain(t *testing.T, raw []byte, contents Contents, signer *x509.Certificate, wish plainWish) {
	t.Helper()
	list := readPlain(t, raw)
	order := []byte{1, 2, 28, 3, 4, 6, 5, 7, 8, 9, 10, 11, 12, 14, 15}
	if wish.signerVersion == "" {
		order = slices.Delete(order, 2, 3)
	}
	if diff := cmp.Diff(order, tags(list.header)); diff != "" {
		t.Errorf("header tags (-want +got):\n%s", diff)
	}
	if list.headerLength%4 != 0 || list.padding > 3 {
		t.Errorf("header of %d bytes with %d of padding", list.headerLength, list.padding)
	}
	want := map[byte]string{
		1: "\x01\x02", 28: wish.signerVersion, 4: signer.Subject.String() + "\x00", 6: signer.Issuer.String() + "\x00",
		5: string(signer.SerialNumber.Bytes()), 8: string([]byte{byte(contents.digest())}), 10: "\x00",
		11: string([]byte{wish.modulus}), 14: wish.fileName + "\x00", 15: string(binary.BigEndian.AppendUint32(nil, 1100000000)),
	}
	for tag, value := range want {
		if diff := cmp.Diff(value, string(list.value(tag))); diff != "" {
			t.Errorf("header tag %d (-want +got):\n%s", tag, diff)
		}
	}
	if len(list.value(7)) != 15 || len(list.value(9)) != 8 {
		t.Errorf("signature info of %d bytes, its algorithm info of %d", len(list.value(7)), len(list.value(9)))
	}
	if wrapped := 9 + len(list.value(4)) + len(list.value(6)) + len(list.value(5)); len(list.value(3)) != wrapped {
		t.Errorf("signer ID of %d bytes around %d", len(list.value(3)), wrapped)
	}
	checkPlainRecords(t, list, wish.rows)
}

// plainRow is what a record should say.
type plainRow struct {
	role        byte
	name        string
	address     string // four bytes
	certificate *x509.Certificate
}

// ctlRows are those of the sample, in the order of a CTL.
func ctlRows(contents Contents) []plainRow {
	return []plainRow{
		{0, "", "\x00\x00\x00\x00", contents.Tokens[0].Certificate}, {0, "", "\x00\x00\x00\x00", contents.Tokens[1].Certificate},
		{2, "publisher.example", "\x0a\x01\x02\x03", contents.Servers[0].Certificate},
		{3, "10.1.2.4", "\x0a\x01\x02\x04", contents.Servers[1].Certificate},
		{4, "publisher.example", "\x0a\x01\x02\x03", contents.CAPF[0].Certificate},
	}
}

func checkPlainRecords(t *testing.T, list plainList, rows []plainRow) {
	t.Helper()
	if len(list.records) != len(rows) {
		t.Fatalf("%d records instead of %d", len(list.records), len(rows))
	}
	for i, record := range list.records {
		if diff := cmp.Diff([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, tags(record)); diff != "" {
			t.Fatalf("record %d: tags (-want +got):\n%s", i+1, diff)
		}
		length := 0
		for _, element := range record {
			length += 3 + len(element.value)
		}
		want := rows[i]
		for tag, value := range map[int]string{
			1: string(binary.BigEndian.AppendUint16(nil, uint16(length))), 2: want.name + "\x00", 4: string([]byte{0, want.role}),
			8: string(want.certificate.Signature), 9: string(want.certificate.Raw), 10: want.address,
		} {
			if diff := cmp.Diff(value, string(record[tag-1].value)); diff != "" {
				t.Errorf("record %d, tag %d (-want +got):\n%s", i+1, tag, diff)
			}
		}
		if key, ok := want.certificate.PublicKey.(*rsa.PublicKey); ok {
			if diff := cmp.Diff(x509.MarshalPKCS1PublicKey(key), record[6].value); diff != "" {
				t.Errorf("record %d, public key (-want +got):\n%s", i+1, diff)
			}
		} else if point := record[6].value; len(point) != 65 || point[0] != 4 {
			t.Errorf("record %d: the EC key is no uncompressed point: % x", i+1, point)
		}
	}
}

// TestVariantsFollowFormat reads what differs from the plain CTL with the reader above: an ITL, other signer versions.
func TestVariantsFollowFormat(t *testing.T) {
	ec, capf := loadCertificate(t, "ec"), loadCertificate(t, "capf")
	address := netip.MustParseAddr("10.1.2.3")
	itl := func(c *Contents) {
		c.ITL = true
		c.Servers = append(c.Servers, Server{Name: "calls", Address: netip.MustParseAddr("10.1.2.5"), Role: RoleCCM, Certificate: capf})
		c.TVS = []Server{{Name: "pub", DNSName: "publisher.example", Address: address, Certificate: ec}}
	}
	tvs := plainRow{21, "publisher.example", "\x0a\x01\x02\x03", ec}
	cases := []struct {
		name    string
		change  func(*Contents)
		version string
		file    string
		more    []plainRow
	}{
		{"ITL", itl, "\x01\x00", "ITLFile.tlv", []plainRow{tvs}},
		{"ITL, SHA-512, 1.1", func(c *Contents) { itl(c); c.Digest, c.SignerVersion = SHA512, SignerVersion11 }, "\x01\x01", "ITLFile.tlv", []plainRow{tvs}},
		{"CTL, 1.1", func(c *Contents) { c.SignerVersion = SignerVersion11 }, "\x01\x01", "CTLFile.tlv", nil},
		{"CTL without signer version", func(c *Contents) { c.SignerVersion = SignerVersionOmitted }, "", "CTLFile.tlv", nil},
		{"CTL with two CAPF certificates", func(c *Contents) {
			c.CAPF = append(c.CAPF, Server{Name: "pub", DNSName: "publisher.example", Address: address, Certificate: c.Servers[0].Certificate})
		}, "\x01\x00", "CTLFile.tlv", []plainRow{{4, "publisher.example", "\x0a\x01\x02\x03", loadCertificate(t, "publisher")}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			signer, contents := loadToken(t, "2048"), sampleContents(t)
			rows := append(ctlRows(contents), c.more...)
			c.change(&contents)
			raw := mustBuild(t, contents, signer)
			checkPlain(t, raw, contents, signer.Certificate, plainWish{c.version, c.file, 2, rows})
			verifyPlain(t, raw, signer.Certificate.PublicKey.(*rsa.PublicKey), contents.digest())
			opensslVerify(t, raw, signer.Certificate.PublicKey.(*rsa.PublicKey), contents.digest())
			opensslReads(t, raw, rows)
		})
	}
}

// opensslReads has openssl parse the certificate of every record.
func opensslReads(t *testing.T, raw []byte, rows []plainRow) {
	t.Helper()
	openssl := needProgram(t, "openssl")
	for i, record := range readPlain(t, raw).records {
		command := exec.Command(openssl, "x509", "-inform", "DER", "-noout", "-fingerprint", "-sha256")
		command.Stdin = bytes.NewReader(record[8].value)
		out, err := command.CombinedOutput()
		_, fingerprint, _ := strings.Cut(strings.TrimSpace(string(out)), "=")
		if want := fmt.Sprintf("%x", sha256.Sum256(rows[i].certificate.Raw)); err != nil || strings.ToLower(strings.ReplaceAll(fingerprint, ":", "")) != want {
			t.Errorf("record %d: %v: %s instead of %s", i+1, err, out, want)
		}
	}
}

// TestHashRecordsFollowFormat holds what the package reads of a hash record to what the reader above finds, and to the
// certificate of which it is the hash.
func TestHashRecordsFollowFormat(t *testing.T) {
	certificate, other := loadCertificate(t, "publisher"), loadCertificate(t, "ec")
	sum1, sum256, sum384, sum512 := sha1.Sum(certificate.Raw), sha256.Sum256(certificate.Raw), sha512.Sum384(certificate.Raw), sha512.Sum512(certificate.Raw)
	for name, test := range map[string]struct {
		hash  []byte
		found bool
	}{"sha1": {sum1[:], true}, "sha256": {sum256[:], true}, "sha384": {sum384[:], true}, "sha512": {sum512[:], true}, "7 bytes": {sum1[:7], false}} {
		raw := list(leastHeader(), []Element{{Tag: TagDNSName, Value: text("pub")}, {Tag: TagRole, Value: []byte{0, 2}},
			{Tag: TagCertificateHash, Value: test.hash}, {Tag: TagHashAlgorithm, Value: []byte{1}}})
		plain := readPlain(t, raw).records[0]
		file, err := Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		record := &file.Records[0]
		if diff := cmp.Diff([]byte{1, 2, 4, 11, 12}, tags(plain)); diff != "" || !bytes.Equal(plain[3].value, record.Hash) || !bytes.Equal(plain[4].value, record.HashAlgorithm) {
			t.Errorf("%s: read as %x, %x; tags (-want +got):\n%s", name, record.Hash, record.HashAlgorithm, diff)
		}
		if found := record.FindHashed([]*x509.Certificate{other, certificate}); record.HashName() != name || (found == certificate) != test.found {
			t.Errorf("%s: reads as %s, found %v", name, record.HashName(), found != nil)
		}
		if record.FindHashed([]*x509.Certificate{other}) != nil {
			t.Errorf("%s: another certificate has that hash", name)
		}
	}
}

func signedPart(t *testing.T, raw []byte) (signed, signature []byte) {
	t.Helper()
	list := readPlain(t, raw)
	signed = append(append(signed, raw[:list.signatureStart]...), raw[list.signatureEnd:]...)
	return signed, list.value(12)
}

func verifyPlain(t *testing.T, raw []byte, key *rsa.PublicKey, digest Digest) {
	t.Helper()
	signed, signature := signedPart(t, raw)
	sum := sha1.Sum(signed)
	hash, bare := crypto.SHA1, sum[:]
	if digest == SHA512 {
		long := sha512.Sum512(signed)
		hash, bare = crypto.SHA512, long[:]
	}
	if err := rsa.VerifyPKCS1v15(key, hash, bare, signature); err != nil {
		t.Errorf("crypto/rsa: %v", err)
	}
}

func opensslVerify(t *testing.T, raw []byte, key *rsa.PublicKey, digest Digest) {
	t.Helper()
	openssl := needProgram(t, "openssl")
	signed, signature := signedPart(t, raw)
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for name, content := range map[string][]byte{"signed": signed, "signature": signature, "key": der} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.Command(openssl, "dgst", "-"+digest.String(), "-verify", "key", "-keyform", "DER", "-signature", "signature", "signed")
	command.Dir = folder
	if out, err := command.CombinedOutput(); err != nil || !strings.Contains(string(out), "Verified OK") {
		t.Errorf("openssl dgst -verify: %v: %s", err, out)
	}
}

// needProgram finds a foreign program; without it the test fails where tests must be whole (CI), and is
// left out elsewhere.
func needProgram(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	hint := name + " is missing: apt-get install " + name
	if os.Getenv("CI") != "" {
		t.Fatal(hint)
	}
	t.Skip(hint)
	return ""
}
