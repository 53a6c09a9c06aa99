package admin

import (
	"log/slog"
	"net/http"
	"time"
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
