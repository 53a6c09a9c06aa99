package distribute

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path"
	"sync"
	"time"

	"capf/internal/plain"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// SSH says how servers are reached over SFTP. It has secrets, and does not print them.
type SSH struct {
	User       string   // for targets without a name
	Password   string   // of the cluster's one name (capf-guide.md, E4); may be empty
	Identities []string // files of private keys
	Passphrase string   // of those that have one
	Agent      string   // socket of an agent; may be empty
	KnownHosts string   // file of host keys

	ConnectTimeout   time.Duration // until the files can be reached; 0: DefaultConnectTimeout
	OperationTimeout time.Duration // for one request; 0: DefaultOperationTimeout
}

// The defaults of SSH.
const (
	DefaultConnectTimeout   = 15 * time.Second
	DefaultOperationTimeout = 15 * time.Second
)

// String shows nothing that is secret.
func (s SSH) String() string { return fmt.Sprintf("SSH as %q, hosts by %s", s.User, s.KnownHosts) }

// GoString is String, for %#v.
func (s SSH) GoString() string { return s.String() }

// Opener opens `sftp://name@host:port/folder` targets. Keys and known hosts are read when the first is opened.
func (s SSH) Opener() Opener {
	s.ConnectTimeout = cmp.Or(s.ConnectTimeout, DefaultConnectTimeout)
	s.OperationTimeout = cmp.Or(s.OperationTimeout, DefaultOperationTimeout)
	load := sync.OnceValues(func() (*login, error) { return newLogin(s) })
	return func(ctx context.Context, address *url.URL) (Target, error) {
		login, err := load()
		if err != nil {
			return nil, &stageError{stageBegin, err}
		}
		return login.open(ctx, address)
	}
}

// login is what it takes to log in, read and ready.
type login struct {
	SSH
	hosts *hostKeys
	keys  []ssh.Signer
}

func newLogin(s SSH) (*login, error) {
	hosts, err := loadHostKeys(s.KnownHosts)
	if err != nil {
		return nil, err
	}
	l := &login{SSH: s, hosts: hosts}
	for _, path := range s.Identities {
		key, err := loadIdentity(path, s.Passphrase)
		if err != nil {
			return nil, fmt.Errorf("private key %s: %w", path, err)
		}
		l.keys = append(l.keys, key)
	}
	return l, nil
}

const maxIdentity = 64 << 10

// loadIdentity reads a private key that nobody else can read.
func loadIdentity(path, passphrase string) (ssh.Signer, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if mode := info.Mode(); !mode.IsRegular() || mode.Perm()&0o077 != 0 {
		return nil, fmt.Errorf("others can read it (mode %s); run chmod 600", mode)
	}
	content, err := io.ReadAll(io.LimitReader(file, maxIdentity))
	if err != nil {
		return nil, err
	}
	key, err := ssh.ParsePrivateKey(content)
	var locked *ssh.PassphraseMissingError
	if errors.As(err, &locked) {
		if passphrase == "" {
			return nil, errors.New("it has a passphrase; give that in the environment, or let an agent hold the key")
		}
		key, err = ssh.ParsePrivateKeyWithPassphrase(content, []byte(passphrase))
		if errors.Is(err, x509.IncorrectPasswordError) {
			return nil, errors.New("the passphrase is not that of the key; mend it in the environment")
		}
	}
	return key, err
}

// name gives the name to log in with.
func (l *login) name(address *url.URL) (string, error) {
	if name := cmp.Or(address.User.Username(), l.User); name != "" {
		return name, nil
	}
	return "", errors.New("no name to log in with: write sftp://name@host/folder, or give the cluster's one name")
}

// methods gives the ways to log in, and what to close after that. An agent that does not answer is an error only
// where there is no other way.
func (l *login) methods(ctx context.Context) (methods []ssh.AuthMethod, finish func(), err error) {
	holder, finish, err := l.agent(ctx)
	if holder != nil || len(l.keys) > 0 {
		methods = append(methods, ssh.PublicKeysCallback(func() ([]ssh.Signer, error) { return l.signers(holder) }))
	}
	if l.Password != "" {
		methods = append(methods, ssh.Password(l.Password), ssh.KeyboardInteractive(l.answer))
	}
	switch {
	case len(methods) > 0:
		return methods, finish, nil
	case err != nil:
		return nil, finish, fmt.Errorf("agent: %w; start it, or unset SSH_AUTH_SOCK", err)
	}
	return nil, finish, errors.New("no way to log in: name a private key, start an agent, or give the cluster's password")
}

func (l *login) agent(ctx context.Context) (holder agent.ExtendedAgent, finish func(), err error) {
	if l.Agent == "" {
		return nil, func() {}, nil
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", l.Agent)
	if err != nil {
		return nil, func() {}, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	return agent.NewClient(conn), func() { stop(); conn.Close() }, nil
}

// signers gives our own keys first: a server ends the line after some keys that it does not know.
func (l *login) signers(holder agent.ExtendedAgent) ([]ssh.Signer, error) {
	keys := l.keys[:len(l.keys):len(l.keys)]
	if holder == nil {
		return keys, nil
	}
	held, err := holder.Signers()
	if err != nil && len(keys) == 0 {
		return nil, fmt.Errorf("agent: %w", err)
	}
	return append(keys, held...), nil
}

// answer gives the password where a server asks for it by a dialogue, as PAM does; once, since a second question
// is for something else.
func (l *login) answer(_, _ string, questions []string, echos []bool) ([]string, error) {
	switch {
	case len(questions) == 0:
		return nil, nil
	case len(questions) > 1 || echos[0]:
		return nil, errors.New("the server asks for more than a password")
	}
	return []string{l.Password}, nil
}

// stage is how far a connection came.
type stage int

// The stages of a connection, in their order.
const (
	stageBegin stage = iota // nobody was asked yet
	stageReach
	stageHostKey
	stageLogin
	stageFiles
)

// stageError is why a connection came no further.
type stageError struct {
	stage stage
	err   error
}

func (e *stageError) Error() string { return e.err.Error() }
func (e *stageError) Unwrap() error { return e.err }

// open reaches a server, knows it, logs in, and looks for the folder: one that is not there must not be taken for
// an empty one.
func (l *login) open(ctx context.Context, address *url.URL) (Target, error) {
	if err := checkSFTPURL(address); err != nil {
		return nil, err
	}
	name, err := l.name(address)
	if err != nil {
		return nil, &stageError{stageBegin, err}
	}
	deadline := time.Now().Add(l.ConnectTimeout)
	conn, err := (&net.Dialer{Deadline: deadline}).DialContext(ctx, "tcp", hostAndPort(address))
	if err != nil {
		return nil, &stageError{stageReach, fmt.Errorf("reach the server: %w; is it up, and does a firewall let us through", err)}
	}
	context.AfterFunc(ctx, func() { conn.Close() })
	target, err := l.handshake(ctx, conn, deadline, address, name)
	if err == nil {
		return target, nil
	}
	conn.Close()
	if at, ok := errors.AsType[*stageError](err); ok && ctx.Err() != nil {
		return nil, &stageError{at.stage, fmt.Errorf("%w (%w)", reason(ctx), err)}
	}
	return nil, err
}

// handshake does the rest on a connection, which has a deadline until the end of it.
func (l *login) handshake(ctx context.Context, conn net.Conn, deadline time.Time, address *url.URL, name string) (*sftpTarget, error) {
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, &stageError{stageReach, err}
	}
	client, err := l.shake(ctx, conn, hostAndPort(address), name)
	if err != nil {
		return nil, err
	}
	files, err := sftp.NewClient(client, sftp.UseConcurrentWrites(true))
	if err != nil {
		return nil, &stageError{stageFiles, fmt.Errorf("the server lets us in, but offers no SFTP: %w", plainError(err))}
	}
	target := newSFTPTarget(client, files, path.Clean(address.Path), l.OperationTimeout)
	if err := cmp.Or(conn.SetDeadline(time.Time{}), target.checkBase()); err != nil {
		target.Close()
		return nil, &stageError{stageFiles, err}
	}
	return target, nil
}

// shake knows the server and logs in. The server is to be known also where there is no way to log in: the first that an
// administrator has to do is to compare its key.
func (l *login) shake(ctx context.Context, conn net.Conn, address, name string) (*ssh.Client, error) {
	methods, finish, noWay := l.methods(ctx)
	defer finish()
	at := stageReach
	var hostKeyErr error
	config := &ssh.ClientConfig{User: name, Auth: methods, HostKeyAlgorithms: l.hosts.algorithms(address),
		HostKeyCallback: func(host string, remote net.Addr, key ssh.PublicKey) error {
			at = stageHostKey
			if hostKeyErr = l.hosts.verify(host, remote, key); hostKeyErr == nil {
				at = stageLogin
			}
			return hostKeyErr
		}}
	inner, channels, requests, err := ssh.NewClientConn(conn, address, config)
	switch {
	case err == nil:
		return ssh.NewClient(inner, channels, requests), nil
	case hostKeyErr != nil:
		return nil, &stageError{at, hostKeyErr}
	case at == stageLogin && noWay != nil:
		return nil, &stageError{at, noWay}
	case at == stageLogin:
		return nil, &stageError{at, fmt.Errorf("log in as %q: %w; see what the server allows this name", name, plainError(err))}
	}
	return nil, &stageError{at, fmt.Errorf("speak SSH with the server: %w", plainError(err))}
}

// maxRemoteText is how much of what a server says is shown.
const maxRemoteText = 200

// remoteError is an error with words from a server in it, fit for one line.
type remoteError struct {
	text string
	err  error
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.err }

func plainError(err error) error {
	if err == nil {
		return nil
	}
	return &remoteError{plain.ClipTo(plain.Line(err.Error()), maxRemoteText), err}
}
