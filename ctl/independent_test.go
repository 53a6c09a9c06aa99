package ctl

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha512"
	"crypto/x509"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
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
			checkPlain(t, raw, contents, signer.Certificate, c.modulus)
			verifyPlain(t, raw, signer.Certificate.PublicKey.(*rsa.PublicKey), c.digest)
			opensslVerify(t, raw, signer.Certificate.PublicKey.(*rsa.PublicKey), c.digest)
		})
	}
}

func checkPlain(t *testing.T, raw []byte, contents Contents, signer *x509.Certificate, modulus byte) {
	t.Helper()
	list := readPlain(t, raw)
	if diff := cmp.Diff([]byte{1, 2, 28, 3, 4, 6, 5, 7, 8, 9, 10, 11, 12, 14, 15}, tags(list.header)); diff != "" {
		t.Errorf("header tags (-want +got):\n%s", diff)
	}
	if list.headerLength%4 != 0 || list.padding > 3 {
		t.Errorf("header of %d bytes with %d of padding", list.headerLength, list.padding)
	}
	want := map[byte]string{
		1: "\x01\x02", 28: "\x01\x00", 4: signer.Subject.String() + "\x00", 6: signer.Issuer.String() + "\x00",
		5: string(signer.SerialNumber.Bytes()), 8: string([]byte{byte(contents.digest())}), 10: "\x00",
		11: string([]byte{modulus}), 14: "CTLFile.tlv\x00", 15: string(binary.BigEndian.AppendUint32(nil, 1100000000)),
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
	checkPlainRecords(t, list, contents)
}

func checkPlainRecords(t *testing.T, list plainList, contents Contents) {
	t.Helper()
	type row struct {
		role        byte
		name        string
		address     string
		certificate *x509.Certificate
	}
	rows := []row{
		{0, "", "\x00\x00\x00\x00", contents.Tokens[0].Certificate}, {0, "", "\x00\x00\x00\x00", contents.Tokens[1].Certificate},
		{2, "publisher.example", "\x0a\x01\x02\x03", contents.Servers[0].Certificate},
		{3, "10.1.2.4", "\x0a\x01\x02\x04", contents.Servers[1].Certificate},
		{4, "publisher.example", "\x0a\x01\x02\x03", contents.CAPF[0].Certificate},
	}
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
