package distribute

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"capf/ctl/distribute/sshdtest"
)

// over returns options that reach servers, whose host keys are known.
func over(t testing.TB, servers ...*sshdtest.Server) (Options, *SSH) {
	t.Helper()
	settings := &SSH{KnownHosts: filepath.Join(t.TempDir(), "known_hosts")}
	var lines []string
	for _, server := range servers {
		lines = append(lines, server.Known(t))
		settings.Identities = append(settings.Identities, server.Login)
	}
	sshdtest.KnownHosts(t, settings.KnownHosts, lines...)
	return settings.options(), settings
}

func (s *SSH) options() Options {
	return Options{Instance: "ours", Openers: map[string]Opener{"sftp": s.Opener()}}
}

func sftpNode(t testing.TB, name string, server *sshdtest.Server) (Node, string) {
	t.Helper()
	folder := t.TempDir()
	return Node{Name: name, Target: server.Target(folder)}, folder
}

// servers are the kinds of server that differ in how a file gets its name: with the extensions of OpenSSH, without
// a replacing rename, without flushing and space.
var serverKinds = map[string]string{"all": "internal-sftp", "no replacing": "internal-sftp -P posix-rename", "no flushing": "internal-sftp -P fsync,statvfs"}

func TestSFTPFirstAndSecondTime(t *testing.T) {
	for kind, subsystem := range serverKinds {
		t.Run(kind, func(t *testing.T) {
			server := sshdtest.Start(t, sshdtest.Options{Subsystem: subsystem})
			options, _ := over(t, server)
			older, newer, newest := list(t, 1000, "1024", "2048"), list(t, 1001, "1024", "2048"), list(t, 1002, "2048", "512")
			node, folder := sftpNode(t, "sub1", server)
			if result := one(t, node, payload(t, older), options); outcomes(result) != "done new new new" || result.Err != nil {
				t.Fatalf("%s, %v", outcomes(result), result.Err)
			}
			if diff := cmp.Diff(wholeFiles(t, older), tree(t, folder)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			for name := range wholeFiles(t, older) {
				if info, err := os.Stat(filepath.Join(folder, name)); err != nil || info.Mode() != 0o644 {
					t.Errorf("%s: %v, %v; the TFTP server must be able to read it", name, info, err)
				}
			}
			if result := one(t, node, payload(t, older), options); outcomes(result) != "unchanged equal equal equal" {
				t.Errorf("the second time: %s, %v", outcomes(result), result.Err)
			}
			for _, list := range [][]byte{newer, newest} {
				if result := one(t, node, payload(t, list), options); outcomes(result) != "done equal equal replaced" || result.Files[2].Kept != "TFTPPath/CTLFile.tlv.old" {
					t.Errorf("%s, %v", outcomes(result), result.Err)
				}
			}
			want := wholeFiles(t, newest)
			want["TFTPPath/CTLFile.tlv.old"] = string(newer)
			if diff := cmp.Diff(want, tree(t, folder)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			status := Status(t.Context(), []Node{node}, payload(t, newest), nil, options)[0]
			if status.State != StateEqual || status.Err != nil {
				t.Errorf("status: %+v", status)
			}
		})
	}
}

// Whatever is in the way on a server, it is named, and nothing is left behind.
func TestSFTPInTheWay(t *testing.T) {
	server := sshdtest.Start(t, sshdtest.Options{})
	options, _ := over(t, server)
	ours, foreign := list(t, 1000, "1024", "2048"), list(t, 1000, "512", "2048")
	for name, test := range map[string]struct {
		prepare func(folder string) error
		outcome Outcome
		want    string
	}{
		"no folder": {func(folder string) error { return os.Remove(folder) }, Failed, "target folder"},
		"a file as the folder": {func(folder string) error { return os.WriteFile(filepath.Join(folder, "TFTPPath"), nil, 0o600) },
			Failed, "TFTPPath"},
		"a folder as the list": {func(folder string) error { return os.MkdirAll(filepath.Join(folder, "TFTPPath", "CTLFile.tlv"), 0o700) },
			Failed, "is no regular file"},
		"a pipe as the list": {func(folder string) error { return pipe(filepath.Join(folder, "TFTPPath"), "CTLFile.tlv") },
			Failed, "is no regular file"},
		"a huge list": {func(folder string) error {
			return sparse(filepath.Join(folder, "TFTPPath"), "CTLFile.tlv", maxExisting+1)
		},
			Refused, "the file is too large"},
		"a foreign list": {func(folder string) error {
			put(t, folder, "TFTPPath/CTLFile.tlv", foreign)
			return nil
		}, Refused, "none of the security tokens"},
	} {
		t.Run(name, func(t *testing.T) {
			node, folder := sftpNode(t, "sub1", server)
			if err := test.prepare(folder); err != nil {
				t.Fatal(err)
			}
			result := one(t, node, payload(t, ours), options)
			if result.Outcome != test.outcome || !strings.Contains(result.Error, test.want) || !strings.HasPrefix(result.Error, `node "sub1": `) {
				t.Errorf("%s, %q instead of one with %q", result.Outcome, result.Error, test.want)
			}
			left, err := filepath.Glob(filepath.Join(folder, "*", ".capf-*"))
			if err != nil || len(left) != 0 {
				t.Errorf("left behind: %q, %v", left, err)
			}
		})
	}
}

// A list that came before ours is put back, although it is older; one of which that is not known is not.
func TestOlderListIsPutBack(t *testing.T) {
	older, newer, foreign := list(t, 1000, "1024", "2048"), list(t, 1001, "1024", "2048"), list(t, 1001, "512", "2048")
	precedes := func([32]byte) bool { return true }
	for name, test := range map[string]struct {
		there   []byte
		options Options
		want    Outcome
	}{
		"known":          {newer, Options{Precedes: precedes}, Done},
		"not known":      {newer, Options{}, Refused},
		"of another key": {foreign, Options{Precedes: precedes}, Refused},
		"damaged":        {newer[:len(newer)-1], Options{Precedes: precedes}, Refused},
	} {
		node, folder := node(t, "pub")
		put(t, folder, "TFTPPath/CTLFile.tlv", test.there)
		if result := one(t, node, payload(t, older), test.options); result.Outcome != test.want {
			t.Errorf("%s: %s, %v", name, result.Outcome, result.Err)
		}
	}
}

// A dry run says what would be done, and leaves everything as it is.
func TestDryRun(t *testing.T) {
	server := sshdtest.Start(t, sshdtest.Options{})
	options, _ := over(t, server)
	options.DryRun, options.Openers["file"] = true, OpenFolder
	older, newer := list(t, 1000, "1024", "2048"), list(t, 1001, "1024", "2048")
	remote, remoteFolder := sftpNode(t, "remote", server)
	local, localFolder := node(t, "local")
	for _, one := range []struct {
		node   Node
		folder string
	}{{remote, remoteFolder}, {local, localFolder}} {
		put(t, one.folder, "TFTPPath/CTLFile.tlv", older)
		put(t, one.folder, temporary("ours", kindNew, "TFTPPath/CTLFile.tlv"), []byte("left behind"))
		before := tree(t, one.folder)
		result := Distribute(t.Context(), []Node{one.node}, payload(t, newer), options)[0]
		if got := outcomes(result); got != "would change would be new would be new would replace" || result.Err != nil {
			t.Errorf("%s: %s, %v", one.node.Name, got, result.Err)
		}
		if refused := Distribute(t.Context(), []Node{one.node}, payload(t, list(t, 999, "1024", "2048")), options)[0]; refused.Outcome != Refused {
			t.Errorf("%s: %s", one.node.Name, outcomes(refused))
		}
		if diff := cmp.Diff(before, tree(t, one.folder)); diff != "" {
			t.Errorf("%s: touched (-before +after):\n%s", one.node.Name, diff)
		}
	}
}
