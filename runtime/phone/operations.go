package phone

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"

	"capf/runtime/capf"
	"capf/runtime/wire"
)

// generateKey makes a key pair and sends its public key. The pair stays in memory: it replaces the one in
// flash only together with its certificate.
func (s *session) generateKey(ctx context.Context, m wire.Message) error {
	request, skipped, err := wire.Read[wire.KeyGenerationRequest](m)
	if err != nil {
		return err
	}
	s.skipped(skipped)
	s.outcome.Operation = capf.OperationInstall
	size, err := requestedSize(request, s.phone.config.Version)
	if err == nil && s.phone.config.KeySize != "" && size != s.phone.config.KeySize {
		err = fmt.Errorf("the phone makes keys of size %s, the server asks for %s", s.phone.config.KeySize, size)
	}
	if err != nil {
		return s.send(ctx, wire.KeyGenerationResponse{Reason: s.refuse(err)})
	}
	if err := s.send(ctx, wire.RequestInProgress{}); err != nil {
		return err
	}
	if err := s.phone.config.Sleep(ctx, s.phone.config.KeyGenerationTime); err != nil {
		return err
	}
	return s.sendPublicKey(ctx, size)
}

func (s *session) sendPublicKey(ctx context.Context, size capf.KeySize) error {
	key, err := s.phone.config.Keys(ctx, s.phone.config.Device, size)
	if err != nil {
		return s.send(ctx, wire.KeyGenerationResponse{Reason: s.refuse(fmt.Errorf("key generation: %w", err))})
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return s.send(ctx, wire.KeyGenerationResponse{Reason: s.refuse(fmt.Errorf("key generation: %w", err))})
	}
	s.key = key
	return s.send(ctx, wire.KeyGenerationResponse{PublicKey: public})
}

// storeCertificate puts a certificate into flash, if it is one for this phone and its new key, and only
// then says so.
func (s *session) storeCertificate(ctx context.Context, m wire.Message) error {
	request, skipped, err := wire.Read[wire.StoreCertificateRequest](m)
	if err != nil {
		return err
	}
	s.skipped(skipped)
	s.outcome.Operation = capf.OperationInstall
	certificate, err := s.checkCertificate(request)
	if err == nil {
		err = s.phone.config.Flash.StoreLSC(Identity{Certificate: certificate, Key: s.key})
	}
	if err != nil {
		return s.send(ctx, wire.StoreCertificateResponse{Reason: s.refuse(fmt.Errorf("store certificate: %w", err))})
	}
	s.key, s.outcome.Certificate, s.refusal = nil, certificate, nil
	err = s.send(ctx, wire.StoreCertificateResponse{Reason: wire.Some(wire.ReasonSuccess)})
	s.stored = certificate
	return err
}

// checkCertificate holds a certificate against what the phone asked for. Dates are not checked: the clock
// of a phone without registration is not to be relied on.
func (s *session) checkCertificate(request wire.StoreCertificateRequest) (*x509.Certificate, error) {
	if kind := request.CertificateType.Or(wire.CertificateLSC); kind != wire.CertificateLSC {
		return nil, fmt.Errorf("a certificate of type %v cannot be stored", kind)
	}
	if s.key == nil {
		return nil, errors.New("no key pair was made for it")
	}
	certificate, err := x509.ParseCertificate(request.Certificate)
	if err != nil {
		return nil, fmt.Errorf("it cannot be read: %w", err)
	}
	if name := certificate.Subject.CommonName; name != s.phone.config.Device {
		return nil, fmt.Errorf("it is for %q", name)
	}
	return certificate, belongs(certificate, s.key)
}

// fetchCertificate shows the LSC or the MIC. That a phone without the certificate asked for answers with
// reason 7 is a choice of the simulation: the reason is not known.
func (s *session) fetchCertificate(ctx context.Context, m wire.Message) error {
	request, skipped, err := wire.Read[wire.FetchCertificateRequest](m)
	if err != nil {
		return err
	}
	s.skipped(skipped)
	s.outcome.Operation = capf.OperationTroubleshoot
	kept, err := s.phone.identity(request.CertificateType.Or(wire.CertificateLSC))
	if err != nil {
		return s.send(ctx, wire.FetchCertificateResponse{Reason: s.refuse(err)})
	}
	if kept == nil {
		return s.send(ctx, wire.FetchCertificateResponse{Reason: wire.Some(wire.ReasonRefused)})
	}
	s.outcome.Certificate = kept.Certificate
	return s.send(ctx, wire.FetchCertificateResponse{
		Reason: wire.Some(wire.ReasonSuccess), Certificate: kept.Certificate.Raw})
}

// deleteCertificate removes the LSC; a MIC is never deleted. That a phone without an LSC answers with
// success is a choice of the simulation: a repeated request finds what it wants.
func (s *session) deleteCertificate(ctx context.Context, m wire.Message) error {
	request, skipped, err := wire.Read[wire.DeleteCertificateRequest](m)
	if err != nil {
		return err
	}
	s.skipped(skipped)
	s.outcome.Operation = capf.OperationDelete
	if kind := request.CertificateType.Or(wire.CertificateLSC); kind != wire.CertificateLSC {
		err = fmt.Errorf("a certificate of type %v cannot be deleted", kind)
	} else {
		err = s.phone.config.Flash.DeleteLSC()
	}
	if err != nil {
		return s.send(ctx, wire.DeleteCertificateResponse{Reason: s.refuse(fmt.Errorf("delete certificate: %w", err))})
	}
	return s.send(ctx, wire.DeleteCertificateResponse{Reason: wire.Some(wire.ReasonSuccess)})
}
