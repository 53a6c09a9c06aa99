package web

import (
	"context"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"capf/runtime/capf"
)

const namespace = "capf"

// Metrics are what a Prometheus server reads under /metrics. No label carries the name or the address of a
// phone: there are too many of them, and anybody can invent more. They observe the sessions of a server.
type Metrics struct {
	registry *prometheus.Registry

	handshakes        *prometheus.CounterVec
	handshakeFailures *prometheus.CounterVec
	ended             *prometheus.CounterVec
	durations         prometheus.Histogram
	keyGeneration     prometheus.Histogram
	certificates      prometheus.Counter
	expired           prometheus.Counter
	resets            *prometheus.CounterVec
	files             *prometheus.CounterVec
	nodeReads         *prometheus.CounterVec
	nodes             *prometheus.GaugeVec
	nodesReadAt       *prometheus.GaugeVec // has no label, and so is not there before it is set
}

// Bounds in seconds: a session is over in a tenth of one or lasts as long as the phone makes its keys, which
// parameter C4 allows for two hours at the most.
var (
	sessionBounds = []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 15, 60, 300, 900, 1800, 3600, 7200}
	keyBounds     = []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 1800, 3600, 7200}
)

// NewMetrics makes them, all zero. wholeRecords says whether the program was built with the TLS overlay.
func NewMetrics(wholeRecords bool) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(),
		handshakes: vector("handshakes_total", "TLS handshakes that phones completed.", "version", "cipher_suite"),
		handshakeFailures: vector("handshake_failures_total",
			"TLS handshakes that failed, by what went wrong.", "kind"),
		ended: vector("sessions_ended_total",
			"Sessions that ended, by how, by the operation that was begun in them (none), and by result code (empty where there is none).",
			"outcome", "operation", "result"),
		durations:     histogram("session_duration_seconds", "From the connection to the end of its session.", sessionBounds),
		keyGeneration: histogram("key_generation_duration_seconds", "From the request to the phone's public key.", keyBounds),
		certificates:  counter("certificates_sent_total", "LSCs that left for their phones."),
		expired:       counter("operations_expired_total", "Operations that were ended because their deadline had passed."),
		resets:        vector("phone_resets_total", "Resets of phones by the service itself, by what became of them.", "outcome"),
		files:         vector("phone_files_total", "Answers to phones that fetch files over HTTP, by what was asked for and HTTP status.", "kind", "status"),
		nodeReads:     vector("node_reads_total", "Looks of the service at what the servers of the cluster hold, by what became of them.", "outcome"),
		nodes:         gauge("nodes", "Servers of the cluster by what they held when the service last looked, against what they should; not there where it could not tell.", "state"),
		nodesReadAt:   gauge("nodes_last_read_timestamp_seconds", "When the service last read what the servers hold."),
	}
	for _, kind := range capf.HandshakeFailureKinds {
		m.handshakeFailures.WithLabelValues(string(kind)) // there from the start, so that a rate begins at 0
	}
	for _, outcome := range []string{resetDone, resetFailed} {
		m.resets.WithLabelValues(outcome)
	}
	for _, outcome := range []string{nodesRead, nodesNotKnown} {
		m.nodeReads.WithLabelValues(outcome)
	}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.handshakes, m.handshakeFailures, m.ended, m.durations, m.keyGeneration, m.certificates, m.expired, m.resets, m.files, m.nodeReads, m.nodes, m.nodesReadAt, buildInfo(wholeRecords))
	return m
}

func vector(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help})
}

func histogram(name, help string, bounds []float64) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: bounds})
}

// buildInfo is the constant 1 with what the program was built from.
func buildInfo(wholeRecords bool) prometheus.Collector {
	records, version, compiler := "split", "unknown", "unknown"
	if wholeRecords {
		records = "whole"
	}
	if info, known := debug.ReadBuildInfo(); known {
		version, compiler = info.Main.Version, info.GoVersion
	}
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: "build_info",
		Help:        "What runs; records: whether a message leaves in one TLS record at TLS 1.0, as 79xx phones need it, or split.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": compiler, "records": records}})
	gauge.Set(1)
	return gauge
}

// HandshakeDone counts a handshake by TLS version and cipher suite.
func (m *Metrics) HandshakeDone(version, cipherSuite string) {
	m.handshakes.WithLabelValues(version, cipherSuite).Inc()
}

// HandshakeFailed counts a handshake that failed.
func (m *Metrics) HandshakeFailed(kind capf.HandshakeFailureKind) {
	m.handshakeFailures.WithLabelValues(string(kind)).Inc()
}

// KeyGenerated counts a key pair of a phone.
func (m *Metrics) KeyGenerated(took time.Duration) { m.keyGeneration.Observe(took.Seconds()) }

// CertificateSent counts an LSC that left for its phone.
func (m *Metrics) CertificateSent() { m.certificates.Inc() }

// SessionEnded counts a session.
func (m *Metrics) SessionEnded(end capf.SessionEnd) {
	result := ""
	if end.Result != nil {
		result = strconv.Itoa(int(*end.Result))
	}
	m.ended.WithLabelValues(string(end.Outcome), string(end.Operation), result).Inc()
	m.durations.Observe(end.Took.Seconds())
}

// OperationsExpired counts operations that were ended at their deadline.
func (m *Metrics) OperationsExpired(count int) { m.expired.Add(float64(count)) }

// What became of a reset.
const (
	resetDone   = "reset"
	resetFailed = "failed"
)

// PhoneReset counts a phone that the service has reset, or failed to.
func (m *Metrics) PhoneReset(failed bool) {
	outcome := resetDone
	if failed {
		outcome = resetFailed
	}
	m.resets.WithLabelValues(outcome).Inc()
}

// FileAnswered counts an answer to a phone that fetches its files over HTTP, by what it asked for and HTTP status.
func (m *Metrics) FileAnswered(kind string, status int) {
	m.files.WithLabelValues(kind, strconv.Itoa(status)).Inc()
}

// What became of a look at the nodes.
const (
	nodesRead     = "done"
	nodesNotKnown = "failed"
)

// NodesRead shows what the servers hold: how many are in each state. States without a server are there with 0. No server
// is named: whoever reads metrics need not learn the cluster's names from them; `capf ctl status` tells which.
func (m *Metrics) NodesRead(states map[string]int, at time.Time) {
	m.nodeReads.WithLabelValues(nodesRead).Inc()
	m.nodes.Reset()
	for state, count := range states {
		m.nodes.WithLabelValues(state).Set(float64(count))
	}
	m.nodesReadAt.WithLabelValues().Set(float64(at.Unix()))
}

// NodesUnknown takes away what was shown: it could not be told what the servers should hold. failed says that this
// was a failure, not that there is no list yet.
func (m *Metrics) NodesUnknown(failed bool) {
	if failed {
		m.nodeReads.WithLabelValues(nodesNotKnown).Inc()
	}
	m.nodes.Reset()
}

// Handler answers GET /metrics.
func (m *Metrics) Handler(log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
}

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
