package session

import (
	"context"
	"errors"
	"time"

	"capf/runtime/capf"
)

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
