package wire

import "fmt"

// AuthenticationRequest (command 1, server) opens a session. [C]
type AuthenticationRequest struct {
	Version            Optional[uint8]
	AuthenticationType Optional[AuthenticationType] // absent from CallManager and IOS, 0 in the recordings
}

// DecodeAuthenticationRequest reads the view, and the elements that it has no place for.
func DecodeAuthenticationRequest(m Message) (AuthenticationRequest, []Element, error) {
	f := fieldsOf(m, CommandAuthenticationRequest, TagVersion, TagAuthenticationType)
	return finish(f, AuthenticationRequest{
		Version:            number8[uint8](f, TagVersion),
		AuthenticationType: number8[AuthenticationType](f, TagAuthenticationType),
	})
}

// Message writes the view.
func (r AuthenticationRequest) Message(sessionID uint32) Message {
	var b builder
	add8(&b, TagVersion, r.Version)
	add8(&b, TagAuthenticationType, r.AuthenticationType)
	return b.message(CommandAuthenticationRequest, sessionID)
}

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

// DecodeAuthenticationResponse reads the view, and the elements that it has no place for.
func DecodeAuthenticationResponse(m Message) (AuthenticationResponse, []Element, error) {
	f := fieldsOf(m, CommandAuthenticationResponse, TagReason, TagVersion, TagPassword, TagDeviceName,
		TagCertificate, TagSignedData, TagSUDIData, TagSHA2SignedData)
	return finish(f, AuthenticationResponse{
		Reason:         number8[Reason](f, TagReason),
		Version:        number8[uint8](f, TagVersion),
		Password:       f.password(),
		DeviceName:     f.deviceName(),
		Certificate:    f.certificate(),
		SignedData:     f.secret(TagSignedData),
		SUDIData:       f.secret(TagSUDIData),
		SHA2SignedData: f.secret(TagSHA2SignedData),
	})
}

func (f *fields) password() Secret {
	if !f.present[TagPassword] {
		return Secret{}
	}
	return NewSecret(f.text(TagPassword))
}

// deviceName refuses what could disturb a log or a terminal; what a device may be called is for the caller.
func (f *fields) deviceName() string {
	name := f.text(TagDeviceName)
	if len(name) == 0 {
		f.fail(TagDeviceName, "missing")
	}
	for i, c := range name {
		if c < ' ' || c > '~' {
			f.fail(TagDeviceName, "character %d is 0x%02x, not printable ASCII", i+1, c)
		}
	}
	return string(name)
}

// Message writes the view. Password and device name must hold no NUL: they end there for the reader.
func (r AuthenticationResponse) Message(sessionID uint32) Message {
	var b builder
	add8(&b, TagReason, r.Reason)
	add8(&b, TagVersion, r.Version)
	if r.Password.Present() {
		b.add(TagPassword, terminated(r.Password.Reveal()))
	}
	b.add(TagDeviceName, terminated([]byte(r.DeviceName)))
	b.addCertificate(r.Certificate)
	b.addSecret(TagSignedData, r.SignedData)
	b.addSecret(TagSUDIData, r.SUDIData)
	b.addSecret(TagSHA2SignedData, r.SHA2SignedData)
	return b.message(CommandAuthenticationResponse, sessionID)
}

func terminated(text []byte) []byte { return append(append(make([]byte, 0, len(text)+1), text...), 0) }

// malformedProof is a proof of possession that cannot be read.
func malformedProof(tag Tag, format string, arguments ...any) error {
	return &MalformedError{Command: CommandAuthenticationResponse, Tag: tag,
		Problem: fmt.Sprintf(format, arguments...)}
}
