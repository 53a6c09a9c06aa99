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
// before the outcome leaves the operation pending, its authentication string with it.
func (s *session) operate(ctx context.Context) (wire.Reason, error) {
	ref := s.phone.Last.Ref
	if err := s.server.Operations.BeginOperation(ctx, s.device, ref, s.info); err != nil {
		return 0, s.supersededIsNothing(err)
	}
	s.log.Info("operation begins", "operation", s.phone.Last.Operation)
	unfinished := errUnfinished
	defer func() { s.release(ref, unfinished) }()
	var outcome capf.Outcome
	if outcome, unfinished = s.carryOut(ctx); unfinished != nil {
		return 0, unfinished
	}
	outcome.At, outcome.By = s.server.Clock().UTC().Truncate(time.Second), "phone at "+s.info.Address
	if unfinished = s.end(ref, &outcome); unfinished != nil {
		return 0, unfinished
	}
	s.log.Info("operation ended", "operation", s.phone.Last.Operation, "ending", outcome.Ending,
		"result", outcome.Result.String(), "detail", outcome.Detail)
	return reasonFor(s.phone.Last.Operation, outcome), nil
}

// end writes the outcome, also while the service stops: what the phone has confirmed must not be lost. Where
// the store refuses the certificate of the outcome (its key is another device's) the operation has failed.
func (s *session) end(ref capf.OperationRef, outcome *capf.Outcome) error {
	ctx, cancel := context.WithTimeout(context.Background(), writeWithin)
	defer cancel()
	err := s.server.Operations.EndOperation(ctx, s.device, ref, *outcome)
	if !capf.HasCode(err, capf.CodeRefused) {
		return err
	}
	at, by := outcome.At, outcome.By
	*outcome = failed(capf.ResultInvalidLSC, err.Error())
	outcome.At, outcome.By = at, by
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

// release leaves the operation pending where something cut it short, also while the service stops.
func (s *session) release(ref capf.OperationRef, cause error) {
	if cause == nil || capf.HasCode(cause, capf.CodeSuperseded) {
		return // done, or no longer ours to touch
	}
	ctx, cancel := context.WithTimeout(context.Background(), writeWithin)
	defer cancel()
	if err := s.server.Operations.ReleaseOperation(ctx, ref, s.info.Instance, resultOf(cause)); err != nil {
		s.log.Error("the operation could not be released", "error", err)
	}
}

// resultOf tells a phone that broke the line or the protocol from one that was silent too long, and both
// from causes here.
func resultOf(cause error) capf.Result {
	switch {
	case isTimeout(cause):
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
