package ca

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"net/url"
	"runtime"
	"sync"
	"time"

	"capf/runtime/capf"
)

// Issue signs the public key of a phone (A2). The certificate names the device, carries O and OU of the
// CAPF certificate, and is never valid longer than that. It gives the DER; nothing is stored here.
func (a *Authority) Issue(ctx context.Context, request capf.LSCRequest) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	template, err := a.leafTemplate(request)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(a.random, template, a.Certificate, request.PublicKey, working(a.signer))
	if err != nil {
		return nil, fmt.Errorf("sign the LSC of %s: %w", request.Device, err)
	}
	return der, nil
}

func (a *Authority) leafTemplate(request capf.LSCRequest) (*x509.Certificate, error) {
	now, err := a.now()
	if err != nil {
		return nil, err
	}
	serial, err := newSerial(a.random)
	if err != nil {
		return nil, err
	}
	keyID, err := keyIdentifier(request.PublicKey)
	if err != nil {
		return nil, err
	}
	usage, err := leafUsage(request)
	if err != nil {
		return nil, err
	}
	algorithm, err := signatureAlgorithm(request.Hash)
	if err != nil {
		return nil, err
	}
	notBefore := now.Add(-backdate)
	return &x509.Certificate{
		SerialNumber: serial,
		Subject: pkix.Name{CommonName: request.Device, Organization: a.Certificate.Subject.Organization,
			OrganizationalUnit: a.Certificate.Subject.OrganizationalUnit},
		NotBefore: later(notBefore, a.Certificate.NotBefore), NotAfter: earlier(request.Parameters.NotAfter(notBefore), a.Certificate.NotAfter),
		KeyUsage: usage,
		// D2: TLS server, TLS client, IPSec end system.
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageIPSECEndSystem},
		BasicConstraintsValid: true,
		SubjectKeyId:          keyID,
		// The device name alone stands as the URI, as in the recording install-rsa1024-authentication-string.
		URIs:               []*url.URL{{Path: request.Device}},
		SignatureAlgorithm: algorithm,
	}, nil
}

// signatureAlgorithm gives how an LSC is signed; the CAPF key is RSA. SHA-1 can be forged by who finds two
// certificates with one hash, so the serial number, which an applicant cannot foresee, stands before all that he
// chooses.
func signatureAlgorithm(hash capf.SignatureHash) (x509.SignatureAlgorithm, error) {
	switch hash {
	case "", capf.HashSHA256:
		return x509.SHA256WithRSA, nil
	case capf.HashSHA1:
		return x509.SHA1WithRSA, nil
	}
	return 0, &capf.Error{Code: capf.CodeInvalid, Message: fmt.Sprintf("hash %q of the LSC's signature", hash), Hint: "use sha256 or sha1"}
}

// now gives the time, in whole seconds; CodeUnavailable where the CAPF certificate is not valid then.
func (a *Authority) now() (time.Time, error) {
	now := a.clock().UTC().Truncate(time.Second)
	if now.After(a.Certificate.NotAfter) || now.Before(a.Certificate.NotBefore) {
		return time.Time{}, &capf.Error{Code: capf.CodeUnavailable,
			Message: fmt.Sprintf("the CAPF certificate %s is valid from %s to %s, and the clock here says %s", a.Name(),
				capf.FormatTime(a.Certificate.NotBefore), capf.FormatTime(a.Certificate.NotAfter), capf.FormatTime(now)),
			Hint: "check the clock of this machine"}
	}
	return now, nil
}

func leafUsage(request capf.LSCRequest) (x509.KeyUsage, error) {
	switch request.PublicKey.(type) {
	case *rsa.PublicKey:
		return x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, nil
	case *ecdsa.PublicKey:
		return x509.KeyUsageDigitalSignature | x509.KeyUsageKeyAgreement, nil
	}
	return 0, &capf.Error{Code: capf.CodeRefused, Message: fmt.Sprintf("%s: a public key that is neither RSA nor EC", request.Device)}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// crew does the operations with private keys: as many goroutines as there are cores, for all authorities of the
// process. The arithmetic of RSA wants more stack than all the rest of a session. Done here it leaves the
// goroutines of thousands of waiting phones small, and no session begins by growing its own.
var crew = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	for range runtime.GOMAXPROCS(0) {
		go func() {
			for do := range work {
				do()
			}
		}()
	}
	return work
})

// byCrew has one operation done and waits for it. A panic in it is its error: it must not end the process.
func byCrew(operation func() ([]byte, error)) (out []byte, err error) {
	done := make(chan struct{})
	crew() <- func() {
		defer close(done)
		defer func() {
			if problem := recover(); problem != nil {
				out, err = nil, fmt.Errorf("private key operation: %v", problem)
			}
		}()
		out, err = operation()
	}
	<-done
	return out, err
}

// crewKey is an RSA key of which the crew does the work. It is a crypto.Signer, and a crypto.Decrypter for the
// RSA key exchange of old phones.
type crewKey struct{ key *rsa.PrivateKey }

// working gives the form of a key that the service works with. A key that is not held by this process (in a
// token) does its work elsewhere and stays as it is.
func working(signer crypto.Signer) crypto.Signer {
	if key, ok := signer.(*rsa.PrivateKey); ok {
		return crewKey{key}
	}
	return signer
}

func (k crewKey) Public() crypto.PublicKey { return k.key.Public() }

func (k crewKey) Sign(random io.Reader, digest []byte, options crypto.SignerOpts) ([]byte, error) {
	return byCrew(func() ([]byte, error) { return k.key.Sign(random, digest, options) })
}

func (k crewKey) Decrypt(random io.Reader, message []byte, options crypto.DecrypterOpts) ([]byte, error) {
	return byCrew(func() ([]byte, error) { return k.key.Decrypt(random, message, options) })
}
