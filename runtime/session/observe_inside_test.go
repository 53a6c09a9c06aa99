package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"capf/runtime/capf"
)

// Whoever has not authenticated must not fill the memory: addresses and reasons are bounded, and the newest
// stay.
func TestFailureTableIsBounded(t *testing.T) {
	var table failureTable
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	table.add("keeps calling", capf.HandshakeClosed, "x", start)
	for n := range maxFailureAddresses + 10 {
		table.add(fmt.Sprint("address ", n), capf.HandshakeOther, strings.Repeat("é", 1000), start)
		table.add("keeps calling", capf.HandshakeTimeout, "y", start.Add(time.Second))
	}
	if got := table.order.Len(); got != maxFailureAddresses || len(table.addresses) != got {
		t.Fatalf("%d lines, %d addresses", got, len(table.addresses))
	}
	newest := table.order.Front().Value.(*capf.HandshakeFailures)
	if newest.Address != "keeps calling" || newest.Count != maxFailureAddresses+11 || newest.Kind != capf.HandshakeTimeout || newest.First != start {
		t.Errorf("%+v", newest)
	}
	if second := table.order.Front().Next().Value.(*capf.HandshakeFailures); len(second.Reason) > maxFailureReason+1 {
		t.Errorf("a reason of %d bytes", len(second.Reason))
	}
	if _, kept := table.addresses["address 0"]; kept {
		t.Error("the oldest stayed")
	}
}

func TestOutcomes(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	coded := func(code capf.Code) error { return &capf.Error{Code: code, Message: "x"} }
	for _, test := range []struct {
		ctx        context.Context
		err        error
		ending     capf.Ending
		superseded bool
		want       capf.SessionOutcome
	}{
		{t.Context(), nil, capf.EndingSuccess, false, capf.OutcomeSuccess},
		{t.Context(), nil, capf.EndingFailed, false, capf.OutcomeFailed},
		{t.Context(), errors.New("x"), "", true, capf.OutcomeSuperseded},
		{ended, errors.New("x"), "", false, capf.OutcomeStopped},
		{t.Context(), coded(capf.CodeRefused), "", false, capf.OutcomeRefused},
		{t.Context(), coded(capf.CodeBusy), "", false, capf.OutcomeUnavailable},
		{t.Context(), errors.New("x"), "", false, capf.OutcomeUnavailable},
		{t.Context(), coded(capf.CodePeer), "", false, capf.OutcomeProtocol},
		{t.Context(), coded(capf.CodeSuperseded), "", false, capf.OutcomeSuperseded},
	} {
		if got := (&view{ending: test.ending}).outcome(test.ctx, test.err, test.superseded); got != test.want {
			t.Errorf("%v: %s, want %s", test.err, got, test.want)
		}
	}
}

// A session that nobody traces keeps no lines, and one that is traced keeps few before its phone is named.
func TestEarlyLinesAreBounded(t *testing.T) {
	writer := newTraceWriter(nil)
	if writer.enabled(0) {
		t.Error("enabled without a tracer")
	}
	writer.named("SEP001122334455")
	busy := newTraceWriter(activeTracer{})
	for range 10 * mostEarly {
		busy.write(0, []byte("line\n"))
	}
	if len(busy.early) != mostEarly {
		t.Errorf("%d lines", len(busy.early))
	}
}

// activeTracer traces, but none of the devices of the test.
type activeTracer struct{}

func (activeTracer) Active() bool                    { return true }
func (activeTracer) Level(string) (slog.Level, bool) { return 0, false }
func (activeTracer) WriteTraceLine(string, []byte)   {}
