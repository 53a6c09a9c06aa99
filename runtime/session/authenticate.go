package session

import (
	"context"
	"errors"
	"fmt"

	"capf/runtime/capf"
	"capf/runtime/wire"
)

// identify asks the phone who it is, and lets it on only if an operation is pending for it and it has
// authenticated in the mode of its settings (B2). Until then nothing is written but an attempt.
func (s *session) identify(ctx context.Context) error {
	response, err := s.askIdentity()
	if err != nil {
		return err
	}
	if err := s.lookUp(ctx, response); err != nil {
		return err
	}
	if !s.phone.Last.IsPending(s.server.Clock()) {
		return s.nothingPending(ctx)
	}
	if err := s.authenticate(ctx, response); err != nil {
		return err
	}
	if s.params, err = s.server.Phones.Parameters(ctx); err != nil {
		return err
	}
	return s.holdBack(ctx)
}

func (s *session) askIdentity() (wire.AuthenticationResponse, error) {
	if err := s.newSessionID(); err != nil {
		return wire.AuthenticationResponse{}, err
	}
	request := wire.AuthenticationRequest{Version: wire.Some(uint8(wire.Version3))}
	if s.server.Settings.AnnounceAuthenticationType {
		request.AuthenticationType = wire.Some(wire.AuthenticationNone)
	}
	if err := s.send(request.Message(s.id)); err != nil {
		return wire.AuthenticationResponse{}, err
	}
	message, err := s.receive(s.server.Settings.MessageTimeout)
	if err != nil {
		return wire.AuthenticationResponse{}, err
	}
	response, unknown, err := wire.Read[wire.AuthenticationResponse](message)
	s.skipped(unknown)
	return response, err
}

// lookUp finds the phone by the name that it gave.
func (s *session) lookUp(ctx context.Context, response wire.AuthenticationResponse) error {
	s.version = response.Version.Or(wire.Version3)
	device, err := capf.ParseDevice(response.DeviceName)
	if err != nil {
		return &capf.Error{Code: capf.CodePeer, Message: "the phone gave a name that cannot be", Err: err}
	}
	s.device = device
	s.view.named(device, s.version)
	s.log = s.log.With("device", device, "tls", s.info.TLS, "version", s.version)
	if reason := response.Reason.Or(wire.ReasonSuccess); reason != wire.ReasonSuccess {
		return &capf.Error{Code: capf.CodePeer, Message: fmt.Sprintf("the phone answered with reason %d", reason)}
	}
	s.phone, err = s.server.Phones.Phone(ctx, device)
	if capf.HasCode(err, capf.CodeNotFound) {
		s.attempt(ctx, capf.ResultFailed, "not in the store")
		return &capf.Error{Code: capf.CodeUnknownDevice, Message: device + " is not in the store",
			Hint: "add it with `capf phone add`"}
	}
	return err
}

// nothingPending tells a phone that comes after the deadline from one for which nothing was set.
func (s *session) nothingPending(ctx context.Context) error {
	last := s.phone.Last
	if last.Status(s.server.Clock(), "") == capf.StatusExpired {
		result := capf.ResultTimedOut
		if last.AuthMode == capf.AuthByString {
			result = capf.ResultTooLate
		}
		s.attempt(ctx, result, "the operation has expired")
		return &capf.Error{Code: capf.CodeNoOperation, Message: "the operation expired at " + capf.FormatTime(last.CompletesBy),
			Hint: "set it again"}
	}
	s.recordIdleCall(ctx)
	return &capf.Error{Code: capf.CodeNoOperation, Message: "no operation is pending"}
}

// recordIdleCall keeps the call for the story of the phone in whose name it came.
func (s *session) recordIdleCall(ctx context.Context) {
	err := s.server.Phones.RecordIdleCall(ctx, capf.IdleCall{Device: s.device, Address: s.info.Address, TLS: s.info.TLS, At: s.server.Clock().UTC()})
	if err != nil && !errors.Is(err, context.Canceled) {
		s.log.Error("the call could not be recorded", "error", err)
	}
}

func (s *session) authenticate(ctx context.Context, response wire.AuthenticationResponse) error {
	switch s.phone.Last.AuthMode {
	case capf.AuthByNullString:
		return nil
	case capf.AuthByString:
		return s.authenticateByString(ctx, response)
	}
	return s.authenticateByCertificate(ctx, response)
}

// refuse ends a session that failed to authenticate. The operation and its string stay as they are, so that
// nobody can fail another's operation.
func (s *session) refuse(ctx context.Context, result capf.Result, detail string) error {
	s.attempt(ctx, result, detail)
	return &capf.Error{Code: capf.CodeAuthentication, Message: detail}
}

func (s *session) attempt(ctx context.Context, result capf.Result, detail string) {
	err := s.server.Phones.RecordAttempt(ctx, s.newAttempt(result, detail))
	if err != nil && !errors.Is(err, context.Canceled) {
		s.log.Error("the attempt could not be recorded", "error", err)
	}
}

func (s *session) newAttempt(result capf.Result, detail string) capf.Attempt {
	s.view.noted(result)
	return capf.Attempt{Device: s.device, Address: s.info.Address, TLS: s.info.TLS, At: s.server.Clock().UTC(), Result: result, Detail: detail}
}
