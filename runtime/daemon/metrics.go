package daemon

import (
	"net/http"

	"capf/runtime/admin"
)

// metrics are what the service counts of itself.
type metrics = *admin.Metrics

// openMetrics begins to count; splits says that messages leave in two TLS records at TLS 1.0.
func (d *Daemon) openMetrics(splits bool) {
	d.metrics = admin.NewMetrics(!splits)
	d.server.Observer = d.metrics
	d.metrics.Watch(d.server, d.store, d.server.Settings.MaxSessions, d.options.Environment.Clock, d.options.Log)
}

func (d *Daemon) countExpired(count int) { d.metrics.OperationsExpired(count) }

func (d *Daemon) mountMetrics(mux *http.ServeMux) {
	mux.Handle("GET /metrics", d.metrics.Handler(d.options.Log))
}
