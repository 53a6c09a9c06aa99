package distribute

import (
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"capf/ctl/distribute/sshdtest"
)

// server is an SSH server in this process, for what OpenSSH cannot be made to do: ask for passwords without PAM, end
// at a certain request, lie.
type server struct {
	config   *ssh.ServerConfig
	listener net.Listener
	key      ssh.Signer
	serve    func(channel io.ReadWriteCloser)
	running  sync.WaitGroup
}

// newServer starts a server; the config says who is let in.
func newServer(t testing.TB, config *ssh.ServerConfig, serve func(io.ReadWriteCloser)) *server {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{config: config, serve: serve}
	if s.key, err = ssh.NewSignerFromKey(private); err != nil {
		t.Fatal(err)
	}
	config.AddHostKey(s.key)
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	s.running.Go(func() {
		for {
			conn, err := s.listener.Accept()
			if err != nil {
				return
			}
			s.running.Go(func() { s.session(conn) })
		}
	})
	t.Cleanup(func() {
		s.listener.Close()
		s.running.Wait()
	})
	return s
}

// session serves the first channel of a connection, as SFTP.
func (s *server) session(conn net.Conn) {
	defer conn.Close()
	_, channels, requests, err := ssh.NewServerConn(conn, s.config)
	if err != nil {
		return
	}
	s.running.Go(func() { ssh.DiscardRequests(requests) })
	offered, ok := <-channels
	if !ok {
		return
	}
	channel, asked, err := offered.Accept()
	if err != nil {
		return
	}
	s.running.Go(func() {
		for request := range asked {
			_ = request.Reply(request.Type == "subsystem", nil)
		}
	})
	s.serve(channel)
}

func (s *server) address() string { return s.listener.Addr().String() }

// options reach the server with a password.
func (s *server) options(t testing.TB, password string) (Options, *SSH) {
	t.Helper()
	settings := &SSH{User: "operator", Password: password, KnownHosts: filepath.Join(t.TempDir(), "known_hosts")}
	sshdtest.KnownHosts(t, settings.KnownHosts, knownhosts.Line([]string{s.address()}, s.key.PublicKey())+"\n")
	return settings.options(), settings
}

func (s *server) node(t testing.TB) (Node, string) {
	t.Helper()
	folder := t.TempDir()
	return Node{Name: "sub1", Target: "sftp://" + s.address() + filepath.ToSlash(folder)}, folder
}

const password = "geheim-4711"

func byPassword() *ssh.ServerConfig {
	return &ssh.ServerConfig{PasswordCallback: func(conn ssh.ConnMetadata, given []byte) (*ssh.Permissions, error) {
		if conn.User() != "operator" || string(given) != password {
			return nil, errors.New("wrong")
		}
		return nil, nil
	}}
}

// serveFiles serves the file system of this machine.
func serveFiles(channel io.ReadWriteCloser) {
	if server, err := sftp.NewServer(channel); err == nil {
		_ = server.Serve()
	}
	channel.Close()
}

// cutter ends a channel when the request with that number comes (from 0, the greeting counts).
type cutter struct {
	io.ReadWriteCloser
	left   int
	inside int // bytes of the present request that are still to come
	head   []byte
	cut    bool
}

func (c *cutter) Read(p []byte) (int, error) {
	if c.inside == 0 {
		c.head = make([]byte, 4)
		if _, err := io.ReadFull(c.ReadWriteCloser, c.head); err != nil {
			return 0, err
		}
		if c.left == 0 {
			c.cut = true
			c.Close()
			return 0, io.EOF
		}
		c.left--
		c.inside = 4 + int(binary.BigEndian.Uint32(c.head))
	}
	if len(c.head) > 0 {
		n := copy(p, c.head)
		c.head, c.inside = c.head[n:], c.inside-n
		return n, nil
	}
	n, err := c.ReadWriteCloser.Read(p[:min(len(p), c.inside)])
	c.inside -= n
	return n, err
}
