package distribute

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// publicKey makes the same key of the same number.
func publicKey(t *testing.T, number byte) ssh.PublicKey {
	t.Helper()
	key, err := ssh.NewPublicKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{number}, ed25519.SeedSize)).Public())
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// A line without a port is for a server on another port too where no line has that port; a key that is not in it makes
// the server there unknown, and not changed.
func TestHostKeysOfOtherPorts(t *testing.T) {
	one, other := publicKey(t, 1), publicKey(t, 2)
	for name, test := range map[string]struct {
		lines   string
		address string
		want    error // nil: it is known
	}{
		"port 22":                {"192.0.2.1 ONE", "192.0.2.1:22", nil},
		"another port":           {"192.0.2.1 ONE", "192.0.2.1:2222", nil},
		"pattern":                {"*.example,192.0.2.* ONE", "192.0.2.1:2222", nil},
		"its own port":           {"192.0.2.1 OTHER\n[192.0.2.1]:2222 ONE", "192.0.2.1:2222", nil},
		"its own port, another":  {"192.0.2.1 ONE\n[192.0.2.1]:2222 OTHER", "192.0.2.1:2222", errHostKeyChanged},
		"another key on 22":      {"192.0.2.1 OTHER", "192.0.2.1:2222", errHostKeyUnknown},
		"another key of 22":      {"192.0.2.1 OTHER", "192.0.2.1:22", errHostKeyChanged},
		"revoked":                {"192.0.2.1 ONE\n@revoked 192.0.2.1 ONE", "192.0.2.1:2222", errHostKeyRevoked},
		"excluded":               {"*,!192.0.2.1 ONE", "192.0.2.1:2222", errHostKeyUnknown},
		"a port is for that one": {"[192.0.2.1]:2223 ONE", "192.0.2.1:2222", errHostKeyUnknown},
		"IPv6":                   {"2001:db8::1 ONE", "[2001:db8::1]:2222", nil},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "known_hosts")
			lines := strings.NewReplacer("ONE", strings.TrimSpace(string(ssh.MarshalAuthorizedKey(one))),
				"OTHER", strings.TrimSpace(string(ssh.MarshalAuthorizedKey(other)))).Replace(test.lines)
			if err := os.WriteFile(path, []byte(lines+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			keys, err := loadHostKeys(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := keys.verify(test.address, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 22}, one); !errors.Is(err, test.want) {
				t.Errorf("%v instead of %v", err, test.want)
			}
		})
	}
}
