package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"capf/runtime/capf"
	"capf/runtime/phone"
	"capf/runtime/wire"
)

// generation is phones of an age: what they speak, and the size of their keys.
type generation struct {
	first   string // device
	tls     phone.TLS
	version uint8 // of the protocol
	keySize int
}

var generations = []generation{
	{"SEP000000010000", phone.TLSOnly(tls.VersionTLS10), wire.Version2, 512},
	{"SEP000000020000", phone.TLSOnly(tls.VersionTLS13), wire.Version3, 1024},
}

const atOnce = 32 // phones

// TestBulkEnrolment enrols 2,000 phones, 32 at a time, and verifies each certificate twice: by Go and by
// OpenSSL.
func TestBulkEnrolment(t *testing.T) {
	count := 1000 // of each generation
	if brief() {
		count = 100
	}
	i := newInstallation(t)
	setPending(t, i, count, generations...)
	address := i.serve().address
	for _, one := range generations {
		summary := one.enrol(t, address, newKeyring(t, one.keySize, count), count)
		if summary.Retried != 0 || summary.TLSVersions[one.tls.Max] != count || summary.Operations[capf.OperationInstall] != count {
			t.Errorf("at %s: %+v", tls.VersionName(one.tls.Max), summary)
		}
	}
	checkEnrolled(t, i, len(generations)*count)
}

func (g *generation) devices(t testing.TB, count int) []string {
	t.Helper()
	devices, err := phone.Sequence(g.first, count)
	if err != nil {
		t.Fatal(err)
	}
	return devices
}

// setPending adds so many phones of each generation with one bulk file.
func setPending(t testing.TB, i *installation, count int, all ...generation) {
	t.Helper()
	var rows strings.Builder
	rows.WriteString("device,operation,auth-mode,key-size\n")
	for _, one := range all {
		for _, device := range one.devices(t, count) {
			fmt.Fprintf(&rows, "%s,install,null-string,%d\n", device, one.keySize)
		}
	}
	i.capf("bulk", "apply", i.write("phones.csv", rows.String()))
}

// enrol has all phones of the generation call, and get what they came for.
func (g *generation) enrol(t testing.TB, address string, keys *keyring, count int) phone.Summary {
	t.Helper()
	fleet := phone.Fleet{Devices: g.devices(t, count), Parallel: atOnce, Prepare: func(device string) (*phone.Phone, func() error, error) {
		made, err := phone.New(phone.Config{Device: device, Server: address, Version: g.version, Mode: capf.AuthByNullString,
			Keys: keys.source(), VerifyServer: phone.AnyServer, TLS: g.tls, Timeout: patience})
		return made, nil, err
	}}
	summary := fleet.Run(t.Context())
	if err := summary.Err(); err != nil {
		t.Fatal(err)
	}
	return summary
}

// checkEnrolled holds the store against what was to come of it.
func checkEnrolled(t *testing.T, i *installation, count int) {
	t.Helper()
	phones := i.phones()
	for _, one := range phones {
		if one["status"] != "success" || one["lsc-status"] != "installed" {
			t.Errorf("%s reads %s, LSC %s", one["device"], one["status"], one["lsc-status"])
		}
	}
	certificates := i.certificates("")
	if len(phones) != count || len(certificates) != count {
		t.Fatalf("%d phones and %d certificates, not %d", len(phones), len(certificates), count)
	}
	roots := x509.NewCertPool()
	authority, err := os.ReadFile(i.certificateFile())
	if err != nil || !roots.AppendCertsFromPEM(authority) {
		t.Fatalf("%s: %v", i.certificateFile(), err)
	}
	serials := make(map[string]bool)
	for _, one := range certificates {
		checkLSC(t, one, roots)
		serials[one.Serial] = true
	}
	if len(serials) != count {
		t.Errorf("%d certificates have %d serial numbers", count, len(serials))
	}
	t.Run("openssl", func(t *testing.T) { verifyByOpenSSL(t, i, certificates) })
}

func checkLSC(t *testing.T, one listed, roots *x509.CertPool) {
	t.Helper()
	block, _ := pem.Decode([]byte(one.PEM))
	if block == nil {
		t.Fatalf("%s: no PEM", one.Device)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatalf("%s: %v", one.Device, err)
	}
	if _, err := certificate.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		t.Errorf("%s: %v", one.Device, err)
	}
	if one.State != "confirmed" || one.Kind != "lsc" || certificate.Subject.CommonName != one.Device {
		t.Errorf("%s: %s of %s is %s", one.Device, one.Kind, certificate.Subject.CommonName, one.State)
	}
}

// verifyByOpenSSL has one process verify all of them, from a file each.
func verifyByOpenSSL(t *testing.T, i *installation, certificates []listed) {
	openssl := foreign(t, "openssl", installOpenSSL)
	folder := t.TempDir()
	arguments := []string{"verify", "-CAfile", i.certificateFile()}
	for number, one := range certificates {
		path := filepath.Join(folder, fmt.Sprintf("%d.pem", number))
		if err := os.WriteFile(path, []byte(one.PEM), 0o600); err != nil {
			t.Fatal(err)
		}
		arguments = append(arguments, path)
	}
	output, err := exec.Command(openssl, arguments...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	if verified := strings.Count(string(output), ": OK\n"); verified != len(certificates) {
		t.Errorf("openssl verify took %d of %d certificates", verified, len(certificates))
	}
}
