package migrate

import (
	"context"
	"strings"
	"testing"
)

// TestConflictHint: a conflict that is refused names the rules that would decide it, and no others.
func TestConflictHint(t *testing.T) {
	const when = "2005-01-10 10:00:00"
	near := strings.Replace(when, "10:00:00", "11:00:00", 1)
	for _, test := range []struct {
		name             string
		stored           string // the row that an earlier run took from a; empty: none
		machines         map[string][]string
		prefer, hint, no string
	}{
		{"two machines, the same time", "", map[string][]string{"a": {row(when, "x")}, "b": {row(when, "y")}}, "",
			"choose with --prefer a or b, or one by one with --decisions FILE", "latest"},
		{"two machines, near", "", map[string][]string{"publisher": {row(when, "x")}, "b": {row(near, "y")}}, "",
			"choose with --prefer latest or publisher or b, or", "or store"},
		{"one machine", "", map[string][]string{"a": {row(when, "x"), row(when, "y")}}, "a",
			"no --prefer tells them apart: choose one by one with --decisions FILE", "choose with"},
		{"corrected", row(when, "x"), map[string][]string{"a": {row(when, "y")}}, "", "choose with --prefer store or a, or", "latest"},
		{"corrected twice", row(when, "x"), map[string][]string{"a": {row(when, "y"), row(when, "z")}}, "a", "choose with --prefer store, or", "or a"},
	} {
		store := newMemoryStore()
		if test.stored != "" {
			mustRun(t, phoneFolders(t, map[string][]string{"a": {test.stored}}), testOptions(), store)
		}
		_, err := Run(context.Background(), phoneFolders(t, test.machines), preferring(test.prefer), store, "tester")
		if err == nil || !strings.Contains(err.Error(), test.hint) || strings.Contains(strings.ReplaceAll(err.Error(), test.hint, ""), test.no) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}
