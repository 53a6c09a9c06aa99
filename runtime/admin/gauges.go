package admin

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"capf/runtime/capf"
)

// Service is what the gauges show of the running service.
type Service interface {
	// SessionsByState counts the sessions that live.
	SessionsByState() map[capf.SessionState]int
}

// Inventory is what the gauges show of the store.
type Inventory interface {
	PhonesByTLS(ctx context.Context) (map[string]int, error)
	// OpenOperations counts operations that have not ended, and those of them whose deadline has passed.
	OpenOperations(ctx context.Context) (all, late int, err error)
	Commits() int64
}

const (
	inventoryAge    = 30 * time.Second // how old what is counted in the store may be
	inventoryWithin = 5 * time.Second
)

// gauges read what there is when they are asked, and cost nothing otherwise.
type gauges struct {
	service   Service
	inventory Inventory
	places    int
	clock     func() time.Time
	log       *slog.Logger

	mu       sync.Mutex // held while the store is counted, so that it is counted once
	countAt  time.Time
	phones   map[string]int
	all, due int
}

var (
	sessionsGauge = description("sessions", "Connections that live, by what they wait for.", "state")
	placesGauge   = description("free_places", "Sessions that may begin before others have to wait.")
	phonesGauge   = description("phones", "Phones by the TLS version of their last session; never: they had none.", "tls")
	openGauge     = description("operations", "Operations that have not ended: pending, or expired and about to be ended.", "status")
	commitsTotal  = description("store_commits_total", "Transactions of the store; many writes can share one.")
)

func description(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
}

// Watch adds the gauges. places is how many sessions there may be at a time.
func (m *Metrics) Watch(service Service, inventory Inventory, places int, clock func() time.Time, log *slog.Logger) {
	m.registry.MustRegister(&gauges{service: service, inventory: inventory, places: places, clock: clock, log: log})
}

// Describe names the gauges.
func (g *gauges) Describe(descriptions chan<- *prometheus.Desc) {
	for _, one := range []*prometheus.Desc{sessionsGauge, placesGauge, phonesGauge, openGauge, commitsTotal} {
		descriptions <- one
	}
}

// Collect reads them.
func (g *gauges) Collect(values chan<- prometheus.Metric) {
	send := func(description *prometheus.Desc, value int, labels ...string) {
		values <- prometheus.MustNewConstMetric(description, prometheus.GaugeValue, float64(value), labels...)
	}
	taken := 0
	counts := g.service.SessionsByState()
	for _, state := range capf.SessionStates {
		send(sessionsGauge, counts[state], string(state))
		if state != capf.StateAwaitPlace {
			taken += counts[state]
		}
	}
	send(placesGauge, max(0, g.places-taken))
	values <- prometheus.MustNewConstMetric(commitsTotal, prometheus.CounterValue, float64(g.inventory.Commits()))
	g.collectInventory(send)
}

// collectInventory leaves its gauges out where the store does not answer: to show old ones would hide that.
func (g *gauges) collectInventory(send func(*prometheus.Desc, int, ...string)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.count(); err != nil {
		g.log.Error("the store could not be counted for /metrics", "error", err)
		return
	}
	send(openGauge, g.all-g.due, string(capf.StatusPending))
	send(openGauge, g.due, string(capf.StatusExpired))
	for version, count := range g.phones {
		if version == "" {
			version = "never"
		}
		send(phonesGauge, count, version)
	}
}

func (g *gauges) count() error {
	now := g.clock()
	if age := now.Sub(g.countAt); g.phones != nil && age >= 0 && age < inventoryAge {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), inventoryWithin)
	defer cancel()
	all, due, err := g.inventory.OpenOperations(ctx)
	if err != nil {
		return err
	}
	phones, err := g.inventory.PhonesByTLS(ctx)
	if err != nil {
		return err
	}
	g.countAt, g.phones, g.all, g.due = now, phones, all, due
	return nil
}
