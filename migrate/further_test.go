package migrate

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"database/sql"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"capf/legacy"
	"capf/legacy/source"
	"capf/runtime/capf"
)

// wholeSample is a sample that is one source.
func wholeSample(name string) []source.Spec {
	return []source.Spec{{Name: name, Folder: filepath.Join("../testdata/legacy", name)}}
}

func TestUsecallmanager(t *testing.T) {
	store := newMemoryStore()
	report := mustRun(t, wholeSample("usecallmanager"), testOptions(), store)
	if c := report.Counts; c.Records != 12 || c.New != 12 || c.Anchors != 1 || c.LSCs != 4 || c.KeptAside != 2 || c.Pending != 9 {
		t.Errorf("counts %+v", c)
	}
	if text := strings.Join(report.Warnings, "\n"); !strings.Contains(text, "`capf init --from` takes key and certificate over") {
		t.Errorf("warnings %s", text)
	}
	phone := store.phones["SEP0019E8004A25"]
	if phone.Last == nil || phone.Last.Operation != capf.OperationInstall || phone.AuthMode != capf.AuthByString || phone.AuthString.Reveal() == "" ||
		phone.Last.CompletesBy.IsZero() {
		t.Errorf("got %+v", phone.Phone)
	}
	if fetch := store.phones["SEP0019E8004ADE"]; fetch.Last.Operation != capf.OperationTroubleshoot || fetch.AuthMode != capf.AuthByNullString {
		t.Errorf("got %+v", fetch.Phone)
	}
	if curve := store.phones["SEP0019E8004B4D"]; curve.KeySize != "p384" {
		t.Errorf("got %+v", curve.Phone)
	}
	checkNoKey(t, store)
	if v := mustVerify(t, store, report.Run); !v.OK() || v.Records != 12 || v.Certificates != 5 || v.KeptAside != 2 {
		t.Errorf("verification %+v", v)
	}
}

// checkNoKey sees that nothing which was stored holds a private key.
func checkNoKey(t *testing.T, store *memoryStore) {
	t.Helper()
	for _, run := range store.applied {
		for _, r := range run.records {
			if strings.Contains(string(r.Raw), "PRIVATE KEY") {
				t.Errorf("record of %s holds a key", r.Device)
			}
		}
		for _, k := range run.kept {
			if strings.Contains(string(k.Bytes), "PRIVATE KEY") {
				t.Errorf("%s:%d holds a key", k.File, k.Line)
			}
		}
	}
}

// The identity of a daemon is an anchor where it names CAPF, or signed what the database holds.
func TestIdentityOfADaemon(t *testing.T) {
	for name, test := range map[string]struct {
		identity      string
		signed        bool
		anchors, lscs int
	}{
		"signed the rows": {"Voice CA", true, 1, 1}, "signed nothing": {"Voice CA", false, 0, 0}, "names CAPF": {"CAPF-1", false, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			identity := issue(t, test.identity, nil)
			issuer := identity
			if !test.signed {
				issuer = issue(t, test.identity, nil)
			}
			lsc := issue(t, "SEP001122334401", &issuer).inPEM()
			specs := folders(t, map[string]map[string]string{"daemon": {"capf.pem": identity.inPEM() + keyInPEM(t, identity.key)}})
			makeDatabase(t, filepath.Join(specs[0].Folder, "phones.sqlite"), `CREATE TABLE devices (device_name, operation, certificate)`,
				"INSERT INTO devices VALUES ('SEP001122334401', 'none', '"+lsc+"'), ('SEP001122334402', 'none', '"+lsc+"')")
			plan := mustPlan(t, specs, testOptions(), nil)
			if plan.Counts.Anchors != test.anchors || plan.Counts.LSCs != test.lscs {
				t.Errorf("counts %+v, certificates %+v", plan.Counts, plan.Certificates)
			}
			elsewhere := slices.ContainsFunc(plan.Certificates, func(c PlannedCertificate) bool {
				return c.Line == 2 && c.Use == capf.LegacyStored && strings.Contains(c.Why, "is in the row of SEP001122334402, but is the LSC of SEP001122334401")
			})
			if elsewhere != test.signed {
				t.Errorf("certificates %+v", plan.Certificates)
			}
			// The administrator may name it in any case.
			options := testOptions()
			options.Anchors = []string{identity.digest()}
			if named := mustPlan(t, specs, options, nil); named.Counts.Anchors != 1 || named.Counts.LSCs != test.lscs {
				t.Errorf("named: counts %+v", named.Counts)
			}
		})
	}
}

func keyInPEM(t *testing.T, key *ecdsa.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func makeDatabase(t *testing.T, path string, statements ...string) {
	t.Helper()
	pool, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range statements {
		if _, err := pool.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	if err := pool.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestLists(t *testing.T) {
	store := newMemoryStore()
	report := mustRun(t, wholeSample("lists"), testOptions(), store)
	if c := report.Counts; c.Records != 10 || c.New != 10 || c.KeptAside != 1 || c.Pending != 5 {
		t.Errorf("counts %+v", c)
	}
	first := store.phones["SEP001E4A005500"]
	if first.Description != "Straße 0, Empfang" || first.Last.Operation != capf.OperationInstall {
		t.Errorf("got %+v", first.Phone)
	}
	ended := store.phones["SEP001E4A005552"]
	if ended.Last.Operation != capf.OperationDelete || ended.Last.Ending != capf.EndingFailed || ended.AuthMode != capf.AuthByLSC {
		t.Errorf("got %+v", ended.Phone)
	}
	if alice := store.phones["CSFALICE"]; alice == nil || alice.KeySize != "p384" {
		t.Errorf("got %+v", alice)
	}
	if v := mustVerify(t, store, report.Run); !v.OK() {
		t.Errorf("verification %+v", v)
	}
}

// A file that is no list, and a database of something else, do not stand in the way of the rest, but they are nothing
// to be given alone.
func TestFilesOfOthersAreNamed(t *testing.T) {
	specs := phoneFolders(t, map[string][]string{"m": {"SEP000000000001,none,none,,,,,"}})
	folder := specs[0].Folder
	for name, content := range map[string]string{"stock.csv": "Part,Number\n1,2\n", "names.csv": "Device,Description\nSEP000000000009,x\n", "unclear.csv": "D\x00e\x00v\x00i\x00c\x00e\x00,\x00"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	makeDatabase(t, filepath.Join(folder, "other.db"), `CREATE TABLE x (y)`)
	plan := mustPlan(t, specs, testOptions(), nil)
	if plan.Counts.Records != 1 {
		t.Errorf("counts %+v", plan.Counts)
	}
	for name, want := range map[string]string{"stock.csv": "no list of phones", "names.csv": "nothing of their certificates", "unclear.csv": "UTF-16", "other.db": "without a table devices"} {
		if !slices.ContainsFunc(plan.Findings, func(f Finding) bool { return f.File == name && strings.Contains(f.Reason, want) }) {
			t.Errorf("%s is not named: %+v", name, plan.Findings)
		}
		_, err := NewPlan(context.Background(), []source.Spec{{Name: "alone", Folder: filepath.Join(folder, name)}}, testOptions(), nil)
		if name == "names.csv" && err != nil || name != "names.csv" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s alone: %v", name, err)
		}
	}
}

// Keys in archives, whole and torn, are told of and not stored.
func TestPrivateKeysInArchives(t *testing.T) {
	key := keyInPEM(t, newKey(t))
	folder, phones := t.TempDir(), header+"\n"
	for i := range 20 {
		phones += fmt.Sprintf("SEP0000000000%02d,none,none,,,,,\n", i)
	}
	for name, content := range map[string]string{"whole.0": key, "torn.0": key[:100], "both.0": issue(t, "CCM", nil).inPEM() + key, "CAPF.phone": phones + key} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, ending := range []string{".zip", ".tar", ".tgz"} {
		path := filepath.Join(t.TempDir(), "copy"+ending)
		packed(t, folder, path, "")
		store := newMemoryStore()
		report := mustRun(t, []source.Spec{{Name: "m", Folder: path}}, testOptions(), store)
		if text := strings.Join(report.Warnings, "\n"); strings.Count(text, legacy.PrivateKeyAdvice) != 4 {
			t.Errorf("%s: warnings %s", ending, text)
		}
		checkNoKey(t, store)
		if v := mustVerify(t, store, report.Run); !v.OK() {
			t.Errorf("%s: %+v", ending, v)
		}
	}
}
