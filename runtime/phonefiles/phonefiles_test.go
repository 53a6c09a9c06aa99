package phonefiles

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"capf/runtime/capf"
)

// since is when the lists of these tests became what phones get.
var since = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// served is a folder that phones get their files from, and a store with a list of one kind at the most.
type served struct {
	t       *testing.T
	folder  string
	address string
	list    []byte // CTL; nil: there is none
	problem error  // of the store

	mu     sync.Mutex
	log    bytes.Buffer
	counts map[string]int
}

// List is the store.
func (s *served) List(_ context.Context, kind Kind) ([]byte, time.Time, error) {
	if s.problem != nil {
		return nil, time.Time{}, s.problem
	}
	if kind != KindCTL || s.list == nil {
		return nil, time.Time{}, &capf.Error{Code: capf.CodeNotFound, Message: "none"}
	}
	return s.list, since, nil
}

// Write is the log.
func (s *served) Write(text []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(text)
}

func (s *served) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

func (s *served) observe(kind Kind, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[fmt.Sprintf("%s %d", kind, status)]++
}

func (s *served) counted(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[what]
}

func newServed(t *testing.T) *served {
	t.Helper()
	s := &served{t: t, folder: t.TempDir(), counts: map[string]int{}}
	log := slog.New(slog.NewTextHandler(s, &slog.HandlerOptions{Level: slog.LevelDebug}))
	server := NewServer(Handler(Options{Lists: s, Folder: s.folder, Observe: s.observe, Log: log}), log)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = listener.Addr().String()
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(Limit(listener, 4)) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return s
}

func (s *served) write(name, content string) string {
	s.t.Helper()
	path := filepath.Join(s.folder, name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// reply is an answer that was read to its end, which is that of its connection.
type reply struct {
	*http.Response
	body string
}

// ask sends a request as it stands and reads the answer to the end of the connection.
func (s *served) ask(request string) reply {
	s.t.Helper()
	connection, err := net.Dial("tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	defer connection.Close()
	if err := connection.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		s.t.Fatal(err)
	}
	if _, err := io.WriteString(connection, request); err != nil {
		s.t.Fatal(err)
	}
	method, _, _ := strings.Cut(request, " ")
	line := bufio.NewReader(connection)
	response, err := http.ReadResponse(line, &http.Request{Method: method})
	if err != nil {
		s.t.Fatalf("%.80q: %v", request, err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatalf("%.80q: %v", request, err)
	}
	if rest, err := io.ReadAll(line); err != nil || len(rest) > 0 {
		s.t.Errorf("%.80q: after the answer %q, %v", request, rest, err)
	}
	return reply{response, string(body)}
}

// get asks as a phone does, with more header lines.
func (s *served) get(name string, headers ...string) reply {
	s.t.Helper()
	return s.ask("GET /" + name + " HTTP/1.1\r\nHost: 192.0.2.1:6970\r\n" + strings.Join(append(headers, "\r\n"), "\r\n"))
}

func (s *served) want(got reply, status int, body string) {
	s.t.Helper()
	if got.StatusCode != status || status == http.StatusOK && got.body != body {
		s.t.Errorf("%d %.80q, want %d %.80q", got.StatusCode, got.body, status, body)
	}
}

const (
	device = "SEP001122334455"
	config = device + ".cnf.xml"
)

func TestFilesOfAPhone(t *testing.T) {
	s := newServed(t)
	s.list = []byte("the list of the store")
	s.write(config, "<device/>")
	s.write(config+".sgn", "signed")
	s.write("XMLDefault.cnf.xml", "<Default/>")
	s.write("ITLFile.tlv", "itl of the folder")
	s.write("CTLFile.tlv", "ctl of the folder")
	for name, want := range map[string][2]string{
		config:                  {"<device/>", typeXML},
		config + ".sgn":         {"signed", typeBinary},
		"XMLDefault.cnf.xml":    {"<Default/>", typeXML},
		"CTLFile.tlv":           {"the list of the store", typeBinary},
		"CTL" + device + ".tlv": {"the list of the store", typeBinary},
		"ITLFile.tlv":           {"itl of the folder", typeBinary},
	} {
		for _, request := range []string{"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n", "GET /%s HTTP/1.0\r\n\r\n", "GET /%s HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"} {
			got := s.ask(fmt.Sprintf(request, name))
			s.want(got, http.StatusOK, want[0])
			if got.ContentLength != int64(len(want[0])) || got.Header.Get("Content-Type") != want[1] || got.Header.Get("ETag") == "" ||
				got.Header.Get("Last-Modified") == "" || got.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s: length %d, %v", name, got.ContentLength, got.Header)
			}
		}
		head := s.ask("HEAD /" + name + " HTTP/1.1\r\nHost: x\r\n\r\n")
		if head.StatusCode != http.StatusOK || head.body != "" || head.ContentLength != int64(len(want[0])) {
			t.Errorf("HEAD %s: %d, %d bytes of %d", name, head.StatusCode, len(head.body), head.ContentLength)
		}
	}
	s.want(s.get("ITL"+device+".tlv"), http.StatusNotFound, "")
	s.want(s.get("sep001122334455.cnf.xml"), http.StatusNotFound, "") // another file
	s.list = nil
	s.want(s.get("CTLFile.tlv"), http.StatusOK, "ctl of the folder")
	s.want(s.get("CTL"+device+".tlv"), http.StatusNotFound, "")
	if got := s.counted("ctl 200"); got != 9 {
		t.Errorf("%d lists were counted", got)
	}
	if said := s.said(); strings.Contains(said, "level=WARN") || strings.Contains(said, "level=ERROR") || !strings.Contains(said, "level=DEBUG") {
		t.Errorf("the log says %s", said)
	}
}

func TestWithoutAFolder(t *testing.T) {
	recorder := &served{t: t, counts: map[string]int{}}
	handler := Handler(Options{Lists: recorder, Log: slog.New(slog.DiscardHandler)})
	for _, name := range []string{"/CTLFile.tlv", "/" + config, "/etc.cnf.xml"} {
		answer := &emptyWriter{header: http.Header{}}
		handler.ServeHTTP(answer, &http.Request{Method: http.MethodGet, RequestURI: name})
		if answer.status != http.StatusNotFound {
			t.Errorf("%s: %d", name, answer.status)
		}
	}
}

type emptyWriter struct {
	header http.Header
	status int
}

func (w *emptyWriter) Header() http.Header            { return w.header }
func (w *emptyWriter) WriteHeader(status int)         { w.status = status }
func (w *emptyWriter) Write(data []byte) (int, error) { return len(data), nil }

// A file that is there and cannot be read, or a folder that is gone, is not told as a file that does not exist.
func TestWhatCannotBeReadNow(t *testing.T) {
	s := newServed(t)
	s.write(config, "first")
	s.want(s.get(config), http.StatusOK, "first")
	if err := os.Rename(s.folder, s.folder+".away"); err != nil {
		t.Fatal(err)
	}
	s.want(s.get(config), http.StatusServiceUnavailable, "")
	if said := s.said(); !strings.Contains(said, "level=ERROR") || !strings.Contains(said, "put it back") {
		t.Errorf("the log says %s", said)
	}
	if err := os.Mkdir(s.folder, 0o755); err != nil {
		t.Fatal(err)
	}
	s.write(config, "second")
	s.want(s.get(config), http.StatusOK, "second")

	s.problem = &capf.Error{Code: capf.CodeUnavailable, Message: "store gone"}
	s.write("CTLFile.tlv", "of the folder")
	s.want(s.get("CTLFile.tlv"), http.StatusServiceUnavailable, "")
	s.problem = &capf.Error{Code: capf.CodeRefused, Message: "an old list"}
	s.want(s.get("CTLFile.tlv"), http.StatusServiceUnavailable, "")
	if got := s.counted("ctl 503"); got != 2 {
		t.Errorf("%d were counted", got)
	}
}

// A phone that has a file already is told so; one that was put back from before is new to it.
func TestConditions(t *testing.T) {
	s := newServed(t)
	s.list = []byte("list")
	path := s.write(config, "first")
	for _, name := range []string{config, "CTLFile.tlv"} {
		first := s.get(name)
		tag, changed := first.Header.Get("ETag"), first.Header.Get("Last-Modified")
		s.want(s.get(name, "If-None-Match: "+tag), http.StatusNotModified, "")
		s.want(s.get(name, "If-Modified-Since: "+changed), http.StatusNotModified, "")
		s.want(s.get(name, `If-None-Match: "another"`), http.StatusOK, first.body)
		s.want(s.get(name, "If-Modified-Since: Mon, 02 Jan 2006 15:04:05 GMT"), http.StatusOK, first.body)
		s.want(s.get(name, "If-Modified-Since: yesterday"), http.StatusOK, first.body)
	}
	if got := s.get("CTLFile.tlv").Header.Get("Last-Modified"); got != since.Format(http.TimeFormat) {
		t.Errorf("the list changed at %s", got)
	}
	tag := s.get(config).Header.Get("ETag")
	s.write("older", "other")
	long := time.Date(2004, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, err := range []error{os.Chtimes(filepath.Join(s.folder, "older"), long, long), os.Rename(filepath.Join(s.folder, "older"), path)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s.want(s.get(config, "If-None-Match: "+tag), http.StatusOK, "other")
	s.want(s.get(config, "If-Modified-Since: "+long.Add(time.Hour).Format(http.TimeFormat)), http.StatusOK, "other")
}

func TestCheckFolder(t *testing.T) {
	folder := t.TempDir()
	for mode, want := range map[os.FileMode]bool{0o755: false, 0o775: false, 0o777: true, 0o757: true} {
		if err := os.Chmod(folder, mode); err != nil {
			t.Fatal(err)
		}
		if got, err := CheckFolder(folder); err != nil || got != want {
			t.Errorf("%04o: %v, %v", mode, got, err)
		}
	}
	for _, path := range []string{filepath.Join(folder, "none"), filepath.Join(folder, "file")} {
		if filepath.Base(path) == "file" {
			if err := os.WriteFile(path, nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := CheckFolder(path); err == nil {
			t.Errorf("%s is taken", path)
		}
	}
}
