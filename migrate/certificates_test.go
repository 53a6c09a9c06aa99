package migrate

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"capf/runtime/capf"
)

// authority is a certificate with its key.
type authority struct {
	der []byte
	key *ecdsa.PrivateKey
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue signs a certificate of a fresh key; by nil it signs itself.
func issue(t *testing.T, name string, by *authority) authority {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: testNow.AddDate(-22, 0, 0), NotAfter: testNow.AddDate(-2, 0, 0),
	}
	out := authority{key: newKey(t)}
	parent, signer := template, out.key
	if by != nil {
		var err error
		if parent, err = x509.ParseCertificate(by.der); err != nil {
			t.Fatal(err)
		}
		signer = by.key
	}
	var err error
	if out.der, err = x509.CreateCertificate(rand.Reader, template, parent, out.key.Public(), signer); err != nil {
		t.Fatal(err)
	}
	return out
}

func (a authority) digest() string {
	sum := sha256.Sum256(a.der)
	return hex.EncodeToString(sum[:])
}

func (a authority) inPEM() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.der}))
}

// TestAnchors holds the rule of legacy-layout.md: what becomes an anchor, what an LSC, and what is only stored.
func TestAnchors(t *testing.T) {
	publisher, subscriber := issue(t, "CAPF-11111111", nil), issue(t, "capf-22222222", nil)
	elsewhere := issue(t, "CAPF-33333333", nil)
	service, noCAPF := issue(t, "CCM-server", nil), issue(t, "SERVER1", nil)
	forged := issue(t, "CAPF-11111111", nil) // the name of an anchor, another key
	lsc, lscOfForged := issue(t, device, &publisher), issue(t, "SEP00112233AABB", &forged)
	lscOfUnknown, notAPhone := issue(t, "SEP001122334466", &elsewhere), issue(t, "SERVER2", &publisher)
	namesake := issue(t, "CAPF-11111111", nil) // nowhere among the files
	lscOfNamesake := issue(t, "SEP001122334477", &namesake)
	between := issue(t, "CAPF-44444444", &publisher)
	wrong := authority{der: bytes.Clone(subscriber.der)}
	wrong.der[len(wrong.der)-1] ^= 1 // in the signature
	files := map[string]map[string]string{
		"PUB": {
			"Certificates/CAPF.cer":        string(publisher.der),
			"Certificates/copied.0":        subscriber.inPEM(),
			"Certificates/CAPF-33333333.0": elsewhere.inPEM(),
			"Certificates/CCM.0":           service.inPEM(),
		},
		"SUB": {
			"CAPF/CAPF-22222222.0":   subscriber.inPEM(),
			"CAPF/server.0":          noCAPF.inPEM(),
			"CAPF/forged.0":          forged.inPEM(),
			"CAPF/between.0":         between.inPEM() + wrong.inPEM() + lscOfNamesake.inPEM(),
			"CAPF/" + device + ".0":  "text\r\n" + lsc.inPEM() + lscOfForged.inPEM(),
			"CAPF/other.0":           lscOfUnknown.inPEM() + notAPhone.inPEM(),
			"Certificates/CAPF-11.0": publisher.inPEM(),
		},
	}
	specs := folders(t, files)
	tests := []struct {
		name string
		one  authority
		use  capf.LegacyUse
	}{
		{"CAPF.cer", publisher, capf.LegacyAnchor},
		{"CAPF's in its own folder", subscriber, capf.LegacyAnchor},
		{"CAPF's name in the folder for all services", elsewhere, capf.LegacyStored},
		{"another service's", service, capf.LegacyStored},
		{"no CAPF in the name", noCAPF, capf.LegacyStored},
		// It lies in the CAPF folder, names CAPF and is self-signed: the rule has no more to go by.
		{"same name, own key, in the CAPF folder", forged, capf.LegacyAnchor},
		{"LSC", lsc, capf.LegacyLSC},
		{"LSC of a namesake", lscOfForged, capf.LegacyLSC},
		{"LSC of one with an anchor's name and another key", lscOfNamesake, capf.LegacyStored},
		{"names CAPF in its folder, not self-signed", between, capf.LegacyStored},
		{"names CAPF in its folder, its signature wrong", wrong, capf.LegacyStored},
		{"LSC without its issuer", lscOfUnknown, capf.LegacyStored},
		{"issued, not for a phone", notAPhone, capf.LegacyStored},
	}
	plan := mustPlan(t, specs, testOptions(), nil)
	uses := map[string]capf.LegacyUse{}
	for _, c := range plan.Certificates {
		if had := uses[c.SHA256]; had != "" && had != c.Use {
			t.Errorf("%s is both %s and %s", c.Subject, had, c.Use)
		}
		uses[c.SHA256] = c.Use
		if c.Why == "" {
			t.Errorf("%s %s: no reason", c.File, c.Use)
		}
	}
	for _, test := range tests {
		if got := uses[test.one.digest()]; got != test.use {
			t.Errorf("%s: %s, want %s", test.name, got, test.use)
		}
	}
	if c := plan.Counts; c.Anchors != 3 || c.LSCs != 2 || c.Stored != 8 {
		t.Errorf("counts %+v, want 3 anchors, 2 LSCs, 8 stored: each certificate once", c)
	}
	checkNamed(t, files, elsewhere, lscOfUnknown)
	checkTrusted(t, files, publisher, lsc)
}

// checkNamed names an anchor, which makes an LSC of what it has issued.
func checkNamed(t *testing.T, files map[string]map[string]string, named, issued authority) {
	t.Helper()
	specs := folders(t, files)
	options := testOptions()
	options.Anchors, options.AcceptMissing = []string{named.digest(), named.digest()}, true
	store := newMemoryStore()
	report := mustRun(t, specs, options, store)
	if c := report.Counts; c.Anchors != 4 || c.LSCs != 3 {
		t.Errorf("counts %+v with one named, want 4 anchors, 3 LSCs", c)
	}
	if len(store.anchors) != 4 || len(store.certificates) != 3 {
		t.Errorf("%d anchors and %d LSCs in the store, want 4 and 3", len(store.anchors), len(store.certificates))
	}
	options.Anchors = []string{issued.digest()}
	_, err := NewPlan(context.Background(), specs, options, nil)
	wantCode(t, err, capf.CodeInvalid, issued.digest(), "not self-signed")
	if v := mustVerify(t, store, 0); !v.OK() || v.Certificates != 15 {
		t.Errorf("verification %+v", v)
	}
	store.anchors = store.anchors[1:]
	if v := mustVerify(t, store, 0); !v.OK() || len(v.Since) == 0 {
		t.Errorf("an anchor that was removed since: %+v", v)
	}
	store.certificates = nil
	if v := mustVerify(t, store, 0); v.OK() {
		t.Error("LSCs that are gone are no difference")
	}
}

// checkTrusted gives the store the issuer: its LSC is one where nothing else of the CAPF is found.
func checkTrusted(t *testing.T, files map[string]map[string]string, issuer, lsc authority) {
	t.Helper()
	store := newMemoryStore()
	store.anchors = []capf.Anchor{{Kind: capf.LSC, SHA256: issuer.digest(), DER: issuer.der}}
	plan := mustPlan(t, folders(t, map[string]map[string]string{"A": {"CAPF/x.0": lsc.inPEM()}}), testOptions(), store)
	if len(plan.Certificates) != 1 || plan.Certificates[0].Use != capf.LegacyLSC || plan.Certificates[0].Device != device {
		t.Errorf("certificates %+v, want the LSC of %s", plan.Certificates, device)
	}
	all := mustPlan(t, folders(t, files), testOptions(), store)
	if all.Counts.Anchors != 2 {
		t.Errorf("%d anchors are added, want 2: one is there", all.Counts.Anchors)
	}
}

// TestWeakAnchor: a signature with MD5 cannot be verified, so the certificate is stored; named, it is trusted.
func TestWeakAnchor(t *testing.T) {
	specs := sampleCluster()
	weak := ""
	for _, c := range mustPlan(t, specs, testOptions(), nil).Certificates {
		if c.Subject == "CN=CTI-publisher,O=Example AG,C=DE" {
			weak = c.SHA256
			if c.Use != capf.LegacyStored {
				t.Errorf("use %s, want stored: %s", c.Use, c.Why)
			}
		}
	}
	options := testOptions()
	options.Anchors = []string{weak}
	if got := mustPlan(t, specs, options, nil).Counts.Anchors; got != 4 {
		t.Errorf("%d anchors with one named, want 4", got)
	}
}

// TestExpired: dates play no part in trust.
func TestExpired(t *testing.T) {
	for _, c := range mustPlan(t, sampleCluster(), testOptions(), nil).Certificates {
		if c.Subject == "CN=CAPF-5D3A0C41,O=Example AG,C=DE" && (c.Use != capf.LegacyAnchor || !c.NotAfter.Before(testNow.Add(-time.Hour))) {
			t.Errorf("%+v, want an expired anchor", c)
		}
	}
}
