package sqlite

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"capf/runtime/capf"
)

// TestImportBesideAnother has two stores on one file, as two commands have, import the same list at the same moment, over
// and over with other lists: each list has one version.
func TestImportBesideAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "capf.db")
	stores := make([]*Store, 2)
	for i := range stores {
		opened, err := Open(t.Context(), Options{Path: path, Create: i == 0})
		if err != nil {
			t.Fatal(err)
		}
		defer opened.Close()
		stores[i] = opened
	}
	const rounds = 50
	for round := range rounds {
		content := fmt.Appendf(nil, "list %d", round)
		list := capf.CTLVersion{Origin: capf.CTLImported, Digest: "sha1", File: content, SHA256: capf.HexSHA256(content)}
		var running sync.WaitGroup
		begin := make(chan struct{})
		var versions [2]int64
		var added [2]bool
		var problems [2]error
		for i, one := range stores {
			running.Go(func() {
				<-begin
				versions[i], added[i], problems[i] = one.ImportCTL(t.Context(), list, "tester")
			})
		}
		close(begin)
		running.Wait()
		if want := int64(round + 1); problems != [2]error{} || versions != [2]int64{want, want} || added[0] == added[1] {
			t.Fatalf("round %d: versions %v, added %v, %v", round, versions, added, problems)
		}
	}
}
