package session

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	_ "crypto/sha256" // digests of proofs
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"capf/runtime/capf"
	"capf/runtime/wire"
)

// Authentication by existing certificate.

// Trust gives the certificates by which those of phones are verified. LSCs: CAPF's own, past ones included,
// and those that an administrator or a migration added. MICs: the manufacturer's CAs. Never one kind by the
// other's.
type Trust interface {
	Anchors(ctx context.Context, kind capf.CertificateKind) ([]*x509.Certificate, error)
}

// authenticateByCertificate checks the LSC or MIC that the phone shows: that it is the phone's own, issued
// by an anchor of its kind, in its time, not revoked, that the phone has its key, and that the precedence of
// the mode allows it (B2).
func (s *session) authenticateByCertificate(ctx context.Context, response wire.AuthenticationResponse) error {
	if response.Certificate == nil {
		return s.refuse(ctx, capf.ResultInvalidCredentials, "the phone showed no certificate")
	}
	certificate, err := x509.ParseCertificate(response.Certificate)
	if err != nil {
		return s.refuse(ctx, capf.ResultInvalidCredentials, "the phone showed a certificate that cannot be read")
	}
	kind, own := capf.KindOf(certificate, s.device)
	if !own {
		return s.refuse(ctx, capf.ResultInvalidCredentials, fmt.Sprintf("the phone showed a certificate of %.80q", certificate.Subject.CommonName))
	}
	anchors, err := s.server.Trust.Anchors(ctx, kind)
	if err != nil {
		return err
	}
	anchor, err := capf.VerifyChain(certificate, anchors, s.server.Clock())
	if err != nil {
		return s.refuse(ctx, invalid[kind], fmt.Sprintf("the phone's %s: %v", nameOf(kind), err))
	}
	if err := checkProofs(response, certificate); err != nil {
		return s.refuse(ctx, capf.ResultInvalidCredentials, err.Error())
	}
	if err := s.checkIdentifier(ctx, response); err != nil {
		return s.refuse(ctx, capf.ResultInvalidCredentials, err.Error())
	}
	return s.checkAgainstStore(ctx, certificate, anchor, kind)
}

var invalid = map[capf.CertificateKind]capf.Result{capf.LSC: capf.ResultInvalidLSC, capf.MIC: capf.ResultInvalidMIC}

// checkIdentifier verifies SUDI data where the phone sent some. That no anchor issued its certificate is no
// reason to refuse: it adds nothing then, as if it had not been sent.
func (s *session) checkIdentifier(ctx context.Context, response wire.AuthenticationResponse) error {
	if !response.SUDIData.Present() {
		return nil
	}
	certificate, err := checkSUDI(response.SUDIData, s.id)
	if err != nil {
		return err
	}
	anchors, err := s.server.Trust.Anchors(ctx, capf.MIC)
	if err != nil {
		return err
	}
	if _, err := capf.VerifyChain(certificate, anchors, s.server.Clock()); err != nil {
		s.log.Info("SUDI data from an issuer that is not trusted", "error", err)
		return nil
	}
	if kind, own := capf.KindOf(certificate, s.device); !own || kind != capf.MIC {
		return fmt.Errorf("the SUDI data are those of %.80q", certificate.Subject.CommonName)
	}
	return nil
}

// checkAgainstStore refuses a revoked certificate, and the one kind where a valid certificate of the other
// is known and has precedence. What passes is remembered, for the store to judge again with each step of the operation.
func (s *session) checkAgainstStore(ctx context.Context, certificate, anchor *x509.Certificate, kind capf.CertificateKind) error {
	presented, err := capf.ReadCertificate(certificate.Raw)
	if err != nil {
		return err
	}
	presented.Device, presented.Kind = s.device, kind
	revoked := false
	var preferred []capf.Certificate // of the kind that has precedence
	err = s.server.Operations.Certificates(ctx, s.device, func(known capf.Certificate) error {
		revoked = revoked || known.State == capf.CertificateRevoked && isSame(known, presented)
		if known.Kind == preferredKind(s.phone.Last.AuthMode) && known.State == capf.CertificateConfirmed {
			preferred = append(preferred, known)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if revoked {
		return s.refuse(ctx, invalid[kind], fmt.Sprintf("the phone's %s is revoked", nameOf(kind)))
	}
	if err := s.checkPrecedence(ctx, kind, preferred); err != nil {
		return err
	}
	s.presented = &capf.Presented{Certificate: presented, Anchor: capf.HexSHA256(anchor.Raw)}
	return nil
}

// credential gives what the phone authenticated by, for the store to judge; nil for the other modes. CAPF's
// certificate in force is no anchor of the store, and becomes one before a successor takes its place.
func (s *session) credential() *capf.Presented {
	if s.presented == nil {
		return nil
	}
	judged := *s.presented
	if own, _ := s.server.identities().Current(); capf.HexSHA256(own.Certificate[0]) == judged.Anchor {
		judged.Anchor = ""
	}
	return &judged
}

// isSame compares by what the issuer has signed. The bytes around it, an ECDSA signature above all, can be
// changed by anybody so that they still verify; a revoked certificate must not get by in that way.
func isSame(a, b capf.Certificate) bool {
	return a.Kind == b.Kind && a.Serial == b.Serial && a.KeySHA256 == b.KeySHA256
}

// checkPrecedence refuses a certificate of the other kind where one of those known of the preferred kind is
// valid, unless the phone is known to hold none any more.
func (s *session) checkPrecedence(ctx context.Context, kind capf.CertificateKind, known []capf.Certificate) error {
	preferred := preferredKind(s.phone.Last.AuthMode)
	if kind == preferred || preferred == capf.LSC && s.phone.LSCKnown == capf.LSCNone || preferred == capf.MIC && s.phone.MIC == capf.MICNone {
		return nil
	}
	anchors, err := s.server.Trust.Anchors(ctx, preferred)
	if err != nil {
		return err
	}
	for _, one := range known {
		certificate, err := x509.ParseCertificate(one.DER)
		if err != nil {
			continue // of an older CAPF, perhaps: nobody could show it here
		}
		if _, err := capf.VerifyChain(certificate, anchors, s.server.Clock()); err == nil {
			return s.refuse(ctx, capf.ResultInvalidCredentials, fmt.Sprintf(
				"the phone showed its %s, but a valid %s of it is known and has precedence: change the authentication mode to let the other in",
				nameOf(kind), nameOf(preferred)))
		}
	}
	return nil
}

func nameOf(kind capf.CertificateKind) string { return strings.ToUpper(string(kind)) }

func preferredKind(mode capf.AuthMode) capf.CertificateKind {
	if mode == capf.AuthByMIC {
		return capf.MIC
	}
	return capf.LSC
}

// checkProofs verifies that the phone has the private key of the certificate that it shows: elements 6 and
// 20, each where it is there, at least one of them. Both are over device name, one NUL byte and the DER [P].
func checkProofs(response wire.AuthenticationResponse, certificate *x509.Certificate) error {
	if !response.SignedData.Present() && !response.SHA2SignedData.Present() {
		return errors.New("no proof that the phone has the private key")
	}
	signed := append([]byte(response.DeviceName), 0)
	signed = append(signed, certificate.Raw...)
	if response.SignedData.Present() {
		if err := checkSignature(certificate, crypto.SHA1, signed, response.SignedData); err != nil {
			return fmt.Errorf("signed data: %w", err)
		}
	}
	if !response.SHA2SignedData.Present() {
		return nil
	}
	proof, err := wire.DecodeSHA2SignedData(response.SHA2SignedData)
	if err != nil {
		return err
	}
	hash, known := hashes[proof.Hash]
	if !known {
		return fmt.Errorf("SHA-2 signed data: hash algorithm %d is not known", proof.Hash)
	}
	if err := checkSignature(certificate, hash, signed, proof.Signature); err != nil {
		return fmt.Errorf("SHA-2 signed data: %w", err)
	}
	return nil
}

var hashes = map[wire.HashAlgorithm]crypto.Hash{wire.HashSHA1: crypto.SHA1, wire.HashSHA256: crypto.SHA256, wire.HashSHA512: crypto.SHA512}

// checkSignature verifies one signature. With RSA the padding of PKCS #1 type 1 stands directly around the
// bare digest, without DigestInfo [P], which is what crypto.Hash(0) means; a key of 512 bits has room for
// SHA-1 only.
func checkSignature(certificate *x509.Certificate, hash crypto.Hash, signed []byte, signature wire.Secret) error {
	digest := hash.New()
	digest.Write(signed)
	switch key := certificate.PublicKey.(type) {
	case *rsa.PublicKey:
		if rsa.VerifyPKCS1v15(key, crypto.Hash(0), digest.Sum(nil), signature.Reveal()) == nil {
			return nil
		}
	case *ecdsa.PublicKey:
		if ecdsa.VerifyASN1(key, digest.Sum(nil), signature.Reveal()) {
			return nil
		}
	}
	return errors.New("the signature is not that of the certificate's key")
}

// checkSUDI verifies the data of the secure unique device identifier: two signatures over the session ID,
// as four little-endian bytes, and its certificate [P]. It is the one proof that cannot be replayed.
func checkSUDI(data wire.Secret, sessionID uint32) (*x509.Certificate, error) {
	sudi, err := wire.DecodeSUDIData(data)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(sudi.Certificate)
	if err != nil {
		return nil, errors.New("the certificate in the SUDI data cannot be read")
	}
	signed := binary.LittleEndian.AppendUint32(nil, sessionID)
	signed = append(signed, certificate.Raw...)
	if err := checkSignature(certificate, crypto.SHA1, signed, sudi.SHA1); err != nil {
		return nil, fmt.Errorf("SUDI data, SHA-1: %w", err)
	}
	if err := checkSignature(certificate, crypto.SHA512, signed, sudi.SHA512); err != nil {
		return nil, fmt.Errorf("SUDI data, SHA-512: %w", err)
	}
	return certificate, nil
}
