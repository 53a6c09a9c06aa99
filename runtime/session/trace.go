package session

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"sync"
)

// Tracer says of which sessions a trace is written, and writes it. What it says may change at any time.
type Tracer interface {
	// Active reports whether anything is traced at all; it is asked for every line of the log.
	Active() bool
	// Level gives the level from which lines of a device are written; "" stands for every session.
	Level(device string) (level slog.Level, traced bool)
	// WriteTraceLine writes one line, which ends the line itself.
	WriteTraceLine(device string, line []byte)
}

// mostEarly is how many lines are kept until a phone has said its name: the server's question, the
// phone's answer, and what there was to say of the connection.
const mostEarly = 16

// traceWriter is what one connection writes to traces.
type traceWriter struct {
	tracer Tracer // nil: none

	mu     sync.Mutex
	device string
	early  []earlyLine
}

type earlyLine struct {
	level slog.Level
	line  []byte
}

func newTraceWriter(tracer Tracer) *traceWriter { return &traceWriter{tracer: tracer} }

// enabled reports whether a line of that level goes anywhere. Before the phone has said its name it may.
func (t *traceWriter) enabled(level slog.Level) bool {
	if t.tracer == nil || !t.tracer.Active() {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.device == "" || t.takes("", level) || t.takes(t.device, level)
}

func (t *traceWriter) takes(device string, level slog.Level) bool {
	from, traced := t.tracer.Level(device)
	return traced && level >= from
}

// write sends a line to the trace of all sessions and to that of the phone.
func (t *traceWriter) write(level slog.Level, line []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.takes("", level) {
		t.tracer.WriteTraceLine("", line)
	}
	switch {
	case t.device == "" && len(t.early) < mostEarly:
		t.early = append(t.early, earlyLine{level, line})
	case t.device != "" && t.takes(t.device, level):
		t.tracer.WriteTraceLine(t.device, line)
	}
}

// named gives the phone's trace what came before its name.
func (t *traceWriter) named(device string) {
	if t.tracer == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.device = device
	for _, one := range t.early {
		if t.takes(device, one.level) {
			t.tracer.WriteTraceLine(device, one.line)
		}
	}
	t.early = nil
}

// traceHandler hands the lines of one session's log to the service's log and to traces, each by its own
// level.
type traceHandler struct {
	log        slog.Handler
	trace      *traceWriter
	attributes []slog.Attr
}

func (h *traceHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.log.Enabled(ctx, level) || h.trace.enabled(level)
}

func (h *traceHandler) Handle(ctx context.Context, record slog.Record) error {
	if h.trace.enabled(record.Level) {
		h.writeTrace(ctx, record)
	}
	if !h.log.Enabled(ctx, record.Level) {
		return nil
	}
	return h.log.Handle(ctx, record)
}

// writeTrace forms the line only now: most sessions are not traced.
func (h *traceHandler) writeTrace(ctx context.Context, record slog.Record) {
	whole := slog.NewRecord(record.Time, record.Level, record.Message, record.PC)
	whole.AddAttrs(h.attributes...)
	record.Attrs(func(one slog.Attr) bool {
		whole.AddAttrs(one)
		return true
	})
	var line bytes.Buffer
	if slog.NewTextHandler(&line, &slog.HandlerOptions{Level: slog.LevelDebug}).Handle(ctx, whole) == nil {
		h.trace.write(record.Level, line.Bytes())
	}
}

func (h *traceHandler) WithAttrs(attributes []slog.Attr) slog.Handler {
	return &traceHandler{log: h.log.WithAttrs(attributes), trace: h.trace, attributes: append(slices.Clip(h.attributes), attributes...)}
}

// WithGroup groups what follows in the service's log; traces, which are for reading, stay flat.
func (h *traceHandler) WithGroup(name string) slog.Handler {
	return &traceHandler{log: h.log.WithGroup(name), trace: h.trace, attributes: h.attributes}
}

// logger is the log of one connection.
func (v *view) logger(address string) *slog.Logger {
	return slog.New(&traceHandler{log: v.server.Log.Handler(), trace: v.trace}).With("address", address)
}
