package phonefiles

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Requests as no phone makes them; the folder has a neighbour that must not be read.
func TestHostileRequests(t *testing.T) {
	s := newServed(t)
	s.list = []byte("list")
	s.write(config, "<device/>")
	s.write(".hidden.cnf.xml", "hidden")
	secret := filepath.Join(filepath.Dir(s.folder), "secret.cnf.xml")
	if err := os.WriteFile(secret, []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/", "/.", "/..", "/../secret.cnf.xml", "/%2e%2e/secret.cnf.xml", "/..%2fsecret.cnf.xml", `/..\secret.cnf.xml`, `/..%5csecret.cnf.xml`,
		"/" + secret, secret, "//" + config, "/./" + config, "/x/../" + config, "/" + config + "/", "/" + config + "%00", "/" + config + "%00.tlv", "/" + config + "?",
		"/SEP%30%301122334455.cnf.xml", "http://192.0.2.1/" + config, "http://192.0.2.1/../secret.cnf.xml", "file:///etc/passwd", "/.hidden.cnf.xml",
		"/" + strings.Repeat("A", 4000) + ".cnf.xml", "/" + strings.Repeat("../", 1000) + "etc/passwd", "/etc/passwd", "/*.cnf.xml"} {
		got := s.ask("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n")
		if got.StatusCode != http.StatusNotFound && got.StatusCode != http.StatusBadRequest {
			t.Errorf("%.60q: %d %q", path, got.StatusCode, got.body)
		}
		if strings.Contains(got.body, "secret") || strings.Contains(got.body, s.folder) || got.Header.Get("Location") != "" {
			t.Errorf("%.60q: %q, %v", path, got.body, got.Header)
		}
	}
	for request, want := range map[string]int{
		"GET /" + config + "\x00 HTTP/1.1\r\nHost: x\r\n\r\n":                                    http.StatusBadRequest,
		"GET /a b.cnf.xml HTTP/1.1\r\nHost: x\r\n\r\n":                                           http.StatusBadRequest,
		"GET /" + config + " HTTP/1.1\r\n\r\n":                                                   http.StatusBadRequest, // no host
		"POST /" + config + " HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx":                 http.StatusMethodNotAllowed,
		"PUT /" + config + " HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nevil":               http.StatusMethodNotAllowed,
		"DELETE /" + config + " HTTP/1.1\r\nHost: x\r\n\r\n":                                     http.StatusMethodNotAllowed,
		"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n":                                                  http.StatusOK, // net/http answers that itself
		"CONNECT 192.0.2.1:80 HTTP/1.1\r\nHost: 192.0.2.1:80\r\n\r\n":                            http.StatusMethodNotAllowed,
		"\x16\x03\x01\x00\x05hello\r\n\r\n":                                                      http.StatusBadRequest,
		"GET /" + config + " HTTP/1.1\r\nHost: x\r\nRange: bytes=0-3\r\n\r\n":                    http.StatusPartialContent,
		"GET /" + config + " HTTP/1.1\r\nHost: x\r\nRange: bytes=99-\r\n\r\n":                    http.StatusRequestedRangeNotSatisfiable,
		"GET /" + config + " HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n":                http.StatusOK,
		"GET /" + config + " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": http.StatusOK,
	} {
		if got := s.ask(request); got.StatusCode != want {
			t.Errorf("%.60q: %d, want %d", request, got.StatusCode, want)
		}
	}
	if content, err := os.ReadFile(filepath.Join(s.folder, config)); err != nil || string(content) != "<device/>" {
		t.Errorf("the file is now %q, %v", content, err)
	}
	if said := s.said(); strings.Contains(said, strings.Repeat("A", 200)) {
		t.Error("the log has names of any length")
	}
}

// A request that has no end is cut off; whether the answer gets through before that is not ours to say.
func TestRequestWithoutAnEnd(t *testing.T) {
	s := newServed(t)
	connection, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	if err := connection.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	sent, more := 0, []byte(strings.Repeat("A", 4<<10))
	for _, err = io.WriteString(connection, "GET /"); err == nil; sent += len(more) {
		_, err = connection.Write(more)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) || sent > 32<<20 {
		t.Errorf("%d bytes were taken: %v", sent, err)
	}
	if answer, err := io.ReadAll(connection); err == nil && len(answer) > 0 && !bytes.HasPrefix(answer, []byte("HTTP/1.1 431 ")) {
		t.Errorf("%q", answer)
	}
}

// What lies in the folder and is no plain file below it is not given, and nobody waits for it.
func TestHostileFolder(t *testing.T) {
	s := newServed(t)
	outside := filepath.Join(t.TempDir(), "passwords")
	if err := os.WriteFile(outside, []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	s.write("real.cnf.xml", "real")
	big := s.write("Big.cnf.xml", "")
	for _, err := range []error{
		os.Symlink(outside, filepath.Join(s.folder, "Absolute.cnf.xml")),
		os.Symlink("../"+filepath.Base(filepath.Dir(outside))+"/passwords", filepath.Join(s.folder, "Relative.cnf.xml")),
		os.Symlink("Circle.cnf.xml", filepath.Join(s.folder, "Circle.cnf.xml")),
		os.Symlink("real.cnf.xml", filepath.Join(s.folder, "Inside.cnf.xml")),
		os.Symlink("none.cnf.xml", filepath.Join(s.folder, "Dangling.cnf.xml")),
		os.Mkdir(filepath.Join(s.folder, "Folder.cnf.xml"), 0o755),
		syscall.Mkfifo(filepath.Join(s.folder, "Pipe.cnf.xml"), 0o644),
		os.Symlink("Pipe.cnf.xml", filepath.Join(s.folder, "LinkedPipe.cnf.xml")),
		os.Symlink("/dev/zero", filepath.Join(s.folder, "Zero.cnf.xml")),
		os.Truncate(big, maxFile+1),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s.want(s.get("Inside.cnf.xml"), http.StatusOK, "real")
	s.want(s.get("Dangling.cnf.xml"), http.StatusNotFound, "")
	if said := s.said(); strings.Contains(said, "level=WARN") {
		t.Errorf("what is not there is worth a warning: %s", said)
	}
	for _, name := range []string{"Absolute", "Relative", "Circle", "Folder", "Pipe", "LinkedPipe", "Zero", "Big"} {
		s.want(s.get(name+".cnf.xml"), http.StatusNotFound, "")
		if _, err := openPlain(s.folder, name+".cnf.xml"); !isUnfit(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if warnings := strings.Count(s.said(), "level=WARN"); warnings != 1 || !strings.Contains(s.said(), "file=Absolute.cnf.xml") {
		t.Errorf("%d warnings within a minute:\n%s", warnings, s.said())
	}
	if err := os.Truncate(big, maxFile); err != nil {
		t.Fatal(err)
	}
	s.want(s.get("Big.cnf.xml"), http.StatusOK, strings.Repeat("\x00", maxFile))
}
