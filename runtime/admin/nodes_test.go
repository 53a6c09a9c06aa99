package admin

import (
	"strings"
	"testing"
	"time"
)

// What nodes hold is shown as it was read last, all states at a time, and not at all where that is not known.
func TestMetricsOfNodes(t *testing.T) {
	m := NewMetrics(true)
	text := scrape(t, m)
	want(t, text, `capf_node_reads_total{outcome="done"} 0`, `capf_node_reads_total{outcome="failed"} 0`)
	if strings.Contains(text, "capf_nodes{") || strings.Contains(text, "capf_nodes_last_read") {
		t.Errorf("before anybody has looked:\n%s", text)
	}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	m.NodesRead(map[string]int{"equal": 3, "old": 1, "missing": 0}, at)
	want(t, scrape(t, m), `capf_nodes{state="equal"} 3`, `capf_nodes{state="old"} 1`, `capf_nodes{state="missing"} 0`,
		`capf_nodes_last_read_timestamp_seconds 1.7723664e+09`, `capf_node_reads_total{outcome="done"} 1`)
	m.NodesRead(map[string]int{"equal": 4}, at.Add(time.Hour))
	if text := scrape(t, m); strings.Contains(text, `state="old"`) || !strings.Contains(text, "1.77237e+09") {
		t.Errorf("after another look:\n%s", text)
	}
	m.NodesUnknown(true)
	m.NodesUnknown(false)
	text = scrape(t, m)
	want(t, text, `capf_node_reads_total{outcome="failed"} 1`, `capf_nodes_last_read_timestamp_seconds 1.77237e+09`)
	if strings.Contains(text, "capf_nodes{") {
		t.Errorf("what is not known is shown:\n%s", text)
	}
}

func TestMetricsOfFiles(t *testing.T) {
	m := NewMetrics(true)
	m.FileAnswered("ctl", 200)
	m.FileAnswered("ctl", 200)
	m.FileAnswered("config", 404)
	want(t, scrape(t, m), `capf_phone_files_total{kind="ctl",status="200"} 2`, `capf_phone_files_total{kind="config",status="404"} 1`)
}
