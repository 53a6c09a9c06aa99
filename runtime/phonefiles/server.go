package phonefiles

import (
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// How long a phone may take. No request has a body, and every answer ends its connection: one that idles would keep a
// place from another phone.
const (
	readHeaderWithin = 5 * time.Second
	readWithin       = 10 * time.Second
	writeWithin      = 20 * time.Second // and the length at slowestLine beyond that
	slowestLine      = 4 << 10          // bytes a second
	maxHeader        = 8 << 10          // bytes
)

// NewServer makes the server for phones: whoever sends or reads too slowly is dropped.
func NewServer(handler http.Handler, log *slog.Logger) *http.Server {
	server := &http.Server{Handler: handler, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn), MaxHeaderBytes: maxHeader,
		ReadHeaderTimeout: readHeaderWithin, ReadTimeout: readWithin, WriteTimeout: writeWithin}
	server.SetKeepAlivesEnabled(false)
	return server
}

// DescriptorsPerConnection is how many open files one connection can take at a time: itself, its file, and the folder
// while that is opened.
const DescriptorsPerConnection = 3

// Limit lets so many connections of a listener live at a time; the next wait in the system until one ends.
func Limit(listener net.Listener, connections int) net.Listener {
	return &limited{Listener: listener, places: make(chan struct{}, connections), closed: make(chan struct{})}
}

type limited struct {
	net.Listener
	places chan struct{} // holds one for each connection that lives
	closed chan struct{}
	once   sync.Once
}

// Accept waits for a place, then for a connection.
func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	connection, err := l.Listener.Accept()
	if err != nil {
		<-l.places
		return nil, err
	}
	return &placed{Conn: connection, leave: sync.OnceFunc(func() { <-l.places })}, nil
}

func (l *limited) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// placed is a connection that gives its place back when it is closed.
type placed struct {
	net.Conn
	leave func()
}

func (p *placed) Close() error {
	defer p.leave()
	return p.Conn.Close()
}
