package phone

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"capf/runtime/capf"
	"capf/runtime/wire"
)

// openFlash opens the flash of testDevice in a folder, as a program that starts does.
func openFlash(t *testing.T, folder string) Flash {
	t.Helper()
	flash, closer, err := OpenFolderFlash(folder, testDevice)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = closer.Close() })
	return flash
}

func TestFlashSurvives(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "flash")
	config := configOf(serve(t, installs(wire.RSAKeyRequest(3, 1024))))
	config.Flash, config.Keys = openFlash(t, folder), nil
	outcome := newPhone(t, config).Run(t.Context())
	if outcome.Err != nil {
		t.Fatal(outcome.Err)
	}
	checkModes(t, folder)
	first := keptLSC(t, openFlash(t, folder))
	if first == nil || !first.Certificate.Equal(outcome.Certificate) || belongs(first.Certificate, first.Key) != nil {
		t.Fatalf("after a restart the flash holds %v", first)
	}
	config.Flash = openFlash(t, folder)
	if outcome := newPhone(t, config).Run(t.Context()); outcome.Err != nil { // an upgrade
		t.Fatal(outcome.Err)
	}
	second := keptLSC(t, openFlash(t, folder))
	if second == nil || bytes.Equal(second.Certificate.RawSubjectPublicKeyInfo, first.Certificate.RawSubjectPublicKeyInfo) {
		t.Error("the upgrade did not replace the key pair")
	}
	if err := openFlash(t, folder).DeleteLSC(); err != nil || keptLSC(t, openFlash(t, folder)) != nil {
		t.Errorf("the LSC is not deleted, error %v", err)
	}
	if left, err := os.ReadDir(filepath.Join(folder, testDevice)); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, error %v", left, err)
	}
}

// checkModes holds that nobody else can read what is in flash.
func checkModes(t *testing.T, folder string) {
	t.Helper()
	for path, want := range map[string]os.FileMode{
		folder: os.ModeDir | 0o700, filepath.Join(folder, testDevice): os.ModeDir | 0o700, filepath.Join(folder, testDevice, lscFile): 0o600} {
		info, err := os.Stat(path)
		if err != nil || info.Mode() != want {
			t.Errorf("%s: mode %v, error %v", path, info.Mode(), err)
		}
	}
}

// The mode of an operation is in flash until the operation has ended, and what a phone uses that could not
// load its configuration file.
func TestFlashKeepsMode(t *testing.T) {
	folder := t.TempDir()
	var modes []capf.AuthMode
	observer := openFlash(t, folder)
	s := serve(t, func(c *call) error {
		mode, err := observer.Mode()
		if err != nil {
			return err
		}
		modes = append(modes, mode)
		response, err := c.authenticate()
		if err != nil {
			return err
		}
		if c.number == 1 {
			return c.end(wire.ReasonNoAction)
		}
		if !response.Password.Equal("4711") {
			return errors.New("another authentication string came")
		}
		return c.install(testDevice, wire.RSAKeyRequest(3, 1024))
	})
	config := configOf(s)
	config.Flash, config.Mode, config.AuthenticationString = openFlash(t, folder), capf.AuthByString, digits(t, "4711")
	if outcome := newPhone(t, config).Run(t.Context()); outcome.Err == nil {
		t.Error("no operation was pending, and it succeeded")
	}
	config.Flash, config.Mode, config.AuthenticationString = openFlash(t, folder), "", capf.AuthenticationString{}
	if outcome := newPhone(t, config).Run(t.Context()); outcome.Err == nil || !strings.Contains(outcome.Err.Error(), "give the authentication string") {
		t.Errorf("without the string: error %v", outcome.Err)
	}
	config.AuthenticationString = digits(t, "4711")
	if outcome := newPhone(t, config).Run(t.Context()); outcome.Err != nil {
		t.Error(outcome.Err)
	}
	if mode, err := openFlash(t, folder).Mode(); mode != "" || err != nil {
		t.Errorf("after the operation the mode is %q, error %v", mode, err)
	}
	if len(modes) != 2 || modes[0] != capf.AuthByString || modes[1] != capf.AuthByString {
		t.Errorf("during the sessions the modes were %q", modes)
	}
}

// With neither a configuration file nor a mode in flash, a phone goes by null string.
func TestNoModeAtAll(t *testing.T) {
	config := configOf(serve(t, func(c *call) error {
		response, err := c.authenticate()
		if err != nil || !response.Password.Equal("") {
			return errors.New("an authentication string came, or none at all")
		}
		return c.install(testDevice, wire.RSAKeyRequest(3, 1024))
	}))
	config.Mode = ""
	if outcome := newPhone(t, config).Run(t.Context()); outcome.Err != nil {
		t.Error(outcome.Err)
	}
}

// A flash that cannot be written: the phone says so, and has what it had.
func TestFlashCannotStore(t *testing.T) {
	folder := t.TempDir()
	config := configOf(serve(t, func(c *call) error {
		response, err := c.authenticate()
		if err != nil {
			return err
		}
		return c.install(response.DeviceName, wire.RSAKeyRequest(3, 1024))
	}))
	config.Flash = openFlash(t, folder)
	if err := os.MkdirAll(filepath.Join(folder, testDevice, lscFile, "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	outcome := newPhone(t, config).Run(t.Context())
	ended, is := errors.AsType[*EndError](outcome.Err)
	if !is || ended.Reason != wire.ReasonRefused || ended.Refusal == nil || !strings.Contains(outcome.Err.Error(), lscFile) {
		t.Errorf("error %v", outcome.Err)
	}
}

func TestDamagedFlash(t *testing.T) {
	key, err := GenerateKey(t.Context(), "", capf.P256)
	if err != nil {
		t.Fatal(err)
	}
	other, err := GenerateKey(t.Context(), "", capf.P256)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certificate := string(pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: issue(testDevice, key.Public())}))
	foreign := string(pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: issue(testDevice, other.Public())}))
	keyPEM := string(pem.EncodeToMemory(&pem.Block{Type: pemPrivateKey, Bytes: private}))
	none := string(pem.EncodeToMemory(&pem.Block{Type: pemPrivateKey, Bytes: []byte("none")}))
	tests := map[string]string{
		"empty": "", "certificate alone": certificate, "key alone": keyPEM, "torn": certificate + keyPEM[:60],
		"other order": keyPEM + certificate, "something after it": certificate + keyPEM + "more", "no key": certificate + none,
		"key of another": foreign + keyPEM, "endless": certificate + keyPEM + strings.Repeat("\n", maxFlashFile),
		"no certificate": string(pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: []byte("none")})) + keyPEM,
	}
	for name, content := range tests {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			flash := openFlash(t, folder)
			path := filepath.Join(folder, testDevice, lscFile)
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			lsc, err := flash.LSC()
			if lsc != nil || err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), keyPEM[40:60]) {
				t.Errorf("%v, error %v", lsc, err)
			}
		})
	}
	folder := t.TempDir()
	flash := openFlash(t, folder)
	if err := os.WriteFile(filepath.Join(folder, testDevice, modeFile), []byte("by heart\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if mode, err := flash.Mode(); err == nil {
		t.Errorf("mode %q", mode)
	}
}

// What is not whole does not get into any flash.
func TestFlashTakesOnlyWholeLSC(t *testing.T) {
	key, err := GenerateKey(t.Context(), "", capf.P256)
	if err != nil {
		t.Fatal(err)
	}
	other, err := quickKey(t.Context(), "", capf.RSA1024)
	if err != nil {
		t.Fatal(err)
	}
	certificate := parse(t, issue(testDevice, other.Public()))
	for name, flash := range map[string]Flash{"memory": NewMemoryFlash(), "folder": openFlash(t, t.TempDir())} {
		for _, lsc := range []Identity{{}, {Certificate: certificate}, {Key: key}, {Certificate: certificate, Key: key}} {
			if err := flash.StoreLSC(lsc); err == nil || keptLSC(t, flash) != nil {
				t.Errorf("%s: error %v", name, err)
			}
		}
	}
}

// No name of a device reaches outside the folder.
func TestFlashStaysInFolder(t *testing.T) {
	folder := t.TempDir()
	for _, device := range []string{"", "..", "../SEP001122334455", "a/b", "/etc", "a..b", ".hidden"} {
		if _, closer, err := OpenFolderFlash(folder, device); err == nil {
			_ = closer.Close()
			t.Errorf("%q is taken", device)
		}
	}
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("null-string\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	flash := openFlash(t, folder)
	if err := os.Symlink(outside, filepath.Join(folder, testDevice, modeFile)); err != nil {
		t.Fatal(err)
	}
	if mode, err := flash.Mode(); err == nil {
		t.Errorf("mode %q is read from outside", mode)
	}
}
