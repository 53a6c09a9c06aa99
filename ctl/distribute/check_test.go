package distribute

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"capf/ctl/distribute/sshdtest"
)

// words are the verdicts of a check in a line.
func words(check NodeCheck) string {
	all := []string{string(check.Reachable), string(check.HostKey), string(check.Login)}
	for _, folder := range check.Folders {
		all = append(all, folder.Folder, string(folder.Exists), string(folder.Writable))
	}
	return strings.Join(all, " ")
}

func TestCheckServers(t *testing.T) {
	good, plain := sshdtest.Start(t, sshdtest.Options{}), sshdtest.Start(t, sshdtest.Options{Subsystem: "internal-sftp -P statvfs"})
	refuses, changed := sshdtest.Start(t, sshdtest.Options{Refuses: true}), sshdtest.Start(t, sshdtest.Options{})
	gone, noFiles := sshdtest.Start(t, sshdtest.Options{}), sshdtest.Start(t, sshdtest.Options{Subsystem: "/bin/false"})
	readOnly := sshdtest.Start(t, sshdtest.Options{Subsystem: "internal-sftp -R"})
	_, settings := over(t, good, plain, refuses, gone, noFiles, readOnly)
	sshdtest.KnownHosts(t, settings.KnownHosts, good.Known(t), plain.Known(t), refuses.Known(t), gone.Known(t), noFiles.Known(t), readOnly.Known(t), changed.Mistaken(t))
	gone.Kill()
	for _, test := range []struct {
		name   string
		server *sshdtest.Server
		words  string
		want   string // empty: it is good
	}{
		{"good", good, "yes yes yes Certificates no yes TFTPPath no yes", ""},
		{"plain", plain, "yes yes yes Certificates no yes TFTPPath no yes", ""},
		{"refuses", refuses, "yes yes no", "log in as"},
		{"changed", changed, "yes no unknown", "the host key has changed"},
		{"gone", gone, "no unknown unknown", "reach the server"},
		{"noFiles", noFiles, "yes yes yes", "SFTP"},
		{"readOnly", readOnly, "yes yes yes Certificates no no TFTPPath no no", "folder Certificates: "},
	} {
		node, folder := sftpNode(t, test.name, test.server)
		check := Check(t.Context(), []Node{node}, settings.options())[0]
		if check.Good != (test.want == "") || words(check) != test.words || !strings.Contains(check.Error, test.want) {
			t.Errorf("%s: %s, %q; want %s, %q", test.name, words(check), check.Error, test.words, test.want)
		}
		if check.Good {
			free := check.Folders[0].Free
			if (free != nil) != (test.server == good) || check.Clock == nil || *check.Clock != 0 {
				t.Errorf("%s: free %v, clock %v", test.name, free, check.Clock)
			}
		}
		if left := tree(t, folder); len(left) != 0 {
			t.Errorf("%s: left behind: %v", test.name, left)
		}
	}
}

// What was not looked at is unknown; and a server is known also where there is no way to log in.
func TestCheckWithoutLogin(t *testing.T) {
	server := sshdtest.Start(t, sshdtest.Options{})
	node, _ := sftpNode(t, "sub1", server)
	nameless := Node{Name: "sub1", Target: strings.Replace(node.Target, server.User+"@", "", 1)}
	unknown := filepath.Join(t.TempDir(), "none")
	for name, test := range map[string]struct {
		node   Node
		change func(s *SSH)
		words  string
		want   string
	}{
		"no way":              {node, func(s *SSH) { s.Identities = nil }, "yes yes no", "no way to log in"},
		"no way, not known":   {node, func(s *SSH) { s.Identities, s.KnownHosts = nil, unknown }, "yes no unknown", server.Fingerprint(t)},
		"a dead agent":        {node, func(s *SSH) { s.Identities, s.Agent = nil, unknown }, "yes yes no", "agent: "},
		"no name":             {nameless, func(*SSH) {}, "unknown unknown unknown", "no name to log in with"},
		"no key there":        {node, func(s *SSH) { s.Identities = []string{unknown} }, "unknown unknown unknown", unknown},
		"not readable at all": {node, func(s *SSH) { s.KnownHosts = t.TempDir() }, "unknown unknown unknown", "known hosts"},
	} {
		_, settings := over(t, server)
		test.change(settings)
		check := Check(t.Context(), []Node{test.node}, settings.options())[0]
		if check.Good || words(check) != test.words || !strings.Contains(check.Error, test.want) {
			t.Errorf("%s: %s, %q; want %s, %q", name, words(check), check.Error, test.words, test.want)
		}
	}
}

func TestCheckFolders(t *testing.T) {
	node, folder := node(t, "pub")
	put(t, folder, "Certificates/x", nil)
	put(t, folder, "Certificates/"+temporary("ours", kindCheck, "Certificates"), []byte("left behind"))
	check := Check(t.Context(), []Node{node}, Options{Instance: "ours"})[0]
	if !check.Good || words(check) != "yes none none Certificates yes yes TFTPPath no yes" || check.Folders[0].Free == nil || check.Clock == nil {
		t.Errorf("%s, %v", words(check), check.Err)
	}
	if left := tree(t, folder); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
	node.CertificatesDir, node.TFTPDir = "both", "both"
	if check := Check(t.Context(), []Node{node}, Options{})[0]; !check.Good || words(check) != "yes none none both no yes" {
		t.Errorf("%s, %v", words(check), check.Err)
	}
	put(t, folder, "plain", nil)
	node.TFTPDir = "plain"
	if check := Check(t.Context(), []Node{node}, Options{})[0]; check.Good || words(check) != "yes none none both no yes plain yes no" {
		t.Errorf("%s, %v", words(check), check.Err)
	}
	node.Target += "/absent"
	if check := Check(t.Context(), []Node{node}, Options{})[0]; check.Good || !errors.Is(check.Err, os.ErrNotExist) || words(check) != "no unknown unknown" {
		t.Errorf("%s, %v", words(check), check.Err)
	}
}

// oddTarget is a folder whose machine has another time, or little room.
type oddTarget struct {
	*folderTarget
	ahead time.Duration
	free  uint64
	err   error
}

func (o *oddTarget) Modified(string) (time.Time, error) { return time.Now().Add(o.ahead), o.err }
func (o *oddTarget) Free(string) (uint64, bool, error)  { return o.free, o.free > 0, nil }

func TestCheckClockAndRoom(t *testing.T) {
	const room = 2 * leastFree
	for name, test := range map[string]struct {
		target oddTarget
		want   string // empty: it is good
		clock  bool
	}{
		"right":        {oddTarget{free: room}, "", true},
		"a bit off":    {oddTarget{ahead: 30 * time.Second, free: room}, "", true},
		"ahead":        {oddTarget{ahead: time.Hour, free: room}, "its clock is +3", true},
		"behind":       {oddTarget{ahead: -time.Hour, free: room}, "its clock is -3", true},
		"not told":     {oddTarget{err: errors.ErrUnsupported}, "", false},
		"of no time":   {oddTarget{ahead: -time.Duration(1<<63 - 1)}, "", false},
		"little room":  {oddTarget{free: 4096}, "folder Certificates: 4096 bytes are free", true},
		"room unknown": {oddTarget{}, "", true},
	} {
		node, _ := node(t, "pub")
		options := Options{Openers: map[string]Opener{"file": func(ctx context.Context, address *url.URL) (Target, error) {
			folder, err := OpenFolder(ctx, address)
			if err != nil {
				return nil, err
			}
			odd := test.target
			odd.folderTarget = folder.(*folderTarget)
			return &odd, nil
		}}}
		check := Check(t.Context(), []Node{node}, options)[0]
		if check.Good != (test.want == "") || !strings.Contains(check.Error, test.want) || (check.Clock != nil) != test.clock {
			t.Errorf("%s: %v, clock %v", name, check.Err, check.Clock)
		}
		if unknown := check.Folders[0].Free == nil; unknown != (test.target.free == 0) {
			t.Errorf("%s: free %v", name, check.Folders[0].Free)
		}
	}
}

func TestLock(t *testing.T) {
	folder := t.TempDir()
	first, err := Lock(folder)
	if err != nil || !instanceForm.MatchString(first.Instance) {
		t.Fatalf("%+v, %v", first, err)
	}
	if _, err := Lock(folder); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), LockFile) {
		t.Errorf("the second: %v", err)
	}
	if err := first.Unlock(); err != nil {
		t.Fatal(err)
	}
	again, err := Lock(folder)
	if err != nil || again.Instance != first.Instance {
		t.Fatalf("after the first: %+v, %v", again, err)
	}
	if err := again.Unlock(); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(folder, LockFile)
	if info, err := os.Stat(name); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if err := os.WriteFile(name, []byte("../../x 1\nnonsense"+strings.Repeat("y", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	other, err := Lock(folder)
	if err != nil || !instanceForm.MatchString(other.Instance) || other.Instance == first.Instance {
		t.Errorf("after nonsense: %+v, %v", other, err)
	}
	defer other.Unlock()
	if _, err := Lock(filepath.Join(folder, "absent")); err == nil || errors.Is(err, ErrLocked) {
		t.Errorf("no folder: %v", err)
	}
}
