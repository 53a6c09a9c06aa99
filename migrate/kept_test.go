package migrate

import (
	"testing"

	"capf/legacy"
)

// TestDigestsOfKeptLines: the digest of a masked line would give its string away to who tries all of them.
func TestDigestsOfKeptLines(t *testing.T) {
	position := legacy.Position{File: "CAPF.phone", Line: 7}
	line := legacy.Keep(position, 0, []byte("SEP001122334455;what;12345678"), "not understood")
	if shown := shownLine("pub", line); shown.SHA256 != "" {
		t.Errorf("digest %s of %q", shown.SHA256, shown.Text)
	}
	line.Bytes = nil // as for a private key
	if shown := shownLine("pub", line); len(shown.SHA256) != 64 {
		t.Errorf("digest %q of what is withheld", shown.SHA256)
	}
}
