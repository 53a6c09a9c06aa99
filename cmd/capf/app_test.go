package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"capf/runtime/config"
)

// Times are written alike everywhere: UTC, whole seconds, whatever the zone of the machine is.
func TestLogTime(t *testing.T) {
	at := time.Date(2026, 11, 24, 8, 15, 30, 987654321, time.FixedZone("JST", 9*60*60))
	for format, want := range map[string]string{"text": "time=2026-11-23T23:15:30Z level=INFO ", "json": `{"time":"2026-11-23T23:15:30Z","level":"INFO",`} {
		var out bytes.Buffer
		app := &app{stderr: &out}
		log, _, err := app.logger(config.Log{Level: "info", Format: format})
		if err != nil {
			t.Fatal(err)
		}
		record := slog.NewRecord(at, slog.LevelInfo, "x", 0)
		if err := log.Handler().Handle(t.Context(), record); err != nil || !strings.HasPrefix(out.String(), want) {
			t.Errorf("%s: %v, %q", format, err, out.String())
		}
	}
}
