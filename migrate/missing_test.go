package migrate

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"capf/legacy/source"
	"capf/runtime/capf"
)

// pendingRow says nothing of an LSC.
const pendingRow = device + ",Install,Operation Pending,2005-01-01 10:00:00,By Null String,,1024,Lobby"

// Rows of phones that have no LSC, by these records.
const (
	failedRow  = "SEP001122330001,Install,Upgrade Failed,2005-01-01 10:00:00,By Null String,,1024,Lobby"
	askedRow   = "SEP001122330002,Troubleshoot,Troubleshoot Success,2005-01-01 10:00:00,By Null String,,1024,Lobby"
	deletedRow = device + ",Delete,Delete Success,2005-02-01 10:00:00,By Null String,,1024,x"
)

func phoneFile(rows ...string) string {
	return strings.Join(append([]string{header}, rows...), "\n") + "\n"
}

// inShort gives what is missing as "what machine stops".
func inShort(missing []Missing) []string {
	out := []string{}
	for _, one := range missing {
		word := "said"
		if one.Stops {
			word = "stops"
		}
		out = append(out, fmt.Sprintf("%s %s %s", one.What, one.Machine, word))
	}
	return out
}

// TestMissing holds what is found out about trees from which something was forgotten (E2).
func TestMissing(t *testing.T) {
	own, other := issue(t, "CAPF-11111111", nil), issue(t, "CAPF-22222222", nil)
	lsc, lscOfOther := issue(t, device, &own), issue(t, "SEP0011223344AA", &other)
	tests := []struct {
		name  string
		files map[string]map[string]string
		want  []string
	}{
		{"all there", map[string]map[string]string{"pub": {"CAPF/CAPF.phone": phoneFile(row("2005-01-01 10:00:00", "x")),
			"CAPF/CAPF-11111111.0": own.inPEM(), "CAPF/" + device + ".0": lsc.inPEM()}}, []string{}},
		{"a CAPF certificate, no phone file", map[string]map[string]string{"pub": {"Certificates/CAPF.cer": string(own.der)}},
			[]string{"phone-records pub stops"}},
		{"only among those of all services", map[string]map[string]string{"pub": {"Certificates/CAPF-11111111.0": own.inPEM()}},
			[]string{"phone-records pub stops"}},
		{"an empty phone file", map[string]map[string]string{"pub": {"Certificates/CAPF.cer": string(own.der), "CAPF/CAPF.phone": ""}},
			[]string{"phone-records pub stops"}},
		{"its records lie on the subscriber", map[string]map[string]string{"pub": {"Certificates/CAPF.cer": string(own.der)},
			"sub": {"CAPF/CAPF.phone": phoneFile(row("2005-01-01 10:00:00", "x")), "CAPF/capf.0": own.inPEM()}}, []string{}},
		{"the only one among those of all services is its own", map[string]map[string]string{"pub": {
			"CAPF/CAPF.phone": phoneFile(pendingRow), "Certificates/CAPF-11111111.0": own.inPEM()}}, []string{}},
		{"a subscriber that was forgotten left its certificate", map[string]map[string]string{"pub": {"CAPF/CAPF.phone": phoneFile(pendingRow),
			"Certificates/CAPF.cer": string(own.der), "Certificates/CAPF-22222222.0": other.inPEM()}}, []string{"phone-records pub said"}},
		{"LSCs of a CAPF that is not there", map[string]map[string]string{"pub": {"CAPF/CAPF.phone": phoneFile(pendingRow),
			"CAPF/capf.0": own.inPEM(), "CAPF/a.0": lscOfOther.inPEM()}}, []string{"issuer-certificate pub stops"}},
		{"records of LSCs without any certificate", map[string]map[string]string{"pub": {
			"CAPF/CAPF.phone": phoneFile(row("2005-01-01 10:00:00", "x"))}}, []string{"issuer-certificate pub said"}},
		{"records that say nothing of LSCs", map[string]map[string]string{"pub": {"CAPF/CAPF.phone": phoneFile(pendingRow, failedRow, askedRow)}}, []string{}},
		{"an LSC that was deleted later", map[string]map[string]string{"pub": {
			"CAPF/CAPF.phone": phoneFile(row("2005-01-01 10:00:00", "x"), deletedRow)}}, []string{}},
		{"an LSC that was deleted before", map[string]map[string]string{"pub": {
			"CAPF/CAPF.phone": phoneFile(row("2005-03-01 10:00:00", "x"), deletedRow)}}, []string{"issuer-certificate pub said"}},
		{"two CAPFs, the certificate of one", map[string]map[string]string{
			"pub": {"CAPF/CAPF.phone": phoneFile(row("2005-01-01 10:00:00", "x")), "CAPF/capf.0": own.inPEM()},
			"sub": {"CAPF/CAPF.phone": phoneFile(row("2005-02-01 10:00:00", "x"))}}, []string{"issuer-certificate sub stops"}},
		{"two CAPFs, both certificates of the publisher", map[string]map[string]string{
			"pub": {"CAPF/CAPF.phone": phoneFile(pendingRow), "CAPF/capf.0": own.inPEM(), "Certificates/CAPF.cer": string(other.der)},
			"sub": {"CAPF/CAPF.phone": phoneFile(row("2005-02-01 10:00:00", "x"))}}, []string{"issuer-certificate sub stops"}},
		{"a list of phones beside the CAPF", map[string]map[string]string{
			"pub": {"CAPF/CAPF.phone": phoneFile(pendingRow), "CAPF/capf.0": own.inPEM()},
			"ccm": {"report.csv": phoneFile(row("2005-02-01 10:00:00", "x"))}}, []string{}},
		{"a list of phones alone", map[string]map[string]string{"ccm": {"report.csv": phoneFile(row("2005-02-01 10:00:00", "x"))}},
			[]string{"issuer-certificate ccm said"}},
		{"a subscriber that the configuration names", map[string]map[string]string{"pub": {"CAPF/CAPF.phone": phoneFile(pendingRow),
			"CAPF/CAPF.cfg": "Subscriber1=sub1.example.com\nSubscriber 2 = SUB2\nPublisher=pub\nServer=10.0.0.1\n[Subscribers]\nServer1=10.0.0.9\nCount=2\nServer3=3\n"},
			"sub1": {"CAPF/CAPF.phone": phoneFile(pendingRow)}}, []string{"machine SUB2 stops", "machine 10.0.0.9 stops"}},
		{"a publisher that the configuration names", map[string]map[string]string{"sub": {"CAPF/CAPF.phone": phoneFile(pendingRow),
			"CAPF/CAPF.cfg": "PublisherName=CCMPUB\n"}}, []string{"machine CCMPUB said"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			plan := mustPlan(t, folders(t, test.files), strictOptions(), nil)
			got := inShort(plan.Missing)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("%s\n%+v", diff, plan.Missing)
			}
			if stops := slices.ContainsFunc(got, func(one string) bool { return strings.HasSuffix(one, "stops") }); plan.Ready == stops {
				t.Errorf("ready is %v with %v", plan.Ready, got)
			}
		})
	}
}

// TestMissingNamesBoth: a publisher that has only CAPF.cer, and a subscriber of which the *.0 were forgotten: either may be
// what is missing, so both are named. With the *.0 nothing is missing.
func TestMissingNamesBoth(t *testing.T) {
	own := issue(t, "CAPF-11111111", nil)
	files := map[string]map[string]string{"pub": {"Certificates/CAPF.cer": string(own.der)},
		"sub": {"CAPF/CAPF.phone": phoneFile(row("2005-01-01 10:00:00", "x"))}}
	_, err := Run(t.Context(), folders(t, files), strictOptions(), newMemoryStore(), "tester")
	wantCode(t, err, capf.CodeRefused, "pub has the CAPF certificate", "but no CAPF.phone, and sub has CAPF.phone, but none of the `*.0` of its CAPF",
		"copy the `*.0` of the CAPF folder of sub, if CAPF ran there; else copy CAPF.phone from the CAPF folder of the machine on which it ran")
	files["sub"]["CAPF/capf.0"] = own.inPEM()
	if plan := mustPlan(t, folders(t, files), strictOptions(), nil); len(plan.Missing) != 0 {
		t.Errorf("with the *.0: %v", plan.Missing)
	}
}

// TestNothingUnderstood: a dialect that was named reads the file and nothing in it, which is no migration.
func TestNothingUnderstood(t *testing.T) {
	options := strictOptions()
	options.Dialect = dialectFile(t, ownDialect)
	specs := folders(t, map[string]map[string]string{"pub": {"CAPF.phone": "unit,how far\n" + device + ",6\nSEP001122330001,7\n"}})
	_, err := Run(t.Context(), specs, options, newMemoryStore(), "tester")
	wantCode(t, err, capf.CodeRefused, "pub has 2 lines in CAPF.phone, and none was understood", "capf migrate inspect", "--accept-missing")
	if plan := mustPlan(t, specs, options, nil); plan.Ready {
		t.Error("the plan says that a run can go on")
	}
	options.AcceptMissing = true
	if report := mustRun(t, specs, options, newMemoryStore()); report.Counts.KeptAside != 2 {
		t.Errorf("accepted: %+v", report.Counts)
	}
	options.AcceptMissing = false
	one := folders(t, map[string]map[string]string{"pub": {"CAPF.phone": "unit,how far\n" + device + ",6\nSEP001122330001,5\n"}})
	if plan := mustPlan(t, one, options, nil); len(plan.Stopping()) != 0 {
		t.Errorf("one record is understood, and missing is %v", plan.Missing)
	}
}

// TestMissingNodes: the store's subscribers are expected among the sources, of this run or of an earlier one.
func TestMissingNodes(t *testing.T) {
	store := newMemoryStore()
	store.nodes = []capf.Node{
		{Name: "PUB", Role: capf.RoleCCMTFTP, Publisher: true, Address: netip.MustParseAddr("192.0.2.1")},
		{Name: "SUB1", Role: capf.RoleCCM, DNSName: "one.example.com", Address: netip.MustParseAddr("192.0.2.2")},
		{Name: "sub2", Role: capf.RoleCCMTFTP, Address: netip.MustParseAddr("192.0.2.3")},
		{Name: "tftp", Role: capf.RoleTFTP, Address: netip.MustParseAddr("192.0.2.4")},
	}
	pub := phoneFolders(t, map[string][]string{"pub": {pendingRow}})
	if got := inShort(mustPlan(t, pub, strictOptions(), store).Missing); !slices.Equal(got, []string{"machine SUB1 stops", "machine sub2 stops"}) {
		t.Errorf("missing %v", got)
	}
	byAddress := append(pub, source.Spec{Name: "192.0.2.2", Folder: phoneFolders(t, map[string][]string{"x": {pendingRow}})[0].Folder})
	if got := inShort(mustPlan(t, byAddress, strictOptions(), store).Missing); !slices.Equal(got, []string{"machine sub2 stops"}) {
		t.Errorf("missing %v with one given by its address", got)
	}
	options := strictOptions()
	options.AcceptMissing = true
	mustRun(t, byAddress, options, store)
	others := phoneFolders(t, map[string][]string{"Sub2": {strings.Replace(pendingRow, "3344", "33FF", 1)}})
	if got := inShort(mustPlan(t, others, strictOptions(), store).Missing); len(got) != 0 {
		t.Errorf("missing %v, want none: the others were given to an earlier run", got)
	}
}

// TestMissingInStore: an LSC that a phone showed and nobody can verify says that a CAPF was forgotten, unless the
// phone has one of ours since.
func TestMissingInStore(t *testing.T) {
	forgotten, ours := issue(t, "CAPF-forgotten", nil), issue(t, "CAPF-ours", nil)
	seen := func(name string, by authority, from capf.CertificateSource, state capf.CertificateState) capf.Certificate {
		one := issue(t, name, &by)
		read, err := capf.ReadCertificate(one.der)
		if err != nil {
			t.Fatal(err)
		}
		read.Device, read.Kind, read.Source, read.State = name, capf.LSC, from, state
		return read
	}
	store := newMemoryStore()
	store.certificates = []capf.Certificate{
		seen("SEP000000000001", forgotten, capf.SourceSeen, capf.CertificateConfirmed),
		seen("SEP000000000002", forgotten, capf.SourceLegacy, capf.CertificateIssued),
		seen("SEP000000000003", forgotten, capf.SourceSeen, capf.CertificateConfirmed),
		seen("SEP000000000003", ours, capf.SourceIssued, capf.CertificateConfirmed),
		seen("SEP000000000004", forgotten, capf.SourceSeen, capf.CertificateRevoked),
	}
	specs := phoneFolders(t, map[string][]string{"pub": {pendingRow}})
	plan := mustPlan(t, specs, strictOptions(), store)
	if len(plan.Missing) != 1 || !slices.Equal(plan.Missing[0].Devices, []string{"SEP000000000001", "SEP000000000002"}) || !plan.Missing[0].Stops {
		t.Errorf("missing %+v", plan.Missing)
	}
	store.anchors = []capf.Anchor{{Kind: capf.LSC, SHA256: forgotten.digest(), DER: forgotten.der, Subject: "CN=CAPF-forgotten"}}
	if plan := mustPlan(t, specs, strictOptions(), store); len(plan.Missing) != 0 {
		t.Errorf("missing %+v though its certificate is an anchor", plan.Missing)
	}
}

// TestRecordsKnownIssuer: records of LSCs stop nothing where the store trusts a CAPF that may have issued them, where the
// phones have one of ours since, and where the records are there already.
func TestRecordsKnownIssuer(t *testing.T) {
	specs := phoneFolders(t, map[string][]string{"pub": {row("2005-01-01 10:00:00", "x")}})
	if got := inShort(mustPlan(t, specs, strictOptions(), newMemoryStore()).Missing); !slices.Equal(got, []string{"issuer-certificate pub said"}) {
		t.Errorf("missing %v in a new store", got)
	}
	known, ours := issue(t, "CAPF-known", nil), issue(t, "CAPF-ours", nil)
	trusting := newMemoryStore()
	trusting.anchors = []capf.Anchor{{Kind: capf.LSC, SHA256: known.digest(), DER: known.der, Subject: "CN=CAPF-known"}}
	lsc := issue(t, device, &ours)
	served, err := capf.ReadCertificate(lsc.der)
	if err != nil {
		t.Fatal(err)
	}
	served.Device, served.Kind, served.Source, served.State = device, capf.LSC, capf.SourceIssued, capf.CertificateConfirmed
	serving := newMemoryStore()
	serving.certificates = []capf.Certificate{served}
	accepted := newMemoryStore()
	mustRun(t, specs, testOptions(), accepted)
	for name, store := range map[string]*memoryStore{"an anchor": trusting, "an LSC of ours": serving, "the records": accepted} {
		if got := inShort(mustPlan(t, specs, strictOptions(), store).Missing); len(got) != 0 {
			t.Errorf("missing %v though the store has %s", got, name)
		}
	}
}

// TestAcceptMissing: without it nothing is stored, with it the run notes what was accepted, and both are one run.
func TestAcceptMissing(t *testing.T) {
	own := issue(t, "CAPF-11111111", nil)
	specs := folders(t, map[string]map[string]string{"pub": {"Certificates/CAPF.cer": string(own.der)}})
	store := newMemoryStore()
	_, err := Run(context.Background(), specs, strictOptions(), store, "tester")
	wantCode(t, err, capf.CodeRefused, "pub has the CAPF certificate CAPF-11111111, but no CAPF.phone", "--accept-missing", "nothing is stored")
	if len(store.applied) != 0 || store.staged != nil {
		t.Error("something is stored")
	}
	accepting := strictOptions()
	accepting.AcceptMissing = true
	if plan := mustPlan(t, specs, accepting, store); !plan.Ready || !plan.AcceptMissing || len(plan.Missing) != 1 || len(plan.Stopping()) != 0 {
		t.Errorf("plan %+v", plan)
	}
	report := mustRun(t, specs, accepting, store)
	if run := store.applied[0]; len(run.Missing) != 1 || !strings.Contains(run.Missing[0], "CAPF-11111111") || len(report.Missing) != 1 {
		t.Errorf("the run notes %q", run.Missing)
	}
	if again := mustRun(t, specs, strictOptions(), store); !again.Already {
		t.Errorf("without it the same again is %+v", again)
	}
}
