// Package softhsmtest gives tests tokens of SoftHSM 2, each with a configuration and a folder of its own: keys and
// certificates come into them by the programs that an administrator uses (softhsm2-util, pkcs11-tool of OpenSC). It
// is for tests only.
package softhsmtest

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// PIN is that of every token.
const PIN = "2718281828"

const securityOfficer = "31415926"

// modules are where distributions put SoftHSM's library.
var modules = []string{"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so",
	"/usr/local/lib/softhsm/libsofthsm2.so"}

// HSM is a SoftHSM of a test's own.
type HSM struct {
	Folder string // with configuration and tokens
	Module string // path of the library
	fail   func(format string, arguments ...any)
	tokens map[string]string // label to the folder that is the token
}

// Need skips the test where SoftHSM or OpenSC is missing, and fails it in CI.
func Need(t testing.TB) {
	t.Helper()
	missing := module() == ""
	for _, program := range []string{"softhsm2-util", "pkcs11-tool"} {
		if _, err := exec.LookPath(program); err != nil {
			missing = true
		}
	}
	if !missing {
		return
	}
	const hint = "SoftHSM 2 or OpenSC is missing; install them: apt-get install softhsm2 opensc"
	if os.Getenv("CI") != "" {
		t.Fatal(hint)
	}
	t.Skip(hint)
}

func module() string {
	for _, path := range modules {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}

// New makes a SoftHSM without tokens and points $SOFTHSM2_CONF of this process to it, until the test ends. The
// mechanisms named (CKM_…) are switched off.
func New(t testing.TB, without ...string) *HSM {
	t.Helper()
	Need(t)
	hsm, err := NewIn(t.TempDir(), without...)
	if err != nil {
		t.Fatal(err)
	}
	hsm.fail = func(format string, arguments ...any) { t.Helper(); t.Fatalf(format, arguments...) }
	t.Setenv("SOFTHSM2_CONF", hsm.Configuration())
	return hsm
}

// NewIn is New in a folder, for who sets $SOFTHSM2_CONF himself. What fails later panics.
func NewIn(folder string, without ...string) (*HSM, error) {
	mechanisms := "ALL"
	if len(without) > 0 {
		// The first one in this list stays, in some versions: it is one that nobody needs.
		mechanisms = "-CKM_DES_CBC," + strings.Join(without, ",")
	}
	hsm := &HSM{Folder: folder, Module: module(), tokens: map[string]string{},
		fail: func(format string, arguments ...any) { panic(fmt.Sprintf(format, arguments...)) }}
	if err := os.MkdirAll(hsm.place(), 0o700); err != nil {
		return nil, err
	}
	// INFO would go to the system's log for every wrong padding.
	content := fmt.Sprintf("directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\nslots.mechanisms = %s\n", hsm.place(), mechanisms)
	return hsm, os.WriteFile(hsm.Configuration(), []byte(content), 0o600)
}

func (h *HSM) place() string { return filepath.Join(h.Folder, "tokens") }

// Configuration is the value of $SOFTHSM2_CONF.
func (h *HSM) Configuration() string { return filepath.Join(h.Folder, "softhsm2.conf") }

// AddToken makes an empty token.
func (h *HSM) AddToken(label string) {
	before := h.folders()
	h.run("softhsm2-util", "--module", h.Module, "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", securityOfficer)
	for folder := range h.folders() {
		if !before[folder] {
			h.tokens[label] = folder
		}
	}
}

func (h *HSM) folders() map[string]bool {
	entries, err := os.ReadDir(h.place())
	if err != nil {
		h.fail("tokens of SoftHSM: %v", err)
	}
	found := map[string]bool{}
	for _, entry := range entries {
		found[entry.Name()] = true
	}
	return found
}

// Import puts an RSA key (PKCS #1 or #8) and, where it is there, its certificate out of a PEM file into a token; id is hex.
func (h *HSM) Import(token, object, id, path string) {
	content, err := os.ReadFile(path)
	if err != nil {
		h.fail("%v", err)
	}
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			h.ImportCertificate(token, object, id, block.Bytes)
			continue
		}
		h.run("softhsm2-util", "--module", h.Module, "--import", h.write("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: h.pkcs8(block)})),
			"--token", token, "--label", object, "--id", id, "--pin", PIN)
	}
}

func (h *HSM) pkcs8(block *pem.Block) []byte {
	if block.Type != "RSA PRIVATE KEY" {
		return block.Bytes
	}
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		h.fail("%v", err)
	}
	content, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		h.fail("%v", err)
	}
	return content
}

// ImportCertificate puts a certificate into a token.
func (h *HSM) ImportCertificate(token, object, id string, der []byte) {
	h.tool(token, "--write-object", h.write("certificate.der", der), "--type", "cert", "--label", object, "--id", id)
}

// Generate makes an RSA key pair in a token, for signatures and for what usage says as well (--usage-decrypt).
func (h *HSM) Generate(token, object, id string, bits int, usage ...string) {
	h.tool(token, append([]string{"--keypairgen", "--key-type", fmt.Sprintf("rsa:%d", bits), "--label", object, "--id", id, "--usage-sign"}, usage...)...)
}

// Delete takes an object out of a token; kind is privkey, pubkey or cert.
func (h *HSM) Delete(token, kind, id string) {
	h.tool(token, "--delete-object", "--type", kind, "--id", id)
}

func (h *HSM) tool(token string, arguments ...string) {
	h.run("pkcs11-tool", append([]string{"--module", h.Module, "--token-label", token, "--login", "--pin", PIN}, arguments...)...)
}

// URI names an object of a token.
func (h *HSM) URI(token, object string) string {
	return fmt.Sprintf("pkcs11:token=%s;object=%s?module-path=%s", token, object, h.Module)
}

// Pull takes a token out; Plug puts it back.
func (h *HSM) Pull(token string) { h.move(h.folder(token), h.hidden(token)) }

// Plug puts back a token that was pulled.
func (h *HSM) Plug(token string) { h.move(h.hidden(token), h.folder(token)) }

func (h *HSM) folder(token string) string {
	if h.tokens[token] == "" {
		h.fail("no token %q was made", token)
	}
	return filepath.Join(h.place(), h.tokens[token])
}

func (h *HSM) hidden(token string) string { return filepath.Join(h.Folder, "pulled-"+h.tokens[token]) }

func (h *HSM) move(from, to string) {
	if err := os.Rename(from, to); err != nil {
		h.fail("%v", err)
	}
}

func (h *HSM) write(name string, content []byte) string {
	path := filepath.Join(h.Folder, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		h.fail("%v", err)
	}
	return path
}

func (h *HSM) run(program string, arguments ...string) {
	command := exec.Command(program, arguments...)
	command.Env = append(os.Environ(), "SOFTHSM2_CONF="+h.Configuration())
	if output, err := command.CombinedOutput(); err != nil {
		h.fail("%s %s: %v\n%s", program, strings.Join(arguments, " "), err, output)
	}
}
