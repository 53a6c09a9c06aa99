package session

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"fmt"
	"time"

	"capf/runtime/capf"
	"capf/runtime/wire"
)

// install issues an LSC (Install/Upgrade): key generation in the phone, certificate, confirmation.
func (s *session) install(ctx context.Context) (capf.Outcome, error) {
	encoded, size, problem, err := s.generateKey()
	if err != nil || problem != nil {
		return outcomeOf(problem), err
	}
	key, err := checkPublicKey(encoded, size)
	if err != nil {
		return failed(capf.ResultFailed, err.Error()), nil
	}
	known, problem, err := s.checkOwner(ctx, capf.KeyIdentity(key, encoded))
	if err != nil || problem != nil {
		return outcomeOf(problem), err
	}
	der, id, problem, err := s.certify(ctx, encoded, key, known)
	if err != nil || problem != nil {
		return outcomeOf(problem), err
	}
	return s.store(der, id)
}

// certify gives the certificate for the phone's key, on disk as issued. A phone whose line broke and that
// comes again with the key that is known gets the one that was made for it. The store bounds how many one
// operation can make that nobody confirms.
func (s *session) certify(ctx context.Context, encoded []byte, key crypto.PublicKey, known bool) (der []byte, id int64, problem *capf.Outcome, err error) {
	if known {
		der, err = s.issuedBefore(ctx, encoded)
	}
	if err == nil && der == nil {
		der, err = s.issuer.Issue(ctx, capf.LSCRequest{Device: s.device, PublicKey: key, Parameters: s.params, Hash: s.phone.LSCHash})
	}
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

// issuedBefore gives the certificate for a key that was issued for this operation, in a session that did not
// come to its end; nil where there is none.
func (s *session) issuedBefore(ctx context.Context, encoded []byte) (der []byte, err error) {
	err = s.server.Operations.Certificates(ctx, s.device, func(one capf.Certificate) error {
		if one.Operation != s.phone.Last.Ref.ID || one.State != capf.CertificateIssued {
			return nil
		}
		issued, err := x509.ParseCertificate(one.DER)
		if err == nil && bytes.Equal(issued.RawSubjectPublicKeyInfo, encoded) {
			der = one.DER
		}
		return err
	})
	return der, err
}

func outcomeOf(problem *capf.Outcome) capf.Outcome {
	if problem == nil {
		return capf.Outcome{}
	}
	return *problem
}

// checkOwner refuses a key that is in another certificate than this phone's own, and reports whether it
// is in one of those.
func (s *session) checkOwner(ctx context.Context, keySHA256 string) (known bool, problem *capf.Outcome, err error) {
	own, err := s.server.identities().IsOwnKey(keySHA256)
	if err != nil {
		return false, nil, err
	}
	if own {
		outcome := failed(capf.ResultFailed, "the phone sent CAPF's own public key")
		return false, &outcome, nil
	}
	owner, found, err := s.server.Operations.PublicKeyOwner(ctx, keySHA256)
	if err != nil || !found || owner == s.device {
		return found, nil, err
	}
	outcome := failed(capf.ResultFailed, "the phone sent the public key of "+owner)
	return false, &outcome, nil
}

// record puts the certificate on disk, as issued, before it leaves; also where a newer session has taken over
// meanwhile: of what an authority has signed there must be a record.
func (s *session) record(ctx context.Context, der []byte) (int64, error) {
	certificate, err := capf.ReadCertificate(der)
	if err != nil {
		return 0, err
	}
	certificate.Device, certificate.Kind = s.device, capf.LSC
	certificate.State, certificate.Source = capf.CertificateIssued, capf.SourceIssued
	certificate.Operation = s.phone.Last.Ref.ID
	certificate.RecordedAt = s.server.Clock().UTC().Truncate(time.Second)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeWithin)
	defer cancel()
	return s.server.Operations.AddIssued(ctx, s.phone.Last.Ref, s.credential(), certificate)
}

// store hands the certificate over. Only the phone's answer makes it confirmed.
func (s *session) store(der []byte, id int64) (capf.Outcome, error) {
	request := wire.StoreCertificateRequest{CertificateType: wire.Some(wire.CertificateLSC), Certificate: der}
	if err := s.send(request.Message(s.id)); err != nil {
		return capf.Outcome{}, err
	}
	message, err := s.receivePastKeys(s.server.Settings.MessageTimeout)
	if err != nil {
		return capf.Outcome{}, err
	}
	response, unknown, err := wire.Read[wire.StoreCertificateResponse](message)
	s.skipped(unknown)
	if err != nil {
		return capf.Outcome{}, err
	}
	if response.Reason.Value != wire.ReasonSuccess {
		return failed(capf.ResultFailed, fmt.Sprintf("the phone did not store the certificate (reason %d)", response.Reason.Value)), nil
	}
	return capf.Outcome{Ending: capf.EndingSuccess, Result: capf.ResultSuccess, Confirmed: id, LSC: capf.LSCInstalled}, nil
}
