package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"capf/runtime/capf"
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

// Ctrl-C is told as that, beside whatever else failed; of an error that has another cause nothing is hidden.
func TestInterrupted(t *testing.T) {
	stopped, stop := context.WithCancel(t.Context())
	stop()
	cut := fmt.Errorf("migration run 1: store capf.db: %w", context.Canceled)
	part := &capf.Error{Code: capf.CodePart, Message: "1 of 2 nodes is done"}
	for name, test := range map[string]struct {
		ctx    context.Context
		err    error
		want   []string // beginnings of the lines
		status int
	}{
		"done":            {stopped, nil, nil, 0},
		"cut":             {stopped, cut, []string{"capf: interrupted before it was finished; the same command again"}, 1},
		"several cut":     {stopped, errors.Join(cut, cut), []string{"capf: interrupted"}, 1},
		"cut in part":     {stopped, errors.Join(part, cut), []string{"capf: 1 of 2 nodes is done", "capf: interrupted"}, 3},
		"failed":          {stopped, errors.New("no room"), []string{"capf: no room"}, 1},
		"not by a signal": {t.Context(), cut, []string{"capf: migration run 1: store capf.db: context canceled"}, 1},
	} {
		var out bytes.Buffer
		status := report(&out, interrupted(test.ctx, test.err))
		said := strings.FieldsFunc(out.String(), func(r rune) bool { return r == '\n' })
		right := len(said) == len(test.want) && status == test.status
		for i := range said {
			right = right && strings.HasPrefix(said[i], test.want[i])
		}
		if !right {
			t.Errorf("%s: status %d, %q", name, status, said)
		}
	}
}
