package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// waitFor looks again and again until it is so.
func waitFor(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after %v", what, patience)
		}
	}
}

// liveSession is a session as `session list` prints it.
type liveSession struct {
	Device, State, Address, TLS, Operation string
	Age                                    int
}

func (i *installation) sessions() []liveSession {
	i.t.Helper()
	var all []liveSession
	i.read(&all, "session", "list")
	return all
}

// The running service shows its sessions to a command beside it, also with the admin address off, and
// through a socket that nobody else can open.
func TestSessionListOfRunningService(t *testing.T) {
	i := newInstallation(t)
	s := i.serve("--admin-listen", "off")
	if sessions := i.sessions(); len(sessions) != 0 {
		t.Errorf("at first: %+v", sessions)
	}
	info, err := os.Stat(filepath.Join(i.data, "serve.sock"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket: %v, %v", info, err)
	}
	silent := dial(t, s.address)
	defer silent.Close()
	waitFor(t, "the silent connection", func() bool {
		sessions := i.sessions()
		return len(sessions) == 1 && sessions[0].State == "AWAIT-HANDSHAKE" && sessions[0].Address == "127.0.0.1" && sessions[0].Device == ""
	})
	if status := s.terminate(); status != 0 {
		t.Errorf("exit status %d", status)
	}
	stdout, stderr, err := i.try("session", "list")
	if err != nil || strings.Count(stdout, "\n") != 1 || !strings.Contains(stderr, "no service runs") {
		t.Errorf("after the end: %v\n%s%s", err, stdout, stderr)
	}
	if _, err := os.Stat(filepath.Join(i.data, "serve.sock")); err == nil {
		t.Error("the socket is still there")
	}
}

// After a kill the socket stays, and is in nobody's way.
func TestSocketAfterKill(t *testing.T) {
	i := newInstallation(t)
	i.serve().kill()
	if _, stderr, err := i.try("session", "list"); err != nil || !strings.Contains(stderr, "no service runs") {
		t.Errorf("after a kill: %v, %s", err, stderr)
	}
	i.serve()
	i.sessions()
}

// A trace that is set while the service runs begins within about a second, has every message, and shows
// no secret; so with the level of the service's log.
func TestTraceWhileRunning(t *testing.T) {
	i := newInstallation(t)
	s := i.serve()
	const device, digits = "SEP0011223344AA", "47110815"
	i.capf("phone", "add", device, "--operation", "install", "--auth-string", digits, "--key-size", "p256")
	i.capf("trace", "set", device, "--level", "debug")
	i.capf("trace", "set", "service", "--level", "debug")
	waitFor(t, "the new level", func() bool { return strings.Contains(s.text(), "another level") })
	i.capf("simulate", "--server", s.address, "--no-ctl", "--first", device, "--auth-string", digits)
	path := filepath.Join(i.data, "traces", device+"-session.txt")
	waitFor(t, "the trace", func() bool {
		content, _ := os.ReadFile(path)
		return strings.Contains(string(content), "session ended")
	})
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"authentication request", "password [secret]", "key generation request", "public key of", "store certificate response", "operation ended"} {
		if !strings.Contains(string(content), want) {
			t.Errorf("%q is missing in:\n%s", want, content)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if strings.Contains(string(content), digits) || strings.Contains(s.text(), digits) {
		t.Error("the authentication string is in a trace or the log")
	}
	if !strings.Contains(s.text(), "level=DEBUG msg=received") {
		t.Errorf("the log does not show messages:\n%s", s.text())
	}
	i.capf("trace", "set", "service", "--level", "off")
	waitFor(t, "the old level", func() bool { return strings.Count(s.text(), "another level") == 2 })
}

// The story of a phone with all that happens to it, told beside the running service.
func TestStoryOfPhone(t *testing.T) {
	i := newInstallation(t)
	s := i.serve("--admin-listen", "off")
	const device = "SEP0011223344AA"
	tells := func(want, step string) {
		t.Helper()
		fields := i.phone(device)
		if !strings.Contains(fields["diagnosis"], want) || !strings.Contains(fields["next-step"], step) {
			t.Errorf("%q and %q, want %q and %q", fields["diagnosis"], fields["next-step"], want, step)
		}
	}
	call := func(digits string) {
		t.Helper()
		_, _, _ = i.try("simulate", "--server", s.address, "--no-ctl", "--first", device, "--auth-string", digits, "--tls", "1.2", "--retry-wait", "1ms")
	}
	call("11111111")
	if _, stderr, err := i.try("phone", "show", device); err == nil || !strings.Contains(stderr, "but called: last at") {
		t.Errorf("a stranger: %v, %s", err, stderr)
	}
	i.capf("phone", "add", device, "--operation", "install", "--auth-string", "47110815", "--key-size", "p256")
	call("22222222")
	call("33333333")
	tells("a wrong authentication string was entered 2 times", "capf report")
	silent := dial(t, s.address)
	if _, err := silent.Write([]byte("GET / HTTP/1.0\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	_ = silent.Close()
	waitFor(t, "the failed handshake in the story", func() bool {
		return strings.Contains(i.phone(device)["diagnosis"], "a TLS handshake failed from 127.0.0.1")
	})
	call("47110815")
	tells("install succeeded", "none")
	call("47110815") // once more, for nothing
	waitFor(t, "the idle call in the story", func() bool {
		return strings.Contains(i.phone(device)["diagnosis"], "a call in the name of the phone came at ")
	})
	fields := i.phone(device)
	if fields["tls"] != "1.2" || fields["result"] != "0" {
		t.Errorf("tls %q, result %q", fields["tls"], fields["result"])
	}
	var story struct {
		Operations   []struct{ Ending, Address, TLS, Session string }
		Attempts     []struct{ Address, TLS string }
		Certificates []struct{ State, Kind string }
		Failed       []struct{ Kind string }             `json:"failed-handshakes"`
		Idle         []struct{ At, Address, TLS string } `json:"idle-calls"`
	}
	i.read(&story, "phone", "show", device)
	if len(story.Operations) != 1 || story.Operations[0].Ending != "success" || story.Operations[0].Address != "127.0.0.1" ||
		story.Operations[0].TLS != "1.2" || story.Operations[0].Session == "" {
		t.Errorf("operations %+v", story.Operations)
	}
	if len(story.Attempts) < 3 || story.Attempts[0].TLS != "1.2" || story.Attempts[0].Address != "127.0.0.1" {
		t.Errorf("attempts %+v", story.Attempts)
	}
	if len(story.Certificates) != 1 || story.Certificates[0].State != "confirmed" || len(story.Failed) != 1 || story.Failed[0].Kind != "not-tls" {
		t.Errorf("certificates %+v, handshakes %+v", story.Certificates, story.Failed)
	}
	if len(story.Idle) != 1 || story.Idle[0].At == "" || story.Idle[0].Address != "127.0.0.1" || story.Idle[0].TLS != "1.2" {
		t.Errorf("idle calls %+v", story.Idle)
	}
	report := i.capf("report", "--csv", "-")
	if !strings.Contains(report, ",result,tls\n") || !strings.Contains(report, ",0,1.2\n") {
		t.Errorf("report:\n%s", report)
	}
}

// At the start the log counts the phones that keep the floor of TLS low.
func TestStartNamesPhonesWithOldTLS(t *testing.T) {
	i := newInstallation(t)
	s := i.serve()
	i.capf("phone", "add", "SEP0011223344AA", "--operation", "install", "--auth", "null-string", "--key-size", "p256")
	i.capf("simulate", "--server", s.address, "--no-ctl", "--first", "SEP0011223344AA", "--tls", "1.0")
	s.terminate()
	if text := i.serve().text(); !strings.Contains(text, "last-seen-1.0=1") {
		t.Errorf("the log does not say it:\n%s", text)
	}
}
