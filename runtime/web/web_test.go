package web

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener whose connections have both ends in the test, so that its time is that of the test's clock.
type pipes struct {
	connections chan net.Conn
	closed      chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case connection := <-p.connections:
		return connection, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	close(p.closed)
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// connect gives a connection to a server of the admin address, which ends with the test.
func connect(t *testing.T, handler http.Handler) net.Conn {
	t.Helper()
	server := NewServer(handler, slog.New(slog.DiscardHandler))
	listener := &pipes{connections: make(chan net.Conn), closed: make(chan struct{})}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	ours, theirs := net.Pipe()
	listener.connections <- theirs
	t.Cleanup(func() {
		_ = ours.Close()
		_ = server.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return ours
}

func request(t *testing.T, connection net.Conn, path string) {
	t.Helper()
	if _, err := io.WriteString(connection, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
}

// readSlowly reads an answer to its end, so many bytes at a time with a second between, and gives its body.
func readSlowly(t *testing.T, connection net.Conn, atOnce int64) ([]byte, error) {
	t.Helper()
	answer, err := http.ReadResponse(bufio.NewReaderSize(connection, 16), nil)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	var body bytes.Buffer
	for {
		count, err := io.CopyN(&body, answer.Body, atOnce)
		if errors.Is(err, io.EOF) || count == 0 && err == nil {
			return body.Bytes(), nil
		}
		if err != nil {
			return body.Bytes(), err
		}
		time.Sleep(time.Second)
	}
}

// slowSource takes its time.
type slowSource struct {
	der  []byte
	took time.Duration
}

func (s slowSource) CRL(context.Context, string) ([]byte, time.Time, error) {
	time.Sleep(s.took)
	return s.der, time.Now(), nil
}

// A CRL of 100,000 entries that took its time to make arrives whole on a slow line, where any other answer of that
// size would be cut off.
func TestBigCRLOnASlowLine(t *testing.T) {
	const size = 4 << 20
	for path, whole := range map[string]bool{PathCRL: true, "/other": false} {
		synctest.Test(t, func(t *testing.T) {
			mux := http.NewServeMux()
			mux.Handle(PathCRL, CRLHandler(slowSource{make([]byte, size), 50 * time.Second}, slog.New(slog.DiscardHandler)))
			mux.HandleFunc("/other", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, size)) })
			connection := connect(t, mux)
			begin := time.Now()
			request(t, connection, path)
			body, err := readSlowly(t, connection, 5<<10)
			if (err == nil && len(body) == size) != whole {
				t.Errorf("%s: %d bytes after %v, %v", path, len(body), time.Since(begin), err)
			}
			if took := time.Since(begin); !whole && took > writeWithin+5*time.Second {
				t.Errorf("%s: cut off after %v", path, took)
			}
		})
	}
}

// Whoever does not read, or never ends the request, is dropped.
func TestWhoStallsIsDropped(t *testing.T) {
	for name, test := range map[string]struct {
		sent   string
		within time.Duration
	}{
		"nothing comes":            {"", readHeaderWithin},
		"half a header":            {"GET /x HTTP/1.1\r\nHost: ", readHeaderWithin},
		"a body that never ends":   {"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1", readWithin},
		"the answer is never read": {"GET /x HTTP/1.1\r\nHost: x\r\n\r\n", writeWithin},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var took time.Duration
				begin, done := time.Now(), make(chan struct{})
				connection := connect(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					defer close(done)
					_, err := io.Copy(io.Discard, r.Body)
					if err == nil {
						_, err = w.Write(make([]byte, 1<<20))
					}
					if took = time.Since(begin); err == nil {
						t.Error("it was read to its end")
					}
				}))
				if test.sent != "" {
					if _, err := io.WriteString(connection, test.sent); err != nil {
						t.Fatal(err)
					}
				}
				if test.within == readHeaderWithin {
					_, _ = io.Copy(io.Discard, connection) // until it is closed
					took = time.Since(begin)
				} else {
					<-done
				}
				if took != test.within {
					t.Errorf("dropped after %v, not %v", took, test.within)
				}
			})
		})
	}
}
