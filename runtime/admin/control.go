package admin

import (
	"encoding/json"
	"log/slog"
	"net/http"

	"capf/runtime/capf"
)

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
