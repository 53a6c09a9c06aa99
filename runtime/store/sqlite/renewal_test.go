package sqlite

import (
	"strings"
	"testing"
)

// What automatic renewal looks for every night is found by an index, page by page.
func TestRenewalsGoByAnIndex(t *testing.T) {
	plan := queryPlan(t, open(t), pageOfRenewals, 1, 1, 1)
	if !strings.Contains(plan, "SEARCH c USING INDEX certificates_renewal") || !strings.Contains(plan, "SEARCH p USING COVERING INDEX phones_lsc (lsc=? AND device=?)") ||
		strings.Contains(plan, "TEMP B-TREE") || strings.Contains(plan, "SCAN p") {
		t.Errorf("the plan:\n%s", plan)
	}
}
