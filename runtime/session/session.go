package session

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"capf/runtime/capf"
	"capf/runtime/wire"
)

// session is one connection of a phone.
type session struct {
	server    *Server
	conn      *tls.Conn
	issuer    Issuer // under the certificate of the handshake
	log       *slog.Logger
	view      *view
	number    int64 // of the connection: a newer one is higher
	id        uint32
	device    string // once it said its name
	version   uint8  // of the protocol, as the phone answered
	phone     capf.Phone
	info      capf.SessionInfo
	params    capf.Parameters
	presented *capf.Presented // what it authenticated by; nil: no certificate
	reader    wire.Reader
	done      chan struct{} // closed when it has let go of its operation

	cancel   context.CancelFunc // ends what it does for its operation; of a session that has authenticated
	tookOver bool               // from a session before, which may have left the operation in progress

	unanswered int // key generation requests
	progress   progress

	superseded atomic.Bool // by a newer session of the phone
}

// errFailedInside is how a session ends that has met a fault of this program.
var errFailedInside = &capf.Error{Code: capf.CodeInternal, Message: "session failed inside"}

// serveConn runs one connection to its end. Whatever happens in it stays in it.
func (s *Server) serveConn(ctx context.Context, conn net.Conn, config *tls.Config, number int64) {
	address := addressOf(conn)
	view := s.observe(address)
	defer view.unobserve()
	log := view.logger(address)
	defer conn.Close()
	defer func() {
		if problem := recover(); problem != nil {
			log.Error("session failed inside", "problem", fmt.Sprint(problem), "stack", string(debug.Stack()))
			view.ended(ctx, errFailedInside, false)
		}
	}()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	handshake, cancel := context.WithTimeout(ctx, s.Settings.HandshakeTimeout)
	defer cancel()
	if !s.limiter.acquire(handshake, address) {
		log.Warn("no free place for a connection: closed, so that the phone tries again")
		view.failHandshake(ctx, capf.HandshakeNoPlace, errNoPlace)
		return
	}
	defer s.limiter.release(address)

	view.state(capf.StateAwaitHandshake)
	config, issuer := s.identity(config)
	secured := tls.Server(conn, config)
	if err := secured.HandshakeContext(handshake); err != nil {
		kind := kindOfHandshake(err)
		log.Info("handshake failed", "kind", kind, "error", err)
		view.failHandshake(ctx, kind, err)
		return
	}
	cancel()
	view.secured(secured.ConnectionState())
	session := &session{server: s, number: number, conn: secured, issuer: issuer, log: log, view: view, done: make(chan struct{}),
		info: capf.SessionInfo{Instance: s.Instance, Address: address, Started: s.Clock().UTC().Truncate(time.Second),
			TLS: tlsName(secured.ConnectionState().Version)}}
	session.run(ctx)
	_ = secured.Close()
}

func addressOf(conn net.Conn) string {
	host, _, err := net.SplitHostPort(conn.RemoteAddr().String())
	if err != nil {
		return conn.RemoteAddr().String()
	}
	return host
}

// run speaks with the phone: who it is, then its operation, then the end.
func (s *session) run(ctx context.Context) {
	reason, err := s.converse(ctx)
	s.view.ended(ctx, err, s.superseded.Load())
	switch {
	case err == nil:
		s.log.Info("session ended", "reason", reason)
	case isLineBroken(err) || ctx.Err() != nil:
		s.log.Info("line broken", "error", err)
		return
	case endsSilently(err):
		// A broken line is what makes a phone try again; told to end, it would give up.
		s.log.Error("session cannot be carried out: line closed, so that the phone tries again", "error", err)
		return
	default:
		s.log.Info("session refused", "reason", reason, "code", capf.CodeOf(s.classify(err)), "error", err)
	}
	if err := s.send(wire.EndSession{Reason: wire.Some(reason)}.Message(s.id)); err != nil {
		s.log.Info("the end of the session did not reach the phone", "error", err)
	}
}

// converse gives the reason with which the session ends.
func (s *session) converse(ctx context.Context) (wire.Reason, error) {
	if err := s.identify(ctx); err != nil {
		return s.reasonOf(err), err
	}
	own, cancel := context.WithCancel(ctx)
	defer cancel()
	s.cancel = cancel
	if err := s.server.registry.claim(own, s); err != nil {
		return s.reasonOf(err), err
	}
	defer s.server.registry.drop(s)
	reason, err := s.operate(own, ctx)
	if err != nil {
		return s.reasonOf(err), err
	}
	return reason, nil
}

// reasonOf translates a failure for the phone. A client of version 2 is told 7 where others are told that
// nothing is pending [C].
func (s *session) reasonOf(err error) wire.Reason {
	reason := wire.Reason(capf.ConsequenceOf(s.classify(err)).Reason)
	if reason == wire.ReasonNoAction && s.version <= wire.Version2 {
		return wire.ReasonRefused
	}
	return reason
}

// classify makes a breach of the protocol a failure of the domain.
func (s *session) classify(err error) error {
	if wire.IsProtocol(err) {
		return &capf.Error{Code: capf.CodePeer, Message: "the phone broke the protocol", Err: err}
	}
	return err
}

// endsSilently reports whether the cause lies here and may pass.
func endsSilently(err error) bool {
	switch capf.CodeOf(err) {
	case capf.CodeInternal, capf.CodeUnavailable, capf.CodeBusy:
		return !wire.IsProtocol(err)
	}
	return false
}

// lineError is a failure of the connection itself: the phone is gone or silent, or was let go.
type lineError struct{ err error }

func (e *lineError) Error() string { return e.err.Error() }
func (e *lineError) Unwrap() error { return e.err }

// onLine marks an error of reading or writing, save a message that came whole and breaks the protocol.
func onLine(err error) error {
	if err == nil || wire.IsProtocol(err) {
		return err
	}
	return &lineError{err}
}

// isLineBroken reports whether nothing can be said to the phone any more.
func isLineBroken(err error) bool {
	_, broken := errors.AsType[*lineError](err)
	return broken
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// abort ends a session that has authenticated from outside: what it does for its operation, also where that
// is to wait for an issuer, and its connection.
func (s *session) abort() {
	s.superseded.Store(true)
	s.cancel()
	_ = s.conn.NetConn().Close()
}

// newSessionID chooses the number that both sides repeat in every message; never 0.
func (s *session) newSessionID() error {
	var number [4]byte
	for s.id == 0 {
		if _, err := io.ReadFull(s.server.Random, number[:]); err != nil {
			return fmt.Errorf("choose a session ID: %w", err)
		}
		s.id = binary.BigEndian.Uint32(number[:])
	}
	return nil
}

// send writes one message, in one record, within the message timeout.
func (s *session) send(message wire.Message) error {
	if err := s.conn.SetWriteDeadline(time.Now().Add(s.server.Settings.MessageTimeout)); err != nil {
		return onLine(err)
	}
	s.view.sending(message)
	s.log.Debug("sent", "message", message)
	return onLine(wire.WriteMessage(s.conn, message))
}

// receive reads one message. The time is for all of it, so that bytes that drip in do not extend it. What has
// come of a message when the time is over is kept: the next call goes on there.
func (s *session) receive(within time.Duration) (wire.Message, error) {
	if err := s.conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		return wire.Message{}, onLine(err)
	}
	message, err := s.reader.Next(s.conn, wire.MaxElements)
	if err != nil {
		return wire.Message{}, onLine(err)
	}
	s.view.received(message)
	s.log.Debug("received", "message", message)
	if message.SessionID != s.id {
		return wire.Message{}, &capf.Error{Code: capf.CodePeer,
			Message: fmt.Sprintf("%v carries session ID %d, not that of this session", message.Command, message.SessionID)}
	}
	return message, nil
}

// skipped logs elements that a message carried and nothing here knows: firmware adds some.
func (s *session) skipped(elements []wire.Element) {
	for _, element := range elements {
		s.log.Debug("element not known, skipped", "element", element)
	}
}
