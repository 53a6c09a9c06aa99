package main

import (
	"crypto/x509"
	"database/sql"
	"encoding/pem"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"capf/runtime/capf"
)

// ownCertificate is a line of `ca list`.
type ownCertificate struct {
	State, Serial, CRL string
}

// own gives CAPF's own certificates in one state.
func (r *renewal) own(state string) (found []ownCertificate) {
	r.t.Helper()
	var all []ownCertificate
	r.read(&all, "ca", "list")
	for _, one := range all {
		if one.State == state {
			found = append(found, one)
		}
	}
	return found
}

// TestCRLOfEarlierIssuerIsServed: what an earlier CAPF certificate issued and is revoked stands on the CRL that the
// service serves for it, under the path that `ca list` names, as long as it is an anchor.
func TestCRLOfEarlierIssuerIsServed(t *testing.T) {
	r := newRenewal(t)
	device, before := "SEP0000000000C1", r.certificate()
	r.pending(device, "null-string")
	outcome := phoneCalls(t, r.config(device, r.list()))
	r.checkIssued(outcome, before)
	r.capf("ca", "renew")
	if next := r.own("next"); len(next) != 1 || next[0].CRL != "" {
		t.Errorf("the next one, which has issued nothing: %+v", next)
	}
	r.build()
	r.capf("ca", "activate")
	r.capf("ca", "revoke", capf.FormatSerial(outcome.Certificate.SerialNumber))

	past, inForce := r.own("past"), r.own("in-force")
	if len(past) != 1 || len(inForce) != 1 || past[0].Serial != capf.FormatSerial(before.SerialNumber) {
		t.Fatalf("past %+v, in force %+v", past, inForce)
	}
	list, _ := r.fetchCRLAt(past[0].CRL)
	if entries := list.RevokedCertificateEntries; len(entries) != 1 || entries[0].SerialNumber.Cmp(outcome.Certificate.SerialNumber) != 0 ||
		list.CheckSignatureFrom(before) != nil {
		t.Errorf("the CRL of the one before: %v", entries)
	}
	for _, path := range []string{"/capf.crl", inForce[0].CRL} {
		if list, _ := r.fetchCRLAt(path); len(list.RevokedCertificateEntries) != 0 || list.CheckSignatureFrom(r.certificate()) != nil {
			t.Errorf("%s: %v", path, list.RevokedCertificateEntries)
		}
	}
	r.capf("anchor", "remove", past[0].Serial, "--force")
	if status := r.service.statusOf(past[0].CRL); status != http.StatusNotFound {
		t.Errorf("without its anchor: status %d", status)
	}
	if without := r.own("past"); len(without) != 1 || without[0].CRL != "" {
		t.Errorf("listed without its anchor as %+v", without)
	}
}

// TestCRLAfterRestore: a backup is older than the last CRL, which a verifier has seen; the next one is newer than that.
func TestCRLAfterRestore(t *testing.T) {
	i := newInstallation(t)
	crl := func(of *installation) *big.Int {
		path := filepath.Join(t.TempDir(), "capf.crl")
		of.capf("ca", "crl", path)
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if block, _ := pem.Decode(content); block != nil {
			content = block.Bytes
		}
		list, err := x509.ParseRevocationList(content)
		if err != nil {
			t.Fatal(err)
		}
		return list.Number
	}
	file := filepath.Join(t.TempDir(), "backup.tar")
	i.capf("backup", file)
	crl(i)
	published := crl(i)
	if number := crl(i.restored(file)); number.Cmp(published) <= 0 {
		t.Errorf("number %v, after %v was published", number, published)
	}
}

// statusOf gives the status of an answer on the admin address.
func (s *service) statusOf(path string) int {
	s.t.Helper()
	client := http.Client{Timeout: patience}
	answer, err := client.Get(s.admin() + path)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := answer.Body.Close(); err != nil {
		s.t.Fatal(err)
	}
	return answer.StatusCode
}

// TestActivationThatWasCutOff leaves an activation as one that is cut off between the rename and its record. The
// next service, or the next `ca activate`, puts on record that it was done, and by whom.
func TestActivationThatWasCutOff(t *testing.T) {
	r := newRenewal(t)
	r.capf("ca", "renew")
	r.build()
	r.capf("ca", "activate")
	serial := r.own("in-force")[0].Serial
	before := r.audited(serial)
	if want := []string{"ca renew", "ca activating", "ca activate"}; !slices.Equal(before, want) {
		t.Fatalf("on record are %q, not %q", before, want)
	}
	if status := r.service.terminate(); status != 0 {
		t.Errorf("the service ends with status %d", status)
	}
	for name, complete := range map[string]func(){
		"ca activate": func() {
			if _, said, err := r.try("ca", "activate"); err != nil || !strings.Contains(said, "was in force already") {
				t.Errorf("%v: %s", err, said)
			}
		},
		"serve": func() {
			s := r.serve()
			eventually(t, "the record", func() bool { return len(r.audited(serial)) == len(before) })
			s.terminate()
		},
	} {
		r.forget("ca activate", serial)
		complete()
		if after := r.audited(serial); !slices.Equal(after, before) {
			t.Errorf("after %s on record are %q", name, after)
		}
	}
	if _, said, err := r.try("ca", "activate"); err == nil {
		t.Errorf("nothing was left to do: %s", said)
	}
}

// open opens the store's file as no command does.
func (r *renewal) open() *sql.DB {
	r.t.Helper()
	database, err := sql.Open("sqlite3", "file:"+filepath.Join(r.data, "capf.db")+"?_busy_timeout=5000")
	if err != nil {
		r.t.Fatal(err)
	}
	return database
}

// audited gives what the audit trail says of a subject, the oldest first.
func (r *renewal) audited(subject string) (actions []string) {
	r.t.Helper()
	database := r.open()
	defer database.Close()
	rows, err := database.Query(`SELECT action FROM audit WHERE subject = ?1 ORDER BY id`, subject)
	if err != nil {
		r.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var action string
		if err := rows.Scan(&action); err != nil {
			r.t.Fatal(err)
		}
		actions = append(actions, action)
	}
	return actions
}

// forget takes an entry out of the audit trail.
func (r *renewal) forget(action, subject string) {
	r.t.Helper()
	database := r.open()
	defer database.Close()
	if _, err := database.Exec(`DELETE FROM audit WHERE action = ?1 AND subject = ?2`, action, subject); err != nil {
		r.t.Fatal(err)
	}
}
