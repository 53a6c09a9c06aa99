package ctl

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestVerifyGolden(t *testing.T) {
	for i, raw := range goldens(t) {
		verification, err := Verify(raw)
		if err != nil {
			t.Fatal(err)
		}
		if verification.SAST.Number != i+1 || !verification.Certificate.Equal(loadToken(t, []string{"1024", "2048"}[i]).Certificate) {
			t.Errorf("golden list %d: signed by record %d, %s", i, verification.SAST.Number, verification.Certificate.Subject)
		}
	}
}

// TestEveryByteCounts changes each byte of lists in several ways: none may verify.
func TestEveryByteCounts(t *testing.T) {
	small := sampleContents(t)
	small.Tokens[0] = SAST{Name: "small", Certificate: loadToken(t, "512").Certificate}
	lists := append(goldens(t), mustBuild(t, small, loadToken(t, "512")))
	for number, raw := range lists {
		changed := bytes.Clone(raw)
		file, err := Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		for at, original := range raw {
			values := []byte{original ^ 1, original ^ 0x80}
			if at < file.Header.Length { // where a change could move the signature's place
				values = append(values, original+1, 0, 0xFF, 12, 13)
			}
			for _, value := range values {
				if value == original {
					continue
				}
				changed[at] = value
				if _, err := Verify(changed); err == nil {
					t.Errorf("list %d, byte %d: %#02x instead of %#02x still verifies", number, at, value, original)
				}
			}
			changed[at] = original
		}
	}
}

// TestCutAndGrown cuts lists at every byte and makes them longer.
func TestCutAndGrown(t *testing.T) {
	raw := goldens(t)[0]
	for length := range raw {
		if _, err := Verify(raw[:length]); err == nil {
			t.Errorf("the first %d bytes verify", length)
		}
	}
	if _, err := Verify(append(bytes.Clone(raw), raw[292:]...)); err == nil {
		t.Error("verifies with its records twice")
	}
}

// relist encodes changed elements with the lengths made right.
func relist(file *File) []byte {
	var records [][]Element
	for _, record := range file.Records {
		records = append(records, record.Elements[1:])
	}
	return list(slices.Clone(file.Elements[2:]), records...)
}

// resign gives changed elements a good signature again, with the lengths made right.
func resign(t *testing.T, file *File, token *Token) []byte {
	t.Helper()
	raw := relist(file)
	decoded, err := Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := sign(raw, token, decoded.Header.Digest); err != nil {
		t.Fatal(err)
	}
	return raw
}

// replace changes the value of an element, in wrappers too.
func replace(t *testing.T, elements []Element, tag Tag, value []byte) {
	t.Helper()
	if !replaceIn(elements, tag, value) {
		t.Fatalf("no element %d", tag)
	}
}

func replaceIn(elements []Element, tag Tag, value []byte) bool {
	for i := range elements {
		if elements[i].Tag == tag {
			elements[i].Value = value
			return true
		}
		if replaceIn(elements[i].Inner, tag, value) {
			return true
		}
	}
	return false
}

// TestVerifySays changes one thing, signs again, and looks at what is said about it.
func TestVerifySays(t *testing.T) {
	record := func(number int, tag Tag, value []byte) func(*testing.T, *File) {
		return func(t *testing.T, file *File) { replace(t, file.Records[number-1].Elements, tag, value) }
	}
	header := func(tag Tag, value []byte) func(*testing.T, *File) {
		return func(t *testing.T, file *File) { replace(t, file.Elements, tag, value) }
	}
	cases := []struct {
		name, want string
		change     func(*testing.T, *File)
	}{
		{"nothing", "", func(*testing.T, *File) {}},
		{"hash record", "", func(_ *testing.T, file *File) {
			file.Records = append(file.Records, Record{Elements: append([]Element{{}}, hashRecord...)})
		}},
		{"unknown element", "", func(_ *testing.T, file *File) {
			file.Elements = append(file.Elements, Element{Tag: 99, Value: []byte("x")})
		}},
		{"signer version left out", "", func(_ *testing.T, file *File) {
			file.Elements = append(slices.Delete(file.Elements, 2, 3), Element{Tag: TagPadding, Bare: true})
		}},
		{"header not padded", "header length): 293 is no multiple of 4", func(_ *testing.T, file *File) {
			file.Elements = append(file.Elements, Element{Tag: TagPadding, Bare: true})
		}},
		{"file name", `file name): "ITLFile.tlv" instead of "CTLFile.tlv"`, header(TagFileName, text("ITLFile.tlv"))},
		{"digest", "digest algorithm): 2 is none", header(TagDigestAlgorithm, []byte{2})},
		{"algorithm", "signature algorithm): 1 is not RSA", header(TagSignatureAlgorithm, []byte{1})},
		{"modulus", "signature modulus): 2048 bits, but the key of \"CN=SAST-1024", header(TagSignatureModulus, []byte{2})},
		{"modulus 9", "modulus 9, but", header(TagSignatureModulus, []byte{9})},
		{"signer", `"CN=Mallory" serial 83e9080000005545af31, which is none of the security tokens (SAST): "CN=SAST-1024`, header(TagSignerName, text("CN=Mallory"))},
		{"signer without certificate", "carries a hash", func(_ *testing.T, file *File) {
			file.Records[0].Elements = append(slices.Clone(file.Records[0].Elements[:7]), hashRecord[1], hashRecord[2])
		}},
		{"no SAST", "there are none", func(t *testing.T, file *File) {
			file.Records = file.Records[2:]
		}},
		{"subject", `record 3, subject name): "CN=x", but the certificate has "CN=publisher.example`, record(3, TagSubject, text("CN=x"))},
		{"issuer", "record 4, issuer name", record(4, TagIssuer, text("CN=x"))},
		{"serial", "record 5, serial number): 08, but the certificate has 07", record(5, TagSerial, []byte{8})},
		{"key", "record 3, public key): is not that", record(3, TagPublicKey, []byte{1})},
		{"signature", "record 2, signature): is not that", record(2, TagCertificateSignature, nil)},
		{"certificate", "record 5, certificate): not a readable certificate", record(5, TagCertificate, []byte{0x30})},
		{"serial with its sign", "", record(3, TagSerial, []byte{0, 0xF0, 0x0D, 0, 1})},
		{"another maker's name", "", record(3, TagSubject, text(`o=Example;ou="CallManager";cn=publisher.example `))},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			file, err := Decode(goldens(t)[0])
			if err != nil {
				t.Fatal(err)
			}
			c.change(t, file)
			checkVerify(t, resignWith(t, file), c.want)
		})
	}
}

func checkVerify(t *testing.T, raw []byte, want string) {
	t.Helper()
	_, err := Verify(raw)
	if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("error %v instead of one with %q", err, want)
	}
	var format *FormatError
	if err != nil && !errors.As(err, &format) {
		t.Errorf("no position: %v", err)
	}
}

// resignWith signs with SHA-1 where the list names a digest that does not exist.
func resignWith(t *testing.T, file *File) []byte {
	t.Helper()
	if digest, _ := findDeep(file.Elements, TagDigestAlgorithm); digest.Value[0] != byte(SHA1) {
		return relist(file)
	}
	return resign(t, file, loadToken(t, "1024"))
}

// TestInspectTellsEverything makes several things wrong at once, with a good signature and without.
func TestInspectTellsEverything(t *testing.T) {
	file, err := Decode(goldens(t)[0])
	if err != nil {
		t.Fatal(err)
	}
	replace(t, file.Elements, TagFileName, text("Other.tlv"))
	replace(t, file.Records[1].Elements, TagIssuer, text("CN=x"))
	replace(t, file.Records[2].Elements, TagPublicKey, nil)
	replace(t, file.Records[4].Elements, TagCertificate, []byte{0x30})
	raw := resign(t, file, loadToken(t, "1024"))
	want := []string{"header length): 290 is no multiple of 4", `file name): "Other.tlv" instead of "CTLFile.tlv" or "ITLFile.tlv"`,
		"record 2, issuer name", "record 3, public key", "record 5, certificate"}
	checkFaults(t, raw, true, want)
	raw[len(raw)-1] ^= 1 // in the address of the last record
	checkFaults(t, raw, false, append([]string{"header, signature): the list was changed"}, want...))
	if inspection, err := Inspect(raw[:100]); err == nil || inspection != nil {
		t.Error("half a list is inspected")
	}
	if _, ok := PositionOf(errors.New("somewhere")); ok {
		t.Error("an error without a position has one")
	}
}

// checkFaults wants these faults, each with the byte at which the element stands.
func checkFaults(t *testing.T, raw []byte, signed bool, want []string) {
	t.Helper()
	inspection, err := Inspect(raw)
	if err != nil {
		t.Fatal(err)
	}
	if (inspection.SAST != nil) != signed || (inspection.Certificate != nil) != signed {
		t.Errorf("signed: %v", inspection.SAST != nil)
	}
	if len(inspection.Faults) != len(want) {
		t.Fatalf("%d faults instead of %d: %v", len(inspection.Faults), len(want), inspection.Faults)
	}
	begins := positions(inspection.File.Elements)
	for i := range inspection.File.Records {
		begins = append(begins, positions(inspection.File.Records[i].Elements)...)
	}
	for i, fault := range inspection.Faults {
		position, ok := PositionOf(fault)
		if !ok || !strings.Contains(fault.Error(), want[i]) || !strings.Contains(fault.Error(), fmt.Sprintf("byte %d (", position)) {
			t.Errorf("fault %d is %v instead of one with %q", i, fault, want[i])
		}
		if !slices.Contains(begins, position) {
			t.Errorf("%v: no element stands at %d", fault, position)
		}
	}
	if _, err := Verify(raw); err == nil || err.Error() != strings.ReplaceAll(inspection.Faults[0].Error(), ` or "ITLFile.tlv"`, "") {
		t.Errorf("Verify says %v first", err)
	}
}

// positions are the bytes at which elements begin.
func positions(elements []Element) (at []int) {
	for _, element := range elements {
		at = append(append(at, element.Position), positions(element.Inner)...)
	}
	return at
}

// TestErrorsStayShort has texts and serial numbers as long as a list can carry.
func TestErrorsStayShort(t *testing.T) {
	file, err := Decode(goldens(t)[0])
	if err != nil {
		t.Fatal(err)
	}
	long := bytes.Repeat([]byte{'x'}, 20000)
	replace(t, file.Elements, TagSignerSerial, long)
	replace(t, file.Elements, TagFileName, text(string(long)))
	for i := range file.Records {
		replace(t, file.Records[i].Elements, TagSubject, text(string(long)))
		replace(t, file.Records[i].Elements, TagSerial, long)
	}
	for range 20 {
		file.Records = append(file.Records, file.Records[0])
	}
	inspection, err := Inspect(relist(file))
	if err != nil || len(inspection.Faults) != 28 {
		t.Fatalf("%d faults, %v", len(inspection.Faults), err)
	}
	for _, fault := range inspection.Faults {
		if len(fault.Error()) > 6000 {
			t.Errorf("%d bytes: %.200s", len(fault.Error()), fault.Error())
		}
	}
}

func TestVerifyNamesTheSigner(t *testing.T) {
	raw := goldens(t)[0]
	raw[len(raw)-1] ^= 1
	_, err := Verify(raw)
	want := `byte 139 (header, signature): the list was changed, or not signed with the key of "CN=SAST-1024,OU=Security Tokens,O=Example" serial 83e9080000005545af31: crypto/rsa: verification error`
	if err == nil || err.Error() != want {
		t.Errorf("%v\ninstead of\n%s", err, want)
	}
}

func TestVerifySuccession(t *testing.T) {
	build := func(signer string, at int64, tokens ...string) []byte {
		contents := sampleContents(t)
		contents.Timestamp = time.Unix(at, 0)
		contents.Tokens = nil
		for _, name := range tokens {
			contents.Tokens = append(contents.Tokens, SAST{Name: name, Certificate: loadToken(t, name).Certificate})
		}
		return mustBuild(t, contents, loadToken(t, signer))
	}
	previous := build("1024", 1000, "1024", "2048")
	contents := sampleContents(t)
	contents.ITL, contents.Timestamp = true, time.Unix(1000, 0)
	itl := mustBuild(t, contents, loadToken(t, "1024"))
	changed := bytes.Clone(build("1024", 1000, "1024", "2048"))
	changed[len(changed)-1] ^= 1
	cases := []struct {
		name, want     string
		next, previous []byte
	}{
		{"the same", "", previous, previous},
		{"the other token", "", build("2048", 1001, "2048", "512"), previous},
		{"a token of the new list only", "none of the security tokens", build("512", 1001, "512", "1024"), previous},
		{"older", "older than the previous list: 1970-01-01T00:16:39Z is before 1970-01-01T00:16:40Z", build("1024", 999, "1024", "2048"), previous},
		{"changed", "the list was changed", changed, previous},
		{"a changed list is there", "", previous, changed},
		{"older, by a stranger", "none of the security tokens", build("512", 999, "512", "1024"), previous},
		{"an ITL after a CTL", "a phone keeps the two apart", itl, previous},
		{"a CTL after an ITL", "a phone keeps the two apart", previous, itl},
		{"an ITL after an ITL", "", itl, itl},
		{"no list is there", "previous list: byte 0", previous, []byte("x")},
		{"no list comes", "next list: byte 0", []byte("x"), previous},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := VerifySuccession(c.next, c.previous)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v instead of one with %q", err, c.want)
			}
			if errors.Is(err, ErrOlder) != (c.name == "older") {
				t.Errorf("older: %v", err)
			}
			if readable := len(c.next) > 1 && len(c.previous) > 1; err != nil && errors.Is(err, ErrNotSuccessor) != readable {
				t.Errorf("wraps ErrNotSuccessor: %v", !readable)
			}
		})
	}
}

// TestSuccessionUsesThePreviousCertificate has a list with a token of the same name and serial number but
// another key: the key in the previous list decides.
func TestSuccessionUsesThePreviousCertificate(t *testing.T) {
	file, err := Decode(goldens(t)[0])
	if err != nil {
		t.Fatal(err)
	}
	other := loadToken(t, "512")
	replace(t, file.Records[0].Elements, TagCertificate, other.Certificate.Raw)
	replace(t, file.Elements, TagSignatureModulus, []byte{0})
	replace(t, file.Elements, TagSignature, make([]byte, 64))
	forged := resign(t, file, other)
	decoded, err := Decode(forged)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := decoded.signedBy(forged, decoded); err != nil {
		t.Fatalf("the forged list's own signature: %v", err)
	}
	if err := VerifySuccession(forged, goldens(t)[0]); !errors.Is(err, ErrNotSuccessor) {
		t.Errorf("a list signed by a stranger of the same name succeeds: %v", err)
	}
}

// certificateOf reads a certificate from DER, for tests that make their own.
func certificateOf(t *testing.T, der []byte) *x509.Certificate {
	t.Helper()
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}
