package wire

import (
	"errors"
	"fmt"
)

// The views, one for each message whose layout is known, in the order of a session. [Read] reads them,
// their method Message writes them.

// AuthenticationRequest (command 1, server) opens a session. [C]
type AuthenticationRequest struct {
	Version            Optional[uint8]
	AuthenticationType Optional[AuthenticationType] // absent from CallManager and IOS, 0 in the recordings
}

func (r *AuthenticationRequest) layout() (Command, []field) {
	return CommandAuthenticationRequest, []field{
		number8(TagVersion, &r.Version),
		number8(TagAuthenticationType, &r.AuthenticationType),
	}
}

// Message writes the view.
func (r AuthenticationRequest) Message(sessionID uint32) Message { return write(&r, sessionID) }

// AuthenticationResponse (command 2, phone) says which phone it is, and proves it. Only the device name
// must be there: an IOS server was answered without a password under null string [C]. The certificate and
// the proofs of possession come with authentication by an existing certificate [P].
type AuthenticationResponse struct {
	Reason         Optional[Reason]
	Version        Optional[uint8]
	Password       Secret // the authentication string without its NUL; empty or missing under null string
	DeviceName     string // 1 to MaxText printable ASCII characters; nothing else is checked here
	Certificate    []byte // DER, not parsed; nil where missing
	SignedData     Secret
	SUDIData       Secret // see DecodeSUDIData
	SHA2SignedData Secret // see DecodeSHA2SignedData
}

func (r *AuthenticationResponse) layout() (Command, []field) {
	return CommandAuthenticationResponse, []field{
		number8(TagReason, &r.Reason),
		number8(TagVersion, &r.Version),
		password(&r.Password),
		deviceName(&r.DeviceName),
		certificate(&r.Certificate),
		secret(TagSignedData, &r.SignedData),
		secret(TagSUDIData, &r.SUDIData),
		secret(TagSHA2SignedData, &r.SHA2SignedData),
	}
}

// Message writes the view. Password and device name must hold no NUL: they end there for the reader.
func (r AuthenticationResponse) Message(sessionID uint32) Message { return write(&r, sessionID) }

// KeyGenerationRequest (command 3, server) has the phone make a key pair. [C]
type KeyGenerationRequest struct {
	KeySize Optional[uint16] // bits of an RSA key
	KeyType Optional[KeyType]
	Curve   Optional[Curve]
}

// RSAKeyRequest asks for an RSA key of that many bits. A phone that answered version 2 or less gets the
// key size alone [C].
func RSAKeyRequest(version uint8, bits uint16) KeyGenerationRequest {
	if version <= Version2 {
		return KeyGenerationRequest{KeySize: Some(bits)}
	}
	return KeyGenerationRequest{KeySize: Some(bits), KeyType: Some(KeyRSA)}
}

// ECKeyRequest asks for an EC key. A phone that answered version 2 or less cannot be asked for one.
func ECKeyRequest(version uint8, curve Curve) (KeyGenerationRequest, error) {
	if version <= Version2 {
		return KeyGenerationRequest{}, fmt.Errorf("a phone of protocol version %d cannot be asked for an EC key: "+
			"choose an RSA key size", version)
	}
	return KeyGenerationRequest{KeyType: Some(KeyEC), Curve: Some(curve)}, nil
}

func (r *KeyGenerationRequest) layout() (Command, []field) {
	return CommandKeyGenerationRequest, []field{
		number16(TagKeySize, &r.KeySize),
		number8(TagKeyType, &r.KeyType),
		number8(TagCurve, &r.Curve),
	}
}

// Message writes the view.
func (r KeyGenerationRequest) Message(sessionID uint32) Message { return write(&r, sessionID) }

// KeyGenerationResponse (command 4, phone) brings the public key, or the reason why there is none: without
// either it is malformed. [C]
type KeyGenerationResponse struct {
	Reason    Optional[Reason]
	PublicKey []byte // DER SubjectPublicKeyInfo, not parsed; nil where missing
}

func (r *KeyGenerationResponse) layout() (Command, []field) {
	key := publicKey(&r.PublicKey)
	key.absent = func() error {
		if r.Reason.Present {
			return nil
		}
		return errors.New("missing, and no reason given")
	}
	return CommandKeyGenerationResponse, []field{number8(TagReason, &r.Reason), key}
}

// Message writes the view.
func (r KeyGenerationResponse) Message(sessionID uint32) Message { return write(&r, sessionID) }

// RequestInProgress (command 17, phone) comes while keys are generated, any number of times. [P]
type RequestInProgress struct{}

func (*RequestInProgress) layout() (Command, []field) { return CommandRequestInProgress, nil }

// Message writes the view.
func (r RequestInProgress) Message(sessionID uint32) Message { return write(&r, sessionID) }

// StoreCertificateRequest (command 9, server) brings the new certificate to the phone. [C]
type StoreCertificateRequest struct {
	CertificateType Optional[CertificateType]
	Certificate     []byte // DER, not parsed; must be there
}

func (r *StoreCertificateRequest) layout() (Command, []field) {
	stored := certificate(&r.Certificate)
	stored.absent = missing
	return CommandStoreCertificateRequest, []field{
		number8(TagCertificateType, &r.CertificateType),
		stored,
	}
}

// Message writes the view.
func (r StoreCertificateRequest) Message(sessionID uint32) Message { return write(&r, sessionID) }

// StoreCertificateResponse (command 10, phone) says with reason 1 that the certificate is stored. [C]
type StoreCertificateResponse struct {
	Reason Optional[Reason]
}

func (r *StoreCertificateResponse) layout() (Command, []field) {
	return CommandStoreCertificateResponse, []field{number8(TagReason, &r.Reason)}
}

// Message writes the view.
func (r StoreCertificateResponse) Message(sessionID uint32) Message { return write(&r, sessionID) }

// FetchCertificateRequest (command 11, server) asks for a certificate; without a type, for the LSC. [P]
type FetchCertificateRequest struct {
	CertificateType Optional[CertificateType]
}

func (r *FetchCertificateRequest) layout() (Command, []field) {
	return CommandFetchCertificateRequest, []field{number8(TagCertificateType, &r.CertificateType)}
}

// Message writes the view.
func (r FetchCertificateRequest) Message(sessionID uint32) Message { return write(&r, sessionID) }

// FetchCertificateResponse (command 12, phone) brings the certificate, or the reason why there is none. [P]
type FetchCertificateResponse struct {
	Reason      Optional[Reason]
	Certificate []byte // DER, not parsed; nil where missing
}

func (r *FetchCertificateResponse) layout() (Command, []field) {
	return CommandFetchCertificateResponse, []field{
		number8(TagReason, &r.Reason),
		certificate(&r.Certificate),
	}
}

// Message writes the view.
func (r FetchCertificateResponse) Message(sessionID uint32) Message { return write(&r, sessionID) }

// DeleteCertificateRequest (command 13, server) has the phone delete its LSC. The recording and an IOS
// server send it without a type [C].
type DeleteCertificateRequest struct {
	CertificateType Optional[CertificateType]
}

func (r *DeleteCertificateRequest) layout() (Command, []field) {
	return CommandDeleteCertificateRequest, []field{number8(TagCertificateType, &r.CertificateType)}
}

// Message writes the view.
func (r DeleteCertificateRequest) Message(sessionID uint32) Message { return write(&r, sessionID) }

// DeleteCertificateResponse (command 14, phone) says with reason 1 that the certificate is deleted. [P]
type DeleteCertificateResponse struct {
	Reason Optional[Reason]
}

func (r *DeleteCertificateResponse) layout() (Command, []field) {
	return CommandDeleteCertificateResponse, []field{number8(TagReason, &r.Reason)}
}

// Message writes the view.
func (r DeleteCertificateResponse) Message(sessionID uint32) Message { return write(&r, sessionID) }

// EndSession (command 15, server) is the last message of a session. [C]
type EndSession struct {
	Reason Optional[Reason]
}

func (r *EndSession) layout() (Command, []field) {
	return CommandEndSession, []field{number8(TagReason, &r.Reason)}
}

// Message writes the view.
func (r EndSession) Message(sessionID uint32) Message { return write(&r, sessionID) }
