// Package web answers the address for people and monitors (the state of the service, its metrics, the
// CRL), and the socket at which commands of the same machine ask the running service.
package web

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"capf/runtime/capf"
)

// How long whoever asks may take. No request here has a body; the largest answer but a CRL is that of /metrics, some
// 50 KB, which may take ten seconds to gather.
const (
	readHeaderWithin = 10 * time.Second
	readWithin       = 20 * time.Second
	writeWithin      = 40 * time.Second
	idleWithin       = 10 * time.Second // there are few places, and another connection costs little
	maxHeader        = 16 << 10         // bytes
)

// NewServer makes the server of the admin address: whoever sends or reads too slowly is dropped, so that a
// connection costs something for a bounded time.
func NewServer(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{Handler: handler, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn), MaxHeaderBytes: maxHeader,
		ReadHeaderTimeout: readHeaderWithin, ReadTimeout: readWithin, WriteTimeout: writeWithin, IdleTimeout: idleWithin}
}

// extend gives an answer so much more time than others, from now.
func extend(w http.ResponseWriter, more time.Duration) {
	// Where the writer has no deadlines, as in a test without a connection, there is none to extend.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeWithin + more))
}

// Health says whether the service can do its work; the error is for its log and goes no further.
type Health interface {
	Check(ctx context.Context) error
}

// checkWithin is longer than the store waits for a lock, so that the log tells what is wrong.
const checkWithin = 8 * time.Second

// Handler answers on the admin address.
func Handler(health Health, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { answerHealth(w, r, health, log) })
	return mux
}

// answerHealth gives 200 `ok`, or 503 where the store does not answer.
func answerHealth(w http.ResponseWriter, r *http.Request, health Health, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(r.Context(), checkWithin)
	defer cancel()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if err := health.Check(ctx); err != nil {
		log.Error("health check failed", "error", err)
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte("the store does not answer; see the log of the service\n"))
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

// Live is what the running service tells the commands of its own machine. It is asked over a socket in the
// data directory, which nobody but the owner of that can open: it names phones and addresses.
type Live interface {
	Sessions() []capf.LiveSession
	// HandshakeFailures gives those of one address, or of all for "", the newest first.
	HandshakeFailures(address string) []capf.HandshakeFailures
}

// The paths of the socket.
const (
	PathSessions          = "/sessions"
	PathHandshakeFailures = "/handshake-failures" // ?address=A for one address
)

// LiveHandler answers on the socket, with JSON.
func LiveHandler(live Live, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+PathSessions, func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, live.Sessions(), log) })
	mux.HandleFunc("GET "+PathHandshakeFailures, func(w http.ResponseWriter, r *http.Request) {
		answerJSON(w, live.HandshakeFailures(r.URL.Query().Get("address")), log)
	})
	return mux
}

func answerJSON(w http.ResponseWriter, value any, log *slog.Logger) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(value); err != nil {
		log.Debug("an answer did not get through", "error", err)
	}
}
