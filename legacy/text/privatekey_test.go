package text_test

import (
	"crypto/sha256"
	"encoding/pem"
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
		{
			"torn within its first line", "a;b\nQrStUvWxYz\n" + keyBody + keyTail + end + "b\n",
			[]string{"1 a;b", "2 ! private key without its beginning, not kept", "7 b"},
		},
		{"a last line alone", "a;b\n" + keyTail + end + "b\n", []string{"1 a;b", "2 ! private key without its beginning, not kept", "4 b"}},
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

// TestTornKeys: wherever a key is cut off, and whatever stands around it, nothing of it is shown, and nothing else is lost.
func TestTornKeys(t *testing.T) {
	der := make([]byte, 600)
	for i := range der {
		der[i] = byte(i*i*31 + i*7)
	}
	const before, after = "SEP000AB8001C40;install;pending\n", "SEP000AB8001C41;delete;success\n"
	whole := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: der}))
	body := strings.Split(strings.TrimSpace(whole), "\n")
	body = body[1 : len(body)-1]
	begin, end := strings.Index(whole, "\n")+1, strings.LastIndex(strings.TrimSpace(whole), "\n")+1
	forms := map[string]string{
		"whole": whole, "no END": whole[:end], "cut behind its BEGIN": whole[:begin+1] + "\n", "cut within a line": whole[:begin+65*3+17] + "\n",
		"cut within its last line": whole[:end-5] + "\n", "no BEGIN": whole[begin:], "without the half of its BEGIN": whole[12:],
		"without the half of a line": whole[begin+50:], "its last lines alone": whole[end-70:], "two": whole + whole, "two, the first torn": whole[:end] + whole,
		"two, the second torn": whole + whole[:end], "two, both torn": whole[:begin+65*4] + whole[:end], "two, neither with a BEGIN": whole[begin:] + whole[begin+65:],
	}
	writings := map[string]func(string) string{
		"plain": func(key string) string { return key }, "indented": prefixed("\t  "), "in a comment": prefixed("# "), "in another": prefixed("; "),
	}
	for form, key := range forms {
		for writing, write := range writings {
			for place, content := range map[string]string{"top": write(key) + after, "middle": before + write(key) + after, "end": before + write(key)} {
				for encoding, encoded := range map[string][]byte{
					"LF": []byte(content), "CRLF": []byte(strings.ReplaceAll(content, "\n", "\r\n")),
					"UTF-16LE": wide(strings.ReplaceAll(content, "\n", "\r\n"), 0), "UTF-16BE": wide(content, 1),
				} {
					name := strings.Join([]string{form, writing, place, encoding}, ", ")
					shown, size := "", int64(0)
					for _, line := range read(t, encoded, "") {
						if size += line.Size; line.PrivateKey {
							if at := line.Offset; line.Raw != nil || line.SHA256 != sha256.Sum256(encoded[at:at+line.Size]) {
								t.Errorf("%s: place or digest is wrong: %+v", name, line)
							}
							continue
						}
						shown += line.Text + "\n"
					}
					want := strings.Replace(content, write(key), "", 1)
					if shown != want || size < int64(len(encoded)-3) {
						t.Errorf("%s: shown are %d of %d bytes,\n%swant\n%s", name, size, len(encoded), shown, want)
					}
				}
			}
		}
	}
	inLine := "SEP000AB8001C40;install;" + strings.ReplaceAll(strings.TrimSpace(whole), "\n", "\\n") + ";2048\n"
	for _, line := range []string{inLine, inLine[:len(inLine)/2] + "\n", inLine[100:], "SEP000AB8001C40;install;" + whole, "SEP000AB8001C40;" + whole[:end]} {
		shown := strings.Join(summary(read(t, []byte(before+line+after), "")), "\n")
		for _, part := range body {
			if strings.Contains(shown, part[:8]) {
				t.Errorf("of %.40s… are shown\n%s", line, shown)
			}
		}
		if !strings.Contains(shown, strings.TrimSpace(before)) || !strings.Contains(shown, strings.TrimSpace(after)) {
			t.Errorf("around %.40s… are shown\n%s", line, shown)
		}
	}
}

func prefixed(prefix string) func(string) string {
	return func(key string) string {
		return prefix + strings.ReplaceAll(strings.TrimSuffix(key, "\n"), "\n", "\n"+prefix) + "\n"
	}
}
