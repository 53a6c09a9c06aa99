package wire

// StoreCertificateRequest (command 9, server) brings the new certificate to the phone. [C]
type StoreCertificateRequest struct {
	CertificateType Optional[CertificateType]
	Certificate     []byte // DER, not parsed; must be there
}

// DecodeStoreCertificateRequest reads the view, and the elements that it has no place for.
func DecodeStoreCertificateRequest(m Message) (StoreCertificateRequest, []Element, error) {
	f := fieldsOf(m, CommandStoreCertificateRequest, TagCertificateType, TagCertificate)
	if !f.present[TagCertificate] {
		f.fail(TagCertificate, "missing")
	}
	return finish(f, StoreCertificateRequest{
		CertificateType: number8[CertificateType](f, TagCertificateType),
		Certificate:     f.certificate(),
	})
}

// Message writes the view.
func (r StoreCertificateRequest) Message(sessionID uint32) Message {
	var b builder
	add8(&b, TagCertificateType, r.CertificateType)
	b.addCertificate(r.Certificate)
	return b.message(CommandStoreCertificateRequest, sessionID)
}

// StoreCertificateResponse (command 10, phone) says with reason 1 that the certificate is stored. [C]
type StoreCertificateResponse struct {
	Reason Optional[Reason]
}

// DecodeStoreCertificateResponse reads the view, and the elements that it has no place for.
func DecodeStoreCertificateResponse(m Message) (StoreCertificateResponse, []Element, error) {
	f := fieldsOf(m, CommandStoreCertificateResponse, TagReason)
	return finish(f, StoreCertificateResponse{Reason: number8[Reason](f, TagReason)})
}

// Message writes the view.
func (r StoreCertificateResponse) Message(sessionID uint32) Message {
	return reasonMessage(CommandStoreCertificateResponse, sessionID, r.Reason)
}

// FetchCertificateRequest (command 11, server) asks for a certificate; without a type, for the LSC. [P]
type FetchCertificateRequest struct {
	CertificateType Optional[CertificateType]
}

// DecodeFetchCertificateRequest reads the view, and the elements that it has no place for.
func DecodeFetchCertificateRequest(m Message) (FetchCertificateRequest, []Element, error) {
	f := fieldsOf(m, CommandFetchCertificateRequest, TagCertificateType)
	return finish(f, FetchCertificateRequest{CertificateType: number8[CertificateType](f, TagCertificateType)})
}

// Message writes the view.
func (r FetchCertificateRequest) Message(sessionID uint32) Message {
	return typeMessage(CommandFetchCertificateRequest, sessionID, r.CertificateType)
}

// FetchCertificateResponse (command 12, phone) brings the certificate, or the reason why there is none. [P]
type FetchCertificateResponse struct {
	Reason      Optional[Reason]
	Certificate []byte // DER, not parsed; nil where missing
}

// DecodeFetchCertificateResponse reads the view, and the elements that it has no place for.
func DecodeFetchCertificateResponse(m Message) (FetchCertificateResponse, []Element, error) {
	f := fieldsOf(m, CommandFetchCertificateResponse, TagReason, TagCertificate)
	return finish(f, FetchCertificateResponse{
		Reason:      number8[Reason](f, TagReason),
		Certificate: f.certificate(),
	})
}

// Message writes the view.
func (r FetchCertificateResponse) Message(sessionID uint32) Message {
	var b builder
	add8(&b, TagReason, r.Reason)
	b.addCertificate(r.Certificate)
	return b.message(CommandFetchCertificateResponse, sessionID)
}

// DeleteCertificateRequest (command 13, server) has the phone delete its LSC. The recording and an IOS
// server send it without a type [C].
type DeleteCertificateRequest struct {
	CertificateType Optional[CertificateType]
}

// DecodeDeleteCertificateRequest reads the view, and the elements that it has no place for.
func DecodeDeleteCertificateRequest(m Message) (DeleteCertificateRequest, []Element, error) {
	f := fieldsOf(m, CommandDeleteCertificateRequest, TagCertificateType)
	return finish(f, DeleteCertificateRequest{CertificateType: number8[CertificateType](f, TagCertificateType)})
}

// Message writes the view.
func (r DeleteCertificateRequest) Message(sessionID uint32) Message {
	return typeMessage(CommandDeleteCertificateRequest, sessionID, r.CertificateType)
}

// DeleteCertificateResponse (command 14, phone) says with reason 1 that the certificate is deleted. [P]
type DeleteCertificateResponse struct {
	Reason Optional[Reason]
}

// DecodeDeleteCertificateResponse reads the view, and the elements that it has no place for.
func DecodeDeleteCertificateResponse(m Message) (DeleteCertificateResponse, []Element, error) {
	f := fieldsOf(m, CommandDeleteCertificateResponse, TagReason)
	return finish(f, DeleteCertificateResponse{Reason: number8[Reason](f, TagReason)})
}

// Message writes the view.
func (r DeleteCertificateResponse) Message(sessionID uint32) Message {
	return reasonMessage(CommandDeleteCertificateResponse, sessionID, r.Reason)
}

// EndSession (command 15, server) is the last message of a session. [C]
type EndSession struct {
	Reason Optional[Reason]
}

// DecodeEndSession reads the view, and the elements that it has no place for.
func DecodeEndSession(m Message) (EndSession, []Element, error) {
	f := fieldsOf(m, CommandEndSession, TagReason)
	return finish(f, EndSession{Reason: number8[Reason](f, TagReason)})
}

// Message writes the view.
func (r EndSession) Message(sessionID uint32) Message {
	return reasonMessage(CommandEndSession, sessionID, r.Reason)
}

func reasonMessage(command Command, sessionID uint32, reason Optional[Reason]) Message {
	var b builder
	add8(&b, TagReason, reason)
	return b.message(command, sessionID)
}

func typeMessage(command Command, sessionID uint32, kind Optional[CertificateType]) Message {
	var b builder
	add8(&b, TagCertificateType, kind)
	return b.message(command, sessionID)
}
