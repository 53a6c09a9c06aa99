package main

import (
	"bufio"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// oldFiles writes what an older CAPF of many phones leaves behind, and gives its folder: a CAPF.phone with so many
// records, in the order of the devices or in none, and so many LSCs with the certificate of their issuer.
func oldFiles(t testing.TB, phones, certificates int, inOrder bool) string {
	t.Helper()
	folder := t.TempDir()
	numbers := make([]int, phones)
	for n := range numbers {
		numbers[n] = n
	}
	if !inOrder {
		mathrand.New(mathrand.NewPCG(1, 2)).Shuffle(phones, func(a, b int) { numbers[a], numbers[b] = numbers[b], numbers[a] })
	}
	writePhoneFile(t, filepath.Join(folder, "CAPF.phone"), numbers)
	writeOldCertificates(t, folder, certificates)
	return folder
}

// oldDevice has one of several makers in its first digits.
func oldDevice(number int) string {
	makers := []string{"000AB8", "000D29", "000F8F", "00112F"}
	const each = 1 << 16
	return fmt.Sprintf("SEP%s%06X", makers[number/each%len(makers)], number*31%(1<<24))
}

// writePhoneFile writes a record for each number: two in ten have an operation pending, and one of these no string.
func writePhoneFile(t testing.TB, path string, numbers []int) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	out := bufio.NewWriter(file)
	fmt.Fprint(out, "Device Name,Operation,Status,Status Time,Authentication Mode,Authentication String,Key Size,Description\r\n")
	begin := time.Date(2004, 1, 1, 8, 0, 0, 0, time.UTC)
	for _, n := range numbers {
		operation, status, mode, digits := "No Pending Operation", "Upgrade Success", "By Existing Certificate (Precedence to LSC)", ""
		switch n % 20 {
		case 7:
			operation, status, mode, digits = "Install/Upgrade", "Operation Pending", "By Authentication String", fmt.Sprintf("%06d", n)
		case 8:
			operation, status, mode = "Install/Upgrade", "Operation Pending", "By Authentication String"
		case 12:
			status, mode = "Upgrade Failed", "By Null String"
		case 13:
			status, mode = "None", "By Authentication String"
		}
		fmt.Fprintf(out, "%s,%s,%s,%s,%s,%s,%d,\"Desk %d\"\r\n", oldDevice(n), operation, status,
			begin.Add(time.Duration(n)*time.Minute).Format("2006-01-02 15:04:05"), mode, digits, []int{1024, 2048, 512}[n%3], n)
	}
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
}

// writeOldCertificates writes an issuer that names CAPF, and LSCs of the first phones. All have the same key, which a
// migration does not mind, and making 1,000 would take long.
func writeOldCertificates(t testing.TB, folder string, count int) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Date(2004, 1, 1, 0, 0, 0, 0, time.UTC)
	template := func(name string, serial int64) *x509.Certificate {
		return &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: begin, NotAfter: begin.AddDate(30, 0, 0),
			KeyUsage: x509.KeyUsageDigitalSignature}
	}
	authority := template("CAPF-0badcafe", 1)
	authority.IsCA, authority.BasicConstraintsValid, authority.KeyUsage = true, true, x509.KeyUsageCertSign
	for n := -1; n < count; n++ {
		name, made := "capf.0", authority
		if n >= 0 {
			name, made = fmt.Sprintf("%08x.0", n), template(oldDevice(n), int64(n+2))
		}
		der, err := x509.CreateCertificate(rand.Reader, made, authority, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		content := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
