package admin

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// What became of a look at the nodes.
const (
	nodesRead     = "done"
	nodesNotKnown = "failed"
)

// nodes is what the service saw when it last looked at what the servers of the cluster hold. It counts them and names
// none: whoever reads metrics need not learn the cluster's names from them; `capf ctl status` tells which.
type nodes struct {
	mu     sync.Mutex
	states map[string]int // nil: nobody has looked, or could
	at     time.Time      // of the last look that was possible
}

var (
	nodesGauge = description("nodes",
		"Servers of the cluster by what they held when the service last looked, against what they should; not there where it could not tell.", "state")
	nodesReadGauge = description("nodes_last_read_timestamp_seconds", "When the service last read what the servers hold.")
)

// Describe names the gauges.
func (n *nodes) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- nodesGauge
	descriptions <- nodesReadGauge
}

// Collect gives them, all of one look.
func (n *nodes) Collect(values chan<- prometheus.Metric) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for state, count := range n.states {
		values <- prometheus.MustNewConstMetric(nodesGauge, prometheus.GaugeValue, float64(count), state)
	}
	if !n.at.IsZero() {
		values <- prometheus.MustNewConstMetric(nodesReadGauge, prometheus.GaugeValue, float64(n.at.Unix()))
	}
}

// NodesRead shows what the servers hold: how many are in each state. States without a server are there with 0.
func (m *Metrics) NodesRead(states map[string]int, at time.Time) {
	m.nodeReads.WithLabelValues(nodesRead).Inc()
	m.nodes.mu.Lock()
	defer m.nodes.mu.Unlock()
	m.nodes.states, m.nodes.at = states, at
}

// NodesUnknown takes away what was shown: it could not be told what the servers should hold. failed says that this
// was a failure, not that there is no list yet.
func (m *Metrics) NodesUnknown(failed bool) {
	if failed {
		m.nodeReads.WithLabelValues(nodesNotKnown).Inc()
	}
	m.nodes.mu.Lock()
	defer m.nodes.mu.Unlock()
	m.nodes.states = nil
}
