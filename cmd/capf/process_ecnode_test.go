package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"capf/ctl"
)

// TestNodesWithECChains gives the nodes EC certificates of three curves, with the chain that they came with: in the list
// stands each one's own, whole and with its key as an uncompressed point.
func TestNodesWithECChains(t *testing.T) {
	i := newInstallation(t)
	folder := filepath.Dir(i.data)
	root, middle, server := chain(t)
	files := map[string][]byte{"server": pemOf("CERTIFICATE", root.Raw, middle.Raw, server.Raw),
		"middle": pemOf("CERTIFICATE", middle.Raw, root.Raw), "root": root.Raw}
	want := map[string]*issued{"server": server, "middle": middle, "root": root}
	for name, content := range files {
		path := filepath.Join(folder, name+".pem")
		for _, err := range []error{os.WriteFile(path, content, 0o600), os.Mkdir(filepath.Join(folder, name), 0o700)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		arguments := []string{"node", "add", name, "--role", "ccm+tftp", "--address", "192.0.2.1", "--certificate", path, "--target", "file://" + filepath.Join(folder, name)}
		if name == "server" {
			arguments = append(arguments, "--publisher")
		}
		if _, said, err := i.try(arguments...); err != nil || !strings.Contains(said, "EC key, which only newer phones know") {
			t.Fatalf("%v\n%s", err, said)
		}
	}
	for _, token := range []string{"1024", "2048"} {
		path, err := filepath.Abs("../../testdata/ctl/tokens/" + token + ".pem")
		if err != nil {
			t.Fatal(err)
		}
		i.capf("ctl", "token", "add", token, "--file", path)
	}
	i.capf("ctl", "build")
	i.capf("ctl", "distribute")
	for name := range files {
		path := filepath.Join(folder, name, "TFTPPath", ctl.FileName)
		checkECRecords(t, path, want)
		if shown := i.capf("ctl", "show", path); !strings.Contains(shown, "CN="+name) {
			t.Errorf("%s is not shown:\n%s", name, shown)
		}
	}
	if status := i.capf("ctl", "status"); strings.Count(status, "\tequal\tTFTPPath/") != len(files) {
		t.Errorf("the nodes hold\n%s", status)
	}
}

func checkECRecords(t *testing.T, path string, want map[string]*issued) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	verified, err := ctl.Verify(raw)
	if err != nil {
		t.Fatal(err)
	}
	records := verified.File.RecordsOf(ctl.RoleCCMTFTP)
	if len(records) != len(want) {
		t.Errorf("%d records of servers", len(records))
	}
	for _, record := range records {
		certificate, err := x509.ParseCertificate(record.Certificate)
		if err != nil {
			t.Fatal(err)
		}
		wanted := want[record.DNSName]
		point, err := wanted.PublicKey.(*ecdsa.PublicKey).Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if !certificate.Equal(wanted.Certificate) || !bytes.Equal(record.PublicKey, point) || record.ID.Subject != "CN="+record.DNSName {
			t.Errorf("%s stands there as %s, with the key % x", record.DNSName, certificate.Subject, record.PublicKey)
		}
	}
}
