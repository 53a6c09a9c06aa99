package phonefiles

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
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

// piped serves a folder to connections of the test's clock, so many at a time.
func piped(t *testing.T, folder string, atOnce int) *pipes {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	listener := &pipes{connections: make(chan net.Conn), closed: make(chan struct{})}
	server := NewServer(Handler(Options{Lists: &served{t: t}, Folder: folder, Log: log}), log)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(Limit(listener, atOnce)) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return listener
}

func (p *pipes) connect(t *testing.T) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _ = ours.Close() })
	p.connections <- theirs
	return ours
}

func folderWith(t *testing.T, name string, size int) string {
	t.Helper()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, name), make([]byte, size), 0o644); err != nil {
		t.Fatal(err)
	}
	return folder
}

const request = "GET /" + config + " HTTP/1.1\r\nHost: x\r\n\r\n"

// readAt reads an answer to its end, so many bytes a second.
func readAt(t *testing.T, connection net.Conn, speed int64) (int, error) {
	t.Helper()
	answer, err := http.ReadResponse(bufio.NewReaderSize(connection, 16), nil)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	var body bytes.Buffer
	for {
		_, err := io.CopyN(&body, answer.Body, speed)
		if errors.Is(err, io.EOF) {
			return body.Len(), nil
		}
		if err != nil {
			return body.Len(), err
		}
		time.Sleep(time.Second)
	}
}

// A phone on a slow line gets the longest file whole; one that reads still slower is dropped.
func TestSlowReaders(t *testing.T) {
	folder := folderWith(t, config, maxFile)
	for speed, whole := range map[int64]bool{slowestLine + 100: true, slowestLine / 2: false} {
		synctest.Test(t, func(t *testing.T) {
			connection := piped(t, folder, 1).connect(t)
			begin := time.Now()
			if _, err := io.WriteString(connection, request); err != nil {
				t.Fatal(err)
			}
			count, err := readAt(t, connection, speed)
			if (err == nil && count == maxFile) != whole {
				t.Errorf("%d bytes a second: %d bytes after %v, %v", speed, count, time.Since(begin), err)
			}
			if took, most := time.Since(begin), writeWithin+maxFile/slowestLine*time.Second+5*time.Second; took > most {
				t.Errorf("%d bytes a second: the end after %v", speed, took)
			}
		})
	}
}

// Whoever stalls is dropped, and the place goes to the next one.
func TestWhoStallsLosesItsPlace(t *testing.T) {
	folder := folderWith(t, config, 1<<10)
	for name, test := range map[string]struct {
		sent   string
		within time.Duration
	}{
		"nothing comes":            {"", readHeaderWithin},
		"half a header":            {"GET /x HTTP/1.1\r\nHost: ", readHeaderWithin},
		"the answer is never read": {request, writeWithin},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				listener := piped(t, folder, 1)
				stalling := listener.connect(t)
				if test.sent != "" {
					if _, err := io.WriteString(stalling, test.sent); err != nil {
						t.Fatal(err)
					}
				}
				begin := time.Now()
				next := listener.connect(t) // is accepted when the other one is gone
				if took := time.Since(begin); took != test.within {
					t.Errorf("its place was free after %v, not %v", took, test.within)
				}
				if _, err := io.WriteString(next, request); err != nil {
					t.Fatal(err)
				}
				if count, err := readAt(t, next, 1<<20); err != nil || count != 1<<10 {
					t.Errorf("the next phone got %d bytes, %v", count, err)
				}
			})
		})
	}
}

// Every answer ends its connection, so that none keeps its place by idling.
func TestConnectionsDoNotIdle(t *testing.T) {
	folder := folderWith(t, config, 10)
	synctest.Test(t, func(t *testing.T) {
		connection := piped(t, folder, 1).connect(t)
		if _, err := io.WriteString(connection, "GET /"+config+" HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if _, err := io.Copy(io.Discard, connection); err != nil || time.Since(begin) != 0 {
			t.Errorf("the connection ended after %v: %v", time.Since(begin), err)
		}
	})
}

// Closing the listener ends a wait for a place too.
func TestLimitEnds(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	limit := Limit(listener, 1)
	if _, err := net.Dial("tcp", limit.Addr().String()); err != nil {
		t.Fatal(err)
	}
	first, err := limit.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	ended := make(chan error)
	go func() {
		_, err := limit.Accept()
		ended <- err
	}()
	if err := limit.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("the wait ended with %v", err)
	}
}
