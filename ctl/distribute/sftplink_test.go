package distribute

import (
	"cmp"
	"os"
	"path/filepath"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"capf/ctl/distribute/sshdtest"
)

// linked is a target on a server, and a folder beside it that it does not hold.
type linked struct{ target, outside string }

func newLinked(t *testing.T) linked {
	t.Helper()
	l := linked{target: filepath.Join(t.TempDir(), "srv"), outside: t.TempDir()}
	if err := os.Mkdir(l.target, 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, l.outside, "CAPF.cer", []byte("for nobody else"))
	return l
}

func (l linked) link(to, name string) error {
	name = filepath.Join(l.target, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.Symlink(to, name)
}

// TestSFTPLinkThatLeadsOut: nothing is written behind a link that leads out of the target, nor copied from there, whoever
// has put it there; on a folder of this machine it is the same.
func TestSFTPLinkThatLeadsOut(t *testing.T) {
	server := sshdtest.Start(t, sshdtest.Options{})
	options, _ := over(t, server)
	options.Openers["file"] = OpenFolder
	ours := payload(t, list(t, 1000, "1024", "2048"))
	for name, plant := range map[string]func(l linked) error{
		"the folder of lists":        func(l linked) error { return l.link(l.outside, "TFTPPath") },
		"the folder of certificates": func(l linked) error { return l.link(l.outside, "Certificates") },
		"by a relative way": func(l linked) error {
			way, err := filepath.Rel(l.target, l.outside)
			return cmp.Or(err, l.link(way, "TFTPPath"))
		},
		"to what is not there yet": func(l linked) error { return l.link(filepath.Join(l.outside, "new"), "TFTPPath") },
		"a file":                   func(l linked) error { return l.link(filepath.Join(l.outside, "CAPF.cer"), "Certificates/CAPF.cer") },
		"to a name that begins as it": func(l linked) error {
			if err := os.Mkdir(l.target+"-other", 0o755); err != nil {
				return err
			}
			return l.link(l.target+"-other", "TFTPPath")
		},
	} {
		for _, remote := range []bool{true, false} {
			l := newLinked(t)
			if err := plant(l); err != nil {
				t.Fatal(err)
			}
			before := tree(t, l.outside)
			node := Node{Name: "sub1", Target: "file://" + l.target}
			if remote {
				node.Target = server.Target(l.target)
			}
			result := Distribute(t.Context(), []Node{node}, ours, options)[0]
			if result.Outcome != Failed || remote && !strings.Contains(result.Error, errLeadsOut.Error()) {
				t.Errorf("%s, remote %v: %s, %v", name, remote, outcomes(result), result.Err)
			}
			if diff := gocmp.Diff(before, tree(t, l.outside)); diff != "" {
				t.Errorf("%s, remote %v: outside (-before +after):\n%s", name, remote, diff)
			}
			if status := Status(t.Context(), []Node{node}, ours, nil, options)[0]; status.State != StateUnreachable {
				t.Errorf("%s, remote %v: %+v", name, remote, status)
			}
			if check := Check(t.Context(), []Node{node}, options)[0]; check.Good != (name == "a file") {
				t.Errorf("%s, remote %v: %+v", name, remote, check)
			}
		}
	}
}

// TestSFTPLinkThatStays: the target itself may be a link, and links below it may lead anywhere below it.
func TestSFTPLinkThatStays(t *testing.T) {
	server := sshdtest.Start(t, sshdtest.Options{})
	options, _ := over(t, server)
	older, newer := list(t, 1000, "1024", "2048"), list(t, 1001, "1024", "2048")
	real := t.TempDir()
	for _, folder := range []string{"tftp", "a/b"} {
		if err := os.MkdirAll(filepath.Join(real, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	target := filepath.Join(t.TempDir(), "root")
	l := linked{target: target}
	for _, one := range [][2]string{{"", real}, {"TFTPPath", "tftp"}, {"certs", filepath.Join(real, "a")}} {
		if err := l.link(one[1], one[0]); err != nil {
			t.Fatal(err)
		}
	}
	node := Node{Name: "sub1", Target: server.Target(target), CertificatesDir: "certs/b/new"}
	for _, one := range []struct {
		list []byte
		want string
	}{{older, "done new new new"}, {newer, "done equal equal replaced"}, {newer, "unchanged equal equal equal"}} {
		result := Distribute(t.Context(), []Node{node}, payload(t, one.list), options)[0]
		if outcomes(result) != one.want || result.Err != nil {
			t.Errorf("%s, %v; want %s", outcomes(result), result.Err, one.want)
		}
	}
	for name, want := range map[string]string{"tftp/CTLFile.tlv": string(newer), "tftp/CTLFile.tlv.old": string(older), "a/b/new/CAPF.cer": wholeFiles(t, newer)["Certificates/CAPF.cer"]} {
		if got := readOrEmpty(t, real, name); got != want {
			t.Errorf("%s holds %d bytes, not the %d wanted", name, len(got), len(want))
		}
	}
	if status := Status(t.Context(), []Node{node}, payload(t, newer), nil, options)[0]; status.State != StateEqual {
		t.Errorf("%+v", status)
	}
	if check := Check(t.Context(), []Node{node}, options)[0]; !check.Good {
		t.Errorf("%+v", check)
	}
}
