package session

import (
	"crypto/x509"
	"fmt"
	"time"

	"capf/runtime/capf"
	"capf/runtime/wire"
)

// troubleshoot fetches the LSC for viewing (B1) and writes it to a trace. That there is none is an answer
// too (result 1).
func (s *session) troubleshoot() (capf.Outcome, error) {
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
	return s.found(response.Certificate)
}

func (s *session) foundNone(response wire.FetchCertificateResponse) (capf.Outcome, error) {
	if err := s.server.Traces.WriteTrace(s.device, capf.LSC, nil, s.server.Clock()); err != nil {
		return capf.Outcome{}, err
	}
	return capf.Outcome{Ending: capf.EndingSuccess, Result: capf.ResultFetchedNone, LSC: capf.LSCNone,
		Detail: fmt.Sprintf("the phone has no LSC (reason %d)", response.Reason.Value)}, nil
}

func (s *session) found(der []byte) (capf.Outcome, error) {
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return failed(capf.ResultInvalidLSC, "the phone returned an LSC that cannot be read"), nil
	}
	if parsed.Subject.CommonName != s.device {
		return failed(capf.ResultInvalidLSC, fmt.Sprintf("the phone returned an LSC of %q", parsed.Subject.CommonName)), nil
	}
	seen, err := capf.ReadCertificate(der)
	if err != nil {
		return capf.Outcome{}, err
	}
	seen.Device, seen.Kind, seen.State, seen.Source = s.device, capf.LSC, capf.CertificateConfirmed, capf.SourceSeen
	seen.Operation = s.phone.Last.Ref.ID
	seen.RecordedAt = s.server.Clock().UTC().Truncate(time.Second)
	if err := s.server.Traces.WriteTrace(s.device, capf.LSC, parsed, s.server.Clock()); err != nil {
		return capf.Outcome{}, err
	}
	return capf.Outcome{Ending: capf.EndingSuccess, Result: capf.ResultSuccess, Seen: &seen, LSC: capf.LSCInstalled}, nil
}
