package daemon

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"capf/runtime/capf"
	"capf/runtime/store"
	"capf/runtime/web"
)

// fixedLive is a service with one session, at a fixed time.
type fixedLive struct{}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func (fixedLive) Sessions() []capf.LiveSession {
	return []capf.LiveSession{{Device: "SEP0011223344AA", State: capf.StateAwaitKeygenRes, Since: noon, Started: noon, Address: "192.0.2.7", TLS: "1.0"}}
}

func (fixedLive) HandshakeFailures(address string) []capf.HandshakeFailures {
	return []capf.HandshakeFailures{{Address: address, Count: 3, First: noon, Last: noon, Kind: capf.HandshakeVersion, Reason: "x"}}
}

// listening is a socket in a folder with the service behind it.
func listening(t *testing.T, folder string) net.Listener {
	t.Helper()
	socket, err := listenSocket(t.Context(), folder)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: web.LiveHandler(fixedLive{}, slog.New(slog.DiscardHandler))}
	go func() { _ = server.Serve(socket) }()
	t.Cleanup(func() { _ = server.Close() })
	return socket
}

// The names of sockets are short in the system; data directories may be anywhere.
func TestSocketInFoldersOfAnyLength(t *testing.T) {
	for _, name := range []string{"short", strings.Repeat("long ", 40)} {
		folder := filepath.Join(t.TempDir(), name)
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		socket := listening(t, folder)
		info, err := os.Stat(filepath.Join(folder, socketName))
		if err != nil || info.Mode() != os.ModeSocket|0o600 {
			t.Fatalf("%v, %v", info, err)
		}
		var sessions []capf.LiveSession
		if running, err := Ask(t.Context(), folder, web.PathSessions, &sessions); !running || err != nil || len(sessions) != 1 || sessions[0] != (fixedLive{}).Sessions()[0] {
			t.Errorf("%v, %v, %+v", running, err, sessions)
		}
		var failures []capf.HandshakeFailures
		if _, err := Ask(t.Context(), folder, web.PathHandshakeFailures+"?address=fe80%3A%3A1%25eth0", &failures); err != nil || failures[0].Address != "fe80::1%eth0" {
			t.Errorf("%v, %+v", err, failures)
		}
		if err := socket.Close(); err != nil {
			t.Error(err)
		}
		if left, _ := os.ReadDir(folder); len(left) != 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

func TestAskWithoutService(t *testing.T) {
	folder := t.TempDir()
	var sessions []capf.LiveSession
	if running, err := Ask(t.Context(), filepath.Join(folder, "none"), web.PathSessions, &sessions); running || err != nil {
		t.Errorf("no folder: %v, %v", running, err)
	}
	if running, err := Ask(t.Context(), folder, web.PathSessions, &sessions); running || err != nil {
		t.Errorf("no socket: %v, %v", running, err)
	}
	left, err := net.Listen("unix", filepath.Join(folder, socketName))
	if err != nil {
		t.Fatal(err)
	}
	left.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := left.Close(); err != nil {
		t.Fatal(err)
	}
	if running, err := Ask(t.Context(), folder, web.PathSessions, &sessions); running || err != nil {
		t.Errorf("left by a service that was killed: %v, %v", running, err)
	}
	lock, err := store.TakeServeLock(folder)
	if err != nil {
		t.Fatal(err)
	}
	if running, err := Ask(t.Context(), folder, web.PathSessions, &sessions); !running || !capf.HasCode(err, capf.CodeUnavailable) {
		t.Errorf("a service without a socket: %v, %v", running, err)
	}
	listening(t, folder) // takes the place of what was left
	if running, err := Ask(t.Context(), folder, web.PathSessions, &sessions); !running || err != nil {
		t.Errorf("after it: %v, %v", running, err)
	}
	if err := lock.Release(); err != nil {
		t.Error(err)
	}
}

func TestAskNeverWaitsForLong(t *testing.T) {
	folder := t.TempDir()
	silent, err := net.Listen("unix", filepath.Join(folder, socketName))
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	var into json.RawMessage
	if _, err := Ask(ctx, folder, web.PathSessions, &into); !capf.HasCode(err, capf.CodeUnavailable) {
		t.Error(err)
	}
	answers := func(status int, body string) error {
		path := filepath.Join(t.TempDir(), socketName)
		socket, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		})}
		go func() { _ = server.Serve(socket) }()
		defer server.Close()
		_, err = Ask(t.Context(), filepath.Dir(path), "/x", &into)
		return err
	}
	if err := answers(http.StatusNotFound, "{}"); !capf.HasCode(err, capf.CodeUnavailable) {
		t.Error(err)
	}
	if err := answers(http.StatusOK, "no JSON"); !capf.HasCode(err, capf.CodeUnavailable) {
		t.Error(err)
	}
}
