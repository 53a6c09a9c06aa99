package wire

import "fmt"

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

// DecodeKeyGenerationRequest reads the view, and the elements that it has no place for.
func DecodeKeyGenerationRequest(m Message) (KeyGenerationRequest, []Element, error) {
	f := fieldsOf(m, CommandKeyGenerationRequest, TagKeySize, TagKeyType, TagCurve)
	return finish(f, KeyGenerationRequest{
		KeySize: f.number16(TagKeySize),
		KeyType: number8[KeyType](f, TagKeyType),
		Curve:   number8[Curve](f, TagCurve),
	})
}

// Message writes the view.
func (r KeyGenerationRequest) Message(sessionID uint32) Message {
	var b builder
	b.add16(TagKeySize, r.KeySize)
	add8(&b, TagKeyType, r.KeyType)
	add8(&b, TagCurve, r.Curve)
	return b.message(CommandKeyGenerationRequest, sessionID)
}

// KeyGenerationResponse (command 4, phone) brings the public key, or the reason why there is none. [C]
type KeyGenerationResponse struct {
	Reason    Optional[Reason]
	PublicKey []byte // DER SubjectPublicKeyInfo, not parsed; nil where missing
}

// DecodeKeyGenerationResponse reads the view, and the elements that it has no place for. A response with
// neither a public key nor a reason is malformed.
func DecodeKeyGenerationResponse(m Message) (KeyGenerationResponse, []Element, error) {
	f := fieldsOf(m, CommandKeyGenerationResponse, TagReason, TagPublicKey)
	if f.present[TagPublicKey] && len(f.values[TagPublicKey]) == 0 {
		f.fail(TagPublicKey, "empty")
	}
	if !f.present[TagPublicKey] && !f.present[TagReason] {
		f.fail(TagPublicKey, "missing, and no reason given")
	}
	return finish(f, KeyGenerationResponse{
		Reason:    number8[Reason](f, TagReason),
		PublicKey: f.values[TagPublicKey],
	})
}

// Message writes the view.
func (r KeyGenerationResponse) Message(sessionID uint32) Message {
	var b builder
	add8(&b, TagReason, r.Reason)
	if r.PublicKey != nil {
		b.add(TagPublicKey, r.PublicKey)
	}
	return b.message(CommandKeyGenerationResponse, sessionID)
}

// RequestInProgress (command 17, phone) comes while keys are generated, any number of times. [P]
type RequestInProgress struct{}

// DecodeRequestInProgress checks the command; all elements are reported as having no place.
func DecodeRequestInProgress(m Message) (RequestInProgress, []Element, error) {
	return finish(fieldsOf(m, CommandRequestInProgress), RequestInProgress{})
}

// Message writes the view.
func (RequestInProgress) Message(sessionID uint32) Message {
	return Message{Command: CommandRequestInProgress, SessionID: sessionID}
}
