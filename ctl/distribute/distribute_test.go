package distribute

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func one(t *testing.T, node Node, payload *Payload, options Options) Result {
	t.Helper()
	results := Distribute(t.Context(), []Node{node}, payload, options)
	if len(results) != 1 {
		t.Fatalf("%d results", len(results))
	}
	return results[0]
}

func outcomes(result Result) string {
	words := []string{string(result.Outcome)}
	for _, file := range result.Files {
		words = append(words, string(file.Outcome))
	}
	return strings.Join(words, " ")
}

func TestFirstAndSecondTime(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	list := list(t, 1000, "1024", "2048")
	node, folder := node(t, "pub")
	if result := one(t, node, payload(t, list), Options{}); outcomes(result) != "done new new new" || result.Err != nil {
		t.Fatalf("%s, %v", outcomes(result), result.Err)
	}
	if diff := cmp.Diff(wholeFiles(t, list), tree(t, folder)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	before := map[string]os.FileInfo{}
	for name := range wholeFiles(t, list) {
		info, err := os.Stat(filepath.Join(folder, name))
		if err != nil || info.Mode() != 0o644 {
			t.Errorf("%s: mode %s, %v; servers must be able to read it", name, info.Mode(), err)
		}
		before[name] = info
	}
	if result := one(t, node, payload(t, list), Options{}); outcomes(result) != "unchanged equal equal equal" {
		t.Errorf("the second time: %s, %v", outcomes(result), result.Err)
	}
	for name, info := range before {
		if again, err := os.Stat(filepath.Join(folder, name)); err != nil || !os.SameFile(info, again) || !again.ModTime().Equal(info.ModTime()) {
			t.Errorf("%s was touched", name)
		}
	}
}

func TestReplaces(t *testing.T) {
	older, newer := list(t, 1000, "1024", "2048"), list(t, 1001, "2048", "512")
	node, folder := node(t, "pub")
	node.CertificatesDir, node.TFTPDir = "c/d", "."
	put(t, folder, "CTLFile.tlv", older)
	put(t, folder, "c/d/CAPF.cer", []byte("another"))
	put(t, folder, "c/d/CAPF.cer.old", []byte("a still older one"))
	put(t, folder, temporary("ours", kindNew, "c/d/CAPF.cer"), []byte("left behind"))
	put(t, folder, temporary("ours", kindKept, "CTLFile.tlv"), []byte("left behind"))
	notOurs := temporary("another", kindNew, "CTLFile.tlv")
	put(t, folder, notOurs, []byte("not ours"))
	result := one(t, node, payload(t, newer), Options{Instance: "ours"})
	if outcomes(result) != "done replaced new replaced" || result.Files[0].Kept != "c/d/CAPF.cer.old" || result.Files[1].Kept != "" {
		t.Errorf("%s, %v: %+v", outcomes(result), result.Err, result.Files)
	}
	want := wholeFiles(t, newer)
	want = map[string]string{
		"c/d/CAPF.cer": want["Certificates/CAPF.cer"], "c/d/CAPF.cer.old": "another", "c/d/CAPF-1A2B3C4D.0": want[capfFile],
		"CTLFile.tlv": string(newer), "CTLFile.tlv.old": string(older), notOurs: "not ours",
	}
	if diff := cmp.Diff(want, tree(t, folder)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

// TestBothLists brings an ITL along: it is judged by the one that is there, as the CTL is by its own, and nothing is put in
// place where either may not be.
func TestBothLists(t *testing.T) {
	older, newer := list(t, 1000, "1024", "2048"), list(t, 1001, "1024", "2048")
	ours, next := itl(t, 1000, "1024", "2048"), itl(t, 1001, "1024", "2048")
	node, folder := node(t, "pub")
	put(t, folder, "TFTPPath/CTLFile.tlv", older)
	put(t, folder, "TFTPPath/ITLFile.tlv", itl(t, 900, "512", "2048"))
	before := tree(t, folder)
	result := one(t, node, withITL(t, newer, ours), Options{})
	if outcomes(result) != "refused untouched untouched untouched untouched" || !strings.Contains(result.Error, "TFTPPath/ITLFile.tlv: the list that is there is not replaced") {
		t.Errorf("%s, %v", outcomes(result), result.Err)
	}
	if diff := cmp.Diff(before, tree(t, folder)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if result = one(t, node, withITL(t, newer, ours), Options{StartOver: true}); outcomes(result) != "done new new replaced replaced" {
		t.Fatalf("%s, %v", outcomes(result), result.Err)
	}
	want := wholeFiles(t, newer)
	want["TFTPPath/ITLFile.tlv"], want["TFTPPath/ITLFile.tlv.old"] = string(ours), before["TFTPPath/ITLFile.tlv"]
	want["TFTPPath/CTLFile.tlv.old"] = string(older)
	if diff := cmp.Diff(want, tree(t, folder)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if result = one(t, node, withITL(t, newer, next), Options{}); outcomes(result) != "done equal equal equal replaced" {
		t.Errorf("a new ITL: %s, %v", outcomes(result), result.Err)
	}
	back := withITL(t, newer, ours)
	if result = one(t, node, back, Options{}); outcomes(result) != "refused equal equal equal untouched" {
		t.Errorf("an older ITL: %s, %v", outcomes(result), result.Err)
	}
	known := sha256.Sum256(next)
	if result = one(t, node, back, Options{Precedes: func(sum [sha256.Size]byte) bool { return sum == known }}); outcomes(result) != "done equal equal equal replaced" {
		t.Errorf("an older ITL that is put back: %s, %v", outcomes(result), result.Err)
	}
}

// TestListComesLast watches the names that are given.
func TestListComesLast(t *testing.T) {
	node, _ := node(t, "pub")
	var order []string
	options := with(func(target Target) Target { return &renaming{target, &order} })
	if result := one(t, node, withITL(t, list(t, 1000, "1024", "2048"), itl(t, 1000, "1024", "2048")), options); result.Err != nil {
		t.Fatal(result.Err)
	}
	if want := []string{"CAPF.cer", "CAPF-1A2B3C4D.0", "ITLFile.tlv", "CTLFile.tlv"}; !slices.Equal(order, want) {
		t.Errorf("%q instead of %q", order, want)
	}
}

type renaming struct {
	Target
	order *[]string
}

func (r *renaming) Rename(from, to string) error {
	*r.order = append(*r.order, filepath.Base(to))
	return r.Target.Rename(from, to)
}

func TestRefuses(t *testing.T) {
	ours := list(t, 1000, "1024", "2048")
	cases := []struct {
		name, want string
		there      []byte
	}{
		{"another cluster's list", "none of the security tokens", list(t, 1000, "512", "2048")},
		{"a newer list", "is before 1970-01-01T00:16:41Z", list(t, 1001, "1024", "2048")},
		{"no list", "this is no trust list; move it away, if phones do not hold it, or start over", []byte("hello")},
		{"nothing in it", "it is not a readable trust list", nil},
		{"half a list", "it is not a readable trust list", ours[:len(ours)/2]},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			node, folder := node(t, "sub1")
			put(t, folder, "TFTPPath/CTLFile.tlv", c.there)
			before := tree(t, folder)
			result := one(t, node, payload(t, ours), Options{})
			if outcomes(result) != "refused untouched untouched untouched" {
				t.Errorf("%s", outcomes(result))
			}
			for _, want := range []string{c.want, `node "sub1": TFTPPath/CTLFile.tlv`, "--start-over"} {
				if result.Err == nil || result.Error != result.Err.Error() || !strings.Contains(result.Error, want) || strings.Contains(result.Error, "\n") {
					t.Errorf("error %q instead of one with %q", result.Error, want)
				}
			}
			if diff := cmp.Diff(before, tree(t, folder)); diff != "" {
				t.Errorf("touched (-before +after):\n%s", diff)
			}
			if result := one(t, node, payload(t, ours), Options{StartOver: true}); outcomes(result) != "done new new replaced" {
				t.Errorf("starting over: %s, %v", outcomes(result), result.Err)
			}
			want := wholeFiles(t, ours)
			want["TFTPPath/CTLFile.tlv.old"] = string(c.there)
			if diff := cmp.Diff(want, tree(t, folder)); diff != "" {
				t.Errorf("files after starting over (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTooLargeToKeep(t *testing.T) {
	ours := list(t, 1000, "1024", "2048")
	node, folder := node(t, "pub")
	put(t, folder, "TFTPPath/CTLFile.tlv", make([]byte, maxExisting+1))
	if result := one(t, node, payload(t, ours), Options{}); result.Outcome != Refused {
		t.Errorf("%s, %v", outcomes(result), result.Err)
	}
	result := one(t, node, payload(t, ours), Options{StartOver: true})
	if result.Outcome != Failed || !errors.Is(result.Err, ErrTooLarge) {
		t.Errorf("starting over: %s, %v", outcomes(result), result.Err)
	}
	if _, err := os.Stat(filepath.Join(folder, "Certificates")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was made all the same: %v", err)
	}
}

// TestManyNodes has good and bad nodes side by side: each its own outcome, in order, whatever the others.
func TestManyNodes(t *testing.T) {
	ours := list(t, 1000, "1024", "2048")
	good, folder := node(t, "good")
	file := filepath.Join(folder, "plain")
	put(t, folder, "plain", nil)
	absent := Node{Name: "absent", Target: "file://" + folder + "/absent"}
	nodes := []Node{
		{Name: "scheme", Target: "gopher://operator:secret@host/x"}, good, absent, {Name: "file", Target: "file://" + file},
		{Name: "twin", Target: good.Target + "/"}, {Name: "dots", Target: good.Target, TFTPDir: "a/../../b"},
	}
	var lines []string
	results := Distribute(t.Context(), nodes, payload(t, ours), Options{Parallel: 2, Progress: func(result Result) {
		lines = append(lines, result.Node+" "+string(result.Outcome))
	}})
	wants := []string{`scheme "gopher" is not supported; these are: file`, "", "target folder", "target folder", "are those of another node", "has `..`"}
	for i, want := range wants {
		outcome := Failed
		if want == "" {
			outcome = Done
		}
		result := results[i]
		if result.Node != nodes[i].Name || result.Outcome != outcome || !strings.Contains(result.Error, want) || strings.Contains(result.Error, "secret") {
			t.Errorf("%s: %s, %q instead of one with %q", result.Node, result.Outcome, result.Error, want)
		}
		if want != "" && !strings.Contains(result.Error, fmt.Sprintf("node %q", nodes[i].Name)) {
			t.Errorf("the node is not named: %q", result.Error)
		}
	}
	if len(lines) != len(nodes) {
		t.Errorf("progress: %q", lines)
	}
}

// TestBounds opens many nodes whose targets wait, and counts how many are open at once.
func TestBounds(t *testing.T) {
	var open, most atomic.Int32
	opener := func(context.Context, *url.URL) (Target, error) {
		most.Store(max(most.Load(), open.Add(1)))
		time.Sleep(time.Second) // of the bubble's clock
		open.Add(-1)
		return nil, errors.New("closed")
	}
	ours := payload(t, list(t, 1000, "1024", "2048"))
	var nodes []Node
	for i := range 2*DefaultParallel + 1 {
		nodes = append(nodes, Node{Name: fmt.Sprint(i), Target: fmt.Sprintf("wait://host/%d", i)})
	}
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		Distribute(t.Context(), nodes, ours, Options{Openers: map[string]Opener{"wait": opener}})
		if took := time.Since(start); most.Load() != DefaultParallel || took != 3*time.Second {
			t.Errorf("%d at once instead of %d, %s", most.Load(), DefaultParallel, took)
		}
	})
}

// TestDeadline has a target that never answers; it must not hold up the others, nor do anything later.
func TestDeadline(t *testing.T) {
	ours := payload(t, list(t, 1000, "1024", "2048"))
	good, _ := node(t, "good")
	nodes := []Node{{Name: "silent", Target: "silent://host/"}, good}
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var used atomic.Bool
		openers := map[string]Opener{"file": OpenFolder, "silent": func(context.Context, *url.URL) (Target, error) {
			<-release
			return &usedTarget{used: &used}, nil
		}}
		start := time.Now()
		results := Distribute(t.Context(), nodes, ours, Options{Timeout: 10 * time.Second, Openers: openers})
		if took := time.Since(start); took != 10*time.Second+grace {
			t.Errorf("took %s", took)
		}
		if results[0].Outcome != Failed || !errors.Is(results[0].Err, context.DeadlineExceeded) || results[1].Outcome != Done {
			t.Errorf("%s, %v; %s, %v", results[0].Outcome, results[0].Err, results[1].Outcome, results[1].Err)
		}
		statuses := Status(t.Context(), nodes[:1], ours, nil, Options{Timeout: time.Second, Openers: openers})
		if statuses[0].State != StateUnreachable || !errors.Is(statuses[0].Err, context.DeadlineExceeded) || len(statuses[0].Files) != 3 {
			t.Errorf("status: %+v", statuses[0])
		}
		close(release)
		synctest.Wait()
		if used.Load() {
			t.Error("the target was used after its time")
		}
	})
}

// usedTarget notes every use but Close.
type usedTarget struct {
	Target
	used *atomic.Bool
}

func (u *usedTarget) Read(string, int64) ([]byte, error) {
	u.used.Store(true)
	return nil, errors.New("too late")
}

func (u *usedTarget) Pipelined() bool { return false }

func (u *usedTarget) Close() error { return nil }

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	node, folder := node(t, "pub")
	result := Distribute(ctx, []Node{node}, payload(t, list(t, 1000, "1024", "2048")), Options{})[0]
	if result.Outcome != Failed || !errors.Is(result.Err, context.Canceled) || len(tree(t, folder)) != 0 {
		t.Errorf("%s, %v, %v", result.Outcome, result.Err, maps.Keys(tree(t, folder)))
	}
}
