package text_test

import (
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"capf/legacy/text"
)

// keyBody is what base64 of a key looks like; it is none.
const keyBody = "MIIEowIBAAKCAQEAq1Vb3Q9xwYtZ8uJk2rLmN0pQsTuVwXyZaBcDeFgHiJkLmNoP\n" +
	"QrStUvWxYz0123456789+/AbCdEfGhIjKlMnOpQrStUvWxYzAbCdEfGhIjKlMnOp\n"

const keyTail = "aGVsbG8=\n"

func TestPrivateKeys(t *testing.T) {
	const begin, end = "-----BEGIN RSA PRIVATE KEY-----\n", "-----END RSA PRIVATE KEY-----\n"
	whole := "! private key, not kept"
	torn := "! private key without its end, not kept"
	tests := []struct {
		name, content string
		want          []string
	}{
		{"whole", "a\n" + begin + keyBody + keyTail + end + "b\n", []string{"1 a", "2 " + whole, "7 b"}},
		{
			"encrypted", begin + "Proc-Type: 4,ENCRYPTED\nDEK-Info: DES-EDE3-CBC,0123456789ABCDEF\n\n" + keyBody + end + "b\n",
			[]string{"1 " + whole, "8 b"},
		},
		{"any text within", begin + "what, is = this\n" + keyBody + end + "b\n", []string{"1 " + whole, "6 b"}},
		{"in one line", "a\n" + strings.TrimSpace(begin) + strings.TrimSpace(keyBody[:64]) + end + "b\n", []string{"1 a", "2 " + whole, "3 b"}},
		{"in lower case", "-----begin private key-----\n" + keyBody + "-----end private key-----\nb\n", []string{"1 " + whole, "5 b"}},
		{"torn by the end of the file", "a\n" + begin + keyBody + "MIIEo", []string{"1 a", "2 " + torn + " (torn)"}},
		{"torn by a record", begin + keyBody + keyTail + "SEP000AB8001C40;install\nb\n", []string{"1 " + torn, "5 SEP000AB8001C40;install", "6 b"}},
		{"torn by a setting", begin + keyBody + "device=SEP000AB8001C40\n", []string{"1 " + torn, "4 device=SEP000AB8001C40"}},
		{
			"torn while encrypted", begin + "DEK-Info: DES-EDE3-CBC,0123456789ABCDEF\n\n" + keyBody + "a,b\n",
			[]string{"1 " + torn, "6 a,b"},
		},
		{
			"torn by a certificate", begin + keyBody + "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
			[]string{"1 " + torn, "4 -----BEGIN CERTIFICATE-----", "5 MIIB", "6 -----END CERTIFICATE-----"},
		},
		{"torn, then another", begin + keyBody + begin + keyBody + end + "b\n", []string{"1 " + torn, "4 " + whole, "8 b"}},
		{
			"damaged", begin + strings.Replace(keyBody, "Q9xw", "Q,;w", 1) + strings.Replace(keyTail, "s", "\x00", 1) + "a;b\n",
			[]string{"1 " + torn, "5 a;b"},
		},
		{"two on a line", "-----END PRIVATE KEY-----" + begin + keyBody + end + "b\n", []string{"1 " + whole, "5 b"}},
		{
			"without its beginning", "a;b\n" + keyBody + keyTail + end + "b\n",
			[]string{"1 a;b", "2 ! private key without its beginning, not kept", "6 b"},
		},
		{
			"torn on both sides of its beginning", "a\nGIN RSA PRIVATE KEY-----\n" + keyBody + "b;c\n",
			[]string{"1 a", "2 " + torn, "5 b;c"},
		},
		{
			"of something else, then without its beginning", keyBody + "-----END CERTIFICATE-----\n" + keyBody + end,
			[]string{
				"1 " + keyBody[:64], "2 " + keyBody[65:129], "3 -----END CERTIFICATE-----",
				"4 ! private key without its beginning, not kept",
			},
		},
		{
			"in one line without its beginning", "a\n" + strings.TrimSpace(keyBody[:64]) + end + "b\n",
			[]string{"1 a", "2 ! private key without its beginning, not kept", "3 b"},
		},
		{"an end alone", "a\n" + end + "b\n", []string{"1 a", "2 -----END RSA PRIVATE KEY-----", "3 b"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, summary(read(t, []byte(test.content), ""))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPrivateKeyDigestAndPlace(t *testing.T) {
	key := "-----BEGIN PRIVATE KEY-----\r\n" + keyBody + "-----END PRIVATE KEY-----\r\n"
	lines := read(t, []byte("a\r\n"+key+"b\r\n"), "")
	if got := lines[1]; got.SHA256 != sha256.Sum256([]byte(key)) || got.Size != int64(len(key)) || got.Offset != 3 || got.Count != 4 {
		t.Errorf("got %+v", got)
	}
	kept := lines[1].Kept("f", "another reason")
	if !kept.PrivateKey || kept.Bytes != nil || kept.SHA256 != lines[1].SHA256 {
		t.Errorf("kept %+v", kept)
	}
}

func TestPrivateKeyInUTF16(t *testing.T) {
	for low := range 2 {
		content := wide("a\r\n-----BEGIN RSA PRIVATE KEY-----\r\n"+strings.ReplaceAll(keyBody, "\n", "\r\n")+
			"-----END RSA PRIVATE KEY-----\r\nb\r\n", low)
		want := []string{"1 a", "2 ! private key, not kept", "6 b"}
		if diff := cmp.Diff(want, summary(read(t, content, ""))); diff != "" {
			t.Error(diff)
		}
	}
}

// The mark of a key may lie across the pieces of a line that is too long: no piece with key text comes out, wherever
// it is cut.
func TestPrivateKeyInLongLine(t *testing.T) {
	const begin = "-----BEGIN RSA PRIVATE KEY-----"
	for shift := range len(begin) + 2 {
		content := strings.Repeat("x,", text.MaxLine/2-len(begin)) + strings.Repeat(" ", len(begin)*2-1-shift) +
			begin + strings.Repeat(strings.TrimSpace(keyBody[:64]), 3000) + "\n" + keyBody + "a;b\n"
		withheld := false
		for _, line := range read(t, []byte(content), "") {
			withheld = withheld || line.PrivateKey
			if strings.Contains(string(line.Raw), keyBody[:64]) {
				t.Fatalf("shift %d: key text in the piece at %d", shift, line.Offset)
			}
		}
		if !withheld {
			t.Fatalf("shift %d: no private key was found", shift)
		}
	}
}

// A file of nothing but beginnings must not take quadratic time: each is looked into only up to the next one.
func TestManyBeginnings(t *testing.T) {
	lines := read(t, []byte(strings.Repeat("BEGIN PRIVATE KEY\n", 20_000)), "")
	total := 0
	for _, line := range lines {
		total += line.Count
		if !line.PrivateKey {
			t.Fatalf("line %d: %q", line.Number, line.Text)
		}
	}
	if total != 20_000 {
		t.Errorf("%d lines", total)
	}
}
