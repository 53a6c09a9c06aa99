package session_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"sync"
	"testing"
	"time"

	"capf/runtime/capf"
	"capf/runtime/phone"
	"capf/runtime/wire"
)

// issuer is a CA of the tests.
type issuer struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// issuers are those that every test may use.
type issuers struct {
	earlier  issuer // a CAPF of before, expired
	impostor issuer // has the name of the earlier CAPF, but not its key
	curve    issuer // another earlier CAPF, with an EC key
	maker    issuer // of phones
	oldMaker issuer // the same, expired
}

// theIssuers are made once.
var theIssuers = sync.OnceValues(func() (made issuers, err error) {
	past, coming := time.Now().AddDate(-1, 0, 0), time.Now().AddDate(1, 0, 0)
	for _, one := range []struct {
		into     *issuer
		name     string
		size     capf.KeySize
		notAfter time.Time
	}{
		{&made.earlier, "CAPF-11111111", capf.RSA1024, past}, {&made.impostor, "CAPF-11111111", capf.RSA1024, coming},
		{&made.curve, "CAPF-22222222", capf.P256, coming},
		{&made.maker, "Manufacturing CA", capf.RSA2048, coming}, {&made.oldMaker, "Old Manufacturing CA", capf.RSA1024, past},
	} {
		key, failure := phone.GenerateKey(context.Background(), "", one.size)
		if failure != nil {
			return made, failure
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: one.name}, IsCA: true,
			BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, NotBefore: past.AddDate(-1, 0, 0), NotAfter: one.notAfter}
		der, failure := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		certificate, parsing := x509.ParseCertificate(der)
		if err := errors.Join(failure, parsing); err != nil {
			return made, err
		}
		*one.into = issuer{certificate, key}
	}
	return made, nil
})

func allIssuers(t *testing.T) issuers {
	t.Helper()
	made, err := theIssuers()
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// leaf is a certificate that a test wants for a phone.
type leaf struct {
	issuer    issuer
	name      string                  // common name
	size      capf.KeySize            // empty: EC P-256
	from, to  time.Duration           // from now on; both 0: an hour ago, in an hour
	algorithm x509.SignatureAlgorithm // 0: what suits the issuer's key
}

// make gives the certificate with its key.
func (l leaf) make(t *testing.T) *phone.Identity {
	t.Helper()
	if l.size == "" {
		l.size = capf.P256
	}
	if l.from == 0 && l.to == 0 {
		l.from, l.to = -time.Hour, time.Hour
	}
	key, err := phone.GenerateKey(t.Context(), "", l.size)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: l.name}, SignatureAlgorithm: l.algorithm,
		NotBefore: time.Now().Add(l.from), NotAfter: time.Now().Add(l.to), BasicConstraintsValid: true}
	if l.algorithm == x509.MD5WithRSA {
		template.SignatureAlgorithm = x509.SHA256WithRSA // crypto/x509 makes none with MD5
	}
	der, err := x509.CreateCertificate(rand.Reader, template, l.issuer.certificate, key.Public(), l.issuer.key)
	if err != nil {
		t.Fatal(err)
	}
	if l.algorithm == x509.MD5WithRSA {
		der = signedWithMD5(t, der, l.issuer.key)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &phone.Identity{Certificate: certificate, Key: key}
}

// encoded is a certificate with what is signed as it stands.
type encoded struct {
	Signed    asn1.RawValue
	Algorithm pkix.AlgorithmIdentifier
	Signature asn1.BitString
}

func decode(t *testing.T, der []byte) (certificate encoded) {
	t.Helper()
	if rest, err := asn1.Unmarshal(der, &certificate); err != nil || len(rest) > 0 {
		t.Fatalf("%d bytes left, %v", len(rest), err)
	}
	return certificate
}

func (e encoded) encode(t *testing.T) []byte {
	t.Helper()
	der, err := asn1.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// signedWithMD5 gives a certificate that was signed with SHA-256 a good signature with MD5 instead.
func signedWithMD5(t *testing.T, der []byte, key crypto.Signer) []byte {
	t.Helper()
	certificate := decode(t, der)
	withSHA256, withMD5 := []byte{42, 134, 72, 134, 247, 13, 1, 1, 11}, []byte{42, 134, 72, 134, 247, 13, 1, 1, 4}
	certificate.Signed.FullBytes = bytes.Replace(certificate.Signed.FullBytes, withSHA256, withMD5, 1)
	certificate.Algorithm.Algorithm = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 4}
	digest := md5.Sum(certificate.Signed.FullBytes)
	signature, err := key.Sign(rand.Reader, digest[:], crypto.MD5)
	if err != nil {
		t.Fatal(err)
	}
	certificate.Signature = asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}
	return certificate.encode(t)
}

// proof signs name, NUL and certificate as a phone does.
func proof(t *testing.T, key crypto.Signer, hash crypto.Hash, name string, certificate []byte) wire.Secret {
	t.Helper()
	digest := hash.New()
	digest.Write(append([]byte(name+"\x00"), certificate...))
	signature, err := key.Sign(rand.Reader, digest.Sum(nil), crypto.Hash(0))
	if err != nil {
		t.Fatal(err)
	}
	return wire.NewSecret(signature)
}

// flipped has another last bit.
func flipped(secret wire.Secret) wire.Secret {
	value := bytes.Clone(secret.Reveal())
	value[len(value)-1] ^= 1
	return wire.NewSecret(value)
}

// response is what proofs are in.
type response = wire.AuthenticationResponse

// proving is a service, and MICs of the phone that it trusts.
type proving struct {
	*service
	rsaMIC, ecMIC, smallMIC, stranger *phone.Identity // RSA 1024, P-256, RSA 512, RSA 1024 again
}

func newProving(t *testing.T) proving {
	t.Helper()
	maker := allIssuers(t).maker
	s := newService(t, usual())
	s.trust.set(map[capf.CertificateKind][]*x509.Certificate{capf.MIC: {maker.certificate}})
	mic := func(size capf.KeySize) *phone.Identity {
		return leaf{issuer: maker, name: "CP-7970G-" + device, size: size}.make(t)
	}
	return proving{s, mic(capf.RSA1024), mic(capf.P256), mic(capf.RSA512), mic(capf.RSA1024)}
}

// showingMIC is the phone with a MIC that changes what it says before it leaves.
func (p proving) showingMIC(mic *phone.Identity, change func(*response)) phone.Config {
	p.t.Helper()
	p.pendingByCertificate(device, capf.AuthByMIC, capf.OperationTroubleshoot)
	config := p.showing(device, capf.AuthByMIC, nil, mic)
	config.OnAuthenticate = change
	return config
}

func sha2(hash wire.HashAlgorithm, signature wire.Secret) wire.Secret {
	return wire.SHA2SignedData{Hash: hash, Signature: signature}.Encode()
}

// What a phone may send to show that it has the key.
func TestProofsAccepted(t *testing.T) {
	p := newProving(t)
	for _, test := range []struct {
		name   string
		mic    *phone.Identity
		change func(r *response)
	}{
		{"both, RSA", p.rsaMIC, nil},
		{"both, EC", p.ecMIC, nil},
		{"SHA-1 alone", p.rsaMIC, func(r *response) { r.SHA2SignedData = wire.Secret{} }},
		{"SHA-512 alone", p.rsaMIC, func(r *response) { r.SignedData = wire.Secret{} }},
		{"a 512-bit key, SHA-1 alone", p.smallMIC, nil},
		{"SHA-256", p.rsaMIC, func(r *response) {
			r.SHA2SignedData = sha2(wire.HashSHA256, proof(t, p.rsaMIC.Key, crypto.SHA256, device, r.Certificate))
		}},
		{"SHA-1 in the newer element", p.ecMIC, func(r *response) {
			r.SHA2SignedData = sha2(wire.HashSHA1, proof(t, p.ecMIC.Key, crypto.SHA1, device, r.Certificate))
		}},
		{"the name as the phone writes it", p.ecMIC, func(r *response) {
			r.DeviceName, r.SHA2SignedData = "sep0011223344aa", wire.Secret{}
			r.SignedData = proof(t, p.ecMIC.Key, crypto.SHA1, r.DeviceName, r.Certificate)
		}},
	} {
		t.Run(test.name, func(t *testing.T) { p.checkAccepted(t, p.showingMIC(test.mic, test.change)) })
	}
}

// And what not.
func TestProofsRefused(t *testing.T) {
	p := newProving(t)
	for _, test := range []struct {
		name   string
		mic    *phone.Identity
		change func(r *response)
		text   string
	}{
		{"none", p.rsaMIC, func(r *response) { r.SignedData, r.SHA2SignedData = wire.Secret{}, wire.Secret{} }, "no proof"},
		{"none, a string beside it", p.rsaMIC, func(r *response) {
			r.SignedData, r.SHA2SignedData, r.Password = wire.Secret{}, wire.Secret{}, wire.NewSecret([]byte("12345678"))
		}, "no proof"},
		{"wrong SHA-1", p.rsaMIC, func(r *response) { r.SignedData = flipped(r.SignedData) }, "signed data: the signature"},
		{"wrong SHA-1 alone", p.ecMIC, func(r *response) { r.SignedData, r.SHA2SignedData = flipped(r.SignedData), wire.Secret{} }, "signed data"},
		{"wrong SHA-512", p.rsaMIC, func(r *response) { r.SHA2SignedData = flipped(r.SHA2SignedData) }, "SHA-2 signed data: the signature"},
		{"wrong SHA-512, EC", p.ecMIC, func(r *response) { r.SHA2SignedData = flipped(r.SHA2SignedData) }, "SHA-2 signed data: the signature"},
		{"empty SHA-1", p.rsaMIC, func(r *response) { r.SignedData = wire.NewSecret(nil) }, "signed data"},
		{"empty SHA-512", p.ecMIC, func(r *response) { r.SHA2SignedData = sha2(wire.HashSHA512, wire.NewSecret(nil)) }, "SHA-2 signed data"},
		{"SHA-512 cut off", p.rsaMIC, func(r *response) { r.SHA2SignedData = wire.NewSecret(r.SHA2SignedData.Reveal()[:9]) }, "SHA-2 signed data"},
		{"hash not known", p.rsaMIC, func(r *response) { r.SHA2SignedData = sha2(9, r.SignedData) }, "hash algorithm 9 is not known"},
		{"called SHA-256", p.rsaMIC, func(r *response) {
			r.SHA2SignedData = wire.NewSecret(append([]byte{2}, r.SHA2SignedData.Reveal()[1:]...))
		}, "SHA-2 signed data"},
		{"a 512-bit key, SHA-512 made up", p.smallMIC, func(r *response) { r.SHA2SignedData = sha2(wire.HashSHA512, r.SignedData) }, "SHA-2 signed data"},
		{"with DigestInfo", p.rsaMIC, func(r *response) {
			digest := crypto.SHA1.New()
			digest.Write(append([]byte(device+"\x00"), r.Certificate...))
			signature, err := rsa.SignPKCS1v15(nil, p.rsaMIC.Key.(*rsa.PrivateKey), crypto.SHA1, digest.Sum(nil))
			if err != nil {
				t.Error(err)
			}
			r.SignedData = wire.NewSecret(signature)
		}, "signed data"},
		{"over another name", p.rsaMIC, func(r *response) {
			r.SignedData = proof(t, p.rsaMIC.Key, crypto.SHA1, "SEP0011223344AB", r.Certificate)
		}, "signed data"},
		{"of another key", p.rsaMIC, func(r *response) { r.SignedData = proof(t, p.stranger.Key, crypto.SHA1, device, r.Certificate) }, "signed data"},
		{"for another certificate", p.rsaMIC, func(r *response) { r.Certificate = p.stranger.Certificate.Raw }, "signed data"},
		{"no certificate", p.rsaMIC, func(r *response) { r.Certificate = nil }, "showed no certificate"},
		{"not a certificate", p.rsaMIC, func(r *response) { r.Certificate = []byte("certificate") }, "cannot be read"},
		{"more after the certificate", p.rsaMIC, func(r *response) { r.Certificate = append(bytes.Clone(r.Certificate), 0) }, "cannot be read"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p.checkRefused(t, p.showingMIC(test.mic, test.change), capf.ResultInvalidCredentials, test.text)
		})
	}
}

// SUDI data are the one proof that belongs to its session.
func TestSUDIData(t *testing.T) {
	s := newService(t, usual())
	made := allIssuers(t)
	s.trust.set(map[capf.CertificateKind][]*x509.Certificate{capf.MIC: {made.maker.certificate}})
	const name = "CP-7970G-" + device
	mic, sudi := leaf{issuer: made.maker, name: name}.make(t), leaf{issuer: made.maker, name: name, size: capf.RSA2048}.make(t)
	var earlier wire.Secret
	change := func(edit func(*wire.SUDIData)) func(*wire.AuthenticationResponse) {
		return func(r *wire.AuthenticationResponse) {
			data, err := wire.DecodeSUDIData(r.SUDIData)
			if err != nil {
				t.Error(err)
			}
			edit(&data)
			r.SUDIData = data.Encode()
		}
	}
	tests := []struct {
		name   string
		sudi   *phone.Identity
		change func(*wire.AuthenticationResponse)
		text   string // empty: accepted
	}{
		{"RSA", sudi, func(r *wire.AuthenticationResponse) { earlier = r.SUDIData }, ""},
		{"EC", mic, nil, ""},
		{"of an issuer that nobody trusts", leaf{issuer: made.curve, name: name}.make(t), nil, ""},
		{"none", nil, nil, ""},
		{"of the session before", sudi, func(r *wire.AuthenticationResponse) { r.SUDIData = earlier }, "SUDI data, SHA-1"},
		{"wrong SHA-1", sudi, change(func(d *wire.SUDIData) { d.SHA1 = flipped(d.SHA1) }), "SUDI data, SHA-1"},
		{"wrong SHA-512", mic, change(func(d *wire.SUDIData) { d.SHA512 = flipped(d.SHA512) }), "SUDI data, SHA-512"},
		{"another certificate", sudi, change(func(d *wire.SUDIData) { d.Certificate = mic.Certificate.Raw }), "SUDI data, SHA-1"},
		{"not a certificate", sudi, change(func(d *wire.SUDIData) { d.Certificate = []byte("certificate") }), "cannot be read"},
		{"of another phone", leaf{issuer: made.maker, name: "CP-7970G-SEP0011223344AB"}.make(t), nil, "the SUDI data are those of"},
		{"named as an LSC", leaf{issuer: made.maker, name: device}.make(t), nil, "the SUDI data are those of"},
		{"cut off", sudi, func(r *wire.AuthenticationResponse) { r.SUDIData = wire.NewSecret(r.SUDIData.Reveal()[:20]) }, "SUDI data"},
		{"empty", sudi, func(r *wire.AuthenticationResponse) { r.SUDIData = wire.NewSecret(nil) }, "0 records"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s.pendingByCertificate(device, capf.AuthByMIC, capf.OperationTroubleshoot)
			config := s.showing(device, capf.AuthByMIC, nil, mic)
			config.SUDI, config.OnAuthenticate = test.sudi, test.change
			if test.text == "" {
				s.checkAccepted(t, config)
				return
			}
			s.checkRefused(t, config, capf.ResultInvalidCredentials, test.text)
		})
	}
}
