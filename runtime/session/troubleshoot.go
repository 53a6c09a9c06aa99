package session

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"capf/runtime/capf"
	"capf/runtime/wire"
)

// troubleshoot fetches the LSC for viewing (B1) and writes it to a trace. That there is none is an answer
// too (result 1).
func (s *session) troubleshoot(ctx context.Context) (capf.Outcome, error) {
	request := wire.FetchCertificateRequest{CertificateType: wire.Some(wire.CertificateLSC)}
	if err := s.send(request.Message(s.id)); err != nil {
		return capf.Outcome{}, err
	}
	message, err := s.receive(s.server.Settings.MessageTimeout)
	if err != nil {
		return capf.Outcome{}, err
	}
	response, unknown, err := wire.DecodeFetchCertificateResponse(message)
	s.skipped(unknown)
	if err != nil {
		return capf.Outcome{}, err
	}
	if response.Certificate == nil {
		return s.foundNone(response)
	}
	return s.found(ctx, response.Certificate)
}

func (s *session) foundNone(response wire.FetchCertificateResponse) (capf.Outcome, error) {
	if err := s.server.Traces.WriteTrace(s.device, capf.LSC, nil, s.server.Clock()); err != nil {
		return capf.Outcome{}, err
	}
	return capf.Outcome{Ending: capf.EndingSuccess, Result: capf.ResultFetchedNone, LSC: capf.LSCNone,
		Detail: fmt.Sprintf("the phone has no LSC (reason %d)", response.Reason.Value)}, nil
}

// found keeps what the phone returned. Whoever speaks for the phone can return anything, so only a certificate
// that an anchor issued for this phone counts as its LSC; all others are for viewing alone.
func (s *session) found(ctx context.Context, der []byte) (capf.Outcome, error) {
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return failed(capf.ResultInvalidLSC, "the phone returned an LSC that cannot be read"), nil
	}
	if err := s.server.Traces.WriteTrace(s.device, capf.LSC, parsed, s.server.Clock()); err != nil {
		return capf.Outcome{}, err
	}
	strange, err := s.strange(ctx, parsed)
	if err != nil {
		return capf.Outcome{}, err
	}
	if strange != "" {
		return capf.Outcome{Ending: capf.EndingSuccess, Result: capf.ResultInvalidLSC, Detail: strange}, nil
	}
	seen, err := capf.ReadCertificate(der)
	if err != nil {
		return capf.Outcome{}, err
	}
	seen.Device, seen.Kind, seen.State, seen.Source = s.device, capf.LSC, capf.CertificateConfirmed, capf.SourceSeen
	seen.Operation = s.phone.Last.Ref.ID
	seen.RecordedAt = s.server.Clock().UTC().Truncate(time.Second)
	return capf.Outcome{Ending: capf.EndingSuccess, Result: capf.ResultSuccess, Seen: &seen, LSC: capf.LSCInstalled}, nil
}

// strange says why a certificate that the phone returned is not its LSC, and nothing where it is.
func (s *session) strange(ctx context.Context, certificate *x509.Certificate) (string, error) {
	if kind, own := capf.KindOf(certificate, s.device); !own || kind != capf.LSC {
		return fmt.Sprintf("the phone returned an LSC of %.80q", certificate.Subject.CommonName), nil
	}
	anchors, err := s.server.Trust.Anchors(ctx, capf.LSC)
	if err != nil {
		return "", err
	}
	if _, err := capf.FindIssuer(certificate, anchors); err != nil {
		return fmt.Sprintf("the phone returned an LSC of an issuer that is not trusted: %v", err), nil
	}
	return "", nil
}
