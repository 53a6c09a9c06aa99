// Package phonefiles answers phones that fetch their files over HTTP, for clusters without a TFTP server: the trust
// list and the configuration files of a folder, to read and nothing else. Phones ask at port 6970, by the names that
// they use over TFTP: first a list of their own, `CTLSEP<MAC>.tlv`, then `CTLFile.tlv` (ctl-format.md), and their
// configuration, `SEP<MAC>.cnf.xml` (capf-protocol.md, "In the configuration file that a phone loads").
//
// Nobody logs in and nothing is encrypted: that is how phones ask. Whoever reaches the port reads every file whose
// name can be guessed. So only names that a phone asks for are looked at, byte by byte as they come, and only plain
// files below the folder are given (capf-guide.md, "Known weaknesses": files read through a name; all descriptors
// taken by idle connections).
package phonefiles

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"capf/internal/plain"
	"capf/runtime/capf"
)

// Lists gives the trust lists of the store.
type Lists interface {
	// List gives the list of a kind that phones are to get now, KindCTL or KindITL, and when it became that.
	// CodeNotFound where the store has none of that kind: then one in the folder is given.
	List(ctx context.Context, kind Kind) (content []byte, since time.Time, err error)
}

// Options say what is given to whom asks.
type Options struct {
	Lists  Lists
	Folder string // of configuration files; empty: none
	// Observe counts an answer by its HTTP status; nil: nobody does. It names no phone.
	Observe func(kind Kind, status int)
	Log     *slog.Logger
}

// listWithin is how long the store may take: longer than it waits for a lock.
const listWithin = 8 * time.Second

// handler answers requests. What a person has to mend is told at most once a minute, however often phones ask.
type handler struct {
	Options
	unfit, missing rate.Sometimes
}

// Handler answers GET and HEAD for the names that phones ask for. Lists are those of the store; where it has none,
// and for configuration files, it is the folder. What is not there, or is no plain file below the folder, is 404;
// what should be there and cannot be read is 503, so that a phone does not take it for gone.
func Handler(options Options) http.Handler {
	return &handler{Options: options, unfit: rate.Sometimes{Interval: time.Minute}, missing: rate.Sometimes{Interval: time.Minute}}
}

// ServeHTTP answers one request and notes it.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := &answer{ResponseWriter: w, status: http.StatusOK}
	kind := h.answer(answer, r)
	if h.Observe != nil {
		h.Observe(kind, answer.status)
	}
	h.Log.Debug("a file was asked for", "address", r.RemoteAddr, "method", plain.Clip(r.Method), "name", plain.Clip(r.RequestURI),
		"status", answer.status, "bytes", answer.bytes)
}

func (h *handler) answer(w http.ResponseWriter, r *http.Request) Kind {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-cache") // it may be kept, and is to be asked for again
	name, kind := parseName(r.RequestURI)
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "files are only read here", http.StatusMethodNotAllowed)
	case kind == KindOther:
		notFound(w)
	case kind == KindConfig:
		h.answerFile(w, r, name)
	default:
		h.answerList(w, r, name, kind)
	}
	return kind
}

func (h *handler) answerList(w http.ResponseWriter, r *http.Request, name string, kind Kind) {
	ctx, cancel := context.WithTimeout(r.Context(), listWithin)
	defer cancel()
	content, since, err := h.Lists.List(ctx, kind)
	switch {
	case capf.HasCode(err, capf.CodeNotFound):
		h.answerFile(w, r, name)
	case err != nil:
		h.unavailable(w, r, "a trust list cannot be given to phones", err)
	default:
		give(w, r, typeBinary, `"`+capf.HexSHA256(content)+`"`, since, int64(len(content)), bytes.NewReader(content))
	}
}

func (h *handler) answerFile(w http.ResponseWriter, r *http.Request, name string) {
	if h.Folder == "" {
		notFound(w)
		return
	}
	file, err := openPlain(h.Folder, name)
	switch {
	case isAbsent(err):
		notFound(w)
	case isUnfit(err):
		h.unfit.Do(func() { h.Log.Warn("a file is not given to phones", "file", name, "error", err) })
		notFound(w)
	case err != nil:
		h.unavailable(w, r, "a file cannot be given to phones", err)
	default:
		defer file.Close()
		give(w, r, contentType(name), file.tag(), file.changed, file.size, io.NewSectionReader(file.File, 0, file.size))
	}
}

// give sends content, or says that the phone has it already, or a part of it where that is asked for. The time that
// the phone has for it goes by its length.
func give(w http.ResponseWriter, r *http.Request, contentType, tag string, changed time.Time, size int64, content io.ReadSeeker) {
	// Where the writer has no deadlines, as in a test without a connection, there is none to extend.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeWithin + time.Duration(size/slowestLine)*time.Second))
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("ETag", tag)
	http.ServeContent(w, r, "", changed, content)
}

func notFound(w http.ResponseWriter) { http.Error(w, "no such file", http.StatusNotFound) }

func (h *handler) unavailable(w http.ResponseWriter, r *http.Request, what string, err error) {
	if r.Context().Err() == nil { // else it was the phone that left
		h.missing.Do(func() { h.Log.Error(what, "error", err) })
	}
	http.Error(w, "not to be had now; see the log of the service", http.StatusServiceUnavailable)
}

// answer notes what was answered.
type answer struct {
	http.ResponseWriter
	status int
	bytes  int64
	begun  bool
}

func (a *answer) WriteHeader(status int) {
	if !a.begun {
		a.status, a.begun = status, true
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(data []byte) (int, error) {
	a.begun = true
	count, err := a.ResponseWriter.Write(data)
	a.bytes += int64(count)
	return count, err
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

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
