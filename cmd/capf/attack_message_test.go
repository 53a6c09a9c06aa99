package main

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"capf/runtime/capf"
	"capf/runtime/wire"
)

// CVE-2008-1744: malformed traffic crashes the service. CVE-2009-0057: malformed input with the client leaving
// early, FIN or RST at every byte. CVE-2008-0027: a declared length trusted before allocation.

// damages are all ways to spoil a message of that length: every byte changed, then every length. With a step
// above 1 only so many of them.
func damages(length, step int) []damage {
	var all []damage
	for at := 0; at < length; at += step {
		all = append(all, damage{at: at}, damage{at: at, cut: true}, damage{at: at, cut: true, reset: true})
	}
	return all
}

type damage struct {
	at    int
	cut   bool // the message ends there, then the line; otherwise the byte is changed
	reset bool // with RST, not FIN
}

func (d damage) String() string {
	return fmt.Sprintf("%+v", struct{ at, cut, reset any }{d.at, d.cut, d.reset})
}

func (d damage) do(message []byte) []byte {
	if d.cut {
		return message[:d.at]
	}
	message[d.at] ^= 1 << (d.at % 8)
	return message
}

// leave ends the line as the damage says, if it does.
func (d damage) leave(s *talk) error {
	switch {
	case d.cut && d.reset:
		return s.reset()
	case d.cut:
		return s.halfClose()
	}
	return nil
}

func encodedLength(t *testing.T, message view) int {
	t.Helper()
	encoded, err := wire.Encode(message.Message(1))
	if err != nil {
		t.Fatal(err)
	}
	return len(encoded)
}

// Before authentication: none of it changes a record, whatever the mode of the phone that it names.
func TestAttackDamagedIdentity(t *testing.T) {
	a := newTarget(t, "")
	a.waiting("SEP000000000001", 1, "install", "authentication-string", "00424711")
	typed := say("SEP000000000001")
	typed.Password = wire.NewSecret([]byte("11174240"))
	shown := a.showsCertificate("SEP000000000002")
	steps := map[string]int{"string": 1, "certificate": 3}
	if brief() {
		steps = map[string]int{"string": 5, "certificate": 47}
	}
	for name, message := range map[string]wire.AuthenticationResponse{"string": typed, "certificate": shown} {
		t.Run(name, func(t *testing.T) {
			all := damages(encodedLength(t, message), steps[name])
			a.unchanged(func() {
				each(t, len(all), func(number int) error { return a.spoilIdentity(message, all[number]) })
			})
		})
	}
	a.unharmed()
}

func (a *target) spoilIdentity(message view, how damage) error {
	s, err := begin(a.service.address)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.sendBytes(message, how.do); err != nil {
		return err
	}
	if how.cut {
		return how.leave(s)
	}
	if length := 6; how.at >= length && how.at < length+2 {
		return s.halfClose() // it may wait for bytes that do not come
	}
	reason, err := s.ended()
	if err == nil && reason.Or(wire.ReasonRefused) == wire.ReasonSuccess {
		err = fmt.Errorf("%v: the session ends with success", how)
	}
	return err
}

// showsCertificate gives what a phone says that authenticates by its LSC, with proofs that are no good.
func (a *target) showsCertificate(device string) (shown wire.AuthenticationResponse) {
	a.t.Helper()
	a.waiting(device, 1, "install", "null-string", "")
	config := a.caller(device)
	if outcome := a.call(config); outcome.Err != nil {
		a.t.Fatal(outcome.Err)
	}
	a.waiting(device, 1, "install", "existing-certificate-lsc", "")
	config.Mode = capf.AuthByLSC
	config.OnAuthenticate = func(response *wire.AuthenticationResponse) {
		response.SignedData, response.SHA2SignedData = spoilt(response.SignedData), spoilt(response.SHA2SignedData)
		shown = *response
	}
	if outcome := a.call(config); outcome.Reason != wire.Some(wire.ReasonRefused) || shown.Certificate == nil {
		a.t.Fatalf("with proofs that are no good: %v", outcome.Err)
	}
	return shown
}

// spoilt changes the last byte.
func spoilt(secret wire.Secret) wire.Secret {
	changed := slices.Clone(secret.Reveal())
	changed[len(changed)-1] ^= 1
	return wire.NewSecret(changed)
}

// Inside an operation: whatever a phone sends for its public key, the other phones stay as they are, it gets
// at most a certificate of its own name that the store has, and a line that breaks leaves its operation.
func TestAttackDamagedKey(t *testing.T) {
	step := 1
	if brief() {
		step = 7
	}
	a := newTarget(t, "")
	sample, err := a.publicKey()
	if err != nil {
		t.Fatal(err)
	}
	all := damages(encodedLength(t, sample), step)
	devices := a.waiting("SEP000000010000", len(all), "install", "null-string", "")
	left := &certificatesThatLeft{}
	each(t, len(all), func(number int) error { return a.spoilKey(devices[number], all[number], left) })
	a.unharmed()

	left.check(a.installation)
	status := a.statuses()
	for number, how := range all {
		if got := status[devices[number]]; got != "pending" && (how.cut || got != "failed") {
			t.Errorf("%v leaves the operation %s", how, got)
		}
	}
}

func (a *target) spoilKey(device string, how damage, left *certificatesThatLeft) error {
	s, err := a.reach(device, wire.CommandKeyGenerationRequest)
	if err != nil {
		return err
	}
	defer s.close()
	answer, err := a.publicKey()
	if err != nil {
		return err
	}
	if err := s.sendBytes(answer, how.do); err != nil {
		return err
	}
	if how.cut {
		return how.leave(s)
	}
	if length := 6; how.at >= length && how.at < length+2 {
		return s.halfClose()
	}
	message, closed, err := s.next()
	if err == nil && !closed && message.Command == wire.CommandStoreCertificateRequest {
		return left.add(device, message)
	}
	return err
}

// reach opens a session of a phone by null string up to a message of the service.
func (a *target) reach(device string, command wire.Command) (*talk, error) {
	s, err := begin(a.service.address)
	if err != nil || command == wire.CommandAuthenticationRequest {
		return s, err
	}
	if err = s.send(say(device)); err == nil && command == wire.CommandStoreCertificateRequest {
		err = a.sendKey(s)
	}
	if err == nil {
		_, err = s.expect(command)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (a *target) sendKey(s *talk) error {
	if _, err := s.expect(wire.CommandKeyGenerationRequest); err != nil {
		return err
	}
	answer, err := a.publicKey()
	if err != nil {
		return err
	}
	return s.send(answer)
}

// statuses are those of all phones, by name.
func (i *installation) statuses() map[string]string {
	i.t.Helper()
	all := make(map[string]string)
	for _, one := range i.phones() {
		all[one["device"]] = one["status"]
	}
	return all
}

// certificatesThatLeft are those that came to somebody, with the phone for which he spoke.
type certificatesThatLeft struct {
	guard   sync.Mutex
	devices []string
	ders    [][]byte
}

func (c *certificatesThatLeft) add(device string, message wire.Message) error {
	request, _, err := wire.Read[wire.StoreCertificateRequest](message)
	c.guard.Lock()
	defer c.guard.Unlock()
	c.devices, c.ders = append(c.devices, device), append(c.ders, request.Certificate)
	return err
}

// check looks for them in the store, where they have to be as issued.
func (c *certificatesThatLeft) check(i *installation) {
	i.t.Helper()
	stored := make(map[string]listed)
	for _, one := range i.certificates("") {
		stored[one.Serial] = one
	}
	for number, der := range c.ders {
		read, err := capf.ReadCertificate(der)
		if err != nil {
			i.t.Fatal(err)
		}
		if one := stored[read.Serial]; one.Device != c.devices[number] || !strings.Contains(read.Subject, one.Device) || one.State != "issued" {
			i.t.Errorf("%s got %s of %s, the store has %+v", c.devices[number], read.Serial, read.Subject, one)
		}
	}
}

// stage is a place in a session at which the service waits for the phone.
type stage struct {
	operation string
	asked     wire.Command // by the service
	right     []wire.Command
}

var stages = []stage{
	{"install", wire.CommandAuthenticationRequest, []wire.Command{wire.CommandAuthenticationResponse}},
	{"install", wire.CommandKeyGenerationRequest, []wire.Command{wire.CommandKeyGenerationResponse, wire.CommandRequestInProgress}},
	{"install", wire.CommandStoreCertificateRequest, []wire.Command{wire.CommandStoreCertificateResponse}},
	{"troubleshoot", wire.CommandFetchCertificateRequest, []wire.Command{wire.CommandFetchCertificateResponse}},
	{"delete", wire.CommandDeleteCertificateRequest, []wire.Command{wire.CommandDeleteCertificateResponse}},
}

// anyCommand is a message of any command.
type anyCommand wire.Message

func (m anyCommand) Message(id uint32) wire.Message { m.SessionID = id; return wire.Message(m) }

// saying is a command with an element that goes with every answer of a phone.
func saying(command wire.Command) anyCommand {
	return anyCommand{Command: command, Elements: []wire.Element{{Tag: wire.TagReason, Value: []byte{byte(wire.ReasonSuccess)}}}}
}

// Messages out of order: at every place of a session every command that does not belong there. The session is
// refused, and the operation is as it was.
func TestAttackOutOfOrder(t *testing.T) {
	a := newTarget(t, "")
	for number, at := range stages {
		t.Run(at.asked.String(), func(t *testing.T) {
			var wrong []wire.Command
			for command := range wire.CommandSignCertificateResponse + 2 {
				if !slices.Contains(at.right, command) {
					wrong = append(wrong, command)
				}
			}
			a.refuses(t, number, at, len(wrong), func(s *talk, one int) error { return s.send(saying(wrong[one])) })
		})
	}
	a.unharmed()
	a.nothingConfirmed()
}

// A session ID that is not this session's: none, its neighbours, that of another session that lives.
func TestAttackWrongSessionID(t *testing.T) {
	a := newTarget(t, "")
	living, err := begin(a.service.address)
	if err != nil {
		t.Fatal(err)
	}
	defer living.close()
	var guard sync.Mutex
	seen := map[uint32]bool{living.id: true}
	for number, at := range stages {
		t.Run(at.asked.String(), func(t *testing.T) {
			a.refuses(t, number, at, 4, func(s *talk, one int) error {
				guard.Lock()
				if seen[s.id] || s.id == 0 {
					t.Errorf("session ID %d, after %d others", s.id, len(seen))
				}
				seen[s.id] = true
				guard.Unlock()
				wrong := []uint32{0, s.id + 1, ^s.id, living.id}[one]
				return wire.WriteMessage(s.conn, saying(at.right[0]).Message(wrong))
			})
		})
	}
	a.unharmed()
	a.nothingConfirmed()
}

// refuses brings so many phones to a place, has each say something, and awaits that it is refused.
func (a *target) refuses(t *testing.T, number int, at stage, count int, speak func(s *talk, one int) error) {
	devices := a.waiting(fmt.Sprintf("SEP0000000%X0000", number+1), count, at.operation, "null-string", "")
	each(t, count, func(one int) error {
		s, err := a.reach(devices[one], at.asked)
		if err != nil {
			return err
		}
		defer s.close()
		if err := speak(s, one); err != nil {
			return err
		}
		return s.refused()
	})
	status := a.statuses()
	for one, device := range devices {
		if status[device] != "pending" {
			t.Errorf("number %d leaves the operation %s", one, status[device])
		}
	}
}

// nothingConfirmed: of all phones only those that came beside the attack have a certificate that counts.
func (a *target) nothingConfirmed() {
	a.t.Helper()
	for _, one := range a.certificates("") {
		if beside := strings.HasPrefix(one.Device, "SEP00000000FF"); beside != (one.State == "confirmed") {
			a.t.Errorf("certificate %s of %s is %s", one.Serial, one.Device, one.State)
		}
	}
}

// A length is held against its bound when it is declared: the refusal comes although none of the bytes that
// it speaks of has been sent.
func TestAttackDeclaredLength(t *testing.T) {
	a := newTarget(t, "")
	declare := func(elements int, bytes ...byte) []byte {
		return append(binary.BigEndian.AppendUint16([]byte{0x55, 2, 0, 0, 0, 0}, uint16(elements)), bytes...)
	}
	declared := map[string][]byte{
		"more than a message has": declare(0xffff),
		"one more than it has":    declare(wire.MaxElements + 1),
		"an element of more":      declare(4, 13, 0xff, 0xff, 'S'),
		"an element of one more":  declare(4, 13, 0, 2, 'S'),
		"half an element":         declare(2, 13, 0),
		"too many elements":       declare(3*(wire.MaxElementCount+1), make([]byte, 3*(wire.MaxElementCount+1))...),
	}
	for name, message := range declared {
		t.Run(name, func(t *testing.T) {
			each(t, 50, func(int) error {
				s, err := begin(a.service.address)
				if err != nil {
					return err
				}
				defer s.close()
				if _, err := s.conn.Write(message); err != nil {
					return err
				}
				return s.refused()
			})
		})
	}
	a.unharmed()
}
