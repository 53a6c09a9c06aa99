package main

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// metrics reads what a monitor would.
func (s *service) metrics() string {
	s.t.Helper()
	address := regexp.MustCompile(`ready .*admin=(\S+)`).FindStringSubmatch(s.text())
	if address == nil {
		s.t.Fatalf("no admin address in:\n%s", s.text())
	}
	client := http.Client{Timeout: patience}
	response, err := client.Get(address[1] + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		s.t.Fatalf("%s, %v", response.Status, err)
	}
	return string(body)
}

// The running service counts what simulated phones do, and names none of them.
func TestMetricsOfRunningService(t *testing.T) {
	i := newInstallation(t)
	s := i.serve()
	waitFor(t, "the ready line in the log", func() bool { return strings.Contains(s.text(), "ready ") })
	for _, device := range []string{"SEP001122334400", "SEP001122334401"} {
		i.capf("phone", "add", device, "--operation", "install", "--auth", "null-string", "--key-size", "p256")
	}
	i.capf("simulate", "--server", s.address, "--no-ctl", "--first", "SEP001122334400", "--phones", "2", "--tls", "1.0")
	_, _, _ = i.try("simulate", "--server", s.address, "--no-ctl", "--first", "SEP001122334402", "--tls", "1.3") // a stranger
	silent := dial(t, s.address)
	defer silent.Close()
	var text string
	for _, line := range []string{
		`capf_sessions_ended_total{operation="install",outcome="success",result="0"} 2`,
		`capf_sessions_ended_total{operation="none",outcome="unknown-device",result="2"} 1`,
		`capf_certificates_sent_total 2`,
		`capf_key_generation_duration_seconds_count 2`,
		`capf_sessions{state="AWAIT-HANDSHAKE"} 1`,
		`capf_operations{status="pending"} 0`,
		`capf_phones{tls="1.0"} 2`,
	} {
		waitFor(t, line, func() bool {
			text = s.metrics()
			return strings.Contains(text, "\n"+line+"\n")
		})
	}
	for _, part := range []string{`capf_handshakes_total{cipher_suite="TLS_RSA_WITH_AES_128_CBC_SHA",version="1.0"} 2`, `records="whole"`, "capf_store_commits_total "} {
		if !strings.Contains(text, part) {
			t.Errorf("%s is missing in:\n%s", part, text)
		}
	}
	for _, never := range []string{"SEP0011", "127.0.0.1"} {
		if strings.Contains(text, never) {
			t.Errorf("%s is in:\n%s", never, text)
		}
	}
}
