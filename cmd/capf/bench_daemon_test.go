package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"database/sql"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkMigrateDaemon50k migrates the database of a usecallmanager daemon with 50,000 phones, each with its
// certificate, and with capf.pem beside it. It reports
//
//	run-s, run-MiB         `migrate run` into a new store, and its resident memory at most
//	verify-s, verify-MiB   `migrate verify`
func BenchmarkMigrateDaemon50k(b *testing.B) {
	phones := 50_000
	if testing.Short() {
		phones = 5_000
	}
	program, err := buildProgram()
	if err != nil {
		b.Fatal(err)
	}
	source := "daemon=" + oldDaemon(b, phones)
	for b.Loop() {
		i := &installation{t: b, program: program, data: filepath.Join(b.TempDir(), "data")}
		run, runPeak := i.measured("migrate", "run", source)
		verify, verifyPeak := i.measured("migrate", "verify")
		if got := len(i.certificates("")); got != phones {
			b.Fatalf("%d LSCs are in the store", got)
		}
		for name, peak := range map[string]int{"run": runPeak, "verify": verifyPeak} {
			b.ReportMetric(float64(peak>>20), name+"-MiB")
			if peak > mostOfMemory<<20 {
				b.Errorf("%s had %d MiB resident, more than %d", name, peak>>20, mostOfMemory)
			}
		}
		b.ReportMetric(run.Seconds(), "run-s")
		b.ReportMetric(verify.Seconds(), "verify-s")
	}
}

// oldDaemon writes the folder of a usecallmanager daemon with so many phones, and gives it.
func oldDaemon(b *testing.B, phones int) string {
	b.Helper()
	folder := b.TempDir()
	pool, err := sql.Open("sqlite3", filepath.Join(folder, "capf.db")+"?_synchronous=OFF")
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	pool.SetMaxOpenConns(1)
	exec := func(statement string, arguments ...any) {
		if _, err := pool.Exec(statement, arguments...); err != nil {
			b.Fatal(err)
		}
	}
	exec(`CREATE TABLE devices (device_name PRIMARY KEY, operation, authentication, password, key_size, curve_name, certificate,
		serial_number, not_valid_before, not_valid_after)`)
	exec("BEGIN")
	issuer, key := daemonIdentity(b, filepath.Join(folder, "capf.pem"))
	phone, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	for n := range phones {
		der, err := x509.CreateCertificate(rand.Reader, treeCertificate(oldDevice(n), int64(n+2)), issuer, &phone.PublicKey, key)
		if err != nil {
			b.Fatal(err)
		}
		exec("INSERT INTO devices VALUES (?, 'none', 'certificate', '', 2048, '', ?, '', '', '')", oldDevice(n), made(der).pem())
	}
	exec("COMMIT")
	return folder
}

// daemonIdentity writes capf.pem.
func daemonIdentity(b *testing.B, path string) (*x509.Certificate, *rsa.PrivateKey) {
	b.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		b.Fatal(err)
	}
	template := treeCertificate("CAPF-daemon", 1)
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		b.Fatal(err)
	}
	issuer, err := x509.ParseCertificate(der)
	if err != nil {
		b.Fatal(err)
	}
	text := made(der).pem() + string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	return issuer, key
}
