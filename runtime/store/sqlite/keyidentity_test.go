package sqlite

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"capf/runtime/capf"
)

// keysByIdentity is the schema that has keys by their identity.
const keysByIdentity = 20

// certificateOf is one for a key.
func certificateOf(t testing.TB, name string, key crypto.Signer) capf.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Unix(1_700_000_000, 0), NotAfter: time.Unix(1_900_000_000, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	read, err := capf.ReadCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return read
}

// insertOlder gives the statement that puts a certificate into a table of schema 19, with the digest of its key as it was
// then.
func insertOlder(table, device string, c capf.Certificate) string {
	parsed, _ := x509.ParseCertificate(c.DER)
	digest := capf.HexSHA256(parsed.RawSubjectPublicKeyInfo)
	switch table {
	case "certificates":
		return fmt.Sprintf(`INSERT INTO certificates (device, kind, state, source, serial, subject, issuer, not_before, not_after, der, sha256, key_sha256, recorded_at, revoke_reason)
			VALUES ('%s', 'lsc', 'confirmed', 'issued', '01', '', '', 1, 2, x'%x', '%s', '%s', 7, '')`, device, c.DER, c.SHA256, digest)
	case "anchors":
		return fmt.Sprintf(`INSERT INTO anchors (kind, subject, serial, not_before, not_after, der, sha256, key_sha256, origin, added_at)
			VALUES ('lsc', '', '01', 1, 2, x'%x', '%s', '%s', 'older', 7)`, c.DER, c.SHA256, digest)
	}
	return fmt.Sprintf(`INSERT INTO staged_certificates (run, use, device, serial, subject, issuer, not_before, not_after, der, sha256, key_sha256, origin)
		VALUES (1, 'lsc', '%s', '01', '', '', 1, 2, x'%x', '%s', '%s', 'older')`, device, c.DER, c.SHA256, digest)
}

// TestUpgradeIdentifiesKeys: a store of before has each key by its modulus or point afterwards, and what was cut is gone
// on with.
func TestUpgradeIdentifiesKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "capf.db")
	older(t, path, keysByIdentity-1)
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	modulus, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	columns := map[string][]string{}
	for i, table := range []string{"certificates", "anchors", "staged_certificates"} {
		columns[table] = []string{"key_sha256"}
		for j, key := range []crypto.Signer{curve, modulus} {
			c := certificateOf(t, fmt.Sprint(table, j), key)
			execute(t, path, insertOlder(table, deviceName(10*i+j), c))
			if i == 0 {
				want = append(want, c.KeySHA256)
			}
		}
	}
	before, _ := tableRows(t, path, columns)

	execute(t, path, `CREATE TRIGGER in_the_way BEFORE UPDATE ON anchors BEGIN SELECT RAISE(ABORT, 'in the way'); END`)
	_, err = Open(t.Context(), Options{Path: path, Upgrade: true})
	wantCode(t, err, capf.CodeUnavailable, "schema 19 as before", "in the way")
	after, _ := tableRows(t, path, columns)
	sameRows(t, "where the upgrade was cut", after, before)
	execute(t, path, `DROP TRIGGER in_the_way`)

	s, err := Open(t.Context(), Options{Path: path, Upgrade: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for table, unreadable := range map[string][]string{"certificates": {"k"}, "anchors": {"k2"}} {
		after, _ := tableRows(t, path, columns)
		expected := append(slices.Clone(unreadable), want...)
		slices.Sort(expected)
		if !slices.Equal(after[table], expected) {
			t.Errorf("%s has the keys %q, want %q", table, after[table], expected)
		}
	}
	for i, key := range want {
		if owner, found, err := s.PublicKeyOwner(t.Context(), key); err != nil || !found || owner != deviceName(i) {
			t.Errorf("key %d is that of %q, %v", i, owner, err)
		}
	}
}

// BenchmarkIdentifyKeys upgrades a store with the certificates of as many phones as a cluster has.
func BenchmarkIdentifyKeys(b *testing.B) {
	const phones = 200_000
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		b.StopTimer()
		path := filepath.Join(b.TempDir(), "capf.db")
		atVersion(b, path, keysByIdentity-1)
		execute(b, path, insertOlder("certificates", "SEP000000000000", certificateOf(b, "SEP000000000000", key)),
			fmt.Sprintf(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
			INSERT INTO certificates (device, kind, state, source, serial, subject, issuer, not_before, not_after, der, sha256, key_sha256, recorded_at, revoke_reason)
			SELECT printf('SEP%%012X', i), kind, state, source, serial, subject, issuer, not_before, not_after, der, hex(randomblob(32)), hex(randomblob(32)), recorded_at, revoke_reason
			FROM n, certificates WHERE id = 1`, phones-1))
		b.StartTimer()
		if err := migrateSchema(b.Context(), Options{Path: path}, keysByIdentity-1, keysByIdentity); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if info, err := os.Stat(path); err == nil {
			b.ReportMetric(float64(info.Size())/1e6, "MB")
		}
		b.StartTimer()
	}
}
