package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// reads gives how often the service has looked at the nodes.
func (s *service) reads() string {
	found := regexp.MustCompile(`(?m)^capf_node_reads_total\{outcome="done"\} (\d+)$`).FindStringSubmatch(s.metrics())
	if found == nil {
		return ""
	}
	return found[1]
}

// another waits until the service has looked again.
func (s *service) another() {
	s.t.Helper()
	before := s.reads()
	waitFor(s.t, "another look at the nodes", func() bool { return s.reads() != before })
}

func (s *service) shows(line string) {
	s.t.Helper()
	waitFor(s.t, line, func() bool { return strings.Contains(s.metrics(), "\n"+line+"\n") })
}

// TestDriftOfRunningService changes a node's files under a running service: it counts that and says it once, and says
// when all is well again. Beside it a distribution is not kept from its work.
func TestDriftOfRunningService(t *testing.T) {
	f := newFileServer(t, "[distribute]\ncheck-every = '1s'\n")
	f.start()
	f.capf("ctl", "build")
	f.service.shows(`capf_nodes{state="missing"} 1`)
	f.capf("ctl", "distribute")
	f.service.shows(`capf_nodes{state="equal"} 1`)
	f.service.shows(`capf_nodes{state="missing"} 0`)
	path := filepath.Join(f.node, "TFTPPath", "CTLFile.tlv")
	if err := os.WriteFile(path, []byte("not ours"), 0o644); err != nil {
		t.Fatal(err)
	}
	f.service.shows(`capf_nodes{state="foreign"} 1`)
	f.service.another()
	if log := f.service.text(); strings.Count(log, "state=foreign") != 1 || !strings.Contains(log, `files="TFTPPath/CTLFile.tlv foreign"`) {
		t.Errorf("the log says\n%s", log)
	}
	f.capf("ctl", "distribute", "--start-over")
	f.service.shows(`capf_nodes{state="equal"} 1`)
	f.service.another()
	log := f.service.text()
	if strings.Count(log, "holds what it should again") != 2 || strings.Count(log, "does not hold what it should") != 2 {
		t.Errorf("the log says\n%s", log)
	}
	if text := f.service.metrics(); strings.Contains(text, `node="`) || !strings.Contains(text, "\ncapf_nodes_last_read_timestamp_seconds ") {
		t.Errorf("the metrics are\n%s", text)
	}
}
