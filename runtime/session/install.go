package session

import (
	"context"
	"crypto"
	"fmt"
	"time"

	"capf/runtime/capf"
	"capf/runtime/wire"
)

// install issues an LSC (Install/Upgrade): key generation in the phone, certificate, confirmation.
func (s *session) install(ctx context.Context) (capf.Outcome, error) {
	encoded, problem, err := s.generateKey()
	if err != nil || problem != nil {
		return outcomeOf(problem), err
	}
	key, err := checkPublicKey(encoded, s.phone.Last.KeySize)
	if err != nil {
		return failed(capf.ResultFailed, err.Error()), nil
	}
	if problem, err = s.checkOwner(ctx, encoded); err != nil || problem != nil {
		return outcomeOf(problem), err
	}
	der, id, problem, err := s.certify(ctx, encoded, key)
	if err != nil || problem != nil {
		return outcomeOf(problem), err
	}
	return s.store(der, id)
}

// mostIssued bounds what one operation can make of certificates that nobody confirms.
const mostIssued = 32

// certify gives the certificate for the phone's key, on disk as issued. A phone whose line broke and that
// comes again with the same key gets the one that was made for it.
func (s *session) certify(ctx context.Context, encoded []byte, key crypto.PublicKey) (der []byte, id int64, problem *capf.Outcome, err error) {
	issued, err := s.issuedBefore(ctx)
	if err != nil {
		return nil, 0, nil, err
	}
	for _, one := range issued {
		if one.KeySHA256 == capf.HexSHA256(encoded) && one.State == capf.CertificateIssued {
			return one.DER, one.ID, nil, nil
		}
	}
	if len(issued) >= mostIssued {
		outcome := failed(capf.ResultFailed, fmt.Sprintf("%d certificates were issued, and the phone confirmed none", len(issued)))
		return nil, 0, &outcome, nil
	}
	der, err = s.server.Issuer.Issue(ctx, capf.LSCRequest{Device: s.device, PublicKey: key, Parameters: s.params})
	if err != nil {
		return nil, 0, nil, err
	}
	id, err = s.record(ctx, der)
	if capf.HasCode(err, capf.CodeRefused) {
		outcome := failed(capf.ResultFailed, err.Error())
		return nil, 0, &outcome, nil
	}
	return der, id, nil, err
}

// issuedBefore gives what was issued for this operation, in sessions that did not come to their end.
func (s *session) issuedBefore(ctx context.Context) ([]capf.Certificate, error) {
	var issued []capf.Certificate
	err := s.server.Operations.Certificates(ctx, s.device, func(one capf.Certificate) error {
		if one.Operation == s.phone.Last.Ref.ID && one.Source == capf.SourceIssued {
			issued = append(issued, one)
		}
		return nil
	})
	return issued, err
}

func outcomeOf(problem *capf.Outcome) capf.Outcome {
	if problem == nil {
		return capf.Outcome{}
	}
	return *problem
}

// generateKey asks for a key pair, again where the phone reports that it failed, as often as parameter C5
// says. It gives the public key, or the outcome where there will be none.
func (s *session) generateKey() ([]byte, *capf.Outcome, error) {
	request, err := keyRequest(s.version, s.phone.Last.KeySize)
	if err != nil {
		outcome := failed(capf.ResultFailed, err.Error())
		return nil, &outcome, nil
	}
	attempts := s.params.KeyGenerationAttempts()
	for attempt := 1; ; attempt++ {
		if err := s.send(request.Message(s.id)); err != nil {
			return nil, nil, err
		}
		response, err := s.awaitKey()
		if err != nil {
			return nil, nil, err
		}
		if response.PublicKey != nil && response.Reason.Or(wire.ReasonSuccess) == wire.ReasonSuccess {
			return response.PublicKey, nil, nil
		}
		s.log.Info("the phone could not make a key", "reason", response.Reason.Value, "attempt", attempt)
		if attempt >= attempts {
			outcome := failed(capf.ResultFailed, fmt.Sprintf("the phone could not make a key in %d attempts (reason %d)", attempts, response.Reason.Value))
			return nil, &outcome, nil
		}
	}
}

// awaitKey waits for the phone's answer for all the time that key generation may take (C4), through any
// number of messages that say it is still at it.
func (s *session) awaitKey() (wire.KeyGenerationResponse, error) {
	deadline := time.Now().Add(s.params.KeyGenerationTime())
	for {
		message, err := s.receive(time.Until(deadline))
		if err != nil {
			return wire.KeyGenerationResponse{}, err
		}
		if message.Command == wire.CommandRequestInProgress {
			continue
		}
		response, unknown, err := wire.DecodeKeyGenerationResponse(message)
		s.skipped(unknown)
		return response, err
	}
}

func keyRequest(version uint8, size capf.KeySize) (wire.KeyGenerationRequest, error) {
	if size.IsEC() {
		return wire.ECKeyRequest(version, curves[size])
	}
	return wire.RSAKeyRequest(version, uint16(size.Bits())), nil
}

// checkOwner refuses a key that stands in another certificate than this phone's own.
func (s *session) checkOwner(ctx context.Context, encoded []byte) (*capf.Outcome, error) {
	if s.isOwnKey(encoded) {
		outcome := failed(capf.ResultFailed, "the phone sent CAPF's own public key")
		return &outcome, nil
	}
	owner, found, err := s.server.Operations.PublicKeyOwner(ctx, capf.HexSHA256(encoded))
	if err != nil || !found || owner == s.device {
		return nil, err
	}
	outcome := failed(capf.ResultFailed, "the phone sent the public key of "+owner)
	return &outcome, nil
}

// record puts the certificate on disk, as issued, before it leaves.
func (s *session) record(ctx context.Context, der []byte) (int64, error) {
	certificate, err := capf.ReadCertificate(der)
	if err != nil {
		return 0, err
	}
	certificate.Device, certificate.Kind = s.device, capf.LSC
	certificate.State, certificate.Source = capf.CertificateIssued, capf.SourceIssued
	certificate.Operation = s.phone.Last.Ref.ID
	certificate.RecordedAt = s.server.Clock().UTC().Truncate(time.Second)
	return s.server.Operations.AddIssued(ctx, s.phone.Last.Ref, certificate)
}

// store hands the certificate over. Only the phone's answer makes it confirmed.
func (s *session) store(der []byte, id int64) (capf.Outcome, error) {
	request := wire.StoreCertificateRequest{CertificateType: wire.Some(wire.CertificateLSC), Certificate: der}
	if err := s.send(request.Message(s.id)); err != nil {
		return capf.Outcome{}, err
	}
	message, err := s.receive(s.server.Settings.MessageTimeout)
	if err != nil {
		return capf.Outcome{}, err
	}
	response, unknown, err := wire.DecodeStoreCertificateResponse(message)
	s.skipped(unknown)
	if err != nil {
		return capf.Outcome{}, err
	}
	if response.Reason.Value != wire.ReasonSuccess {
		return failed(capf.ResultFailed, fmt.Sprintf("the phone did not store the certificate (reason %d)", response.Reason.Value)), nil
	}
	return capf.Outcome{Ending: capf.EndingSuccess, Result: capf.ResultSuccess, Confirmed: id, LSC: capf.LSCInstalled}, nil
}
