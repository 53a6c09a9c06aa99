package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is the longest wait for anything that a process has to do by itself.
const patience = 60 * time.Second

// service is a running `capf serve`.
type service struct {
	t       testing.TB
	address string // for phones
	command *exec.Cmd
	ended   chan struct{} // closed when the process is gone and its log is read

	guard sync.Mutex
	log   strings.Builder
}

// serve starts the service and waits until it says that it is ready. It is killed at the end of the test
// at the latest.
func (i *installation) serve(arguments ...string) *service {
	i.t.Helper()
	s := &service{t: i.t, ended: make(chan struct{}),
		command: i.command(append([]string{"serve", "--listen", "127.0.0.1:0"}, arguments...)...)}
	stderr, err := s.command.StderrPipe()
	if err != nil {
		i.t.Fatal(err)
	}
	if err := s.command.Start(); err != nil {
		i.t.Fatal(err)
	}
	ready := make(chan string, 1)
	go s.follow(stderr, ready)
	i.t.Cleanup(s.finish)
	select {
	case s.address = <-ready:
	case <-s.ended:
		i.t.Fatalf("the service did not start:\n%s", s.text())
	case <-time.After(patience):
		i.t.Fatalf("the service is not ready after %v:\n%s", patience, s.text())
	}
	return s
}

// follow reads the log to its end, then waits for the process.
func (s *service) follow(stderr io.Reader, ready chan<- string) {
	defer close(s.ended)
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		s.guard.Lock()
		s.log.WriteString(lines.Text() + "\n")
		s.guard.Unlock()
		if words := strings.Fields(lines.Text()); len(words) > 1 && words[0] == "ready" {
			ready <- strings.TrimPrefix(words[1], "phone=")
		}
	}
	_ = s.command.Wait() // how it ended is in ProcessState
}

func (s *service) text() string {
	s.guard.Lock()
	defer s.guard.Unlock()
	return s.log.String()
}

// kill ends the process as a power failure would, by SIGKILL to its PID.
func (s *service) kill() {
	s.t.Helper()
	if err := s.command.Process.Kill(); err != nil {
		s.t.Fatalf("kill -9 %d: %v", s.command.Process.Pid, err)
	}
	<-s.ended
}

// terminate asks the process to end, which takes a moment, and gives its exit status.
func (s *service) terminate() (status int) {
	s.t.Helper()
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatalf("kill -TERM %d: %v", s.command.Process.Pid, err)
	}
	select {
	case <-s.ended:
	case <-time.After(patience):
		s.t.Fatalf("the service runs on %v after SIGTERM:\n%s", patience, s.text())
	}
	return s.command.ProcessState.ExitCode()
}

// finish sees that nothing is left running, and shows the end of the log of a test that failed.
func (s *service) finish() {
	if err := s.command.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Errorf("end the service: %v", err)
	}
	<-s.ended
	const most = 2000
	if text := s.text(); s.t.Failed() {
		s.t.Logf("the service said at last:\n%s", text[max(0, len(text)-most):])
	}
}

// dial connects to an address and says nothing.
func dial(t testing.TB, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}
