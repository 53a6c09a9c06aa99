package session

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	_ "crypto/sha256" // digests of proofs
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"

	"capf/runtime/wire"
)

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
