package daemon

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"capf/ctl/distribute"
	"capf/runtime/capf"
	"capf/runtime/config"
	"capf/runtime/store/sqlite"
)

// looking is a drift over nodes that are folders, with lists of the test data of package ctl.
type looking struct {
	*drift
	t    *testing.T
	said bytes.Buffer
	seen map[string]int // nil: unknown
	fail int            // looks that were counted as failed

	pauses  []time.Duration // before second looks
	between func()          // happens in each of them
}

func (l *looking) NodesRead(states map[string]int, _ time.Time) { l.seen = states }

func (l *looking) NodesUnknown(failed bool) {
	if l.seen = nil; failed {
		l.fail++
	}
}

// sample reads a file of the test data of package ctl.
func sample(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("../../testdata/ctl", name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func sampleCertificate(t *testing.T, name string) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(sample(t, name))
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// sampleStore is a store in a data directory of its own.
func sampleStore(t *testing.T) (store *sqlite.Store, data string) {
	t.Helper()
	data = t.TempDir()
	store, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(data, StoreFile), Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store, data
}

// keep records a list of the test data, as `ctl build` would.
func keep(t *testing.T, store *sqlite.Store, name string) {
	t.Helper()
	keepBoth(t, store, sample(t, name), nil)
}

// keepBoth is keep for any list, and the ITL that was made with it.
func keepBoth(t *testing.T, store *sqlite.Store, list, itl []byte) {
	t.Helper()
	if _, err := store.AddCTL(t.Context(), capf.CTLVersion{Origin: capf.CTLBuilt, Digest: "sha1", SHA256: capf.HexSHA256(list), File: list, ITL: itl}, "tester"); err != nil {
		t.Fatal(err)
	}
}

func newLooking(t *testing.T, nodes ...string) *looking {
	t.Helper()
	store, data := sampleStore(t)
	l := &looking{t: t}
	inForce := sampleCertificate(t, "servers/capf.pem")
	l.drift = &drift{store: store, data: data, inForce: func() *x509.Certificate { return inForce }, clock: time.Now, metrics: l, every: time.Hour,
		pause: l.paused, log: slog.New(slog.NewTextHandler(&l.said, nil)),
		reach: func() distribute.Options { return Reach(config.Default().Distribute, data) }}
	for _, name := range nodes {
		l.add(name)
	}
	return l
}

func (l *looking) paused(ctx context.Context, duration time.Duration) error {
	if l.pauses = append(l.pauses, duration); l.between != nil {
		l.between()
	}
	return ctx.Err()
}

func (l *looking) node(name string) capf.Node {
	return capf.Node{Name: name, Role: capf.RoleCCM, Address: netip.MustParseAddr("192.0.2.1"), Target: "file://" + l.folder(name),
		CertificatesDir: "Certificates", TFTPDir: "TFTPPath"}
}

func (l *looking) folder(name string) string { return filepath.Join(l.data, name) }

func (l *looking) add(name string) {
	l.t.Helper()
	l.must(os.MkdirAll(l.folder(name), 0o755))
	l.must(l.store.(*sqlite.Store).AddNode(l.t.Context(), l.node(name), "tester"))
}

func (l *looking) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// distribute brings the newest list to all nodes.
func (l *looking) distribute() {
	l.t.Helper()
	nodes, err := l.store.Nodes(l.t.Context())
	l.must(err)
	latest, err := l.store.LatestCTL(l.t.Context())
	l.must(err)
	payload, err := Payload(l.t.Context(), l.store, l.data, l.inForce(), latest)
	l.must(err)
	for _, result := range distribute.Distribute(l.t.Context(), Receivers(nodes), payload, distribute.Options{StartOver: true}) {
		l.must(result.Err)
	}
}

// expect looks, and wants these numbers of nodes in their states, and these words in lines of the log, in order.
func (l *looking) expect(what, states string, lines ...string) {
	l.t.Helper()
	l.said.Reset()
	l.look(l.t.Context())
	got := ""
	for _, state := range driftStates {
		if count := l.seen[string(state)]; count > 0 {
			got += fmt.Sprintf("%s %d ", state, count)
		}
	}
	if strings.TrimSpace(got) != states || l.seen != nil && len(l.seen) != len(driftStates) {
		l.t.Errorf("%s: %v, want %s", what, l.seen, states)
	}
	said := strings.Split(strings.TrimSuffix(l.said.String(), "\n"), "\n")
	if said[0] == "" {
		said = nil
	}
	if len(said) != len(lines) {
		l.t.Errorf("%s: the log says %q, want %q", what, said, lines)
		return
	}
	for i, line := range said {
		for word := range strings.SplitSeq(lines[i], "|") {
			if !strings.Contains(line, word) {
				l.t.Errorf("%s: %q is missing in %s", what, word, line)
			}
		}
	}
}

func TestDriftIsToldOnce(t *testing.T) {
	l := newLooking(t, "a", "b")
	store := l.store.(*sqlite.Store)
	l.expect("without a list", "")
	keep(t, store, "golden-sha1.tlv")
	l.expect("before the distribution", "missing 2", "WARN|node=a|state=missing|TFTPPath/CTLFile.tlv missing", "node=b")
	l.expect("once more", "missing 2")
	l.distribute()
	l.expect("distributed", "equal 2", "INFO|again|node=a|before=missing", "node=b")
	l.expect("and later", "equal 2")

	l.must(os.WriteFile(filepath.Join(l.folder("a"), "TFTPPath/CTLFile.tlv"), []byte("of somebody"), 0o644))
	l.must(os.Rename(l.folder("b"), l.folder("b")+".away"))
	l.expect("changed and gone", "foreign 1 unreachable 1", `WARN|node=a|state=foreign|files="TFTPPath/CTLFile.tlv foreign"`, "node=b|state=unreachable|no such file")
	l.expect("no better", "foreign 1 unreachable 1")
	keep(t, store, "golden-sha512.tlv")
	l.must(os.Rename(l.folder("b")+".away", l.folder("b")))
	l.expect("a new list", "old 1 foreign 1", `node=b|state=old|CTLFile.tlv old (version 1)`)
	l.distribute()
	l.expect("distributed again", "equal 2", "node=a|before=foreign", "node=b|before=old")

	l.must(os.Remove(filepath.Join(l.folder("a"), "Certificates/CAPF.cer")))
	l.expect("a certificate is gone", "equal 1 missing 1", "node=a|Certificates/CAPF.cer missing")
	l.must(store.RemoveNode(t.Context(), "a", "tester"))
	l.expect("a node was removed", "equal 1")
	l.add("a")
	l.expect("and added", "equal 1 missing 1", "node=a|state=missing")
	if l.fail != 0 {
		t.Errorf("%d looks failed", l.fail)
	}
}

// TestDriftAdvice: the log advises what helps, which is not always another distribution.
func TestDriftAdvice(t *testing.T) {
	l := newLooking(t, "a")
	store := l.store.(*sqlite.Store)
	unlike := []byte("a list of before, which ours does not succeed")
	keepBoth(t, store, unlike, nil)
	keep(t, store, "golden-sha512.tlv")
	held := filepath.Join(l.folder("a"), "TFTPPath/CTLFile.tlv")
	put := func(content []byte) func() {
		return func() { l.must(os.WriteFile(held, content, 0o644)) }
	}
	keep(t, store, "golden-sha1.tlv")
	for _, one := range []struct {
		what, states, advice string
		do                   func()
	}{
		{"nothing is there", "missing 1", "\"`capf ctl distribute` brings it\"", func() {}},
		{"what ours succeeds by its signature", "old 1", "\"`capf ctl distribute` brings it\"", put(sample(t, "golden-sha512.tlv"))},
		{"what ours does not succeed", "old 1", "\"`capf ctl distribute` does not replace version 1 on a, which ours does not succeed: build one", put(unlike)},
		{"what is not known", "foreign 1", "\"`capf ctl distribute --dry-run` tells", put(sample(t, "foreign.tlv"))},
		{"gone", "unreachable 1", "\"see first that the unreachable can be reached: `capf node check` tells more\"", func() {
			l.must(os.Rename(l.folder("a"), l.folder("a")+".away"))
		}},
	} {
		l.distribute()
		l.expect("distributed, before "+one.what, "equal 1", l.toldEqual()...)
		if one.states == "missing 1" {
			l.must(os.Remove(held))
		}
		one.do()
		l.expect(one.what, one.states, "node=a|next="+one.advice)
	}
}

// toldEqual is what the log says of a node that is found as it should be: nothing where it never was otherwise.
func (l *looking) toldEqual() []string {
	if l.told == nil {
		return nil
	}
	return []string{"node=a|again"}
}

// What the nodes should hold cannot be told: that is said once, and no old numbers are shown.
// TestDriftOfITL has an ITL that one of two nodes lacks, and then an older one of ours.
func TestDriftOfITL(t *testing.T) {
	l := newLooking(t, "a", "b")
	store := l.store.(*sqlite.Store)
	list, itl := sample(t, "golden-sha1.tlv"), sample(t, "golden-itl.tlv")
	keepBoth(t, store, list, itl)
	l.distribute()
	l.expect("distributed", "equal 2")
	l.must(os.Remove(filepath.Join(l.folder("a"), "TFTPPath/ITLFile.tlv")))
	l.expect("gone", "equal 1 missing 1", `node=a|state=missing|files="TFTPPath/ITLFile.tlv missing"`)
	keep(t, store, "golden-sha512.tlv")
	l.distribute()
	l.expect("a list without an ITL asks for none", "equal 2", "node=a|again")
	keepBoth(t, store, list, itl)
	l.must(os.WriteFile(filepath.Join(l.folder("b"), "TFTPPath/CTLFile.tlv"), itl, 0o644))
	l.expect("an ITL in the place of the list", "old 1 missing 1", `node=a|state=missing`, `node=b|state=old|TFTPPath/CTLFile.tlv old (version 3)`)
}

// TestReminderIsToldOnce looks at a time when the certificates of the list come to their end.
func TestReminderIsToldOnce(t *testing.T) {
	l := newLooking(t, "a")
	keep(t, l.store.(*sqlite.Store), "golden-sha1.tlv")
	l.distribute()
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	l.clock = func() time.Time { return now }
	l.expect("long before", "equal 1")
	now = time.Date(2049, 10, 1, 0, 0, 0, 0, time.UTC)
	ends := func(when string) (lines []string) {
		for _, who := range []string{"record 1 of the list, sast", "record 2 of the list, sast", "record 3 of the list, ccm+tftp", "record 4", "record 5 of the list, capf"} {
			lines = append(lines, "WARN|needs somebody|"+who+"|"+when)
		}
		return lines
	}
	l.expect("near the end", "equal 1", ends("ends on 2049-11-21T20:27:")...)
	now = now.Add(time.Hour)
	l.expect("an hour later", "equal 1")
	now = time.Date(2049, 12, 1, 0, 0, 0, 0, time.UTC)
	l.expect("past it", "equal 1", ends("ended on 2049-11-21T20:27:")...)
}

func TestLookThatIsNotPossible(t *testing.T) {
	l := newLooking(t, "a")
	store, inForce := l.store.(*sqlite.Store), l.inForce
	keep(t, store, "golden-sha1.tlv")
	l.distribute()
	l.expect("at first", "equal 1")
	l.inForce = func() *x509.Certificate { return sampleCertificate(t, "servers/publisher.pem") }
	l.expect("another CAPF certificate", "", "WARN|list version 1|capf ctl build")
	l.expect("still", "")
	path := filepath.Join(l.data, StoreFile)
	l.must(os.Rename(path, path+".away"))
	l.expect("no store", "", "WARN|is gone")
	l.must(os.Rename(path+".away", path))
	l.expect("the other trouble again", "", "WARN|list version 1")
	l.inForce = inForce
	l.expect("mended", "equal 1")
	if l.fail != 4 {
		t.Errorf("%d looks failed", l.fail)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	l.said.Reset()
	l.must(os.Remove(filepath.Join(l.folder("a"), "TFTPPath/CTLFile.tlv")))
	l.look(ended)
	if l.seen[string(distribute.StateEqual)] != 1 || l.said.Len() > 0 {
		t.Errorf("a look that was cut off says %v, %s", l.seen, l.said.String())
	}
}

func TestHangingFolder(t *testing.T) {
	l := newLooking(t, "a", "b")
	keep(t, l.store.(*sqlite.Store), "golden-sha1.tlv")
	l.distribute()
	opened, release := make(chan string, 10), make(chan struct{})
	let := func(ctx context.Context, address *url.URL) (distribute.Target, error) {
		opened <- filepath.Base(address.Path)
		if strings.HasSuffix(address.Path, "/a") {
			<-release
		}
		return distribute.OpenFolder(ctx, address)
	}
	l.reach = func() distribute.Options {
		return distribute.Options{Timeout: time.Second, Parallel: 1, Openers: map[string]distribute.Opener{"file": let}}
	}
	l.expect("a share hangs", "equal 1 unreachable 1", "node=a|still hangs")
	l.expect("and again", "equal 1 unreachable 1")
	if got := len(opened); got != 3 {
		t.Errorf("%d folders were opened", got)
	}
	close(release)
	for deadline := time.Now().Add(time.Minute); l.isHanging() && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
	}
	l.reach = func() distribute.Options { return Reach(config.Default().Distribute, l.data) }
	l.expect("it came back", "equal 2", "node=a|again")
}

func (l *looking) isHanging() bool {
	l.folders.mu.Lock()
	defer l.folders.mu.Unlock()
	return len(l.folders.open) > 0
}
