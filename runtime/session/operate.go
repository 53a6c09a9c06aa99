package session

import (
	"context"
	"errors"
	"time"

	"capf/runtime/capf"
	"capf/runtime/wire"
)

// writeWithin bounds the writing that has to be done even when the service is told to stop.
const writeWithin = 10 * time.Second

// operate carries out the pending operation. On disk stand, in this order: that a session serves it, each
// certificate before it leaves, and the outcome before the phone hears of it. Whatever ends the session
// before the outcome leaves the operation pending, its authentication string with it. ctx ends when a newer
// session takes over; service only with the service.
func (s *session) operate(ctx, service context.Context) (wire.Reason, error) {
	ref := s.phone.Last.Ref
	s.info.Presented = s.credential()
	if err := s.server.Operations.BeginOperation(ctx, s.device, ref, s.info); err != nil {
		if err = cutShort(ctx, err); capf.HasCode(err, capf.CodeAuthentication) { // withdrawn since the session has looked
			s.attempt(ctx, s.resultOf(err), err.Error())
		}
		if s.tookOver { // the session before may have had to leave it in progress
			s.release(service, ref, err)
		}
		return 0, s.supersededIsNothing(err)
	}
	s.view.begun(s.phone.Last.Operation)
	s.log.Info("operation begins", "operation", s.phone.Last.Operation)
	unfinished := errUnfinished
	defer func() { s.release(service, ref, unfinished) }()
	var outcome capf.Outcome
	if outcome, unfinished = s.carryOut(ctx); unfinished != nil {
		unfinished = cutShort(ctx, unfinished)
		return 0, unfinished
	}
	outcome.At, outcome.By = s.server.Clock().UTC().Truncate(time.Second), "phone at "+s.info.Address
	if unfinished = s.end(ref, &outcome); unfinished != nil {
		return 0, unfinished
	}
	s.view.concluded(outcome)
	s.log.Info("operation ended", "operation", s.phone.Last.Operation, "ending", outcome.Ending,
		"result", outcome.Result.String(), "detail", outcome.Detail)
	return reasonFor(s.phone.Last.Operation, outcome), nil
}

// end writes the outcome, also while the service stops: what the phone has confirmed must not be lost. Where
// the store refuses the certificate of the outcome (its key is another device's, or it was revoked on its way to the
// phone) the operation has failed. What the phone holds then is no LSC that anybody may count on.
func (s *session) end(ref capf.OperationRef, outcome *capf.Outcome) error {
	ctx, cancel := context.WithTimeout(context.Background(), writeWithin)
	defer cancel()
	outcome.Presented = s.credential()
	err := s.server.Operations.EndOperation(ctx, s.device, ref, *outcome)
	if !capf.HasCode(err, capf.CodeRefused) {
		return err
	}
	refused := *outcome
	*outcome = failed(capf.ResultInvalidLSC, err.Error())
	outcome.At, outcome.By, outcome.Presented = refused.At, refused.By, refused.Presented
	if outcome.Confirmed = refused.Confirmed; outcome.Confirmed != 0 {
		outcome.LSC = capf.LSCUnknown
	}
	return s.server.Operations.EndOperation(ctx, s.device, ref, *outcome)
}

// supersededIsNothing: an operation that ended between the look-up and the start is simply not there.
func (s *session) supersededIsNothing(err error) error {
	if capf.HasCode(err, capf.CodeSuperseded) {
		return &capf.Error{Code: capf.CodeNoOperation, Message: "no operation is pending any more", Err: err}
	}
	return err
}

func (s *session) carryOut(ctx context.Context) (capf.Outcome, error) {
	switch s.phone.Last.Operation {
	case capf.OperationInstall:
		return s.install(ctx)
	case capf.OperationDelete:
		return s.deleteLSC()
	default:
		return s.troubleshoot(ctx)
	}
}

// cutShort marks a failure before the outcome as the line's where the session was let go: whatever the store
// or the issuer says of that is no fault of theirs.
func cutShort(ctx context.Context, err error) error {
	if ctx.Err() == nil || isLineBroken(err) {
		return err
	}
	return &lineError{err}
}

// reasonFor gives the end of session for an outcome: after a Troubleshoot nothing was changed [P].
func reasonFor(operation capf.Operation, outcome capf.Outcome) wire.Reason {
	switch {
	case outcome.Ending != capf.EndingSuccess:
		return wire.ReasonRefused
	case operation == capf.OperationTroubleshoot:
		return wire.ReasonNoAction
	}
	return wire.ReasonSuccess
}

// errUnfinished stands for the cause while an operation runs, so that not even a panic leaves it in progress.
var errUnfinished = errors.New("the session ended inside the operation")

// releaseAgain is how long after a release that failed the next is tried.
const releaseAgain = time.Second

// release leaves the operation pending where something cut it short, also while the service stops. Where the
// store does not take that, the phone is let go, and it is tried again until the store does, a newer session
// of the phone takes over, and this with it, or the service stops: an operation that seems to be served would
// never expire.
func (s *session) release(service context.Context, ref capf.OperationRef, cause error) {
	if cause == nil {
		return
	}
	result := s.resultOf(cause)
	if !capf.HasCode(cause, capf.CodeSuperseded) {
		s.view.noted(result)
	}
	err := s.releaseWithin(context.Background(), ref, result)
	if err == nil {
		return
	}
	s.log.Error("operation not released: line closed, so that the phone tries again; to be released as soon as the store takes it",
		"cause", cause, "error", err)
	_ = s.conn.NetConn().Close()
	for err != nil && service.Err() == nil && !s.server.registry.handOver(s) {
		sleep(service, releaseAgain)
		err = s.releaseWithin(service, ref, result)
	}
}

func (s *session) releaseWithin(ctx context.Context, ref capf.OperationRef, result capf.Result) error {
	ctx, cancel := context.WithTimeout(ctx, writeWithin)
	defer cancel()
	return s.server.Operations.ReleaseOperation(ctx, ref, s.info.Instance, result)
}

// resultOf is the result of a session that a cause has cut short.
func (s *session) resultOf(cause error) capf.Result {
	if s.presented != nil && capf.HasCode(cause, capf.CodeAuthentication) {
		return invalid[s.presented.Kind] // it was withdrawn while the session went on
	}
	return resultOf(cause)
}

// resultOf tells a phone that broke the line or the protocol from one that was silent too long, and both
// from causes here. Of an operation that is superseded the store has nothing to release, unless it was the
// deadline that ended it.
func resultOf(cause error) capf.Result {
	switch {
	case isTimeout(cause), capf.HasCode(cause, capf.CodeSuperseded):
		return capf.ResultTimedOut
	case isLineBroken(cause), wire.IsProtocol(cause), capf.HasCode(cause, capf.CodePeer):
		return capf.ResultCommunication
	}
	return capf.ResultFailed
}

// failed is an outcome that ends the operation without what was asked.
func failed(result capf.Result, detail string) capf.Outcome {
	return capf.Outcome{Ending: capf.EndingFailed, Result: result, Detail: detail}
}

// HeldCalls remembers, for the story of a phone, that the maintenance window held it back.
type HeldCalls interface {
	RecordHeldCall(ctx context.Context, ref capf.OperationRef, call capf.HeldCall) error
}

// holdBack ends the session of a phone that has to wait for the maintenance window (A5; guide, *Rules of
// ours*): it is told that nothing is pending, and what is stays so. It comes after authentication, so that
// what would fail in the night is seen in the day, and so that nobody else can write of the phone's call.
func (s *session) holdBack(ctx context.Context) error {
	window, err := s.params.Window()
	if err != nil {
		return err
	}
	now := s.server.Clock()
	if !s.phone.IsHeldBack(window, now, s.params) {
		return nil
	}
	next, _ := window.Next(now)
	s.recordHeldCall(ctx, now, next.From)
	return &capf.Error{Code: capf.CodeNoOperation, Message: "held back until the maintenance window opens at " + capf.FormatTime(next.From),
		Hint: "a reset is due then"}
}

// recordHeldCall keeps the phone waiting for no more than a log line where it fails.
func (s *session) recordHeldCall(ctx context.Context, now, opens time.Time) {
	if s.server.HeldCalls == nil {
		return
	}
	err := s.server.HeldCalls.RecordHeldCall(ctx, s.phone.Last.Ref,
		capf.HeldCall{Device: s.device, Address: s.info.Address, At: now.UTC().Truncate(time.Second), Opens: opens.UTC()})
	if err != nil && !errors.Is(err, context.Canceled) {
		s.log.Error("that the phone was held back could not be recorded", "error", err)
	}
}
