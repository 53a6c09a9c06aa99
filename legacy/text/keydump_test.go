package text_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf16"

	"capf/legacy"
	"capf/legacy/text"
)

// dump is a number of that many bytes as openssl prints it; its digits are those of its first byte, counted on.
func dump(first byte, size int) string {
	var out strings.Builder
	for i := range size {
		if i%15 == 0 {
			out.WriteString("    ")
		}
		fmt.Fprintf(&out, "%02x", first+byte(i))
		if i < size-1 {
			out.WriteByte(':')
		}
		if i%15 == 14 || i == size-1 {
			out.WriteByte('\n')
		}
	}
	return out.String()
}

// linesOf gives the lines that are shown and those that are withheld, as "number text" and "number-last".
func linesOf(t *testing.T, content string, encoding text.Encoding) (shown, withheld string) {
	t.Helper()
	for line, err := range text.Lines(legacy.BytesInput("key.0", []byte(content)), encoding) {
		switch {
		case err != nil:
			t.Fatal(err)
		case line.PrivateKey:
			withheld += fmt.Sprintf("%d:%d ", line.Number, line.Size)
			if len(line.Raw) > 0 {
				t.Errorf("bytes of a key are kept: %q", line.Raw)
			}
		default:
			shown += line.Text + "\n"
		}
	}
	return shown, withheld
}

// TestKeyDump: the parts of a private key in hex are withheld, whole or torn, named or not; modulus, public exponent, the
// printed form of a certificate and MAC addresses stay.
func TestKeyDump(t *testing.T) {
	public := "RSA Private-Key: (512 bit, 2 primes)\nmodulus:\n" + dump(0, 65) + "publicExponent: 65537 (0x10001)\n"
	secret := dump(0x80, 64)
	tests := []struct{ name, before, secret, after string }{
		{"openssl rsa -text", public, "privateExponent:\n" + secret + "prime1:\n" + secret + "prime2:\n" + secret + "exponent1:\n" + secret +
			"exponent2:\n" + secret + "coefficient:\n" + secret, ""},
		{"more primes", public, "prime3:\n" + secret + "exponent3:\n" + secret, "end\n"},
		{"an EC key", "Private-Key: (256 bit)\n", "priv:\n" + dump(1, 32), "pub:\n" + dump(4, 65) + "ASN1 OID: prime256v1\n"},
		{"of certtool", "public exponent:\n\t01:00:01:\n", "private exponent:\n" + secret + "exp1:\n" + secret, ""},
		{"torn at its end", public, "privateExponent:\n" + secret[:90] + "\n", "SEP000AB8001C40;install\n"},
		{"torn at its beginning", "a;b\n", secret[60:] + "prime1:\n" + secret, "c;d\n"},
		{"damaged", public, "privateExponent:\n" + strings.Replace(secret, "8", "\xff", 3), "x\n"},
		{"in one line", "a=b\n", "privateExponent: " + strings.Join(strings.Fields(secret), "") + "\n", "c=d\n"},
		{"in lower case", "", strings.ToLower("PRIVATEEXPONENT:\n" + secret), ""},
		{"a public key", public, "", "Signature Algorithm: sha256WithRSAEncryption\n" + dump(7, 64)},
		{"words of other files", "prime: yes\npriv:\nadmin\nexponent: 00:11:22:33:44:55\n00:11:22:33:44:55\n", "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			shown, withheld := linesOf(t, test.before+test.secret+test.after, text.Windows1252)
			if want := test.before + test.after; shown != want {
				t.Errorf("shown are\n%swant\n%s", shown, want)
			}
			if (withheld == "") != (test.secret == "") {
				t.Errorf("withheld are %s", withheld)
			}
		})
	}
	units := utf16.Encode([]rune("\ufeffprivateExponent:\n" + secret))
	wide := make([]byte, 0, 2*len(units))
	for _, unit := range units {
		wide = append(wide, byte(unit), byte(unit>>8))
	}
	if shown, withheld := linesOf(t, string(wide), text.UTF16LE); strings.Contains(shown, "80:") || withheld == "" {
		t.Errorf("of UTF-16 are shown %q", shown)
	}
}

// TestKeyDumpOfOpenSSL: what openssl itself prints of a key is withheld.
func TestKeyDumpOfOpenSSL(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("apt-get install openssl")
		}
		t.Skip("apt-get install openssl")
	}
	printed, err := exec.Command("sh", "-c", "openssl genrsa 1024 2>/dev/null | openssl rsa -text -noout").Output()
	if err != nil {
		t.Fatal(err)
	}
	shown, withheld := linesOf(t, string(printed), text.Windows1252)
	if strings.Count(withheld, " ") != 6 || !strings.Contains(shown, "modulus:\n") || !strings.HasSuffix(shown, "publicExponent: 65537 (0x10001)\n") {
		t.Errorf("shown are\n%s", shown)
	}
}
