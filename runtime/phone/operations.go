package phone

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" // digests of proofs
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"

	"capf/runtime/capf"
	"capf/runtime/wire"
)

// What the phone does when the server asks for it: show who it is, make keys, store, show and delete certificates.

// generateKey makes a key pair and sends its public key. The pair stays in memory: it replaces the one in
// flash only together with its certificate.
func (s *session) generateKey(ctx context.Context, m wire.Message) error {
	request, skipped, err := wire.Read[wire.KeyGenerationRequest](m)
	if err != nil {
		return err
	}
	s.skipped(skipped)
	s.outcome.Operation = capf.OperationInstall
	size, err := requestedSize(request, s.phone.config.Version)
	if err == nil && s.phone.config.KeySize != "" && size != s.phone.config.KeySize {
		err = fmt.Errorf("the phone makes keys of size %s, the server asks for %s", s.phone.config.KeySize, size)
	}
	if err != nil {
		return s.send(ctx, wire.KeyGenerationResponse{Reason: s.refuse(err)})
	}
	if err := s.send(ctx, wire.RequestInProgress{}); err != nil {
		return err
	}
	if err := s.phone.config.Sleep(ctx, s.phone.config.KeyGenerationTime); err != nil {
		return err
	}
	return s.sendPublicKey(ctx, size)
}

func (s *session) sendPublicKey(ctx context.Context, size capf.KeySize) error {
	key, err := s.phone.config.Keys(ctx, s.phone.config.Device, size)
	if err != nil {
		return s.send(ctx, wire.KeyGenerationResponse{Reason: s.refuse(fmt.Errorf("key generation: %w", err))})
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return s.send(ctx, wire.KeyGenerationResponse{Reason: s.refuse(fmt.Errorf("key generation: %w", err))})
	}
	s.key = key
	return s.send(ctx, wire.KeyGenerationResponse{PublicKey: public})
}

// storeCertificate puts a certificate into flash, if it is one for this phone and its new key, and only
// then says so.
func (s *session) storeCertificate(ctx context.Context, m wire.Message) error {
	request, skipped, err := wire.Read[wire.StoreCertificateRequest](m)
	if err != nil {
		return err
	}
	s.skipped(skipped)
	s.outcome.Operation = capf.OperationInstall
	certificate, err := s.checkCertificate(request)
	if err == nil {
		err = s.phone.config.Flash.StoreLSC(Identity{Certificate: certificate, Key: s.key})
	}
	if err != nil {
		return s.send(ctx, wire.StoreCertificateResponse{Reason: s.refuse(fmt.Errorf("store certificate: %w", err))})
	}
	s.key, s.outcome.Certificate, s.refusal = nil, certificate, nil
	err = s.send(ctx, wire.StoreCertificateResponse{Reason: wire.Some(wire.ReasonSuccess)})
	s.stored = certificate
	return err
}

// checkCertificate holds a certificate against what the phone asked for. Dates are not checked: the clock
// of a phone without registration is not to be relied on.
func (s *session) checkCertificate(request wire.StoreCertificateRequest) (*x509.Certificate, error) {
	if kind := request.CertificateType.Or(wire.CertificateLSC); kind != wire.CertificateLSC {
		return nil, fmt.Errorf("a certificate of type %v cannot be stored", kind)
	}
	if s.key == nil {
		return nil, errors.New("no key pair was made for it")
	}
	certificate, err := x509.ParseCertificate(request.Certificate)
	if err != nil {
		return nil, fmt.Errorf("it cannot be read: %w", err)
	}
	if name := certificate.Subject.CommonName; name != s.phone.config.Device {
		return nil, fmt.Errorf("it is for %q", name)
	}
	return certificate, belongs(certificate, s.key)
}

// fetchCertificate shows the LSC or the MIC. That a phone without the certificate asked for answers with
// reason 7 is a choice of the simulation: the reason is not known.
func (s *session) fetchCertificate(ctx context.Context, m wire.Message) error {
	request, skipped, err := wire.Read[wire.FetchCertificateRequest](m)
	if err != nil {
		return err
	}
	s.skipped(skipped)
	s.outcome.Operation = capf.OperationTroubleshoot
	kept, err := s.phone.identity(request.CertificateType.Or(wire.CertificateLSC))
	if err != nil {
		return s.send(ctx, wire.FetchCertificateResponse{Reason: s.refuse(err)})
	}
	if kept == nil {
		return s.send(ctx, wire.FetchCertificateResponse{Reason: wire.Some(wire.ReasonRefused)})
	}
	s.outcome.Certificate = kept.Certificate
	return s.send(ctx, wire.FetchCertificateResponse{
		Reason: wire.Some(wire.ReasonSuccess), Certificate: kept.Certificate.Raw})
}

// deleteCertificate removes the LSC; a MIC is never deleted. That a phone without an LSC answers with
// success is a choice of the simulation: a repeated request finds what it wants.
func (s *session) deleteCertificate(ctx context.Context, m wire.Message) error {
	request, skipped, err := wire.Read[wire.DeleteCertificateRequest](m)
	if err != nil {
		return err
	}
	s.skipped(skipped)
	s.outcome.Operation = capf.OperationDelete
	if kind := request.CertificateType.Or(wire.CertificateLSC); kind != wire.CertificateLSC {
		err = fmt.Errorf("a certificate of type %v cannot be deleted", kind)
	} else {
		err = s.phone.config.Flash.DeleteLSC()
	}
	if err != nil {
		return s.send(ctx, wire.DeleteCertificateResponse{Reason: s.refuse(fmt.Errorf("delete certificate: %w", err))})
	}
	return s.send(ctx, wire.DeleteCertificateResponse{Reason: wire.Some(wire.ReasonSuccess)})
}

// KeySource gives a device the key pair of the size that its server asked for. It must be safe for many
// phones at once.
type KeySource func(ctx context.Context, device string, size capf.KeySize) (crypto.Signer, error)

var curves = map[capf.KeySize]elliptic.Curve{
	capf.P256: elliptic.P256(), capf.P384: elliptic.P384(), capf.P521: elliptic.P521(),
}

// GenerateKey makes a new key pair, as a phone does.
func GenerateKey(ctx context.Context, _ string, size capf.KeySize) (crypto.Signer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if curve, is := curves[size]; is {
		return ecdsa.GenerateKey(curve, rand.Reader)
	}
	if size.Bits() == 0 {
		return nil, fmt.Errorf("key size %q is not known", size)
	}
	return rsa.GenerateKey(rand.Reader, size.Bits())
}

var curveSizes = map[wire.Curve]capf.KeySize{
	wire.CurveP256: capf.P256, wire.CurveP384: capf.P384, wire.CurveP521: capf.P521,
}

// requestedSize is what a key generation request asks for. A phone of version 2 is asked with the key size
// alone [C]; that it takes nothing else is a choice of the simulation, so that a server's mistake shows.
func requestedSize(request wire.KeyGenerationRequest, version uint8) (capf.KeySize, error) {
	if version <= wire.Version2 && (request.KeyType.Present || request.Curve.Present) {
		return "", fmt.Errorf("a phone of protocol version %d is asked for a key type", version)
	}
	switch kind := request.KeyType.Or(wire.KeyRSA); {
	case kind == wire.KeyEC && request.Curve.Present:
		if size, known := curveSizes[request.Curve.Value]; known {
			return size, nil
		}
		return "", fmt.Errorf("%v is not known", request.Curve.Value)
	case kind == wire.KeyRSA && request.KeySize.Present:
		var size capf.KeySize
		if err := size.UnmarshalText(fmt.Append(nil, request.KeySize.Value)); err != nil {
			return "", err
		}
		return size, nil
	default:
		return "", fmt.Errorf("a key of type %v is asked for without its size or curve, or is not known", kind)
	}
}

// identity is the phone's certificate of a type with its key, nil where it has none.
func (p *Phone) identity(kind wire.CertificateType) (*Identity, error) {
	switch kind {
	case wire.CertificateLSC:
		return p.config.Flash.LSC()
	case wire.CertificateMIC:
		return p.config.MIC, nil
	}
	return nil, nil
}

// precedence are the types of certificate by which a phone authenticates, the first that it has (B2).
var precedence = map[capf.AuthMode][]wire.CertificateType{
	capf.AuthByLSC: {wire.CertificateLSC, wire.CertificateMIC},
	capf.AuthByMIC: {wire.CertificateMIC, wire.CertificateLSC},
}

// showCertificate adds the certificate by which the phone authenticates, with the proofs that it has the
// key, and SUDI data where it has some. Without a certificate, and in the other modes, it adds nothing.
func (s *session) showCertificate(response *wire.AuthenticationResponse) error {
	for _, kind := range precedence[s.chosen.mode] {
		shown, err := s.phone.identity(kind)
		if err != nil {
			return err
		}
		if shown == nil {
			continue
		}
		s.phone.config.Log.Debug("certificate shown", "device", s.phone.config.Device, "type", kind)
		if err := prove(response, shown); err != nil {
			return fmt.Errorf("proof that the phone has the key of its %v: %w", kind, err)
		}
		return s.showSUDI(response)
	}
	return nil
}

// prove adds a certificate and two proofs that the phone has its key, both over the device name, one NUL
// byte and the DER: with SHA-1 and with SHA-512 [P]. A 512-bit key makes the first alone.
func prove(response *wire.AuthenticationResponse, shown *Identity) (err error) {
	response.Certificate = shown.Certificate.Raw
	signed := append(append([]byte(response.DeviceName), 0), shown.Certificate.Raw...)
	if response.SignedData, err = sign(shown.Key, crypto.SHA1, signed); err != nil || !hasRoom(shown.Key, crypto.SHA512) {
		return err
	}
	signature, err := sign(shown.Key, crypto.SHA512, signed)
	response.SHA2SignedData = wire.SHA2SignedData{Hash: wire.HashSHA512, Signature: signature}.Encode()
	return err
}

// showSUDI adds the certificate of the secure unique device identifier and two signatures over the session
// ID, as four little-endian bytes, and that certificate [P].
func (s *session) showSUDI(response *wire.AuthenticationResponse) (err error) {
	sudi := s.phone.config.SUDI
	if sudi == nil {
		return nil
	}
	data := wire.SUDIData{Certificate: sudi.Certificate.Raw}
	signed := append(binary.LittleEndian.AppendUint32(nil, s.id), sudi.Certificate.Raw...)
	if data.SHA1, err = sign(sudi.Key, crypto.SHA1, signed); err != nil {
		return fmt.Errorf("SUDI data: %w", err)
	}
	if data.SHA512, err = sign(sudi.Key, crypto.SHA512, signed); err != nil {
		return fmt.Errorf("SUDI data: %w", err)
	}
	response.SUDIData = data.Encode()
	return nil
}

// pkcs1Overhead is what padding of PKCS #1 type 1 needs at least, in bytes (RFC 8017, 9.2).
const pkcs1Overhead = 11

// hasRoom says whether a digest fits into a signature of the key.
func hasRoom(key crypto.Signer, hash crypto.Hash) bool {
	public, is := key.Public().(*rsa.PublicKey)
	return !is || public.Size() >= hash.Size()+pkcs1Overhead
}

// sign signs the digest of some bytes. With RSA the padding of PKCS #1 type 1 stands directly around the
// digest, without DigestInfo, which is what crypto.Hash(0) means; with EC it is an ordinary ECDSA signature
// in ASN.1 [P].
func sign(key crypto.Signer, hash crypto.Hash, signed []byte) (wire.Secret, error) {
	digest := hash.New()
	digest.Write(signed)
	signature, err := key.Sign(rand.Reader, digest.Sum(nil), crypto.Hash(0))
	if err != nil {
		return wire.Secret{}, err
	}
	return wire.NewSecret(signature), nil
}
