// Old certificates have keys of 512 bits and negative serial numbers; cmd/capf carries the same settings.
//
//go:debug rsa1024min=0
//go:debug x509negativeserial=1

package certfile_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"capf/legacy"
	"capf/legacy/certfile"
	"capf/legacy/text"
)

// read sees as well that nothing but certificates is given, and that of the rest the place and the digest are.
func read(t testing.TB, content string, options certfile.Options) *certfile.File {
	t.Helper()
	file, err := certfile.Read(legacy.BytesInput("x.0", []byte(content)), options)
	if err != nil {
		t.Fatal(err)
	}
	end := int64(0)
	for _, line := range file.Kept {
		if line.Bytes != nil || line.Offset < end || line.SHA256 != sha256.Sum256([]byte(content[line.Offset:line.Offset+line.Size])) {
			t.Errorf("%s is not %d bytes from %d on, or they are given: %q", line, line.Size, line.Offset, line.Bytes)
		}
		end = line.Offset + line.Size
	}
	return file
}

// withheld gives the bytes that are not kept.
func withheld(content string, file *certfile.File) (out string) {
	for _, line := range file.Kept {
		out += content[line.Offset : line.Offset+line.Size]
	}
	return out
}

// warnedOfKey tells whether somebody is told to hold a key for disclosed, for each that was found.
func warnedOfKey(t testing.TB, file *certfile.File) bool {
	t.Helper()
	keys := 0
	for _, line := range file.Kept {
		if line.PrivateKey {
			keys++
		}
	}
	if warnings := strings.Count(strings.Join(reasons(file), "\n"), legacy.PrivateKeyAdvice); warnings != keys {
		t.Errorf("%d keys, %d warnings", keys, warnings)
	}
	return keys > 0
}

func reasons(file *certfile.File) (out []string) {
	for _, finding := range file.Findings {
		out = append(out, finding.String())
	}
	return out
}

// kept gives lines and reasons of what was kept aside, each reason once.
func kept(file *certfile.File) (out []string) {
	for i, line := range file.Kept {
		if i > 0 && line.Reason == file.Kept[i-1].Reason {
			continue
		}
		out = append(out, fmt.Sprintf("%d %s", line.Line, line.Reason))
	}
	return out
}

func TestPEM(t *testing.T) {
	capf, other := selfSigned(t, "CAPF-0011aabb", 1024, nil), selfSigned(t, "CCM", 1024, nil)
	first, second := block("CERTIFICATE", capf.der), block("X509 CERTIFICATE", other.der)
	preamble := "Bag Attributes\r\n  M\xfcller\r\n"
	content := preamble + strings.ReplaceAll(first, "\n", "\r\n") + "\r\n" + second + "\r\ntail\r\n"
	file := read(t, content, certfile.Options{InCAPFFolder: true, Now: now})
	if len(file.Certificates) != 2 {
		t.Fatalf("%d certificates, kept %v", len(file.Certificates), file.Kept)
	}
	got := file.Certificates[0]
	if got.Line != 3 || got.File != "x.0" || !bytes.Equal(got.DER, capf.der) || got.SHA256 != sha256.Sum256(capf.der) ||
		!got.SelfSigned || got.Signature != certfile.Right || !got.InCAPFFolder ||
		got.IsCAPFCer || !got.NamesCAPF() {
		t.Errorf("first: %+v", got)
	}
	if got := file.Certificates[1]; !bytes.Equal(got.DER, other.der) || got.NamesCAPF() {
		t.Errorf("second: %+v", got)
	}
	last := 3 + strings.Count(first, "\n") + 1 + strings.Count(second, "\n") + 1
	if len(file.Kept) != 2 || file.Kept[0].Line != 1 || file.Kept[0].Count != 2 || file.Kept[1].Line != last || len(file.Findings) > 0 {
		t.Errorf("kept %+v, findings %v", file.Kept, file.Findings)
	}
	if got := withheld(content, file); got != preamble+"tail\r\n" {
		t.Errorf("withheld are %q", got)
	}
	if shown := file.Kept[0].Shown(); shown != fmt.Sprintf("(%d bytes, not kept)", len(preamble)) || !strings.Contains(file.Kept[0].Reason, "outside of any certificate") {
		t.Errorf("shown is %s: %s", file.Kept[0], shown)
	}
}

// What stands in a block beside its certificate is told of, and not given.
func TestMoreThanABlock(t *testing.T) {
	capf := selfSigned(t, "CAPF", 1024, nil)
	whole := block("CERTIFICATE", capf.der)
	body := strings.SplitAfter(whole, "\n")
	part := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0xa7, 3, 0x91, 0x42}, 40))
	for name, test := range map[string]struct {
		content      string
		certificates int
		want         string
	}{
		"text before the end":        {strings.Replace(whole, "-----END", "by hand\n-----END", 1), 1, "1 has more than a certificate in its PEM block"},
		"text in the middle":         {strings.Replace(whole, body[3], body[3]+"by hand: 1\n", 1), 0, "1 PEM block is not DER in base64"},
		"text in the line of a mark": {strings.Replace(whole, "-----BEGIN", "by hand -----BEGIN", 1), 1, "1 has more than a certificate in its PEM block"},
		"text behind the end":        {strings.TrimSuffix(whole, "\n") + " by hand\n", 1, "1 has more than a certificate in its PEM block"},
		"what is no text":            {strings.Replace(whole, "-----END", "\x00\n-----END", 1), 1, "1 has more than a certificate in its PEM block"},
		"base64":                     {strings.Replace(whole, "-----END", part+"\n-----END", 1), 1, "1 has more than a certificate in its PEM block"},
		"base64 behind more DER": {strings.Replace(block("CERTIFICATE", append(bytes.Clone(capf.der), 0xa7, 3)), "-----END", part+"\n-----END", 1), 1,
			"1 has more than a certificate in its PEM block"},
		"white space": {strings.ReplaceAll(whole, "\n", " \r\n"), 1, ""},
		"empty lines": {strings.ReplaceAll(whole, "\n", "\n\n"), 1, ""},
	} {
		file := read(t, test.content, certfile.Options{})
		if got := strings.Join(kept(file), "; "); len(file.Certificates) != test.certificates || got != test.want {
			t.Errorf("%s: %d certificates, kept %q", name, len(file.Certificates), got)
		}
		if test.want != "" && withheld(test.content, file) != test.content {
			t.Errorf("%s: withheld are %q", name, withheld(test.content, file))
		}
	}
}

func TestDER(t *testing.T) {
	capf, other := selfSigned(t, "CAPF", 1024, nil), selfSigned(t, "CCM", 1024, nil)
	tests := []struct {
		name, content string
		options       certfile.Options
		certificates  int
		findings      []string
		kept          []string
	}{
		{"CAPF.cer", string(capf.der), certfile.Options{IsCAPFCer: true}, 1, nil, nil},
		{"under a name that says PEM", string(capf.der), certfile.Options{}, 1, []string{"x.0: note: is DER, though the name says PEM"}, nil},
		{"two behind each other", string(capf.der) + string(other.der), certfile.Options{IsCAPFCer: true}, 2, nil, nil},
		{"PEM in CAPF.cer", block("CERTIFICATE", capf.der), certfile.Options{IsCAPFCer: true}, 1, []string{"x.0: note: is not DER, though it is named CAPF.cer"}, nil},
		{"something behind it", string(capf.der) + "\r\nx\r\n", certfile.Options{IsCAPFCer: true}, 1, nil, []string{"0 text outside of any certificate, not kept"}},
		{
			"torn", string(capf.der[:300]), certfile.Options{IsCAPFCer: true}, 0, []string{"x.0: warning: holds no certificate that can be read"},
			[]string{"1 is not a whole DER certificate"},
		},
		{
			"damaged", string(capf.der[:20]) + "\x00" + string(capf.der[21:]), certfile.Options{IsCAPFCer: true}, 0,
			[]string{"x.0: warning: holds no certificate that can be read"}, []string{"0 does not parse as a certificate: x509: inner and outer signature algorithm identifiers don't match"},
		},
		{
			"a key in PEM behind it", string(capf.der) + "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n", certfile.Options{IsCAPFCer: true}, 1,
			[]string{"x.0: warning: " + legacy.PrivateKeyAdvice}, []string{"0 private key, not kept"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file := read(t, test.content, test.options)
			if len(file.Certificates) != test.certificates {
				t.Errorf("%d certificates", len(file.Certificates))
			}
			if diff := cmp.Diff(test.findings, reasons(file)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(test.kept, kept(file)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestProperties(t *testing.T) {
	plain := selfSigned(t, "CAPF", 1024, nil)
	expired := selfSigned(t, "CAPF", 1024, func(c *x509.Certificate) { c.NotAfter = now.AddDate(0, 0, -1) })
	future := selfSigned(t, "CAPF", 1024, func(c *x509.Certificate) { c.NotBefore = now.AddDate(0, 0, 1) })
	short := selfSigned(t, "CAPF", 512, nil)
	serial := []byte{0x02, 0x02, 0x12, 0x67} // 4711
	wrong := bytes.Clone(plain.der)
	wrong[len(wrong)-1] ^= 1
	tests := []struct {
		name      string
		der       []byte
		signature certfile.SelfSignature
		findings  []string
	}{
		{"plain", plain.der, certfile.Right, nil},
		{"expired", expired.der, certfile.Right, []string{"x.0:1: note: expired on 2006-04-30"}},
		{"not yet valid", future.der, certfile.Right, []string{"x.0:1: note: is not valid before 2006-05-02"}},
		{"512 bits", short.der, certfile.Right, []string{"x.0:1: note: has an RSA key of 512 bits"}},
		{"issued by another", plain.issue(t, "SEP000AB8001C40").der, certfile.NotSelfIssued, nil},
		{"wrong signature", wrong, certfile.Wrong, []string{"x.0:1: warning: names itself as issuer, but its signature is not of its own key: no trust anchor"}},
		{"MD5", plain.resigned(t, nil, nil), certfile.NotVerifiable, []string{
			"x.0:1: warning: its own signature cannot be verified: no trust anchor by itself: " +
				"x509: cannot verify signature: insecure algorithm MD5-RSA",
			"x.0:1: note: is signed with MD5-RSA",
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file := read(t, block("CERTIFICATE", test.der), certfile.Options{Now: now})
			if len(file.Certificates) != 1 {
				t.Fatalf("kept %v", file.Kept)
			}
			got := file.Certificates[0]
			if got.Signature != test.signature || got.SelfSigned != (test.signature == certfile.Right) {
				t.Errorf("signature %s, self-signed %v", got.Signature, got.SelfSigned)
			}
			if diff := cmp.Diff(test.findings, reasons(file)); diff != "" {
				t.Error(diff)
			}
		})
	}
	if undated := read(t, block("CERTIFICATE", expired.der), certfile.Options{}); len(undated.Findings) > 0 {
		t.Errorf("dates were compared with no time: %v", undated.Findings)
	}
	negative := read(t, block("CERTIFICATE", plain.resigned(t, serial, []byte{0x02, 0x02, 0x92, 0x67})), certfile.Options{})
	if len(negative.Certificates) != 1 || negative.Certificates[0].Parsed().SerialNumber.Cmp(new(big.Int)) >= 0 {
		t.Errorf("negative serial number: kept %v", kept(negative))
	}
}

func TestDamage(t *testing.T) {
	good := block("CERTIFICATE", selfSigned(t, "CAPF", 1024, nil).der)
	lines := strings.SplitAfter(good, "\n")
	torn := strings.Join(lines[:5], "")
	broken := strings.Replace(good, lines[3], strings.Replace(lines[3], lines[3][9:12], "*?*", 1), 1)
	tests := []struct {
		name, content string
		certificates  int
		kept          []string
	}{
		{"torn", torn, 0, []string{"1 PEM block without an end"}},
		{"torn, then whole", torn + good, 1, []string{"1 PEM block without an end"}},
		{"not base64", broken + good, 1, []string{"1 PEM block is not DER in base64"}},
		{"a NUL in it", strings.Replace(good, lines[2], "\x00"+lines[2], 1), 0, []string{"1 PEM block is not DER in base64"}},
		{"no certificate in it", block("CERTIFICATE", []byte{0x30, 3, 4, 1, 7}), 0, []string{"1 does not parse as a certificate: x509: malformed tbs certificate"}},
		{"another label", block("CERTIFICATE REQUEST", []byte{0x30, 3, 4, 1, 7}), 0, []string{"1 PEM block is no certificate"}},
		{"ends as another", strings.Replace(good, "END CERTIFICATE", "END X509 CRL", 1), 0, []string{"1 PEM block ends as another than it begins"}},
		{"text only", "hello\n\nworld\n", 0, []string{"1 text outside of any certificate, not kept"}},
		{"an end alone", "-----END CERTIFICATE-----\n", 0, []string{"1 text outside of any certificate, not kept"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file := read(t, test.content, certfile.Options{})
			if len(file.Certificates) != test.certificates {
				t.Errorf("%d certificates", len(file.Certificates))
			}
			if diff := cmp.Diff(test.kept, kept(file)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTrustedCertificate(t *testing.T) {
	capf := selfSigned(t, "CAPF", 1024, nil)
	auxiliary, err := asn1.Marshal([]string{"alias"})
	if err != nil {
		t.Fatal(err)
	}
	file := read(t, block("TRUSTED CERTIFICATE", append(bytes.Clone(capf.der), auxiliary...)), certfile.Options{})
	if len(file.Certificates) != 1 || !bytes.Equal(file.Certificates[0].DER, capf.der) || len(file.Kept) == 0 {
		t.Errorf("got %v, kept %v", file.Certificates, kept(file))
	}
}

func TestSize(t *testing.T) {
	file := read(t, strings.Repeat("x\n", certfile.MaxFile/2)+"x", certfile.Options{})
	if len(file.Certificates)+len(file.Kept) > 0 || len(file.Findings) != 1 || !strings.Contains(file.Findings[0].Reason, "larger than 1048576 bytes") {
		t.Errorf("got %v", file.Findings)
	}
	if empty := read(t, "", certfile.Options{}); len(empty.Findings) != 1 || empty.Findings[0].Reason != "is empty" {
		t.Errorf("got %v", empty.Findings)
	}
}

func TestUTF16(t *testing.T) {
	capf := selfSigned(t, "CAPF", 1024, nil)
	content := []byte{0xff, 0xfe}
	for _, b := range []byte(strings.ReplaceAll(block("CERTIFICATE", capf.der), "\n", "\r\n")) {
		content = append(content, b, 0)
	}
	if file := read(t, string(content), certfile.Options{}); len(file.Certificates) != 1 || len(file.Kept) > 0 {
		t.Errorf("kept %v", kept(file))
	}
}

// Nothing but certificates is given. Every line of text that is not blank is in a certificate's block or withheld.
func FuzzRead(f *testing.F) {
	capf := selfSigned(f, "CAPF", 1024, nil)
	good := block("CERTIFICATE", capf.der)
	f.Add([]byte(good), false)
	f.Add([]byte("x\n"+good+"\ny"), false)
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nMIIE\n-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"), false)
	f.Add([]byte("a\n0000000000000000000X\n"+good), false)
	f.Add(capf.der, true)
	f.Add(append(bytes.Clone(capf.der), "-----BEGIN PRIVATE KEY-----\nMIIE"...), true)
	f.Fuzz(func(t *testing.T, content []byte, cer bool) {
		file := read(t, string(content), certfile.Options{IsCAPFCer: cer, Now: now})
		encoding, _ := text.MarkOf(content)
		if encoding == "" {
			encoding = text.Windows1252
		}
		if len(content) > 1 && content[0] == 0x30 && content[1] >= 0x80 {
			return // DER: has no lines
		}
		blocks := 0
		for line := range text.Lines(legacy.BytesInput("x.0", content), encoding) {
			if strings.Contains(line.Text, "-----BEGIN ") {
				blocks++
			}
			withheld := slices.ContainsFunc(file.Kept, func(kept legacy.KeptLine) bool {
				return line.Offset >= kept.Offset && line.Offset+line.Size <= kept.Offset+kept.Size
			})
			if blocks == 0 && !withheld && (line.PrivateKey || strings.TrimSpace(line.Text) != "") {
				t.Fatalf("line %d, %q, is lost", line.Number, line.Raw)
			}
		}
	})
}
