package distribute

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"capf/ctl/distribute/sshdtest"
)

// keygen runs ssh-keygen, which is there where sshd is.
func keygen(t *testing.T, arguments ...string) {
	t.Helper()
	if output, err := exec.Command("ssh-keygen", append([]string{"-q"}, arguments...)...).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen %v: %v: %s", arguments, err, output)
	}
}

// A server is known by an authority that has certified its key; by nothing less where only that is known, and by its
// key where that is known too.
func TestHostAuthority(t *testing.T) {
	sshdtest.Need(t)
	folder := t.TempDir()
	for _, name := range []string{"authority", "other"} {
		keygen(t, "-t", "ed25519", "-N", "", "-f", filepath.Join(folder, name))
	}
	// line gives that of a known-hosts file.
	line := func(server *certifiedServer, marker, name string) string {
		path := filepath.Join(folder, name+".pub")
		if name == "key" {
			path = server.key + ".pub"
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return marker + strings.Fields(server.Known(t))[0] + " " + string(content)
	}
	servers := map[string]*certifiedServer{} // by how they are certified
	for name, test := range map[string]struct {
		certify []string    // how ssh-keygen certifies the key; nil: not at all
		lines   [][2]string // marker and name of keys that are known
		want    []string    // nil: it is known
	}{
		"certified":              {[]string{"-n", "127.0.0.1"}, known("@cert-authority ", "authority"), nil},
		"for every host":         {[]string{}, known("@cert-authority ", "authority"), nil},
		"one of two authorities": {[]string{"-n", "127.0.0.1"}, known("@cert-authority ", "other", "@cert-authority ", "authority"), nil},
		"not asked for":          {[]string{"-n", "127.0.0.1"}, known("", "key"), nil},
		"another's, key known":   {[]string{"-n", "127.0.0.1"}, known("@cert-authority ", "other", "", "key"), nil},
		"none, key known":        {nil, known("@cert-authority ", "authority", "", "key"), nil},
		"another's":              {[]string{"-n", "127.0.0.1"}, known("@cert-authority ", "other"), []string{"is not known", "without a certificate", "line 1"}},
		"none":                   {nil, known("@cert-authority ", "authority"), []string{"is not known", "without a certificate", "line 1"}},
		"for another host":       {[]string{"-n", "192.0.2.1"}, known("@cert-authority ", "authority"), []string{"is not valid", "line 1", "principal"}},
		"expired":                {[]string{"-n", "127.0.0.1", "-V", "20200101:20200102"}, known("@cert-authority ", "authority"), []string{"is not valid", "expired"}},
		"expired, key known":     {[]string{"-V", "20200101:20200102"}, known("@cert-authority ", "authority", "", "key"), []string{"is not valid", "expired"}},
		"revoked":                {[]string{"-n", "127.0.0.1"}, known("@cert-authority ", "authority", "@revoked ", "key"), []string{"is not valid", "revoked"}},
		"authority is no host":   {[]string{"-n", "127.0.0.1"}, known("", "authority"), []string{"has changed"}},
		"nothing":                {[]string{"-n", "127.0.0.1"}, known(), []string{"is not known", "has none for it"}},
	} {
		how := fmt.Sprintf("%#v", test.certify)
		if servers[how] == nil {
			servers[how] = certified(t, filepath.Join(folder, "authority"), test.certify)
		}
		t.Run(name, func(t *testing.T) {
			server := servers[how]
			_, settings := over(t, server.Server)
			var lines []string
			for _, one := range test.lines {
				lines = append(lines, line(server, one[0], one[1]))
			}
			sshdtest.KnownHosts(t, settings.KnownHosts, lines...)
			node, _ := sftpNode(t, "sub1", server.Server)
			err := reach(t, node, settings)
			wantError(t, name, err, test.want...)
			if test.want == nil && err != nil {
				t.Error(err)
			}
		})
	}
}

// known gives pairs of a marker and a key.
func known(words ...string) (pairs [][2]string) {
	for i := 0; i+1 < len(words); i += 2 {
		pairs = append(pairs, [2]string{words[i], words[i+1]})
	}
	return pairs
}

// certifiedServer is one that shows this key, and the certificate beside it where there is one.
type certifiedServer struct {
	*sshdtest.Server
	key string
}

// certified starts one that the authority has certified in that way; nil: not at all.
func certified(t *testing.T, authority string, how []string) *certifiedServer {
	t.Helper()
	key := filepath.Join(t.TempDir(), "key")
	keygen(t, "-t", "ecdsa", "-N", "", "-f", key)
	settings := []string{"HostKeyAlgorithms ecdsa-sha2-nistp256,ecdsa-sha2-nistp256-cert-v01@openssh.com", "HostKey " + sshdtest.Quote(key)}
	if how != nil {
		keygen(t, append(append([]string{"-s", authority, "-I", "test", "-h"}, how...), key+".pub")...)
		settings = append(settings, "HostCertificate "+sshdtest.Quote(key+"-cert.pub"))
	}
	return &certifiedServer{sshdtest.Start(t, sshdtest.Options{Settings: settings}), key}
}
