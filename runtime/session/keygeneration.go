package session

import (
	"fmt"
	"time"

	"capf/runtime/capf"
	"capf/runtime/wire"
)

// generateKey asks for a key pair, again where the phone reports that it failed or takes longer than it may
// (C4), as often as parameter C5 says. A phone that cannot make an EC key is asked for an RSA key where the
// parameters name a size for that. It gives the public key with its size, or the outcome where there will be
// none.
func (s *session) generateKey() (encoded []byte, size capf.KeySize, problem *capf.Outcome, err error) {
	size = s.phone.Last.KeySize
	encoded, problem, err = s.askForKey(size)
	backup := s.params.BackupKeySize()
	if problem == nil || err != nil || !size.IsEC() || backup == "" {
		return encoded, size, problem, err
	}
	s.log.Info("the phone makes no EC key: asking for the backup", "key-size", backup)
	encoded, problem, err = s.askForKey(backup)
	if _, late := checkPublicKey(encoded, size); late == nil {
		return encoded, size, problem, err // the EC key came after all
	}
	return encoded, backup, problem, err
}

func (s *session) askForKey(size capf.KeySize) ([]byte, *capf.Outcome, error) {
	request, err := keyRequest(s.version, size)
	if err != nil {
		outcome := failed(capf.ResultFailed, err.Error())
		return nil, &outcome, nil
	}
	attempts := s.params.KeyGenerationAttempts()
	for attempt := 1; ; attempt++ {
		if err := s.send(request.Message(s.id)); err != nil {
			return nil, nil, err
		}
		s.unanswered++
		response, err := s.awaitKey()
		result := capf.ResultFailed
		switch {
		case isTimeout(err):
			result = capf.ResultTimedOut
		case err != nil:
			return nil, nil, err
		case response.PublicKey != nil && response.Reason.Or(wire.ReasonSuccess) == wire.ReasonSuccess:
			return response.PublicKey, nil, nil
		}
		s.log.Info("the phone has made no key", "result", result.String(), "reason", response.Reason.Value, "attempt", attempt)
		if attempt >= attempts {
			outcome := failed(result, fmt.Sprintf("the phone made no key in %d attempts (%s)", attempts, result))
			return nil, &outcome, nil
		}
	}
}

// awaitKey waits for the phone's answer for all the time that key generation may take (C4), through any
// number of messages that say it is still at it.
func (s *session) awaitKey() (wire.KeyGenerationResponse, error) {
	within := s.params.KeyGenerationTime()
	if s.server.KeyGenerationTime > 0 {
		within = s.server.KeyGenerationTime
	}
	deadline := time.Now().Add(within)
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
		s.unanswered--
		return response, err
	}
}

// receivePastKeys is receive, but passes over what a slow phone still answers to requests that it was sent
// because it took too long: it has made its keys one after the other.
func (s *session) receivePastKeys(within time.Duration) (wire.Message, error) {
	for {
		message, err := s.receive(within)
		switch {
		case err == nil && message.Command == wire.CommandRequestInProgress && s.unanswered > 0:
		case err == nil && message.Command == wire.CommandKeyGenerationResponse && s.unanswered > 0:
			s.unanswered--
		default:
			return message, err
		}
	}
}

func keyRequest(version uint8, size capf.KeySize) (wire.KeyGenerationRequest, error) {
	if size.IsEC() {
		return wire.ECKeyRequest(version, curves[size])
	}
	return wire.RSAKeyRequest(version, uint16(size.Bits())), nil
}
