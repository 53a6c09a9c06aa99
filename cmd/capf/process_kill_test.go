package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"slices"
	"testing"

	"capf/runtime/capf"
	"capf/runtime/phone"
	"capf/runtime/wire"
)

// A4: no phone ends up half recorded. The service is killed at every point of an installation, before and
// after each message; the phone tries again, as a phone does whose line broke.

const killDigits = "0042"

// killing is an installation whose service is killed again and again, and restarted on its data.
type killing struct {
	*installation
	mode      capf.AuthMode
	keys      *keyring
	line      *relay
	arguments []string // of the service
	service   *service
	points    []phone.Point // of a session that nobody disturbs
}

func TestKillBetweenMessages(t *testing.T) {
	modes, step := []capf.AuthMode{capf.AuthByString, capf.AuthByNullString}, 1
	if brief() {
		modes, step = modes[:1], 2 // after each message
	}
	for _, mode := range modes {
		t.Run(string(mode), func(t *testing.T) {
			k := &killing{installation: newInstallation(t), mode: mode, keys: newKeyring(t, 1024, 100), line: newRelay(t)}
			k.start()
			k.walk(t)
			for number := step - 1; number < len(k.points); number += step {
				t.Run(pointName(k.points[number]), func(t *testing.T) { k.killAt(t, number) })
			}
			k.nothingLeft()
		})
	}
}

func pointName(at phone.Point) string {
	when, who := "before", "server"
	if at.After {
		when = "after"
	}
	if at.Sent {
		who = "phone"
	}
	return fmt.Sprintf("%s_message_%d_of_the_%s", when, at.Number, who)
}

func (k *killing) start() {
	k.t.Helper()
	k.service = k.serve(k.arguments...)
	k.line.leadTo(k.service.address)
}

// waiting adds a phone with a pending installation.
func (k *killing) waiting(number int) (device string) {
	k.t.Helper()
	device = fmt.Sprintf("SEP0000000000%02X", number)
	arguments := []string{"phone", "add", device, "--operation", "install", "--key-size", "1024", "--auth", string(k.mode)}
	if k.mode == capf.AuthByString {
		arguments = append(arguments, "--auth-string", killDigits)
	}
	k.capf(arguments...)
	return device
}

// newPhone makes a phone that calls once, and once more if its line breaks. The tap has the certificates
// that came to it.
func (k *killing) newPhone(t *testing.T, device string, hook phone.Hook) (*phone.Phone, *wireTap) {
	t.Helper()
	tap := &wireTap{t: t}
	config := phone.Config{Device: device, Server: k.line.address(), Mode: k.mode, Keys: k.keys.source(), Log: slog.New(tap),
		VerifyServer: phone.AnyServer, Timeout: patience, Retry: phone.Retry{Times: 1}, OnMessage: hook}
	if k.mode == capf.AuthByString {
		digits, err := capf.ParseAuthenticationString(killDigits)
		if err != nil {
			t.Fatal(err)
		}
		config.AuthenticationString = digits
	}
	made, err := phone.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return made, tap
}

// wireTap is a phone's log that remembers every certificate that came to the phone.
type wireTap struct {
	t    *testing.T
	came []*x509.Certificate
}

func (w *wireTap) Enabled(context.Context, slog.Level) bool { return true }
func (w *wireTap) WithAttrs([]slog.Attr) slog.Handler       { return w }
func (w *wireTap) WithGroup(string) slog.Handler            { return w }

func (w *wireTap) Handle(_ context.Context, record slog.Record) error {
	record.Attrs(func(attribute slog.Attr) bool {
		if message, is := attribute.Value.Any().(wire.Message); is && message.Command == wire.CommandStoreCertificateRequest {
			w.add(message)
		}
		return true
	})
	return nil
}

func (w *wireTap) add(message wire.Message) {
	request, _, err := wire.Read[wire.StoreCertificateRequest](message)
	if err != nil {
		w.t.Error(err)
		return
	}
	certificate, err := x509.ParseCertificate(request.Certificate)
	if err != nil {
		w.t.Error(err)
		return
	}
	w.came = append(w.came, certificate)
}

// walk notes the points of an undisturbed session.
func (k *killing) walk(t *testing.T) {
	t.Helper()
	calling, _ := k.newPhone(t, k.waiting(0xFF), func(_ context.Context, at phone.Point) error {
		k.points = append(k.points, at)
		return nil
	})
	outcome := calling.Run(t.Context())
	if outcome.Err != nil || outcome.Attempts != 1 {
		t.Fatalf("undisturbed, the phone needs %d attempts: %v", outcome.Attempts, outcome.Err)
	}
	if got := len(k.points); got != 16 {
		t.Fatalf("an installation has %d points, not two for each of 8 messages", got)
	}
}

// after gives the place of the point after the message with that command.
func (k *killing) after(command wire.Command) int {
	return slices.IndexFunc(k.points, func(at phone.Point) bool { return at.After && at.Command == command })
}

// killAt kills the service at that point of a phone's first attempt. The restarted one has to serve its
// second.
func (k *killing) killAt(t *testing.T, number int) {
	device := k.waiting(number)
	place, killed := 0, false
	calling, tap := k.newPhone(t, device, func(context.Context, phone.Point) error {
		if place++; place-1 == number && !killed {
			killed = true
			k.checkServing(t, device, number)
			k.service.kill()
			k.checkKilled(t, device, number)
			k.start()
		}
		return nil
	})
	outcome := calling.Run(t.Context())
	if !killed {
		t.Fatalf("the session did not come to its point %d: %v", number, outcome.Err)
	}
	if outcome.Err != nil {
		t.Errorf("after the restart: %v", outcome.Err)
	}
	if again := number != k.after(wire.CommandEndSession); again != (outcome.Attempts == 2) {
		t.Errorf("the phone made %d attempts", outcome.Attempts)
	}
	k.checkCertificates(t, device, outcome.Certificate, tap.came)
	if got := k.in(t).phone(device); got["status"] != "success" || got["operation"] != "none" || got["lsc-status"] != "installed" || got["auth-string"] != "" {
		t.Errorf("at last the phone reads %v", got)
	}
}

// checkServing reads the status beside the running service, where the order of messages fixes it.
func (k *killing) checkServing(t *testing.T, device string, number int) {
	t.Helper()
	want := ""
	switch {
	case number < k.after(wire.CommandAuthenticationResponse):
		want = "pending"
	case number >= k.after(wire.CommandKeyGenerationRequest) && number < k.after(wire.CommandStoreCertificateResponse):
		want = "in-progress"
	case number == k.after(wire.CommandEndSession):
		want = "success"
	default:
		return
	}
	if got := k.in(t).phone(device)["status"]; got != want {
		t.Errorf("while it is served the status reads %s, not %s", got, want)
	}
}

// checkKilled reads the phone while no service runs: pending, with its string, unless its answer that it
// has the certificate can have been read.
func (k *killing) checkKilled(t *testing.T, device string, number int) {
	t.Helper()
	fields := k.in(t).phone(device)
	pending := map[string]string{"status": "pending", "operation": "install", "auth-string": ""}
	if k.mode == capf.AuthByString {
		pending["auth-string"] = killDigits
	}
	ended := map[string]string{"status": "success", "operation": "none", "auth-string": ""}
	answered := k.after(wire.CommandStoreCertificateResponse)
	switch {
	case number < answered && agrees(fields, pending):
	case number == k.after(wire.CommandEndSession) && agrees(fields, ended):
	case number >= answered && number < k.after(wire.CommandEndSession) && (agrees(fields, pending) || agrees(fields, ended)):
	default:
		t.Errorf("after the kill the phone reads %v", fields)
	}
}

func agrees(fields, want map[string]string) bool {
	for name, value := range want {
		if fields[name] != value {
			return false
		}
	}
	return true
}

// checkCertificates holds the store against what came to the phone: all of it is there, and confirmed is
// the one that the phone keeps, alone.
func (k *killing) checkCertificates(t *testing.T, device string, kept *x509.Certificate, came []*x509.Certificate) {
	t.Helper()
	if kept == nil || !slices.ContainsFunc(came, kept.Equal) {
		t.Fatalf("the phone keeps %v, which is none of the %d that came to it", kept, len(came))
	}
	stored := k.in(t).certificates(device)
	for _, certificate := range came {
		if !slices.ContainsFunc(stored, func(one listed) bool { return samePEM(one, certificate) }) {
			t.Errorf("certificate %x came to the phone and is not in the store", certificate.SerialNumber)
		}
	}
	confirmed := 0
	for _, one := range stored {
		if one.State == "confirmed" {
			confirmed++
		}
		if (one.State == "confirmed") != samePEM(one, kept) {
			t.Errorf("certificate %s is %s, the phone keeps %x", one.Serial, one.State, kept.SerialNumber)
		}
	}
	if confirmed != 1 {
		t.Errorf("%d certificates are confirmed", confirmed)
	}
}

func samePEM(one listed, certificate *x509.Certificate) bool {
	return one.PEM == string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}))
}

// nothingLeft ends the service properly and looks at every phone.
func (k *killing) nothingLeft() {
	k.t.Helper()
	if status := k.service.terminate(); status != 0 {
		k.t.Errorf("the service ends with status %d", status)
	}
	for _, one := range k.phones() {
		if one["status"] != "success" {
			k.t.Errorf("%s is left as %s", one["device"], one["status"])
		}
	}
}
