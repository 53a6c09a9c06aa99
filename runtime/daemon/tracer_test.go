package daemon

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"capf/runtime/capf"
)

// listedTraces is a store with these settings.
type listedTraces struct {
	settings []capf.TraceSetting
	err      error
}

func (l *listedTraces) Traces(context.Context) ([]capf.TraceSetting, error) {
	return l.settings, l.err
}

func newTracer(t *testing.T, settings ...capf.TraceSetting) (*tracer, *listedTraces, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	listed := &listedTraces{settings: settings}
	level := new(slog.LevelVar)
	level.Set(slog.LevelWarn)
	tracer := &tracer{folder: filepath.Join(t.TempDir(), "traces"), store: listed, logLevel: level, configured: slog.LevelWarn,
		log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: level}))}
	if err := tracer.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	return tracer, listed, &log
}

const device = "SEP0011223344AA"

func TestTracerFollowsTheStore(t *testing.T) {
	tracer, listed, log := newTracer(t)
	if tracer.Active() {
		t.Error("active with nothing to trace")
	}
	listed.settings = []capf.TraceSetting{{Subject: device, Level: capf.TraceDebug}, {Subject: capf.TraceAll, Level: capf.TraceInfo},
		{Subject: capf.TraceService, Level: capf.TraceDebug}}
	if err := tracer.look(t.Context()); err != nil || !tracer.Active() {
		t.Fatal(err)
	}
	for subject, want := range map[string]slog.Level{device: slog.LevelDebug, "": slog.LevelInfo} {
		if level, traced := tracer.Level(subject); !traced || level != want {
			t.Errorf("%q: %v, %v", subject, level, traced)
		}
	}
	for _, none := range []string{"SEP0011223344AB", capf.TraceAll, capf.TraceService} {
		if _, traced := tracer.Level(none); traced {
			t.Errorf("%s is traced", none)
		}
	}
	if tracer.logLevel.Level() != slog.LevelDebug || !strings.Contains(log.String(), "another level") {
		t.Errorf("the log: %v\n%s", tracer.logLevel.Level(), log)
	}
	listed.err = errors.New("not now")
	if err := tracer.look(t.Context()); err == nil || !tracer.Active() || tracer.logLevel.Level() != slog.LevelDebug {
		t.Error("what was set is lost with a store that does not answer")
	}
	listed.settings, listed.err = nil, nil
	if err := tracer.look(t.Context()); err != nil || tracer.Active() || tracer.logLevel.Level() != slog.LevelWarn {
		t.Errorf("not back to the configuration: %v, %v", tracer.logLevel.Level(), err)
	}
}

// The level of the log alone traces nothing: sessions then keep no lines.
func TestLogLevelIsNoTrace(t *testing.T) {
	tracer, _, _ := newTracer(t, capf.TraceSetting{Subject: capf.TraceService, Level: capf.TraceError})
	if tracer.Active() || tracer.logLevel.Level() != slog.LevelError {
		t.Errorf("%v, %v", tracer.Active(), tracer.logLevel.Level())
	}
}

func TestTraceFiles(t *testing.T) {
	tracer, _, log := newTracer(t)
	line := []byte(strings.Repeat("x", 1023) + "\n")
	for range maxDeviceTrace/len(line) + 1 {
		tracer.WriteTraceLine(device, line)
	}
	tracer.WriteTraceLine("", line)
	sizes := map[string]int64{device + "-session.txt": 1024, device + "-session.txt.1": maxDeviceTrace, "sessions.txt": 1024}
	for name, want := range sizes {
		info, err := os.Stat(filepath.Join(tracer.folder, name))
		if err != nil || info.Size() != want || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	for range maxDeviceTrace / len(line) {
		tracer.WriteTraceLine(device, line)
	}
	if files, _ := os.ReadDir(tracer.folder); len(files) != len(sizes) {
		t.Errorf("more files than %d: %v", len(sizes), files)
	}
	if info, err := os.Stat(tracer.folder); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder: %v, %v", info, err)
	}
	if log.Len() > 0 {
		t.Errorf("log:\n%s", log)
	}
}

// Where a trace cannot be written the log says so once, and again after it could in between.
func TestTraceThatCannotBeWritten(t *testing.T) {
	tracer, _, log := newTracer(t)
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	path := filepath.Join(tracer.folder, device+"-session.txt")
	for range 2 {
		if err := errors.Join(os.MkdirAll(tracer.folder, 0o700), os.Symlink(elsewhere, path)); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			tracer.WriteTraceLine(device, []byte("line\n"))
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		tracer.WriteTraceLine(device, []byte("line\n"))
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if count := strings.Count(log.String(), "traces cannot be written"); count != 2 {
		t.Errorf("said %d times:\n%s", count, log)
	}
	if _, err := os.Stat(elsewhere); err == nil {
		t.Error("it was written through a link")
	}
}
