package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"capf/runtime/capf"
)

// fixedState is a service and its store as they are at one moment.
type fixedState struct {
	states map[capf.SessionState]int
	phones map[string]int
	err    error
	reads  int
}

func (f *fixedState) SessionsByState() map[capf.SessionState]int { return f.states }
func (f *fixedState) Commits() int64                             { return 42 }

func (f *fixedState) PhonesByTLS(context.Context) (map[string]int, error) {
	f.reads++
	return f.phones, f.err
}

func (f *fixedState) OpenOperations(context.Context) (all, late int, err error) { return 7, 2, f.err }

// scrape gives the lines that begin with `capf_`, without comments.
func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	recorder := httptest.NewRecorder()
	m.Handler(slog.New(slog.DiscardHandler)).ServeHTTP(recorder, httptest.NewRequest("GET", "/metrics", nil))
	if recorder.Code != 200 || !strings.HasPrefix(recorder.Header().Get("Content-Type"), "text/plain") {
		t.Fatalf("%d, %v", recorder.Code, recorder.Header())
	}
	return recorder.Body.String()
}

func want(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("%s is missing", line)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

func TestMetricsOfSessions(t *testing.T) {
	m := NewMetrics(true)
	want(t, scrape(t, m), `capf_handshake_failures_total{kind="version"} 0`, "capf_certificates_sent_total 0", `capf_phone_resets_total{outcome="failed"} 0`)
	wrong, done := capf.ResultInvalidAuthString, capf.ResultSuccess
	m.HandshakeDone("1.0", "TLS_RSA_WITH_AES_128_CBC_SHA")
	m.HandshakeDone("1.0", "TLS_RSA_WITH_AES_128_CBC_SHA")
	m.HandshakeFailed(capf.HandshakeVersion)
	m.KeyGenerated(20 * time.Minute)
	m.CertificateSent()
	m.OperationsExpired(3)
	m.PhoneReset(true)
	m.PhoneReset(true)
	m.PhoneReset(false)
	m.SessionEnded(capf.SessionEnd{Outcome: capf.OutcomeSuccess, Operation: capf.OperationInstall, Result: &done, Took: 30 * time.Millisecond})
	m.SessionEnded(capf.SessionEnd{Outcome: capf.OutcomeAuthentication, Operation: capf.OperationNone, Result: &wrong, Took: time.Hour})
	m.SessionEnded(capf.SessionEnd{Outcome: capf.OutcomeNoOperation, Operation: capf.OperationNone})
	text := scrape(t, m)
	want(t, text,
		`capf_handshakes_total{cipher_suite="TLS_RSA_WITH_AES_128_CBC_SHA",version="1.0"} 2`,
		`capf_handshake_failures_total{kind="version"} 1`,
		`capf_sessions_ended_total{operation="install",outcome="success",result="0"} 1`,
		`capf_sessions_ended_total{operation="none",outcome="authentication",result="3"} 1`,
		`capf_sessions_ended_total{operation="none",outcome="no-operation",result=""} 1`,
		`capf_session_duration_seconds_bucket{le="0.05"} 2`,
		`capf_session_duration_seconds_count 3`,
		`capf_key_generation_duration_seconds_bucket{le="900"} 0`,
		`capf_key_generation_duration_seconds_bucket{le="1800"} 1`,
		`capf_certificates_sent_total 1`,
		`capf_operations_expired_total 3`,
		`capf_phone_resets_total{outcome="failed"} 2`,
		`capf_phone_resets_total{outcome="reset"} 1`)
	for _, part := range []string{"capf_build_info{", `records="whole"`, "go_goroutines ", "process_open_fds "} {
		if !strings.Contains(text, part) {
			t.Errorf("%s is missing", part)
		}
	}
	if text := scrape(t, NewMetrics(false)); !strings.Contains(text, `records="split"`) {
		t.Error("a program without the overlay does not say so")
	}
}

func TestGauges(t *testing.T) {
	state := &fixedState{states: map[capf.SessionState]int{capf.StateAwaitKeygenRes: 5, capf.StateAwaitPlace: 3, capf.StateServing: 1},
		phones: map[string]int{"": 10, "1.0": 4, "1.3": 1}}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	m := NewMetrics(true)
	m.Watch(state, state, 20, func() time.Time { return now }, slog.New(slog.DiscardHandler))
	want(t, scrape(t, m), `capf_sessions{state="AWAIT-KEYGEN-RES"} 5`, `capf_sessions{state="AWAIT-AUTH-RES"} 0`, `capf_free_places 14`,
		`capf_phones{tls="never"} 10`, `capf_phones{tls="1.0"} 4`, `capf_operations{status="pending"} 5`, `capf_operations{status="expired"} 2`,
		`capf_store_commits_total 42`)
	scrape(t, m)
	if state.reads != 1 {
		t.Errorf("the store was counted %d times within %v", state.reads, inventoryAge)
	}
	now = now.Add(inventoryAge)
	state.err = errors.New("locked")
	if text := scrape(t, m); strings.Contains(text, "capf_phones{") || !strings.Contains(text, "capf_free_places 14") {
		t.Errorf("with a store that does not answer:\n%s", text)
	}
	state.err = nil
	want(t, scrape(t, m), `capf_phones{tls="1.3"} 1`)
	if state.reads != 2 {
		t.Errorf("the store was counted %d times", state.reads)
	}
}

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
