package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"capf/runtime/capf"
)

// The files of traces in DATA/traces. Each has one predecessor, with `.1` behind its name.
const (
	traceOfAll    = "sessions.txt"
	traceOfDevice = "%s-session.txt"

	maxDeviceTrace = 1 << 20  // bytes
	maxAllTrace    = 16 << 20 // bytes
)

// traceStore is where it stands what is traced.
type traceStore interface {
	Traces(ctx context.Context) ([]capf.TraceSetting, error)
}

// tracer writes the traces of sessions and sets the level of the service's log, both by what stands in the
// store, which it looks at every second.
type tracer struct {
	folder     string
	store      traceStore
	log        *slog.Logger
	logLevel   *slog.LevelVar // nil: the log keeps its level
	configured slog.Level     // of the log, where the store has none

	blind  bool                                  // the last look failed; of the goroutine that follows the store
	levels atomic.Pointer[map[string]slog.Level] // by device, "" for all; nil or empty: nothing is traced
	mu     sync.Mutex                            // one line at a time
	broken bool                                  // the last line could not be written
}

const lookEvery = time.Second

// openTracer reads what is traced before the first phone calls.
func (d *Daemon) openTracer(ctx context.Context) error {
	d.tracer = &tracer{folder: filepath.Join(d.options.Data, "traces"), store: d.store, log: d.options.Log, logLevel: d.options.LogLevel}
	if d.options.LogLevel != nil {
		d.tracer.configured = d.options.LogLevel.Level()
	}
	d.server.Tracer = d.tracer
	return d.tracer.look(ctx)
}

// follow is a look whose failure is told, once.
func (t *tracer) follow(ctx context.Context) {
	err := t.look(ctx)
	if err != nil && !t.blind && ctx.Err() == nil {
		t.log.Error("what to trace could not be read; it stays as it was", "error", err)
	}
	t.blind = err != nil
}

// look takes over what stands in the store.
func (t *tracer) look(ctx context.Context) error {
	settings, err := t.store.Traces(ctx)
	if err != nil {
		return err
	}
	logLevel, levels := t.configured, make(map[string]slog.Level)
	for _, one := range settings {
		switch one.Subject {
		case capf.TraceService:
			logLevel = one.Level.Slog()
		case capf.TraceAll:
			levels[""] = one.Level.Slog()
		default:
			levels[one.Subject] = one.Level.Slog()
		}
	}
	t.levels.Store(&levels)
	if t.logLevel != nil && t.logLevel.Level() != logLevel {
		t.logLevel.Set(logLevel)
		t.log.Log(ctx, max(logLevel, slog.LevelInfo), "the log has another level now", "level", logLevel)
	}
	return nil
}

// Active reports whether anything is traced.
func (t *tracer) Active() bool {
	levels := t.levels.Load()
	return levels != nil && len(*levels) > 0
}

// Level gives the level of a device's trace, or of that of all sessions for "".
func (t *tracer) Level(device string) (slog.Level, bool) {
	levels := t.levels.Load()
	if levels == nil {
		return 0, false
	}
	level, traced := (*levels)[device]
	return level, traced
}

// WriteTraceLine adds a line to the trace of a device, or to that of all sessions for "". Where it cannot,
// the session goes on, and the log says so once.
func (t *tracer) WriteTraceLine(device string, line []byte) {
	name, most := traceOfAll, int64(maxAllTrace)
	if device != "" {
		// The device name came through capf.ParseDevice: it has no separators.
		name, most = fmt.Sprintf(traceOfDevice, device), maxDeviceTrace
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	err := t.append(filepath.Join(t.folder, name), line, most)
	if err != nil && !t.broken {
		t.log.Error("traces cannot be written", "error", err)
	}
	t.broken = err != nil
}

// append opens the file for each line, so that traces hold no descriptors, and may be removed at any time.
func (t *tracer) append(path string, line []byte, most int64) error {
	file, err := openTrace(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(t.folder, 0o700); err != nil {
			return err
		}
		file, err = openTrace(path)
	}
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil && info.Size() > 0 && info.Size()+int64(len(line)) > most {
		if err := errors.Join(file.Close(), os.Rename(path, path+".1")); err != nil {
			return err
		}
		if file, err = openTrace(path); err != nil {
			return err
		}
	}
	_, err = file.Write(line)
	return errors.Join(err, file.Close())
}

func openTrace(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
}
