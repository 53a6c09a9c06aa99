package distribute

import (
	"io"
	"path"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pkg/sftp"
)

// TestCutAtEveryRequest ends the connection before each request of a distribution in turn, on servers that can
// replace a file in one step and on those that cannot. No name ever holds half a file, the list never comes before
// the certificates, and the next run finishes the work and leaves nothing behind.
func TestCutAtEveryRequest(t *testing.T) {
	for kind, extensions := range map[string][]string{"replacing": {"posix-rename@openssh.com", "statvfs@openssh.com"}, "in steps": {"statvfs@openssh.com"}} {
		t.Run(kind, func(t *testing.T) {
			if err := sftp.SetSFTPExtensions(extensions...); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				_ = sftp.SetSFTPExtensions("hardlink@openssh.com", "posix-rename@openssh.com", "statvfs@openssh.com")
			})
			requests, partly := 0, 0
			for ; ; requests++ {
				outcome, cut := cutAt(t, requests, len(extensions) == 2)
				if outcome == Partly {
					partly++
				}
				if !cut || t.Failed() {
					break
				}
			}
			if requests < 40 || partly < 2 {
				t.Errorf("%d requests, after %d of them a node was partly done: what is tested here?", requests, partly)
			}
		})
	}
}

// cutAt cuts one distribution and lets the next one finish.
func cutAt(t *testing.T, request int, replacing bool) (Outcome, bool) {
	t.Helper()
	var left atomic.Int64
	var wasCut atomic.Bool
	left.Store(int64(request))
	server := newServer(t, byPassword(), func(channel io.ReadWriteCloser) {
		cut := &cutter{ReadWriteCloser: channel, left: int(left.Load())}
		serveFiles(cut)
		wasCut.Store(cut.cut)
	})
	options, _ := server.options(t, password)
	older, newer := list(t, 1000, "1024", "2048"), list(t, 1001, "1024", "2048")
	node, folder := server.node(t)
	put(t, folder, "TFTPPath/CTLFile.tlv", older)
	put(t, folder, "TFTPPath/CTLFile.tlv.old", []byte("a still older one"))
	put(t, folder, "Certificates/CAPF.cer", []byte("the certificate before"))
	result := one(t, node, payload(t, newer), options)
	server.listener.Close()
	server.running.Wait()
	cut := wasCut.Load()
	// The last requests give handles back, for which nobody waits.
	if result.Err != nil && (!cut || result.Outcome != Failed && result.Outcome != Partly) || result.Err == nil && result.Outcome != Done {
		t.Errorf("request %d: %s with %v, cut %t", request, result.Outcome, result.Err, cut)
	}
	checkNames(t, request, folder, older, newer, replacing)

	again := newServer(t, byPassword(), serveFiles)
	options, _ = again.options(t, password)
	node.Target = "sftp://" + again.address() + folder
	if result := one(t, node, payload(t, newer), options); result.Err != nil || result.Outcome != Done && result.Outcome != Unchanged {
		t.Errorf("request %d: the next run: %s, %v", request, result.Outcome, result.Err)
	}
	want := wholeFiles(t, newer)
	want["Certificates/CAPF.cer.old"], want["TFTPPath/CTLFile.tlv.old"] = "the certificate before", string(older)
	if diff := cmp.Diff(want, tree(t, folder)); diff != "" {
		t.Errorf("request %d: files after the next run (-want +got):\n%s", request, diff)
	}
	return result.Outcome, cut
}

// checkNames looks at what a cut has left. Where a server cannot replace, a name may be missing; what had it is then
// beside it, as it was.
func checkNames(t *testing.T, request int, folder string, older, newer []byte, replacing bool) {
	t.Helper()
	want, there := wholeFiles(t, newer), tree(t, folder)
	before := map[string]string{"TFTPPath/CTLFile.tlv": string(older), "Certificates/CAPF.cer": "the certificate before"}
	for name, whole := range want {
		got, exists := there[name]
		switch old, had := before[name]; {
		case exists && got != whole && got != old:
			t.Errorf("request %d: %s holds neither the old nor the new file", request, name)
		case !exists && had && (replacing || !besideIs(there, name, old)):
			t.Errorf("request %d: %s is gone", request, name)
		}
	}
	if there["TFTPPath/CTLFile.tlv"] == string(newer) && (there["Certificates/CAPF.cer"] != want["Certificates/CAPF.cer"] || there[capfFile] != want[capfFile]) {
		t.Errorf("request %d: the list is there before the certificates", request)
	}
}

func besideIs(there map[string]string, name, content string) bool {
	for other, got := range there {
		if path.Dir(other) == path.Dir(name) && strings.HasSuffix(other, "."+kindAside) && got == content {
			return true
		}
	}
	return false
}
