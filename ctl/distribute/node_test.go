package distribute

import (
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNodeValidate(t *testing.T) {
	cases := []struct {
		want string
		node Node
	}{
		{"", Node{Name: "a", Target: "file:///x"}},
		{"", Node{Name: "a", Target: "file://localhost/x%20y", CertificatesDir: "a/b", TFTPDir: "."}},
		{`node "": has no name`, Node{Target: "file:///x"}},
		{"not a readable URL", Node{Name: "a", Target: "file://%zz"}},
		{`scheme "" is not supported`, Node{Name: "a", Target: "/x"}},
		{`scheme "ftp" is not supported; these are: file, sftp`, Node{Name: "a", Target: "ftp://u@h/x"}},
		{"", Node{Name: "a", Target: "sftp://u@h/x"}},
		{"", Node{Name: "a", Target: "sftp://DOMAIN%5Cu@10.0.0.1:2222/C:/Program%20Files/Cisco", TFTPDir: "."}},
		{"", Node{Name: "a", Target: "sftp://[::1]:22/"}},
		{"must not keep", Node{Name: "a", Target: "sftp://u:geheim@h/x"}},
		{"must not keep", Node{Name: "a", Target: "sftp://u:@h/x"}},
		{"write sftp://", Node{Name: "a", Target: "sftp:///x"}},
		{"write sftp://", Node{Name: "a", Target: "sftp:x"}},
		{"characters", Node{Name: "a", Target: "sftp://u@h'h/x"}},
		{"characters", Node{Name: "a", Target: "sftp://u@*.h/x"}},
		{"characters", Node{Name: "a", Target: "sftp://u%0a@h/x"}},
		{"must be there and absolute", Node{Name: "a", Target: "sftp://u@h"}},
		{"must be there and absolute", Node{Name: "a", Target: "sftp://u@h/a%0a"}},
		{"write %3F", Node{Name: "a", Target: "sftp://u@h/x?y"}},
		{"has `..`", Node{Name: "a", Target: "sftp://u@h/x/../y"}},
		{"not a readable URL", Node{Name: "a", Target: "sftp://u:geheim@h:port/x"}},
		{"a file URL has no host", Node{Name: "a", Target: "file://host/x"}},
		{"must be absolute", Node{Name: "a", Target: "file:x"}},
		{"must be absolute", Node{Name: "a", Target: "file://"}},
		{"is a folder only", Node{Name: "a", Target: "file:///x?y"}},
		{"is absolute", Node{Name: "a", Target: "file:///x", TFTPDir: "/etc"}},
		{"is absolute", Node{Name: "a", Target: "file:///x", TFTPDir: `C:/etc`}},
		{"has `..`", Node{Name: "a", Target: "file:///x", CertificatesDir: ".."}},
		{"has `..`", Node{Name: "a", Target: "file:///x", CertificatesDir: "a/../b"}},
		{"characters", Node{Name: "a", Target: "file:///x", TFTPDir: `..\b`}},
		{"characters", Node{Name: "a", Target: "file:///x", TFTPDir: "a\x00"}},
	}
	for _, c := range cases {
		err := c.node.Validate()
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "geheim")) {
			t.Errorf("%+v: error %v instead of one with %q", c.node, err, c.want)
		}
	}
}

func FuzzTarget(f *testing.F) {
	for _, text := range []string{"file:///x", "sftp://u@h:22/x", "sftp://u:p@h/x", "sftp://h", "file://localhost//x"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		node := Node{Name: "a", Target: text}
		if node.Validate() != nil {
			return
		}
		address, _, err := node.check()
		if err != nil || !strings.HasPrefix(address.Path, "/") || address.Scheme == "sftp" && address.Hostname() == "" {
			t.Fatalf("%q was let through: %v", text, err)
		}
		if _, secret := address.User.Password(); secret || strings.ContainsAny(node.place(), "\n\x00") && address.Scheme == "sftp" {
			t.Errorf("%q was let through", text)
		}
	})
}

func TestCertificateFileName(t *testing.T) {
	for _, name := range []string{"CAPF-1A2B3C4D", "a b", "a.b", "Zürich", "console", strings.Repeat("x", longestCommonName)} {
		if got, err := CertificateFileName(name); err != nil || got != name+".0" {
			t.Errorf("%q: %q, %v", name, got, err)
		}
	}
	for _, name := range []string{
		"", ".", "..", "...", "../x", "a/b", `a\b`, "a:b", "a\x00", "a\n", "a\u202e", "\xff", " a", "a ", "a*", "a?", "a|b", `"a"`, "<a>",
		"con", "NUL", "Com1", "lpt9.txt", "aux .x", strings.Repeat("x", longestCommonName+1),
	} {
		if got, err := CertificateFileName(name); err == nil || strings.ContainsAny(err.Error(), "\x00\n\u202e") {
			t.Errorf("%q: %q, %v", name, got, err)
		}
	}
}

func FuzzCertificateFileName(f *testing.F) {
	f.Add("CAPF-1A2B3C4D")
	f.Add("../CON.x")
	f.Fuzz(func(t *testing.T, name string) {
		file, err := CertificateFileName(name)
		if err == nil && (filepath.Base(file) != file || !filepath.IsLocal(file) || len(file) > 250) {
			t.Errorf("%q becomes %q", name, file)
		}
	})
}

func TestPayloadRefuses(t *testing.T) {
	ours := list(t, 1000, "1024", "2048")
	changed := append([]byte(nil), ours...)
	changed[len(changed)-1] ^= 1
	named := *certificate(t, "capf")
	named.Subject.CommonName = "../evil"
	if _, err := NewPayload(Certificates{InForce: &named}, ours); err == nil || !strings.Contains(err.Error(), "../evil") {
		t.Errorf("a name that leaves the folder: %v", err)
	}
	if _, err := NewPayload(Certificates{}, ours); err == nil {
		t.Error("no certificate")
	}
	if _, err := NewPayload(Certificates{InForce: certificate(t, "capf")}, changed); err == nil || !strings.Contains(err.Error(), "does not verify") {
		t.Errorf("a changed list: %v", err)
	}
	if _, err := NewPayload(Certificates{InForce: certificate(t, "publisher")}, ours); err == nil || !strings.Contains(err.Error(), "without the present CAPF certificate") {
		t.Errorf("a list without it: %v", err)
	}
}

// TestNothingEscapes has links and other things in place of folders and files.
func TestNothingEscapes(t *testing.T) {
	ours := payload(t, list(t, 1000, "1024", "2048"))
	outside := t.TempDir()
	cases := map[string]func(folder string) error{
		"folder is a link outside": func(folder string) error { return os.Symlink(outside, filepath.Join(folder, "TFTPPath")) },
		"list is a link outside": func(folder string) error {
			if err := os.Mkdir(filepath.Join(folder, "TFTPPath"), 0o755); err != nil {
				return err
			}
			return os.Symlink(filepath.Join(outside, "x"), filepath.Join(folder, "TFTPPath", "CTLFile.tlv"))
		},
		"list is a folder": func(folder string) error {
			return os.MkdirAll(filepath.Join(folder, "TFTPPath", "CTLFile.tlv"), 0o755)
		},
		"list is a pipe": func(folder string) error {
			if err := os.Mkdir(filepath.Join(folder, "TFTPPath"), 0o755); err != nil {
				return err
			}
			return syscall.Mkfifo(filepath.Join(folder, "TFTPPath", "CTLFile.tlv"), 0o644)
		},
		"folder is a file": func(folder string) error { return os.WriteFile(filepath.Join(folder, "TFTPPath"), nil, 0o644) },
	}
	for name, prepare := range cases {
		t.Run(name, func(t *testing.T) {
			node, folder := node(t, "pub")
			if err := prepare(folder); err != nil {
				t.Fatal(err)
			}
			result := one(t, node, ours, Options{StartOver: true})
			if result.Outcome != Failed || result.Err == nil {
				t.Errorf("%s, %v", result.Outcome, result.Err)
			}
			if isLink := strings.Contains(name, "link"); isLink != strings.Contains(result.Error, "have the target begin above both") {
				t.Errorf("with a link: %t; %s", isLink, result.Error)
			}
			if left := tree(t, outside); len(left) != 0 {
				t.Errorf("written outside: %v", left)
			}
			if status := Status(t.Context(), []Node{node}, ours, nil, Options{})[0]; status.State != StateUnreachable || status.Err == nil ||
				strings.Contains(name, "link") != strings.Contains(status.Error, "have the target begin above both") {
				t.Errorf("status %s, %v", status.State, status.Err)
			}
		})
	}
}

func TestStatus(t *testing.T) {
	older, ours := list(t, 1000, "1024", "2048"), list(t, 1001, "1024", "2048")
	var nodes []Node
	var folders []string
	for _, name := range []string{"equal", "old", "foreign", "missing", "absent", "huge"} {
		node, folder := node(t, name)
		nodes, folders = append(nodes, node), append(folders, folder)
		if name != "missing" && name != "absent" {
			for file, content := range wholeFiles(t, ours) {
				put(t, folder, file, []byte(content))
			}
		}
	}
	put(t, folders[1], "TFTPPath/CTLFile.tlv", older)
	put(t, folders[2], "TFTPPath/CTLFile.tlv", []byte("foreign"))
	put(t, folders[2], "Certificates/CAPF.cer", older)
	nodes[4].Target += "/absent"
	put(t, folders[5], "TFTPPath/CTLFile.tlv", make([]byte, maxExisting+1))
	known := func(sum [sha256.Size]byte) (int, bool) { return 7, sum == sha256.Sum256(older) }

	var got []string
	for i, status := range Status(t.Context(), nodes, payload(t, ours), known, Options{}) {
		words := []string{status.Node, string(status.State)}
		for _, file := range status.Files {
			words = append(words, string(file.State))
			if (file.State == StateOld) != (file.Version == 7) {
				t.Errorf("%s, %s: version %d of a file that is %s", status.Node, file.Path, file.Version, file.State)
			}
		}
		got = append(got, strings.Join(words, " "))
		if absent := nodes[i].Name == "absent"; absent != (status.Err != nil) || absent != errors.Is(status.Err, os.ErrNotExist) {
			t.Errorf("%s: %v", status.Node, status.Err)
		}
	}
	want := []string{
		"equal equal equal equal equal", "old old equal equal old", "foreign foreign old equal foreign", "missing missing missing missing missing",
		"absent unreachable unreachable unreachable unreachable", "huge foreign equal equal foreign",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if left := tree(t, folders[3]); len(left) != 0 {
		t.Errorf("asking for the status has written %v", left)
	}
}
