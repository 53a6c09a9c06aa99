package sqlite

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	cryptorand "crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"capf/runtime/capf"
	"capf/runtime/store/storetest"
)

// lived is a store of some phones that persons, phones and runs work on as chance has it. What a rule forbids does
// not happen.
type lived struct {
	*Store
	t       *testing.T
	random  *rand.Rand
	now     time.Time
	phones  int
	runs    int
	issuers []*testIssuer // of LSCs that phones show; runs bring other ones
}

func newLived(t *testing.T, seed uint64) *lived {
	l := &lived{t: t, random: rand.New(rand.NewPCG(seed, 2)), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), phones: 12}
	l.Store = openAt(t, t.TempDir()+"/capf.db", func() time.Time { return l.now })
	l.issuers = []*testIssuer{newTestIssuer(t, "CAPF-own")}
	return l
}

func (l *lived) device() string { return deviceName(l.random.IntN(l.phones)) }

func pick[T any](l *lived, values ...T) T { return values[l.random.IntN(len(values))] }

// must lets pass what a rule of the domain forbids.
func (l *lived) must(err error) {
	l.t.Helper()
	switch capf.CodeOf(err) {
	case capf.CodeInternal, capf.CodeUnavailable, capf.CodeBusy:
		if err != nil {
			l.t.Fatal(err)
		}
	}
}

// live has something happen, so many times.
func (l *lived) live(times int) {
	l.t.Helper()
	for range times {
		l.now = l.now.Add(time.Duration(l.random.IntN(7200)) * time.Second)
		device := l.device()
		switch l.random.IntN(14) {
		case 0, 1, 2, 3:
			l.person(device)
		case 4:
			l.must(l.RemovePhones(l.t.Context(), []string{device}, "person"))
		case 5, 6, 7, 8, 9:
			l.phone(device)
		case 10:
			_, err := l.ExpireOperations(l.t.Context(), l.now, 100)
			l.must(err)
		case 11:
			_, err := l.RevokeLSCs(l.t.Context(), device, "", capf.RevokeKeyCompromise, "person")
			l.must(err)
		case 12:
			l.must(l.SetParameter(l.t.Context(), pick(l, capf.ParamKeySize), pick(l, "1024", "2048"), "person"))
		case 13:
			l.must(l.RecordAttempt(l.t.Context(), capf.Attempt{Device: device, Address: "192.0.2.9", At: l.now, Result: capf.ResultInvalidLSC}))
		}
	}
}

// person changes a phone, or adds it.
func (l *lived) person(device string) {
	text := fmt.Sprint("by a person ", l.random.IntN(1000))
	change := capf.PhoneChange{Device: device, Description: &text}
	if l.random.IntN(3) > 0 {
		change.Operation = new(pick(l, capf.OperationInstall, capf.OperationDelete, capf.OperationTroubleshoot, capf.OperationNone))
	}
	if l.random.IntN(3) == 0 {
		change.AuthMode = new(pick(l, capf.AuthByString, capf.AuthByNullString, capf.AuthByLSC))
	}
	if l.random.IntN(4) == 0 {
		change.SecurityMode = new(pick(l, capf.NonSecure, capf.Encrypted))
		change.LSCHash = new(pick(l, capf.HashSHA1, capf.HashSHA256))
	}
	_, err := l.ApplyChanges(l.t.Context(), capf.ApplyUpsert, []capf.PhoneChange{change}, capf.ChangeContext{Actor: "person"})
	l.must(err)
}

// phone has a phone call, if it has a reason, and come some way.
func (l *lived) phone(device string) {
	ctx := l.t.Context()
	phone, err := l.Phone(ctx, device)
	if err != nil || !phone.Last.IsPending(l.now) {
		return
	}
	ref, at := phone.Last.Ref, capf.Outcome{Ending: capf.EndingSuccess, Result: capf.ResultSuccess, At: l.now, By: "192.0.2.7"}
	attempt := capf.Attempt{Device: device, Address: "192.0.2.7", At: l.now, Result: capf.ResultInvalidAuthString}
	way := l.random.IntN(7)
	if way == 0 {
		_, err := l.CountWrongString(ctx, ref, attempt)
		l.must(err)
		return
	}
	l.must(l.BeginOperation(ctx, device, ref, capf.SessionInfo{Instance: "here", Address: "192.0.2.7", TLS: "1.0", Started: l.now}))
	switch way {
	case 1: // goes on, or its line broke and nobody has noticed
	case 2:
		l.must(l.ReleaseOperation(ctx, ref, "here", capf.ResultCommunication))
	case 3:
		at.Ending, at.Result = capf.EndingFailed, capf.ResultFailed
		l.must(l.EndOperation(ctx, device, ref, at))
	case 4:
		seen := l.issuers[0].lsc(l.t, device)
		seen.Kind = capf.LSC
		at.Seen, at.LSC = []capf.Certificate{seen}, capf.LSCInstalled
		l.must(l.EndOperation(ctx, device, ref, at))
	default:
		id, err := l.AddIssued(ctx, ref, nil, l.issuers[0].lsc(l.t, device))
		if err == nil && way == 5 {
			at.Confirmed, at.LSC = id, capf.LSCInstalled
			err = l.EndOperation(ctx, device, ref, at)
		}
		l.must(err)
	}
}

// run takes over records of some phones, new and known, with certificates and parameters, and gives its number and
// the phones that it changes.
func (l *lived) run() (id int64, changed []string) {
	l.t.Helper()
	l.runs++
	var records []storetest.Planned
	for n := range l.phones {
		if l.random.IntN(3) == 0 {
			continue
		}
		record, err := l.record(deviceName(n))
		if err != nil {
			l.t.Fatal(err)
		}
		records = append(records, record)
		if record.Phone != nil {
			changed = append(changed, record.Device)
		}
	}
	ctx, issuer := l.t.Context(), newTestIssuer(l.t, fmt.Sprint("CAPF-", l.runs))
	id, err := l.BeginRun(ctx, capf.MigrationRun{Key: fmt.Sprint("key ", l.runs), By: "runner"})
	for _, step := range []func() error{
		func() error { return err },
		func() error { return storetest.Stage(ctx, l, id, records) },
		func() error { return l.StageFiles(ctx, id, issuer.files(l.t, l.device(), l.device())) },
		func() error {
			return l.StageParameters(ctx, id, map[string]string{capf.ParamKeySize: "512", capf.ParamValidity: "4"})
		},
		func() error { return l.ApplyRun(ctx, id, capf.MigrationCounts{Records: len(records)}) },
	} {
		if err := step(); err != nil {
			l.t.Fatal(err)
		}
	}
	return id, changed
}

func (l *lived) record(device string) (storetest.Planned, error) {
	raw := fmt.Append(nil, device, l.runs, l.random.IntN(1000))
	record := storetest.Planned{ImportRecord: capf.ImportRecord{Device: device, Machine: "pub", File: "CAPF.phone", Digest: capf.HexSHA256(raw), Raw: raw, Verdict: capf.VerdictNew}}
	before, err := l.Phone(l.t.Context(), device)
	if err == nil {
		record.Verdict = pick(l, capf.VerdictUpdated, capf.VerdictUpdated, capf.VerdictUnchanged)
	} else if !capf.HasCode(err, capf.CodeNotFound) {
		return record, err
	}
	if record.Verdict == capf.VerdictUnchanged {
		return record, nil
	}
	phone := capf.NewPhone(device, capf.Parameters{})
	phone.Description = fmt.Sprint("by run ", l.runs)
	phone.KeySize = pick(l, capf.RSA512, capf.RSA1024)
	ending := pick(l, capf.EndingNone, capf.EndingSuccess, capf.EndingFailed)
	switch way := l.random.IntN(6); {
	case way == 0:
	case way == 1 && before.Last != nil && before.Last.Ending == capf.EndingNone:
		phone.Last, phone.AuthString, phone.AuthMode = before.Last, before.AuthString, before.AuthMode
	default:
		phone.Last = &capf.OperationRecord{Operation: capf.OperationInstall, AuthMode: capf.AuthByString, KeySize: phone.KeySize, CreatedAt: l.now, CreatedBy: "runner", Ending: ending}
		if ending == capf.EndingNone {
			phone.Last.CompletesBy = l.now.AddDate(0, 0, 10)
			phone.AuthString, err = capf.ParseAuthenticationString(fmt.Sprintf("%06d", l.random.IntN(1_000_000)))
			record.Phone = &phone
			return record, err
		}
		phone.Last.Result = new(capf.ResultSuccess)
		phone.LastResult = phone.Last.Result
	}
	record.Phone = &phone
	return record, nil
}

// testIssuer signs certificates.
type testIssuer struct {
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
}

func newTestIssuer(t *testing.T, name string) *testIssuer {
	t.Helper()
	i := &testIssuer{key: newTestKey(t)}
	i.certificate = i.sign(t, name, i.key)
	return i
}

func newTestKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), cryptorand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (i *testIssuer) sign(t *testing.T, name string, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	serial, err := cryptorand.Int(cryptorand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}, IsCA: i.certificate == nil, BasicConstraintsValid: true,
		NotBefore: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC)}
	parent := i.certificate
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(cryptorand.Reader, template, parent, key.Public(), i.key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func (i *testIssuer) lsc(t *testing.T, device string) capf.Certificate {
	t.Helper()
	read, err := capf.ReadCertificate(i.sign(t, device, newTestKey(t)).Raw)
	if err != nil {
		t.Fatal(err)
	}
	return read
}

// files are the issuer as an anchor, and LSCs of devices.
func (i *testIssuer) files(t *testing.T, devices ...string) []capf.LegacyFile {
	t.Helper()
	out := []capf.LegacyFile{{Machine: "pub", File: "CAPF.cer", DER: i.certificate.Raw, Use: capf.LegacyAnchor}}
	for _, device := range devices {
		out = append(out, capf.LegacyFile{Machine: "pub", File: device + ".0", DER: i.lsc(t, device).DER, Use: capf.LegacyLSC})
	}
	return out
}
