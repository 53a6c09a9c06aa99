package distribute

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"capf/ctl/distribute/sshdtest"
)

// reach distributes to a node and gives the error, which names no secret.
func reach(t *testing.T, node Node, settings *SSH) error {
	t.Helper()
	result := one(t, node, payload(t, list(t, 1000, "1024", "2048")), settings.options())
	if (result.Err == nil) != (result.Outcome == Done) || result.Err != nil && result.Outcome != Failed {
		t.Errorf("%s, %v", outcomes(result), result.Err)
	}
	for _, secret := range []string{password, "PRIVATE KEY", "open sesame"} {
		if strings.Contains(result.Error, secret) || strings.Contains(result.Error, "\n") {
			t.Errorf("a secret, or more than a line: %q", result.Error)
		}
	}
	return result.Err
}

func wantError(t *testing.T, what string, err error, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v instead of an error with %q", what, err, want)
		}
	}
}

// An unknown, a changed and a revoked host key are each named with what it takes to judge them, and the command
// that is offered does what it says.
func TestHostKeys(t *testing.T) {
	server := sshdtest.Start(t, sshdtest.Options{})
	node, folder := sftpNode(t, "sub1", server)
	_, settings := over(t, server)
	empty := filepath.Join(t.TempDir(), "with 'quotes'")
	shown := "ssh-ed25519 " + server.Fingerprint(t)

	settings.KnownHosts = empty
	err := reach(t, node, settings)
	wantError(t, "unknown", err, "the host key is not known", shown, empty, "ssh-keygen -lf")
	obey(t, err)
	if err := reach(t, node, settings); err != nil {
		t.Errorf("after the command was run: %v", err)
	}

	sshdtest.KnownHosts(t, empty, "# our servers\n", "192.0.2.1 "+strings.SplitN(server.Known(t), " ", 2)[1], server.Mistaken(t))
	err = reach(t, node, settings)
	wantError(t, "changed", err, "the host key has changed", shown, empty+", line 3, has ssh-ed25519 SHA256:", "stand between", "ssh-keygen")
	obey(t, err)
	if err := reach(t, Node{Name: "sub1", Target: server.Target(folder), TFTPDir: "other", CertificatesDir: "other"}, settings); err != nil {
		t.Errorf("after the commands were run: %v", err)
	}

	sshdtest.KnownHosts(t, empty, server.Known(t), "@revoked "+server.Known(t))
	wantError(t, "revoked", reach(t, node, settings), "the host key is revoked", empty, "line 2")
	sshdtest.KnownHosts(t, empty, server.Known(t), "nonsense\n")
	wantError(t, "not readable", reach(t, node, settings), empty+":2", "mend the file")
}

// obey runs the command that an error offers.
func obey(t *testing.T, err error) {
	t.Helper()
	text := fmt.Sprint(err)
	i := strings.Index(text, "ssh-keygen -f ")
	if i < 0 {
		i = strings.Index(text, "echo ")
	}
	if i < 0 {
		t.Fatalf("no command in %v", err)
	}
	if output, err := exec.Command("sh", "-c", text[i:]).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", text[i:], err, output)
	}
}

// A server with several keys shows the kind that is known of it.
func TestHostKeyOfTheKnownKind(t *testing.T) {
	more := filepath.Join(t.TempDir(), "rsa")
	sshdtest.Need(t)
	if output, err := exec.Command("ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", more).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	server := sshdtest.Start(t, sshdtest.Options{Settings: []string{"HostKey " + sshdtest.Quote(more)}})
	node, _ := sftpNode(t, "sub1", server)
	_, settings := over(t, server)
	if err := reach(t, node, settings); err != nil {
		t.Errorf("by its ed25519 key: %v", err)
	}
	public, err := os.ReadFile(more + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	sshdtest.KnownHosts(t, settings.KnownHosts, strings.SplitN(server.Known(t), " ", 2)[0]+" "+string(public))
	if result := one(t, node, payload(t, list(t, 1000, "1024", "2048")), settings.options()); result.Outcome != Unchanged {
		t.Errorf("by its RSA key: %v", result.Err)
	}
}

func TestLoginByKey(t *testing.T) {
	server := sshdtest.Start(t, sshdtest.Options{})
	_, good := over(t, server)
	agent := server.Agent(t)
	stranger := sshdtest.Start(t, sshdtest.Options{}).Login
	withoutName := Node{Name: "sub1", Target: strings.Replace(server.Target(t.TempDir()), server.User+"@", "", 1)}
	for name, test := range map[string]struct {
		change func(s *SSH)
		want   string // empty: it works
	}{
		"key":               {func(s *SSH) {}, ""},
		"agent":             {func(s *SSH) { s.Identities, s.Agent = nil, agent }, ""},
		"a dead agent too":  {func(s *SSH) { s.Agent = filepath.Join(t.TempDir(), "none") }, ""},
		"several keys":      {func(s *SSH) { s.Identities = []string{stranger, server.Login} }, ""},
		"only a dead agent": {func(s *SSH) { s.Identities, s.Agent = nil, filepath.Join(t.TempDir(), "none") }, "agent: "},
		"a stranger's key":  {func(s *SSH) { s.Identities = []string{stranger} }, `log in as "` + server.User + `"`},
		"no key there":      {func(s *SSH) { s.Identities = []string{"/none"} }, "private key /none"},
		"no way":            {func(s *SSH) { s.Identities = nil }, "no way to log in"},
	} {
		node, _ := sftpNode(t, "sub1", server)
		settings := *good
		test.change(&settings)
		if err := reach(t, node, &settings); (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	wantError(t, "no name", reach(t, withoutName, good), "no name to log in with")
	good.User = server.User
	if err := reach(t, withoutName, good); err != nil {
		t.Errorf("the cluster's one name: %v", err)
	}
}

func TestKeyFiles(t *testing.T) {
	server := sshdtest.Start(t, sshdtest.Options{})
	_, settings := over(t, server)
	node, _ := sftpNode(t, "sub1", server)
	if err := os.Chmod(server.Login, 0o640); err != nil {
		t.Fatal(err)
	}
	wantError(t, "a key that others can read", reach(t, node, settings), server.Login, "chmod 600")
	if err := os.Chmod(server.Login, 0o600); err != nil {
		t.Fatal(err)
	}
	server.Lock(t, "open sesame")
	wantError(t, "a key with a passphrase", reach(t, node, settings), server.Login, "passphrase")
	settings.Passphrase = "wrong"
	wantError(t, "a wrong passphrase", reach(t, node, settings), server.Login, "not that of the key")
	settings.Passphrase = "open sesame"
	if err := reach(t, node, settings); err != nil {
		t.Errorf("the passphrase: %v", err)
	}
	text := fmt.Sprintf("%v %+v %#v %s", *settings, *settings, *settings, settings)
	if strings.Contains(text, "sesame") {
		t.Errorf("printed: %s", text)
	}
}

// Passwords are asked for in two ways.
func TestLoginByPassword(t *testing.T) {
	dialogue := func(questions []string, echos []bool) *ssh.ServerConfig {
		return &ssh.ServerConfig{KeyboardInteractiveCallback: func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
			answers, err := ask("", "", questions, echos)
			if err != nil || len(answers) != 1 || answers[0] != password {
				return nil, errors.New("wrong")
			}
			_, err = ask("", "", nil, nil) // as PAM may end
			return nil, err
		}}
	}
	for name, test := range map[string]struct {
		config   *ssh.ServerConfig
		password string
		want     string
	}{
		"password":           {byPassword(), password, ""},
		"wrong password":     {byPassword(), "wrong", `log in as "operator"`},
		"dialogue":           {dialogue([]string{"Password: "}, []bool{false}), password, ""},
		"shown on a screen":  {dialogue([]string{"Password: "}, []bool{true}), password, "more than a password"},
		"a second question":  {dialogue([]string{"Password: ", "Code: "}, []bool{false, false}), password, "more than a password"},
		"keys only":          {&ssh.ServerConfig{PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, errors.New("no") }}, password, "log in as"},
		"no password at all": {byPassword(), "", "no way to log in"},
	} {
		server := newServer(t, test.config, serveFiles)
		node, _ := server.node(t)
		_, settings := server.options(t, test.password)
		if err := reach(t, node, settings); (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// What a server says is shown shortly, without what would disturb a terminal.
func TestWordsOfAServer(t *testing.T) {
	err := plainError(fmt.Errorf("\x1b[31m%w\n%s", os.ErrNotExist, strings.Repeat("ä", 1000)))
	if text := err.Error(); len(text) > maxRemoteText+10 || strings.ContainsAny(text, "\x1b\n") || !strings.HasSuffix(text, "ä…") {
		t.Errorf("%q", text)
	}
	if !errors.Is(err, os.ErrNotExist) {
		t.Error("its cause is lost")
	}
}

// A server that takes the connection and never speaks, and none at all.
func TestServerThatIsSilent(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	settings := &SSH{User: "operator", Password: password, KnownHosts: filepath.Join(t.TempDir(), "none"), ConnectTimeout: 500 * time.Millisecond}
	node := Node{Name: "sub1", Target: "sftp://" + listener.Addr().String() + "/x"}
	wantError(t, "silent", reach(t, node, settings), "speak SSH", "timeout")
	settings.ConnectTimeout = time.Minute
	node.Target = "sftp://127.0.0.1:1/x" // a port that the system gives to nobody
	wantError(t, "gone", reach(t, node, settings), "reach the server", "refused")
}
