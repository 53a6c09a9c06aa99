package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"capf/runtime/capf"
	"capf/runtime/phonefiles"
	"capf/runtime/store"
	"capf/runtime/web"
)

// socketName is the socket in the data directory at which the running service answers the commands of its
// owner. It needs no password: only who may open the directory and the socket can ask, who can read the
// store, and so all that it tells, as well.
const socketName = "serve.sock"

const (
	askWithin  = 10 * time.Second
	mostAnswer = 256 << 20 // bytes
)

// shortPath gives a path to the folder that fits into the 108 bytes of a socket's address (unix(7)),
// however long the folder's own is. close gives it back; the path is good until then.
func shortPath(folder string) (path string, close func() error, err error) {
	handle, err := os.Open(folder)
	if err != nil {
		return "", nil, err
	}
	return "/proc/self/fd/" + strconv.Itoa(int(handle.Fd())), handle.Close, nil
}

// listenSocket makes the socket. The caller holds the lock of the service, so that one which is there is
// left from a service that was killed.
func listenSocket(ctx context.Context, data string) (net.Listener, error) {
	path := filepath.Join(data, socketName)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	folder, closeFolder, err := shortPath(data)
	if err != nil {
		return nil, err
	}
	// The mode of the descriptor becomes that of the file, so that there is no moment with another one.
	config := net.ListenConfig{Control: func(_, _ string, conn syscall.RawConn) error {
		var failed error
		err := conn.Control(func(descriptor uintptr) { failed = unix.Fchmod(int(descriptor), 0o600) })
		return errors.Join(err, failed)
	}}
	listener, err := config.Listen(ctx, "unix", filepath.Join(folder, socketName))
	if err != nil {
		return nil, errors.Join(err, closeFolder())
	}
	listener.(*net.UnixListener).SetUnlinkOnClose(false)
	return &socketListener{Listener: listener, path: path, closeFolder: closeFolder}, nil
}

// socketListener removes its file by the name that it really has.
type socketListener struct {
	net.Listener
	path        string
	closeFolder func() error
}

func (l *socketListener) Close() error {
	err := l.Listener.Close()
	if errors.Is(err, net.ErrClosed) {
		return err
	}
	return errors.Join(err, os.Remove(l.path), l.closeFolder())
}

// openSocket makes the socket. Without one the service is whole: it only cannot be looked into.
func (d *Daemon) openSocket(ctx context.Context) {
	socket, err := listenSocket(ctx, d.options.Data)
	if err != nil {
		d.options.Log.Warn("`capf session list` will not see this service: no socket in the data directory", "error", err)
		return
	}
	d.socket = phonefiles.Limit(socket, socketConnections)
}

// serveSocket answers there until the context ends.
func (d *Daemon) serveSocket(ctx context.Context) error {
	return serveUntil(ctx, web.NewServer(web.LiveHandler(d.server, d.options.Log), d.options.Log), d.socket, stopWithin)
}

// Ask asks the service that runs on a data directory and decodes what it answers. Where none runs, running
// is false and there is no error.
func Ask(ctx context.Context, data, path string, into any) (running bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	folder, closeFolder, err := shortPath(data)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, askError(data, err)
	}
	defer closeFolder()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(folder, socketName))
	}}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://service"+path, nil)
	if err != nil {
		return false, askError(data, err)
	}
	response, err := client.Do(request)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ECONNREFUSED) {
		return isSilent(data, err)
	}
	if err != nil {
		return false, askError(data, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return true, askError(data, fmt.Errorf("it answers %s", response.Status))
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, mostAnswer)).Decode(into); err != nil {
		return true, askError(data, err)
	}
	return true, nil
}

// isSilent tells a service that has no socket from none.
func isSilent(data string, err error) (bool, error) {
	living, problem := store.LivingInstance(data)
	if problem != nil {
		return false, problem
	}
	if living != "" {
		return true, askError(data, err)
	}
	return false, nil
}

func askError(data string, err error) error {
	return &capf.Error{Code: capf.CodeUnavailable, Message: "ask the service on " + data, Err: err,
		Hint: "see that the data directory is yours, and the log of the service"}
}
