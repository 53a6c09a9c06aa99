package phone

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"sync/atomic"

	"capf/runtime/capf"
	"capf/runtime/wire"
)

// One session, message by message, and the places in it where a hook may look on.

// maxMessages is the most messages that a phone takes in one session. A server may ask for a key pair up
// to a hundred times (C5); a session of more than this is none.
const maxMessages = 1000

// session is one session of a phone with a server.
type session struct {
	phone         *Phone
	connection    *connection
	chosen        authentication
	attempt       int
	number        int    // messages so far, of both sides
	id            uint32 // chosen by the server in its first message
	authenticated bool   // the phone has said who it is
	key           crypto.Signer
	stored        *x509.Certificate // the LSC that the phone has said it stored
	refusal       error
	outcome       Outcome
}

// session runs one session from the connection to its end. The certificate is that of an LSC that was
// stored in it, also where the line broke afterwards.
func (p *Phone) session(ctx context.Context, chosen authentication, attempt int) (Outcome, *x509.Certificate) {
	s := &session{phone: p, chosen: chosen, attempt: attempt}
	s.outcome = Outcome{Device: p.config.Device, Operation: capf.OperationNone, Attempts: attempt}
	err := s.run(ctx)
	if cause := ctx.Err(); err != nil && cause != nil {
		err = cause // the line broke because the phone was told to stop
	}
	s.outcome.Err = err
	return s.outcome, s.stored
}

func (s *session) run(ctx context.Context) error {
	connection, err := s.phone.connect(ctx)
	if err != nil {
		return err
	}
	s.connection = connection
	defer connection.close()
	state := connection.tls.ConnectionState()
	s.outcome.TLSVersion, s.outcome.CipherSuite, s.outcome.Server = state.Version, state.CipherSuite, state.PeerCertificates[0]
	for s.number < maxMessages {
		m, err := s.receive(ctx)
		if err != nil {
			return err
		}
		if m.Command == wire.CommandEndSession {
			return s.end(m)
		}
		if err := s.answer(ctx, m); err != nil {
			return err
		}
	}
	return fmt.Errorf("the server goes on after %d messages", maxMessages)
}

// answer does what a message asks for.
func (s *session) answer(ctx context.Context, m wire.Message) error {
	if m.Command == wire.CommandAuthenticationRequest {
		return s.authenticate(ctx, m)
	}
	if !s.authenticated {
		return fmt.Errorf("%v came before the authentication request", m.Command)
	}
	switch m.Command {
	case wire.CommandKeyGenerationRequest:
		return s.generateKey(ctx, m)
	case wire.CommandStoreCertificateRequest:
		return s.storeCertificate(ctx, m)
	case wire.CommandFetchCertificateRequest:
		return s.fetchCertificate(ctx, m)
	case wire.CommandDeleteCertificateRequest:
		return s.deleteCertificate(ctx, m)
	}
	return fmt.Errorf("%v is nothing that the simulated phone has an answer to", m.Command)
}

// authenticate says which phone this is.
func (s *session) authenticate(ctx context.Context, m wire.Message) error {
	if s.authenticated {
		return errors.New("a second authentication request came")
	}
	_, skipped, err := wire.Read[wire.AuthenticationRequest](m)
	if err != nil {
		return err
	}
	s.skipped(skipped)
	s.authenticated = true
	response := wire.AuthenticationResponse{
		Reason:     wire.Some(wire.ReasonSuccess),
		Version:    wire.Some(s.phone.config.Version),
		Password:   s.chosen.password,
		DeviceName: s.phone.config.Device,
	}
	if err := s.showCertificate(&response); err != nil {
		return err
	}
	s.phone.config.OnAuthenticate(&response)
	return s.send(ctx, response)
}

// end reads how the server ended the session, and judges it.
func (s *session) end(m wire.Message) error {
	view, skipped, err := wire.Read[wire.EndSession](m)
	if err != nil {
		return err
	}
	s.skipped(skipped)
	s.outcome.Reason = view.Reason
	return s.outcome.judge(s.refusal)
}

// receive awaits the next message of the server.
func (s *session) receive(ctx context.Context) (wire.Message, error) {
	s.number++
	point := Point{Attempt: s.attempt, Number: s.number}
	if err := s.hook(ctx, point); err != nil {
		return wire.Message{}, err
	}
	m, records, err := s.connection.read()
	if err != nil {
		return wire.Message{}, err
	}
	s.outcome.Records = append(s.outcome.Records, records)
	s.phone.config.Log.Debug("received", "device", s.phone.config.Device, "message", m, "records", records)
	if s.number == 1 {
		s.id = m.SessionID
	} else if m.SessionID != s.id {
		return wire.Message{}, fmt.Errorf("%v has session %d, the session is %d", m.Command, m.SessionID, s.id)
	}
	point.After, point.Command = true, m.Command
	return m, s.hook(ctx, point)
}

// view is a message that the phone sends.
type view interface {
	Message(sessionID uint32) wire.Message
}

func (s *session) send(ctx context.Context, v view) error {
	s.number++
	m := v.Message(s.id)
	point := Point{Attempt: s.attempt, Number: s.number, Sent: true, Command: m.Command}
	if err := s.hook(ctx, point); err != nil {
		return err
	}
	s.phone.config.Log.Debug("sending", "device", s.phone.config.Device, "message", m)
	if err := s.connection.write(m); err != nil {
		return err
	}
	point.After = true
	return s.hook(ctx, point)
}

// hook lets the hook look on, and breaks the line if it says so.
func (s *session) hook(ctx context.Context, at Point) error {
	err := s.phone.config.OnMessage(ctx, at)
	if drop, is := errors.AsType[Drop](err); is {
		s.connection.drop(drop)
		return line(fmt.Sprintf("at message %d", at.Number), err)
	}
	return err
}

// skipped logs elements that the phone has no use for; firmware and servers add some.
func (s *session) skipped(elements []wire.Element) {
	for _, element := range elements {
		s.phone.config.Log.Debug("element skipped", "device", s.phone.config.Device, "element", element)
	}
}

// refuse notes why the phone says no, and is the reason that it gives.
func (s *session) refuse(err error) wire.Optional[wire.Reason] {
	s.refusal = err
	s.phone.config.Log.Debug("refused", "device", s.phone.config.Device, "error", err)
	return wire.Some(wire.ReasonRefused)
}

// Point is a place in a session, before or after a message.
type Point struct {
	Attempt int          // of the phone, from 1
	Number  int          // of the message in its session, from 1, those of both sides counted
	Sent    bool         // the phone sends it; otherwise it receives it
	After   bool         // it is through; otherwise the phone is about to send or await it
	Command wire.Command // 0 before a message that is yet to be received
}

// Hook is called at every point of a session. A [Drop] as its error breaks the line in that way, every
// other error ends the session.
type Hook func(ctx context.Context, at Point) error

// Drop is a way to break a line.
type Drop uint8

// The ways to break a line.
const (
	DropNotify Drop = iota + 1 // with the notice that TLS has for it, as a user's Stop may do
	DropFIN                    // the connection is closed without notice
	DropRST                    // the connection is reset
)

var dropNames = map[Drop]string{DropNotify: "close notify", DropFIN: "FIN", DropRST: "RST"}

// Error says that the phone itself broke the line.
func (d Drop) Error() string { return "the phone broke it off with " + dropNames[d] }

// StopAt is a hook that breaks the line once, before or after the message with that number; a retry is
// left alone.
func StopAt(number int, after bool, drop Drop) Hook {
	var done atomic.Bool
	return func(_ context.Context, at Point) error {
		if at.Number == number && at.After == after && done.CompareAndSwap(false, true) {
			return drop
		}
		return nil
	}
}
