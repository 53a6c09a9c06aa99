// Package admin answers the address for people and monitors (the state of the service, its metrics, the
// CRL), and the socket at which commands of the same machine ask the running service.
package admin

import (
	"context"
	"log/slog"
	"net/http"
	"time"
)

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
