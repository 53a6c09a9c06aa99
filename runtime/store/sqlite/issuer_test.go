package sqlite

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestIssuerQueriesGoByAnIndex: what the CRL asks for each time it is fetched, and what the list of anchors asks
// on 100,000 phones, reads no table from end to end but the one that it counts.
func TestIssuerQueriesGoByAnIndex(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "capf.db"), nil)
	for name, test := range map[string]struct {
		query     string
		arguments []any
		want      string
	}{
		"revoked count":     {countRevoked, nil, "COVERING INDEX certificates_revoked"},
		"revocations":       {selectRevocations, []any{"x"}, "SEARCH i USING PRIMARY KEY (issuer=?)"},
		"unjudged":          {selectUnjudged, []any{0, "x", 1}, "INTEGER PRIMARY KEY (rowid>?)"},
		"LSCs of a serial":  {selectCertificates + `WHERE serial = +?1 ORDER BY id`, []any{"x"}, "certificates_serial (serial=?)"},
		"phones by issuer":  {countByIssuer, []any{"lsc"}, "SEARCH p USING PRIMARY KEY (device=?)"},
		"activations":       {selectActivation, []any{"x"}, "audit_activations (subject=?)"},
		"last reset":        {selectReset, []any{"x"}, "resets USING PRIMARY KEY (device=?)"},
		"certificate found": {countByIssuer, []any{"lsc"}, "SEARCH c USING INTEGER PRIMARY KEY (rowid=?)"},
	} {
		plan := queryPlan(t, s, test.query, test.arguments...)
		if !strings.Contains(plan, test.want) || strings.Contains(plan, "SCAN certificates\n") || strings.Contains(plan, "SCAN c\n") {
			t.Errorf("%s: the plan lacks %q, or reads all certificates:\n%s", name, test.want, plan)
		}
	}
}
