package session

import (
	"context"
	"crypto/tls"
	"time"

	"capf/runtime/capf"
	"capf/runtime/wire"
)

// Observer counts what happens in sessions. Its methods are called by many sessions at a time, and must
// not keep them waiting. Nothing that they get names a phone.
type Observer interface {
	// HandshakeDone is told of a TLS version, as `1.0`, and a suite by its name.
	HandshakeDone(version, cipherSuite string)
	HandshakeFailed(kind capf.HandshakeFailureKind)
	KeyGenerated(took time.Duration)
	// CertificateSent is told of each LSC that leaves for its phone.
	CertificateSent()
	SessionEnded(end capf.SessionEnd)
}

// unobserved is the observer of a server that has none.
type unobserved struct{}

func (unobserved) HandshakeDone(string, string)              {}
func (unobserved) HandshakeFailed(capf.HandshakeFailureKind) {}
func (unobserved) KeyGenerated(time.Duration)                {}
func (unobserved) CertificateSent()                          {}
func (unobserved) SessionEnded(capf.SessionEnd)              {}

func (s *Server) observer() Observer {
	if s.Observer == nil {
		return unobserved{}
	}
	return s.Observer
}

// view is what others may see of a connection while it lives, and what is counted at its end.
type view struct {
	server *Server
	entry  *entry       // among the sessions that live
	trace  *traceWriter // of this connection

	// Of the session's own goroutine.
	result  *capf.Result // of the operation or the attempt
	ending  capf.Ending
	counted bool // among the sessions that have ended
}

// observe makes a new connection visible; unobserve ends that.
func (s *Server) observe(address string) *view {
	return &view{server: s, entry: s.living.add(address, s.Clock()), trace: newTraceWriter(s.Tracer)}
}

func (v *view) unobserve() { v.server.living.remove(v.entry) }

func (v *view) state(state capf.SessionState) { v.entry.setState(state, v.server.Clock()) }

// secured notes what the handshake settled.
func (v *view) secured(state tls.ConnectionState) {
	version, suite := tlsName(state.Version), tls.CipherSuiteName(state.CipherSuite)
	v.entry.change(func(seen *capf.LiveSession) { seen.TLS, seen.CipherSuite = version, suite })
	v.server.observer().HandshakeDone(version, suite)
}

// named notes who the phone says it is; from here on its own trace is written.
func (v *view) named(device string, version uint8) {
	v.entry.change(func(seen *capf.LiveSession) { seen.Device, seen.Protocol = device, version })
	v.trace.named(device)
}

// begun notes the operation of a phone that has authenticated.
func (v *view) begun(operation capf.Operation) {
	v.entry.change(func(seen *capf.LiveSession) { seen.Operation = operation })
}

// noted keeps the result of an attempt, or of an operation that was cut short.
func (v *view) noted(result capf.Result) { v.result = &result }

// concluded keeps what came of the operation.
func (v *view) concluded(outcome capf.Outcome) {
	v.noted(outcome.Result)
	v.ending = outcome.Ending
}

// awaits tells what the service waits for after each of its messages.
var awaits = map[wire.Command]capf.SessionState{
	wire.CommandAuthenticationRequest:    capf.StateAwaitAuthRes,
	wire.CommandKeyGenerationRequest:     capf.StateAwaitKeygenRes,
	wire.CommandEncryptRequest:           capf.StateAwaitEncryptRes,
	wire.CommandStoreCertificateRequest:  capf.StateAwaitStoreRes,
	wire.CommandFetchCertificateRequest:  capf.StateAwaitFetchRes,
	wire.CommandDeleteCertificateRequest: capf.StateAwaitDeleteRes,
	wire.CommandEndSession:               capf.StateEnding,
}

// sending notes a message that is about to leave.
func (v *view) sending(message wire.Message) {
	if state, known := awaits[message.Command]; known {
		v.state(state)
	}
	if message.Command == wire.CommandStoreCertificateRequest {
		v.server.observer().CertificateSent()
	}
}

// received notes a message that came; one that says that the phone is still at it changes nothing.
func (v *view) received(message wire.Message) {
	if message.Command == wire.CommandRequestInProgress {
		return
	}
	now := v.server.Clock()
	if before := v.entry.look(); message.Command == wire.CommandKeyGenerationResponse && before.State == capf.StateAwaitKeygenRes {
		v.server.observer().KeyGenerated(now.Sub(before.Since))
	}
	v.entry.setState(capf.StateServing, now)
}

// ended counts the session, once, by the error with which it ended; nil where its operation was carried out.
func (v *view) ended(ctx context.Context, err error, superseded bool) {
	if v.counted {
		return
	}
	v.counted = true
	seen := v.entry.look()
	operation := seen.Operation
	if operation == "" {
		operation = capf.OperationNone
	}
	v.server.observer().SessionEnded(capf.SessionEnd{Outcome: v.outcome(ctx, err, superseded), Operation: operation, Result: v.result,
		Took: v.server.Clock().Sub(seen.Started)})
}

func (v *view) outcome(ctx context.Context, err error, superseded bool) capf.SessionOutcome {
	switch {
	case err == nil && v.ending == capf.EndingFailed:
		return capf.OutcomeFailed
	case err == nil:
		return capf.OutcomeSuccess
	case superseded:
		return capf.OutcomeSuperseded
	case ctx.Err() != nil:
		return capf.OutcomeStopped
	case isTimeout(err):
		return capf.OutcomeTimedOut
	case isLineBroken(err):
		return capf.OutcomeLineBroken
	case wire.IsProtocol(err):
		return capf.OutcomeProtocol
	}
	if outcome, known := outcomeOfCode[capf.CodeOf(err)]; known {
		return outcome
	}
	return capf.OutcomeRefused
}

var outcomeOfCode = map[capf.Code]capf.SessionOutcome{
	capf.CodeNoOperation:    capf.OutcomeNoOperation,
	capf.CodeUnknownDevice:  capf.OutcomeUnknownDevice,
	capf.CodeAuthentication: capf.OutcomeAuthentication,
	capf.CodePeer:           capf.OutcomeProtocol,
	capf.CodeSuperseded:     capf.OutcomeSuperseded,
	capf.CodeInternal:       capf.OutcomeUnavailable,
	capf.CodeUnavailable:    capf.OutcomeUnavailable,
	capf.CodeBusy:           capf.OutcomeUnavailable,
}
