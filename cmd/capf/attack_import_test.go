package main

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"capf/runtime/phone"
	"capf/runtime/wire"
)

// CVE-2014-0741 and -0742: files read or written through an import's names. CVE-2014-0747: a shell reached
// from a name.

// hostileNames are names of devices and common names..
func hostileNames(outside string) []string {
	return []string{"../../../../evil", "..", "/etc/passwd", outside, outside + ".0", "SEP/../../evil", `..\..\evil`, "SEP001122334455/../evil",
		"$(touch " + outside + ")", "`touch " + outside + "`", "; touch " + outside, "| touch " + outside, "x\x00" + outside,
		"-rf", "--data=" + outside, "CON", "a:b", "x' OR '1'='1"}
}

func TestAttackNamesInImports(t *testing.T) {
	i := newActivated(t)
	i.capf("phone", "add", "SEP0000000000EE", "--description", "was here before")
	sandbox := filepath.Dir(i.data)
	outside := filepath.Join(sandbox, "outside")
	names := hostileNames(outside)
	source := filepath.Join(sandbox, "source")
	if err := os.Mkdir(source, 0o700); err != nil {
		t.Fatal(err)
	}
	writeSource(t, source, names)
	before := i.files()

	output, problems, err := i.try("migrate", "run", "old="+source)
	if err != nil {
		t.Fatalf("%v\n%s%s", err, output, problems)
	}
	for _, name := range names {
		row := fmt.Sprintf("device\n%q\n", strings.ReplaceAll(name, "\x00", ""))
		if _, _, err := i.try("bulk", "apply", i.write("bulk.csv", row)); err == nil && !plainName(name) {
			t.Errorf("bulk apply takes %q", name)
		}
		if _, _, err := i.try("phone", "add", "--", strings.ReplaceAll(name, "\x00", "")); err == nil && !plainName(name) {
			t.Errorf("phone add takes %q", name)
		}
	}
	for device := range i.statuses() {
		if !plainName(device) {
			t.Errorf("the store has the device %q", device)
		}
	}
	if status := i.statuses(); status["SEP001122334466"] == "" || status["SEP0000000000EE"] == "" {
		t.Errorf("the store has %v", status)
	}
	after := strings.NewReplacer("bulk.csv\n", "", "data/migrate.lock\n", "").Replace(i.files())
	if after != before {
		t.Errorf("the files were\n%s\nand are\n%s", before, after)
	}
}

// plainName says whether a name can do no harm, written here once more.
func plainName(name string) bool {
	return name != "" && !strings.Contains(name, "..") && !strings.HasPrefix(name, "-") &&
		strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == ""
}

// writeSource makes a folder of CAPF 1.0 with such names in its list and in its certificates. Nine of ten
// phones are as they should be, so that the list is taken for one.
func writeSource(t *testing.T, folder string, names []string) {
	t.Helper()
	var list strings.Builder
	list.WriteString("Device Name,Operation,Status,Status Time,Authentication Mode,Authentication String,Key Size,Description\n")
	devices, err := phone.Sequence("SEP001122334466", 10*len(names))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(devices, names...) {
		fmt.Fprintf(&list, "%q,Install/Upgrade,Operation Pending,2005-08-08 16:20:20,By Null String,,1024,%q\n", strings.ReplaceAll(name, "\x00", ""), name)
	}
	writeFile(t, filepath.Join(folder, "CAPF.phone"), list.String())
	for number, name := range names {
		writeFile(t, filepath.Join(folder, fmt.Sprintf("SEP0011223344%02X.0", number)), certificateOf(t, name))
		writeFile(t, filepath.Join(folder, fmt.Sprintf("CAPF-%08X.0", number)), certificateOf(t, "CAPF-"+name))
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(folder, "SEP0011223344FF.0")); err != nil {
		t.Fatal(err)
	}
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// certificateOf is a certificate of that name, in PEM.
func certificateOf(t *testing.T, name string) string {
	t.Helper()
	key, err := keysOfTarget(t).key()
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(int64(len(name))), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Unix(1.1e9, 0), NotAfter: time.Unix(1.9e9, 0), BasicConstraintsValid: true, IsCA: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// The CAPF certificate lies in a file of its common name.
func TestAttackNameOfTheAuthority(t *testing.T) {
	program, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"../evil", "/tmp/evil", "a/b", "..", ".", `..\evil`, "keys/capf", "a\nb"} {
		i := &installation{t: t, program: program, data: filepath.Join(t.TempDir(), "data")}
		_, problems, err := i.try("init", "--common-name", name)
		if err == nil || !strings.Contains(problems, "common name") {
			t.Errorf("%q: %v, %s", name, err, problems)
		}
		if left := i.files(); strings.Contains(left, "evil") || strings.Contains(left, ".0\n") {
			t.Errorf("%q: there is\n%s", name, left)
		}
	}
}

// What a phone gives back in a Troubleshoot has any name; its trace has the phone's.
func TestAttackNameInATrace(t *testing.T) {
	a := newTarget(t, "")
	outside := filepath.Join(filepath.Dir(a.data), "outside")
	names := hostileNames(outside)
	devices := a.waiting("SEP000000000001", len(names), "troubleshoot", "null-string", "")
	before := a.files()
	for number, name := range names {
		block, _ := pem.Decode([]byte(certificateOf(t, name)))
		if err := a.givesBack(devices[number], block.Bytes); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	after := a.files()
	for line := range strings.Lines(after) {
		if !strings.HasPrefix(line, "data/traces/SEP0000000000") && !strings.Contains(before, line) {
			t.Errorf("there is a new file %q", line)
		}
	}
	for _, device := range devices {
		if !strings.Contains(after, "data/traces/"+device+"-LSC.txt\n") {
			t.Errorf("%s has no trace", device)
		}
	}
	a.unharmed()
}

// givesBack answers every fetch of a Troubleshoot with a certificate.
func (a *target) givesBack(device string, der []byte) error {
	s, err := a.reach(device, wire.CommandFetchCertificateRequest)
	if err != nil {
		return err
	}
	defer s.close()
	for {
		if err := s.send(wire.FetchCertificateResponse{Reason: wire.Some(wire.ReasonSuccess), Certificate: der}); err != nil {
			return err
		}
		message, closed, err := s.next()
		if err != nil || closed {
			return fmt.Errorf("line closed: %v, %w", closed, err)
		}
		if message.Command != wire.CommandFetchCertificateRequest {
			return nil
		}
	}
}
