package main

import (
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/csv"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"capf/runtime/capf"
	"capf/runtime/phone"
	"capf/runtime/wire"
)

// The tests in the files attack_* are the last section of the guide, "Known weaknesses of others", one or more
// for each of its rows, against the running program. Those in fault_* take from the service what it stands on.

// target is a running service that is attacked.
type target struct {
	*installation
	service *service
	keys    *keyring
	others  int // phones that came beside the attack
}

// activated is made once for all targets: a data directory with an active CAPF, beside the program and gone
// with it.
var activated = sync.OnceValues(func() (string, error) {
	program, err := buildProgram()
	if err != nil {
		return "", err
	}
	folder := program + "-activated"
	if output, err := exec.Command(program, "--data", folder, "init", "--common-name", capfName).CombinedOutput(); err != nil {
		return "", fmt.Errorf("capf init: %w\n%s", err, output)
	}
	return folder, nil
})

// newActivated is an installation with a copy of that.
func newActivated(t testing.TB) *installation {
	t.Helper()
	folder, err := activated()
	if err != nil {
		t.Fatal(err)
	}
	program, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	i := &installation{t: t, program: program, data: filepath.Join(t.TempDir(), "data")}
	if output, err := exec.Command("cp", "-a", folder, i.data).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	return i
}

// targetKeys are made once too; each target has all of them.
var targetKeys struct {
	once sync.Once
	keys []*rsa.PrivateKey
}

func keysOfTarget(t testing.TB) *keyring {
	t.Helper()
	targetKeys.once.Do(func() { targetKeys.keys = newKeyring(t, 1024, 600).keys })
	return &keyring{size: 1024, keys: slices.Clone(targetKeys.keys)}
}

// newTarget starts a service with this configuration (TOML).
func newTarget(t *testing.T, configuration string) *target {
	t.Helper()
	a := &target{installation: newActivated(t), keys: keysOfTarget(t)}
	a.service = a.serve("--config", a.write("capf.toml", configuration))
	return a
}

// waiting adds phones with an operation pending; the settings are words of a bulk file.
func (a *target) waiting(first string, count int, operation, mode, digits string) []string {
	a.t.Helper()
	devices, err := phone.Sequence(first, count)
	if err != nil {
		a.t.Fatal(err)
	}
	var rows strings.Builder
	rows.WriteString("device,operation,auth-mode,auth-string,key-size\n")
	for _, device := range devices {
		fmt.Fprintf(&rows, "%s,%s,%s,%s,1024\n", device, operation, mode, digits)
	}
	a.capf("bulk", "apply", a.write("waiting.csv", rows.String()))
	return devices
}

// caller is a phone that calls the service by null string.
func (a *target) caller(device string) phone.Config {
	return phone.Config{Device: device, Server: a.service.address, Mode: capf.AuthByNullString, Keys: a.keys.source(),
		Flash: phone.NewMemoryFlash(), VerifyServer: phone.AnyServer, Timeout: patience}
}

// call has a phone call.
func (a *target) call(config phone.Config) phone.Outcome {
	a.t.Helper()
	calling, err := phone.New(config)
	if err != nil {
		a.t.Fatal(err)
	}
	return calling.Run(a.t.Context())
}

// serves has a phone come that has nothing to do with the attack.
func (a *target) serves() {
	a.t.Helper()
	a.others++
	device := fmt.Sprintf("SEP00000000FF%02X", a.others)
	a.waiting(device, 1, "install", "null-string", "")
	if outcome := a.call(a.caller(device)); outcome.Err != nil {
		a.t.Errorf("a phone that comes meanwhile: %v", outcome.Err)
	}
}

// unharmed ends the test: the service serves, stops as it should, and nothing went wrong inside.
func (a *target) unharmed() {
	a.t.Helper()
	a.serves()
	if status := a.service.terminate(); status != 0 {
		a.t.Errorf("the service ends with status %d", status)
	}
	checkLog(a.t, a.service)
}

// checkLog looks for what only a mistake in the program writes.
func checkLog(t testing.TB, s *service) {
	t.Helper()
	for _, sign := range []string{"session failed inside", "panic", "fatal error", "goroutine ", "DATA RACE"} {
		if at := strings.Index(s.text(), sign); at >= 0 {
			t.Errorf("the log has %q:\n%.2000s", sign, s.text()[at:])
		}
	}
}

// records is what the store has of phones and certificates, without the column that an unauthenticated
// session may change: the result of its attempt.
func (i *installation) records() string {
	i.t.Helper()
	rows, err := csv.NewReader(strings.NewReader(i.capf("report", "--csv", "-"))).ReadAll()
	if err != nil {
		i.t.Fatal(err)
	}
	result := slices.Index(rows[0], "result")
	if result < 0 || len(rows) < 2 {
		i.t.Fatalf("a report of %d rows with columns %v", len(rows), rows[0])
	}
	var all strings.Builder
	for _, row := range rows {
		fmt.Fprintf(&all, "%q\n", slices.Delete(row, result, result+1))
	}
	return all.String() + i.capf("--json", "certificate", "list", "--pem")
}

// unchanged runs an attack that may change no record.
func (a *target) unchanged(attack func()) {
	a.t.Helper()
	before := a.records()
	attack()
	if after := a.records(); after != before {
		a.t.Errorf("the attack changed the records from\n%s\nto\n%s", before, after)
	}
}

// each does something for each number, eight at a time.
func each(t testing.TB, count int, do func(number int) error) {
	t.Helper()
	var group errgroup.Group
	group.SetLimit(8)
	for number := range count {
		group.Go(func() error {
			if err := do(number); err != nil {
				t.Errorf("number %d: %v", number, err)
			}
			return nil
		})
	}
	_ = group.Wait() // they have reported
}

// talk is a session by somebody who says whatever comes to mind.
type talk struct {
	conn *tls.Conn
	id   uint32
}

// strangerTLS is about what comes after the handshake, and makes that short.
var strangerTLS = &tls.Config{InsecureSkipVerify: true, CurvePreferences: []tls.CurveID{tls.X25519}}

// begin opens a session up to the service's first message.
func begin(address string) (*talk, error) {
	raw, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return beginOn(raw)
}

func beginOn(raw net.Conn) (*talk, error) {
	s := &talk{conn: tls.Client(raw, strangerTLS)}
	if err := raw.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	first, err := s.expect(wire.CommandAuthenticationRequest)
	if err != nil {
		_ = raw.Close()
		return nil, err
	}
	s.id = first.SessionID
	return s, nil
}

// view is a message that still lacks its session ID.
type view interface {
	Message(sessionID uint32) wire.Message
}

func (s *talk) send(message view) error { return wire.WriteMessage(s.conn, message.Message(s.id)) }

// sendBytes sends a message with the ID of this session, after damage has been done to it.
func (s *talk) sendBytes(message view, damage func([]byte) []byte) error {
	encoded, err := wire.Encode(message.Message(s.id))
	if err != nil {
		return err
	}
	_, err = s.conn.Write(damage(encoded))
	return err
}

// next is the service's next message; closed says that it closed the line instead.
func (s *talk) next() (message wire.Message, closed bool, err error) {
	message, err = wire.ReadMessage(s.conn, wire.MaxElements)
	switch {
	case err == nil || wire.IsProtocol(err) && !isTruncated(err) || errors.Is(err, os.ErrDeadlineExceeded):
		return message, false, err
	}
	return wire.Message{}, true, nil
}

func isTruncated(err error) bool {
	_, truncated := errors.AsType[*wire.TruncatedError](err)
	return truncated
}

func (s *talk) expect(command wire.Command) (wire.Message, error) {
	message, closed, err := s.next()
	if err != nil || closed || message.Command != command {
		return wire.Message{}, fmt.Errorf("the service says %v (line closed: %v), not %v: %w", message, closed, command, err)
	}
	return message, nil
}

// ended says with which reason the service ends the session; no reason where it only closes the line.
func (s *talk) ended() (reason wire.Optional[wire.Reason], err error) {
	message, closed, err := s.next()
	if err != nil || closed {
		return reason, err
	}
	end, _, err := wire.Read[wire.EndSession](message)
	if err != nil {
		return reason, fmt.Errorf("the service goes on: %w", err)
	}
	if more, closed, err := s.next(); !closed {
		return reason, fmt.Errorf("after its end the service says %v, %w", more, err)
	}
	return end.Reason, nil
}

// refused awaits the end of a session that the service has to refuse.
func (s *talk) refused() error {
	reason, err := s.ended()
	if err == nil && reason != wire.Some(wire.ReasonRefused) {
		err = fmt.Errorf("the session ends with %v", reason)
	}
	return err
}

func (s *talk) close() { _ = s.conn.NetConn().Close() }

// reset closes the line with RST.
func (s *talk) reset() error { return resetLine(s.conn.NetConn()) }

func resetLine(conn net.Conn) error {
	return errors.Join(conn.(*net.TCPConn).SetLinger(0), conn.Close())
}

// halfClose sends FIN, and waits until the service has closed its side too.
func (s *talk) halfClose() error {
	if err := s.conn.NetConn().(*net.TCPConn).CloseWrite(); err != nil {
		return err
	}
	_, err := s.ended()
	return err
}

// say is how a phone answers the first message, by null string.
func say(device string) wire.AuthenticationResponse {
	return wire.AuthenticationResponse{Reason: wire.Some(wire.ReasonSuccess), Version: wire.Some(uint8(wire.Version3)), DeviceName: device}
}

// publicKey is a key response with a key that nobody else has.
func (a *target) publicKey() (wire.KeyGenerationResponse, error) {
	key, err := a.keys.key()
	if err != nil {
		return wire.KeyGenerationResponse{}, err
	}
	encoded, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	return wire.KeyGenerationResponse{PublicKey: encoded}, err
}

// eventually waits for something that a process does by itself.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after %v: not %s", patience, what)
		}
	}
}

// descriptors are the files that a process has open, and how many of them are sockets.
type descriptors struct{ all, sockets int }

func (s *service) descriptors() (open descriptors) {
	s.t.Helper()
	folder := filepath.Join("/proc", strconv.Itoa(s.command.Process.Pid), "fd")
	entries, err := os.ReadDir(folder)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, entry := range entries {
		what, err := os.Readlink(filepath.Join(folder, entry.Name()))
		if err != nil {
			continue // closed meanwhile
		}
		if open.all++; strings.HasPrefix(what, "socket:") {
			open.sockets++
		}
	}
	return open
}

// givenBack waits until the service has no more sockets than it began with, and no more files than its
// store keeps open for those who read at the same time.
func (s *service) givenBack(begin descriptors) {
	s.t.Helper()
	const readers = 16
	var open descriptors
	eventually(s.t, "all descriptors given back", func() bool {
		open = s.descriptors()
		return open.sockets <= begin.sockets && open.all <= begin.all+readers
	})
}

// resident is the memory of the process that is not swapped out, in bytes (VmRSS of proc(5)).
func (s *service) resident() int {
	s.t.Helper()
	size := memoryOf(s.command.Process.Pid, "VmRSS:")
	if size == 0 {
		s.t.Fatal("the memory of the service cannot be seen")
	}
	return size
}
