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

// awaitKey waits for the phone's answer for all the time that key generation may take (C4).
func (s *session) awaitKey() (wire.KeyGenerationResponse, error) {
	message, err := s.receivePastProgress(time.Now().Add(s.keyGenerationTime()))
	if err != nil {
		return wire.KeyGenerationResponse{}, err
	}
	response, unknown, err := wire.DecodeKeyGenerationResponse(message)
	s.skipped(unknown)
	s.unanswered--
	return response, err
}

func (s *session) keyGenerationTime() time.Duration {
	if s.server.KeyGenerationTime > 0 {
		return s.server.KeyGenerationTime
	}
	return s.params.KeyGenerationTime()
}

// receivePastKeys is receive, but passes over what a slow phone still answers to requests that it was sent
// because it took too long: it has made its keys one after the other. While it owes such an answer it may be making
// a key, so that it has the time for that (C4) where this is longer. In either case the time is for all of the wait.
func (s *session) receivePastKeys(within time.Duration) (wire.Message, error) {
	if s.unanswered > 0 {
		within = max(within, s.keyGenerationTime())
	}
	deadline := time.Now().Add(within)
	for s.unanswered > 0 {
		message, err := s.receivePastProgress(deadline)
		if err != nil || message.Command != wire.CommandKeyGenerationResponse {
			return message, err
		}
		s.unanswered--
	}
	return s.receive(time.Until(deadline))
}

// receivePastProgress is receive, but passes over messages that say that the phone is still making keys.
func (s *session) receivePastProgress(deadline time.Time) (wire.Message, error) {
	for {
		message, err := s.receive(time.Until(deadline))
		if err != nil || message.Command != wire.CommandRequestInProgress {
			return message, err
		}
		if !s.progress.takes(time.Now()) {
			return wire.Message{}, &capf.Error{Code: capf.CodePeer,
				Message: fmt.Sprintf("the phone says too often that it is making keys: more than %d times at once and once a second", progressAtOnce)}
		}
	}
}

// progress counts the messages of a session that say that the phone is still making keys. A phone says so every now
// and then, for half an hour and more (a recorded one once, 50 ms after it was asked), so that a bound on their number
// alone would meet an honest phone. Whoever sends them as fast as the line carries them takes the time of others.
type progress struct {
	since time.Time // of the first
	count int
}

// progressAtOnce is how many may come at any time; one more may come with each second since the first.
const progressAtOnce = 100

func (p *progress) takes(now time.Time) bool {
	if p.count == 0 {
		p.since = now
	}
	p.count++
	return p.count <= progressAtOnce+int(now.Sub(p.since)/time.Second)
}

func keyRequest(version uint8, size capf.KeySize) (wire.KeyGenerationRequest, error) {
	if size.IsEC() {
		return wire.ECKeyRequest(version, curves[size])
	}
	return wire.RSAKeyRequest(version, uint16(size.Bits())), nil
}
