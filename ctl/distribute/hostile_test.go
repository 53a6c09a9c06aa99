package distribute

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pkg/sftp"
)

// handlers serve one file system that lies.
type handlers struct {
	info os.FileInfo
	data io.ReaderAt
}

func (h handlers) Fileread(*sftp.Request) (io.ReaderAt, error) { return h.data, nil }

func (h handlers) Filelist(request *sftp.Request) (sftp.ListerAt, error) {
	if request.Filepath == "/" {
		return listing{lyingInfo{size: 0, mode: os.ModeDir}}, nil
	}
	return listing{h.info}, nil
}

func (h handlers) Filewrite(*sftp.Request) (io.WriterAt, error) { return nil, os.ErrPermission }
func (h handlers) Filecmd(*sftp.Request) error                  { return os.ErrPermission }

type listing []os.FileInfo

func (l listing) ListAt(files []os.FileInfo, offset int64) (int, error) {
	if offset >= int64(len(l)) {
		return 0, io.EOF
	}
	return copy(files, l[offset:]), io.EOF
}

type lyingInfo struct {
	size int64
	mode os.FileMode
}

func (i lyingInfo) Name() string       { return "../../up" }
func (i lyingInfo) Size() int64        { return i.size }
func (i lyingInfo) Mode() os.FileMode  { return i.mode }
func (i lyingInfo) ModTime() time.Time { return time.Unix(0, 0) }
func (i lyingInfo) IsDir() bool        { return i.mode.IsDir() }
func (i lyingInfo) Sys() any           { return nil }

// endless is a file without an end.
type endless struct{}

func (endless) ReadAt(p []byte, _ int64) (int, error) { return len(p), nil }

// A server may say what it likes of its files: it is held to it, and never believed with memory.
func TestServerThatLies(t *testing.T) {
	for name, test := range map[string]struct {
		handlers handlers
		want     string
	}{
		"a size beyond all":      {handlers{lyingInfo{size: -1}, endless{}}, "too large"},
		"longer than it says":    {handlers{lyingInfo{size: 100}, endless{}}, "changed while it was read"},
		"shorter than it says":   {handlers{lyingInfo{size: 100}, strings.NewReader("short")}, "changed while it was read"},
		"nothing, but it has":    {handlers{lyingInfo{size: 0}, endless{}}, "changed while it was read"},
		"a device":               {handlers{lyingInfo{mode: os.ModeDevice}, endless{}}, "is no regular file"},
		"a folder":               {handlers{lyingInfo{mode: os.ModeDir}, endless{}}, "is no regular file"},
		"as large as may be":     {handlers{lyingInfo{size: maxExisting}, strings.NewReader("")}, "changed while it was read"},
		"more than may be, true": {handlers{lyingInfo{size: maxExisting + 1}, endless{}}, "too large"},
	} {
		server := newServer(t, byPassword(), func(channel io.ReadWriteCloser) {
			_ = sftp.NewRequestServer(channel, sftp.Handlers{FileGet: test.handlers, FilePut: test.handlers, FileCmd: test.handlers, FileList: test.handlers}).Serve()
			channel.Close()
		})
		options, _ := server.options(t, password)
		node := Node{Name: "sub1", Target: "sftp://" + server.address() + "/"}
		result := one(t, node, payload(t, list(t, 1000, "1024", "2048")), options)
		if result.Outcome != Failed && result.Outcome != Refused || !strings.Contains(result.Error, test.want) {
			t.Errorf("%s: %s, %v, want %q", name, result.Outcome, result.Err, test.want)
		}
	}
}

// Answers that are none end the work, without a panic, and at once.
func TestServerThatAnswersNonsense(t *testing.T) {
	version := []byte{0, 0, 0, 5, 2, 0, 0, 0, 3}
	for name, answer := range map[string][]byte{
		"nothing":           nil,
		"no version":        {0, 0, 0, 1, 2},
		"another version":   {0, 0, 0, 5, 2, 0, 0, 0, 9},
		"a huge packet":     {255, 255, 255, 255, 2},
		"an empty packet":   {0, 0, 0, 0},
		"nobody asked":      append(version[:9:9], 0, 0, 0, 5, 101, 9, 9, 9, 9),
		"no number":         append(version[:9:9], 0, 0, 0, 2, 101, 0),
		"half a status":     append(version[:9:9], 0, 0, 0, 6, 101, 0, 0, 0, 1, 0),
		"half of a status":  append(version[:9:9], 0, 0, 0, 5, 101, 0, 0, 0, 1),
		"attributes of air": append(version[:9:9], 0, 0, 0, 9, 105, 0, 0, 0, 1, 255, 255, 255, 255),
		"a handle of air":   append(version[:9:9], 0, 0, 0, 9, 102, 0, 0, 0, 1, 255, 255, 255, 255),
	} {
		server := newServer(t, byPassword(), func(channel io.ReadWriteCloser) {
			greeting := make([]byte, 9)
			_, _ = io.ReadFull(channel, greeting)
			_, _ = channel.Write(answer)
			if len(answer) > 9 { // the request to which it is the answer
				var length [4]byte
				_, _ = io.ReadFull(channel, length[:])
				_, _ = io.CopyN(io.Discard, channel, int64(binary.BigEndian.Uint32(length[:])))
			}
			channel.Close()
		})
		options, _ := server.options(t, password)
		node, _ := server.node(t)
		result := one(t, node, payload(t, list(t, 1000, "1024", "2048")), options)
		if result.Outcome != Failed || strings.Contains(result.Error, "out of time") {
			t.Errorf("%s: %s, %v", name, result.Outcome, result.Err)
		}
	}
}

// A server that stops answering in the middle is left after the time for one request, or for the node.
func TestServerThatStops(t *testing.T) {
	release := make(chan struct{})
	server := newServer(t, byPassword(), func(channel io.ReadWriteCloser) {
		serveFiles(&stopping{ReadWriteCloser: channel, left: 10, release: release})
	})
	defer close(release)
	node, _ := server.node(t)
	_, settings := server.options(t, password)
	settings.OperationTimeout = 100 * time.Millisecond
	wantError(t, "a request", reach(t, node, settings), "no answer within 100ms")
	settings.OperationTimeout = time.Minute
	options := settings.options()
	options.Timeout = 300 * time.Millisecond
	result := one(t, node, payload(t, list(t, 1000, "1024", "2048")), options)
	if result.Outcome != Failed || !errors.Is(result.Err, context.DeadlineExceeded) {
		t.Errorf("a node: %s, %v", result.Outcome, result.Err)
	}
}

// stopping keeps back what comes after some reads.
type stopping struct {
	io.ReadWriteCloser
	left    int
	release chan struct{}
}

func (s *stopping) Read(p []byte) (int, error) {
	if s.left--; s.left < 0 {
		<-s.release
		return 0, io.EOF
	}
	return s.ReadWriteCloser.Read(p)
}

// Nothing is left running behind a node, however it ended.
func TestNothingIsLeftRunning(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 5 {
		server := newServer(t, byPassword(), serveFiles)
		options, _ := server.options(t, password)
		node, _ := server.node(t)
		if result := one(t, node, payload(t, list(t, 1000, "1024", "2048")), options); result.Err != nil {
			t.Error(result.Err)
		}
		options, _ = server.options(t, "wrong")
		if result := one(t, node, payload(t, list(t, 1000, "1024", "2048")), options); result.Err == nil {
			t.Error("let in all the same")
		}
		server.listener.Close()
		server.running.Wait()
	}
	for deadline := time.Now().Add(time.Minute); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines instead of %d:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
	}
}
