package daemon

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"capf/runtime/store/sqlite"
)

// away takes the folder of a node away, back brings it back.
func (l *looking) away(name string) { l.must(os.Rename(l.folder(name), l.folder(name)+".away")) }
func (l *looking) back(name string) { l.must(os.Rename(l.folder(name)+".away", l.folder(name))) }

func (l *looking) wantPauses(want ...time.Duration) {
	l.t.Helper()
	if !slices.Equal(l.pauses, want) {
		l.t.Errorf("pauses %v, want %v", l.pauses, want)
	}
	l.pauses = nil
}

// A connection that is lost once is no drift; a node that stays away is, and is told once.
func TestSecondLook(t *testing.T) {
	l := newLooking(t, "a", "b")
	keep(t, l.store.(*sqlite.Store), "golden-sha1.tlv")
	l.distribute()
	l.away("b")
	l.between = func() { l.back("b") }
	l.expect("lost at the very first look, and back", "equal 2")
	l.wantPauses(secondLookAfter)
	l.away("a")
	l.between = func() { l.back("a") }
	l.expect("lost once", "equal 2")
	l.wantPauses(secondLookAfter)
	l.expect("nothing is lost", "equal 2")
	l.wantPauses()

	l.between = nil
	l.away("a")
	l.expect("gone", "equal 1 unreachable 1", "WARN|node=a|state=unreachable")
	l.wantPauses(secondLookAfter)
	l.expect("still gone", "equal 1 unreachable 1")
	l.wantPauses()
	l.away("b")
	l.between = func() { l.back("b") }
	l.expect("beside it another one is lost once", "equal 1 unreachable 1")
	l.wantPauses(secondLookAfter)
	l.back("a")
	l.expect("back", "equal 2", "INFO|again|node=a|before=unreachable")

	l.away("a")
	l.between = func() {
		l.back("a")
		l.must(os.WriteFile(filepath.Join(l.folder("a"), "TFTPPath/CTLFile.tlv"), []byte("of somebody"), 0o644))
	}
	l.expect("back with something else", "equal 1 foreign 1", "WARN|node=a|state=foreign")
}

// Between the looks everything can change.
func TestSecondLookOfAnotherCluster(t *testing.T) {
	l := newLooking(t, "a", "b")
	store := l.store.(*sqlite.Store)
	keep(t, store, "golden-sha1.tlv")
	l.distribute()
	l.away("a")
	l.between = func() { l.must(store.RemoveNode(t.Context(), "a", "tester")) }
	l.expect("removed", "equal 1")
	l.add("c")
	l.expect("added", "equal 1 missing 1", "node=c|state=missing")
	l.away("b")
	path := filepath.Join(l.data, StoreFile)
	l.between = func() { l.must(os.Rename(path, path+".away")) }
	l.expect("the store is gone", "", "WARN|is gone")
	l.must(os.Rename(path+".away", path))
	if l.between = nil; l.fail != 1 {
		t.Errorf("%d looks failed", l.fail)
	}
	l.expect("gone, as the first look after that says", "missing 1 unreachable 1", "node=b|state=unreachable")

	l.back("b")
	l.expect("back", "equal 1 missing 1", "INFO|node=b")
	l.away("b")
	ended, end := context.WithCancel(t.Context())
	l.between = end
	l.said.Reset()
	l.look(ended)
	if l.said.Len() > 0 || l.seen["equal"] != 1 {
		t.Errorf("a second look that was cut off says %v, %s", l.seen, l.said.String())
	}
}
