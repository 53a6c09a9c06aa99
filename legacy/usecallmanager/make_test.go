package usecallmanager_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"database/sql"
	"encoding/pem"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3"

	"capf/legacy"
)

// The forms of the table, the newest first.
const (
	newest = `CREATE TABLE devices (device_name VARCHAR(16) PRIMARY KEY, operation VARCHAR(16), authentication VARCHAR(16), password VARCHAR(16),
		key_size INTEGER, curve_name VARCHAR(16), certificate TEXT, serial_number TEXT, not_valid_before DATETIME, not_valid_after DATETIME)`
	withCurve = `CREATE TABLE devices (device_name TEXT PRIMARY KEY, operation TEXT, password TEXT, key_size INTEGER, curve TEXT, certificate TEXT)`
	oldest    = `CREATE TABLE devices (device_name TEXT PRIMARY KEY, operation TEXT, authentication TEXT, password TEXT, key_size INTEGER, certificate TEXT)`
)

// daemon is a database that is open and being written to, as the daemon has it.
type daemon struct {
	t    testing.TB
	path string
	pool *sql.DB
}

func newDaemon(t testing.TB, mode string, statements ...string) *daemon {
	t.Helper()
	path := filepath.Join(t.TempDir(), "capf.db")
	pool, err := sql.Open("sqlite3", path+"?_journal_mode="+mode)
	if err != nil {
		t.Fatal(err)
	}
	pool.SetMaxOpenConns(1)
	t.Cleanup(func() { pool.Close() })
	d := &daemon{t: t, path: path, pool: pool}
	for _, statement := range statements {
		d.exec(statement)
	}
	return d
}

func (d *daemon) exec(statement string, arguments ...any) {
	d.t.Helper()
	if _, err := d.pool.Exec(statement, arguments...); err != nil {
		d.t.Fatalf("%s: %v", statement, err)
	}
}

func fileInput(path string) legacy.Input {
	return legacy.Input{File: filepath.Base(path), Open: func() (io.ReadCloser, error) { return os.Open(path) }}
}

// logs are the files that belong to the database.
func (d *daemon) logs() []legacy.Input {
	var out []legacy.Input
	for _, ending := range []string{"-wal", "-journal"} {
		if _, err := os.Stat(d.path + ending); err == nil {
			out = append(out, fileInput(d.path+ending))
		}
	}
	return out
}

// certificateOf makes a self-signed certificate of a name, in PEM.
func certificateOf(t testing.TB, name string, serial int64) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC), NotAfter: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// keyText is a private key, in PEM.
func keyText(t testing.TB) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}
