package session

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"capf/runtime/capf"
	"capf/runtime/wire"
)

// troubleshoot fetches both kinds of certificate for viewing (B1) and writes each to a trace. That there is
// none of either is an answer too (result 1). A phone that does not understand the second question, or is
// silent, has answered the first, and that is kept; one whose line breaks comes again.
func (s *session) troubleshoot(ctx context.Context) (capf.Outcome, error) {
	outcome := capf.Outcome{Ending: capf.EndingSuccess, Result: capf.ResultFetchedNone}
	if err := s.fetch(ctx, capf.LSC, &outcome); err != nil {
		return capf.Outcome{}, err
	}
	err := s.fetch(ctx, capf.MIC, &outcome)
	if err == nil {
		return outcome, nil
	}
	if !wire.IsProtocol(err) && !isTimeout(err) {
		return capf.Outcome{}, err
	}
	remark(&outcome, "its MIC could not be fetched")
	if outcome.Result == capf.ResultFetchedNone { // of one kind only
		outcome.Ending, outcome.Result = capf.EndingFailed, resultOf(err)
	}
	return outcome, nil
}

var wireKinds = map[capf.CertificateKind]wire.CertificateType{capf.LSC: wire.CertificateLSC, capf.MIC: wire.CertificateMIC}

// fetch asks for the certificate of one kind and adds what came to the outcome.
func (s *session) fetch(ctx context.Context, kind capf.CertificateKind, outcome *capf.Outcome) error {
	request := wire.FetchCertificateRequest{CertificateType: wire.Some(wireKinds[kind])}
	if err := s.send(request.Message(s.id)); err != nil {
		return err
	}
	message, err := s.receive(s.server.Settings.MessageTimeout)
	if err != nil {
		return err
	}
	response, unknown, err := wire.Read[wire.FetchCertificateResponse](message)
	s.skipped(unknown)
	if err != nil {
		return err
	}
	if response.Certificate == nil {
		foundNone(kind, outcome)
		return s.server.Traces.WriteTrace(s.device, kind, nil, s.server.Clock())
	}
	return s.found(ctx, kind, response.Certificate, outcome)
}

func foundNone(kind capf.CertificateKind, outcome *capf.Outcome) {
	if kind == capf.LSC {
		outcome.LSC = capf.LSCNone
	} else {
		outcome.MIC = capf.MICNone
	}
	remark(outcome, "the phone has no "+nameOf(kind))
}

// remark adds to what the outcome tells a person.
func remark(outcome *capf.Outcome, text string) {
	if outcome.Detail != "" {
		outcome.Detail += "; "
	}
	outcome.Detail += text
}

// found keeps what the phone returned. Whoever speaks for the phone can return anything, so only a certificate
// that an anchor of its kind issued for this phone is recorded; all others are for viewing alone.
func (s *session) found(ctx context.Context, kind capf.CertificateKind, der []byte, outcome *capf.Outcome) error {
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		outcome.Ending, outcome.Result = capf.EndingFailed, invalid[kind]
		remark(outcome, fmt.Sprintf("the phone returned a %s that cannot be read", nameOf(kind)))
		return nil
	}
	if err := s.server.Traces.WriteTrace(s.device, kind, parsed, s.server.Clock()); err != nil {
		return err
	}
	strange, err := s.strange(ctx, kind, parsed, outcome)
	if err != nil || strange {
		return err
	}
	seen, err := capf.ReadCertificate(der)
	if err != nil {
		return err
	}
	seen.Device, seen.Kind, seen.State, seen.Source = s.device, kind, capf.CertificateConfirmed, capf.SourceSeen
	seen.Operation = s.phone.Last.Ref.ID
	seen.RecordedAt = s.server.Clock().UTC().Truncate(time.Second)
	outcome.Seen = append(outcome.Seen, seen)
	if kind == capf.LSC {
		outcome.LSC = capf.LSCInstalled
	}
	return nil
}

// strange reports a certificate that the phone returned and that is not its own of that kind, or of an issuer
// that is not trusted, and says so in the outcome. Of a MIC with the phone's name it is still known that the
// phone has one.
func (s *session) strange(ctx context.Context, kind capf.CertificateKind, certificate *x509.Certificate, outcome *capf.Outcome) (bool, error) {
	if is, own := capf.KindOf(certificate, s.device); !own || is != kind {
		outcome.Result = invalid[kind]
		remark(outcome, fmt.Sprintf("the phone returned a %s of %.80q", nameOf(kind), certificate.Subject.CommonName))
		return true, nil
	}
	if kind == capf.MIC {
		outcome.MIC = capf.MICPresent
	}
	if outcome.Result == capf.ResultFetchedNone {
		outcome.Result = capf.ResultSuccess
	}
	anchors, err := s.server.Trust.Anchors(ctx, kind)
	if err != nil {
		return false, err
	}
	if len(anchors) == 0 {
		remark(outcome, fmt.Sprintf("the phone's %s cannot be checked: there is no trust anchor for its kind", nameOf(kind)))
		return true, nil
	}
	if _, err := capf.FindIssuer(certificate, anchors); err != nil {
		outcome.Result = invalid[kind]
		remark(outcome, fmt.Sprintf("the phone returned a %s of an issuer that is not trusted: %v", nameOf(kind), err))
		return true, nil
	}
	return false, nil
}
