package phone

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" // digests of proofs
	_ "crypto/sha512"
	"encoding/binary"
	"fmt"

	"capf/runtime/capf"
	"capf/runtime/wire"
)

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
