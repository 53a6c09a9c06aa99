package certfile_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"strings"
	"testing"

	"capf/legacy"
	"capf/legacy/certfile"
)

// wrapped is base64 in lines of a width, without any mark.
func wrapped(der []byte, width int) []string {
	var out []string
	for text := base64.StdEncoding.EncodeToString(der); len(text) > 0; text = text[min(width, len(text)):] {
		out = append(out, text[:min(width, len(text))])
	}
	return out
}

// given is all that comes out of a file but certificates.
func given(file *certfile.File) string {
	var out strings.Builder
	for _, line := range file.Kept {
		out.Write(line.Bytes)
	}
	for _, one := range file.Certificates {
		out.Write(one.Before)
	}
	return out.String()
}

func readText(t *testing.T, content string) *certfile.File {
	t.Helper()
	file, err := certfile.Read(legacy.BytesInput("x.0", []byte(content)), certfile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// TestMiddleOfKey: a part of a key without BEGIN and END is withheld wherever it stands, and what is around it is not.
func TestMiddleOfKey(t *testing.T) {
	capf := selfSigned(t, "CAPF-1", 1024, nil)
	good := block("CERTIFICATE", capf.der)
	key := x509.MarshalPKCS1PrivateKey(selfSigned(t, "another", 1024, nil).key)
	for _, width := range []int{64, 76, 16, 4000} {
		lines := wrapped(key, width)
		middle := lines
		if len(lines) > 6 {
			middle = lines[3 : len(lines)-2]
		}
		part := strings.Join(middle, "\r\n") + "\r\n"
		for name, content := range map[string]string{
			"alone": part, "before": "a note\r\n" + part + good, "after": good + part + "a note\r\n", "between": good + part + good,
			"with empty lines": good + strings.Join(middle, "\r\n\r\n"), "behind a whole certificate": strings.Join(wrapped(capf.der, width), "\r\n") + "\r\n" + part,
			"damaged": good + strings.Replace(part, part[2:3], "\x80", 1), "in UTF-16": string(utf16(part + "a note\r\n")),
		} {
			file := readText(t, content)
			out := strings.ReplaceAll(given(file), "\x00", "")
			for _, line := range middle {
				if len(line) > 4 && strings.Contains(out, line) {
					t.Errorf("%s, in lines of %d: key text is given: %q", name, width, out)
					break
				}
			}
			advice := legacy.PossibleKeyAdvice
			if len(lines) <= 6 && name != "damaged" {
				advice = legacy.PrivateKeyAdvice // its beginning is there, and tells
			}
			if !strings.Contains(strings.Join(reasons(file), "\n"), advice) {
				t.Errorf("%s, in lines of %d: nothing says so: %q", name, width, reasons(file))
			}
			if strings.Contains(content, "note") && !strings.Contains(out, "a note") {
				t.Errorf("%s, in lines of %d: the note is lost", name, width)
			}
			if size := int64(len(content)); total(file) > size || total(file) == 0 {
				t.Errorf("%s: %d of %d bytes are accounted for", name, total(file), size)
			}
		}
	}
}

func utf16(text string) []byte {
	out := []byte{0xff, 0xfe}
	for _, b := range []byte(text) {
		out = append(out, b, 0)
	}
	return out
}

func total(file *certfile.File) (size int64) {
	for _, line := range file.Kept {
		size += line.Size
	}
	return size
}

// TestShortStartOfKey: a beginning that is too short to be known by itself goes with the key behind it.
func TestShortStartOfKey(t *testing.T) {
	capf := selfSigned(t, "CAPF-1", 1024, nil)
	lines := strings.Split(block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(capf.key)), "\n")
	start := lines[5][50:]
	content := "a note\n" + start + "\n" + strings.Join(lines[6:], "\n") + block("CERTIFICATE", capf.der)
	file := readText(t, content)
	if out := given(file); strings.Contains(out, start) || !strings.Contains(out, "a note") {
		t.Errorf("given is %q", out)
	}
	if len(file.Certificates) != 1 {
		t.Errorf("%d certificates", len(file.Certificates))
	}
	whole := readText(t, "CAPF\n"+block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(capf.key)))
	if out := given(whole); out != "CAPF\n" {
		t.Errorf("before a whole key %q is left", out)
	}
}

// TestLooksLikeKey: what merely looks like base64 stays as it was.
func TestLooksLikeKey(t *testing.T) {
	capf := selfSigned(t, "CAPF-1", 1024, nil)
	good := block("CERTIFICATE", capf.der)
	bare := strings.Join(wrapped(capf.der, 64), "\n") + "\n"
	headless := good[strings.Index(good, "\n")+100:]
	for name, text := range map[string]string{
		"a certificate without marks": bare, "in one line": strings.Join(wrapped(capf.der, 4000), "") + "\n",
		"a certificate without its beginning": headless,
		"words":                               "CAPF\nMilan\n\nVoice\n", "names": "subject=/O=ciscosystems/OU=VoiceTechnologyGroup/CN=CAPF-5D3A0C41\n",
		"a path": "C:/ProgramFiles/Cisco/Certificates/CAPF\n", "an address": "https://www.example.com/certificates/of/the/cluster\n",
		"a fingerprint":  "0123456789abcdef0123456789abcdef01234567\nA1B2C3D4E5F60718293A4B5C6D7E8F9012345678\n",
		"digits":         "12345678901234567890123456789012\n",
		"a dump":         "    00:c3:5f:1e:22:09:81:aa:00:c3:5f:1e:22:09:81:\n    Signature Algorithm: sha1WithRSAEncryption\n",
		"bag of PKCS 12": "Bag Attributes\n    localKeyID: 01 00 00 00 \n    friendlyName: theCertificateOfTheCluster\n",
		"Cyrillic":       "\xd1\xe5\xf0\xf2\xe8\xf4\xe8\xea\xe0\xf2\xd1\xe5\xf0\xf2\xe8\xf4\xe8\xea\xe0\xf2\n",
	} {
		for place, content := range map[string]string{"alone": text, "before a certificate": text + good, "behind one": good + text} {
			file := readText(t, content)
			// Empty lines at the end of a file are no text.
			if out := given(file); strings.ReplaceAll(out, "\n", "") != strings.ReplaceAll(text, "\n", "") {
				t.Errorf("%s, %s: given is %q, not %q", name, place, out, text)
			}
		}
	}
	der := bytes.Clone(capf.der)
	if file := readText(t, string(der)+strings.Join(wrapped(x509.MarshalPKCS1PrivateKey(capf.key), 64)[3:], "\n")); strings.Contains(given(file), wrapped(x509.MarshalPKCS1PrivateKey(capf.key), 64)[4]) {
		t.Error("key text behind DER is given")
	}
}
