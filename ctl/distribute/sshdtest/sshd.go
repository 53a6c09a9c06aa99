// Package sshdtest starts OpenSSH servers for tests: Debian's sshd with a configuration, a host key and a login of
// its own, on a loopback address. What may stand in its configuration is in sshd_config(5). It is for tests only.
package sshdtest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
)

const (
	program = "/usr/sbin/sshd"
	missing = "sshd is needed: apt-get install openssh-server"
)

// Options of a server. The zero value is one that is fit for use.
type Options struct {
	Address   string   // loopback address; empty: 127.0.0.1
	Subsystem string   // the SFTP server; empty: internal-sftp
	Refuses   bool     // lets nobody in
	Short     bool     // can write no file of more than some hundred bytes, as on a full disk; until Room
	Settings  []string // further lines of sshd_config
}

// Server is a running sshd. What it serves is all of the file system that its user sees.
type Server struct {
	Address string // host:port
	User    string
	Login   string // file of the private key that is let in

	folder  string
	options Options
	process *exec.Cmd
}

// Start starts a server, which ends with the test. Where sshd is missing the test is skipped, or fails with CI set.
func Start(t testing.TB, options Options) *Server {
	t.Helper()
	Need(t)
	folder := t.TempDir()
	current, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{User: current.Username, Login: filepath.Join(folder, "login"), folder: folder, options: options}
	if s.options.Address == "" {
		s.options.Address = "127.0.0.1"
	}
	for _, key := range []string{"host", "login", "other"} {
		makeKey(t, filepath.Join(folder, key), "")
	}
	if current.Uid == "0" { // where sshd separates its privileges
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.Restart(t)
	return s
}

// Need skips the test where there is no sshd, or fails with CI set.
func Need(t testing.TB) {
	t.Helper()
	if _, err := os.Stat(program); err == nil {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal(missing)
	}
	t.Skip(missing)
}

func makeKey(t testing.TB, path, passphrase string) {
	t.Helper()
	if output, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "test", "-f", path).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v: %s", err, output)
	}
}

// Restart starts it again after Kill: on its address, with the host key that it has now.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	// A port that was free a moment ago may have been taken since.
	const tries = 10
	for try := 1; ; try++ {
		if s.Address == "" || try > 1 {
			s.Address = freeAddress(t, s.options.Address)
		}
		err := s.start(t)
		if err == nil {
			break
		}
		if try == tries {
			t.Fatal(err)
		}
	}
	t.Cleanup(s.Kill)
}

func freeAddress(t testing.TB, host string) string {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// Quote makes one argument of a path, which may have spaces in it, for a setting of sshd_config(5).
func Quote(path string) string { return `"` + path + `"` }

func (s *Server) configuration() string {
	host, port, _ := strings.Cut(s.Address, ":")
	authorized, subsystem := "login.pub", s.options.Subsystem
	if s.options.Refuses {
		authorized = "other.pub"
	}
	if subsystem == "" {
		subsystem = "internal-sftp"
	}
	lines := append([]string{
		"ListenAddress " + host, "Port " + port, "HostKey " + Quote(filepath.Join(s.folder, "host")), "PidFile none",
		"AuthorizedKeysFile " + Quote(filepath.Join(s.folder, authorized)), "StrictModes no", "PermitRootLogin yes", "UsePAM no",
		"PasswordAuthentication no", "KbdInteractiveAuthentication no", "UseDNS no", "PrintMotd no", "PrintLastLog no",
		"MaxStartups 100", "Subsystem sftp " + subsystem,
		// A bash that sshd starts reads ~/.bashrc, unless it takes itself for an inner shell. What stands there can wait for a
		// lock, and would leave it behind when it is killed.
		"SetEnv SHLVL=1",
	}, s.options.Settings...)
	return strings.Join(lines, "\n") + "\n"
}

// start starts it once, and returns when it listens, by its own word.
func (s *Server) start(t testing.TB) error {
	t.Helper()
	file := filepath.Join(s.folder, "sshd_config")
	if err := os.WriteFile(file, []byte(s.configuration()), 0o600); err != nil {
		t.Fatal(err)
	}
	s.process = exec.Command(program, "-D", "-e", "-f", file)
	if s.options.Short {
		s.process = exec.Command("sh", "-c", `trap "" XFSZ; ulimit -f 1; exec "$0" "$@"`, program, "-D", "-e", "-f", file)
	}
	said, err := s.process.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(said)
	var all strings.Builder
	for {
		line, err := lines.ReadString('\n')
		all.WriteString(line)
		if strings.HasPrefix(line, "Server listening on") {
			go io.Copy(io.Discard, lines)
			return nil
		}
		if err != nil {
			s.Kill()
			return fmt.Errorf("sshd does not start: %s", all.String())
		}
	}
}

// Kill ends the server and all its sessions at once, as a power cut does. It may be called again.
func (s *Server) Kill() {
	if s.process == nil {
		return
	}
	// A session's process makes others while it begins, so that one look may miss one.
	for range 2 {
		for _, child := range descendants(s.process.Process.Pid) {
			if process, err := os.FindProcess(child); err == nil {
				_ = process.Kill()
			}
		}
	}
	_ = s.process.Process.Kill()
	_ = s.process.Wait()
	s.process = nil
}

// descendants gives the processes that a process has started, and those that they have.
func descendants(pid int) (all []int) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil
	}
	for _, word := range strings.Fields(string(content)) {
		var child int
		if _, err := fmt.Sscan(word, &child); err == nil {
			all = append(append(all, descendants(child)...), child)
		}
	}
	return all
}

// LetIn changes whom it lets in; sshd reads that anew for each login.
func (s *Server) LetIn(t testing.TB) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(s.folder, "login.pub"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.folder, "other.pub"), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Room lifts Short, with a restart.
func (s *Server) Room(t testing.TB) {
	t.Helper()
	s.options.Short = false
	s.Kill()
	s.Restart(t)
}

// Target gives the URL of a folder there.
func (s *Server) Target(folder string) string {
	return "sftp://" + s.User + "@" + s.Address + filepath.ToSlash(folder)
}

// Known gives the line of a known-hosts file for it.
func (s *Server) Known(t testing.TB) string { return s.line(t, "host.pub") }

// Mistaken is Known with another key.
func (s *Server) Mistaken(t testing.TB) string { return s.line(t, "other.pub") }

func (s *Server) line(t testing.TB, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(s.folder, name))
	if err != nil {
		t.Fatal(err)
	}
	host, port, _ := strings.Cut(s.Address, ":")
	return fmt.Sprintf("[%s]:%s %s\n", host, port, strings.TrimSpace(string(content)))
}

// Fingerprint gives that of its host key, as ssh-keygen -lf shows it.
func (s *Server) Fingerprint(t testing.TB) string {
	t.Helper()
	output, err := exec.Command("ssh-keygen", "-lf", filepath.Join(s.folder, "host.pub")).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(output))[1]
}

// KnownHosts writes a known-hosts file of such lines.
func KnownHosts(t testing.TB, path string, lines ...string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(strings.Join(lines, "")), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Lock encrypts the private key that is let in.
func (s *Server) Lock(t testing.TB, passphrase string) {
	t.Helper()
	if output, err := exec.Command("ssh-keygen", "-q", "-p", "-P", "", "-N", passphrase, "-f", s.Login).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v: %s", err, output)
	}
}

// Agent starts an agent that holds the private key which is let in, and gives its socket.
func (s *Server) Agent(t testing.TB) string {
	t.Helper()
	socket := filepath.Join(s.folder, "agent")
	agent := exec.Command("ssh-agent", "-D", "-a", socket)
	said, err := agent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = agent.Process.Kill()
		_ = agent.Wait()
	})
	if _, err := bufio.NewReader(said).ReadString('\n'); err != nil { // it says where it is when it is there
		t.Fatal(err)
	}
	add := exec.Command("ssh-add", "-q", s.Login)
	add.Env = append(os.Environ(), "SSH_AUTH_SOCK="+socket)
	if output, err := add.CombinedOutput(); err != nil {
		t.Fatalf("ssh-add: %v: %s", err, output)
	}
	return socket
}
