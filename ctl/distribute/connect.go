package distribute

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path"
	"time"

	"capf/internal/plain"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

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
	conn, err := l.dial(ctx, hostAndPort(address), deadline)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(deadline); err != nil {
		conn.Close()
		return nil, &stageError{stageReach, err}
	}
	target, err := l.handshake(ctx, conn, address, name)
	if err == nil {
		return target, nil
	}
	conn.Close()
	if ctx.Err() != nil {
		return nil, &stageError{stageOf(err), fmt.Errorf("%w (%w)", reason(ctx), err)}
	}
	return nil, err
}

func stageOf(err error) stage {
	var at *stageError
	if errors.As(err, &at) {
		return at.stage
	}
	return stageReach
}

func (l *login) dial(ctx context.Context, address string, deadline time.Time) (net.Conn, error) {
	dialer := net.Dialer{Deadline: deadline}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, &stageError{stageReach, fmt.Errorf("reach the server: %w; is it up, and does a firewall let us through", err)}
	}
	return conn, nil
}

// handshake does the rest on a connection with a deadline, which it lifts in the end.
func (l *login) handshake(ctx context.Context, conn net.Conn, address *url.URL, name string) (*sftpTarget, error) {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	client, err := l.shake(ctx, conn, hostAndPort(address), name)
	if err != nil {
		stop()
		return nil, err
	}
	files, err := sftp.NewClient(client, sftp.UseConcurrentWrites(true))
	if err != nil {
		stop()
		return nil, &stageError{stageFiles, fmt.Errorf("the server lets us in, but offers no SFTP: %w", plainError(err))}
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		stop()
		return nil, &stageError{stageFiles, err}
	}
	target := newSFTPTarget(ctx, client, files, path.Clean(address.Path), l.OperationTimeout)
	target.stop = stop
	if err := target.checkBase(); err != nil {
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
