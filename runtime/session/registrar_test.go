package session_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"capf/runtime/capf"
	"capf/runtime/phone"
)

// registrar stands for the CallManager and its TFTP server, of which only this is needed: it takes the
// registration of a phone in the phone's device security mode, in non-secure mode from everybody, in the
// others by a TLS handshake with an LSC of this CAPF; and it has the phone's configuration file.
type registrar struct {
	service *service
	plain   net.Listener
	secured net.Listener

	mu     sync.Mutex
	events []string // what happened, in order
}

func (s *service) newRegistrar(t *testing.T) *registrar {
	t.Helper()
	r := &registrar{service: s}
	var err error
	if r.plain, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	// Its own certificate does not matter here.
	r.secured, err = tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{s.server.Certificate}, ClientAuth: tls.RequireAnyClientCert})
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { r.serve(r.plain) })
	serving.Go(func() { r.serve(r.secured) })
	t.Cleanup(func() {
		_ = r.plain.Close()
		_ = r.secured.Close()
		serving.Wait()
	})
	return r
}

func (r *registrar) serve(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		if name, err := bufio.NewReader(conn).ReadString('\n'); err == nil {
			fmt.Fprintln(conn, r.register(strings.TrimSpace(name), conn))
		}
		_ = conn.Close()
	}
}

// register says `registered` with the mode, or why not.
func (r *registrar) register(device string, conn net.Conn) string {
	mode := r.configuration(device).security
	secured, isTLS := conn.(*tls.Conn)
	if isTLS != mode.IsSecure() {
		return fmt.Sprintf("refused: the mode is %s", mode)
	}
	if isTLS {
		shown := secured.ConnectionState().PeerCertificates[0]
		if _, err := capf.VerifyChain(shown, []*x509.Certificate{r.service.authority.Certificate}, r.service.server.Clock()); err != nil || shown.Subject.CommonName != device {
			return fmt.Sprintf("refused: %s, %v", shown.Subject, err)
		}
	}
	r.note("registered " + string(mode))
	return "registered"
}

func (r *registrar) note(event string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, event)
}

// happened gives what has happened since it was last asked.
func (r *registrar) happened() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer func() { r.events = nil }()
	return strings.Join(r.events, ", ")
}

// configurationFile is what a phone finds in its configuration file: deviceSecurityMode, capfAuthMode.
type configurationFile struct {
	security capf.SecurityMode
	mode     capf.AuthMode
}

func (r *registrar) configuration(device string) configurationFile {
	found, err := r.service.store.Phone(context.Background(), device)
	if err != nil {
		return configurationFile{security: capf.NonSecure, mode: capf.AuthByString}
	}
	return configurationFile{security: found.SecurityMode, mode: found.AuthMode}
}

// handset is a phone with what it keeps when it is switched off, and what it does when it starts (H, *Two
// examples*).
type handset struct {
	registrar *registrar
	config    phone.Config
	security  capf.SecurityMode // as it was last loaded, in flash beside the authentication mode
}

func (r *registrar) newHandset(device string) *handset {
	config := r.service.config(device)
	config.Flash, config.Mode = phone.NewMemoryFlash(), "" // which comes with the configuration file, or from flash
	return &handset{registrar: r, config: config, security: capf.NonSecure}
}

// start is a reset, or power that comes back. Where the configuration file cannot be loaded the phone goes
// by its flash (A4).
func (h *handset) start(t *testing.T, loads bool) phone.Outcome {
	t.Helper()
	config := h.config
	if loads {
		file := h.registrar.configuration(config.Device)
		h.security, config.Mode = file.security, file.mode
	}
	if h.security == capf.NonSecure {
		h.register(t)
	}
	outcome := h.openSession(t, config, loads)
	if h.security.IsSecure() {
		h.register(t)
	}
	return outcome
}

// openSession opens the CAPF session by itself where the mode says so.
func (h *handset) openSession(t *testing.T, config phone.Config, loads bool) phone.Outcome {
	t.Helper()
	kept, err := config.Flash.Mode()
	if err != nil {
		t.Fatal(err)
	}
	if config.Mode == capf.AuthByString || !loads && kept == "" {
		return phone.Outcome{} // a person would press Update; or there is nothing to go on with
	}
	outcome := h.registrar.service.call(config)
	event := "session failed"
	switch {
	case outcome.Err == nil:
		event = "session"
	case strings.Contains(outcome.Err.Error(), "no action") || outcome.Reason.Present && outcome.Reason.Value == 0:
		event = "nothing pending"
	}
	h.registrar.note(event)
	return outcome
}

// register has the phone register in the mode that it has loaded: a secure one needs an LSC.
func (h *handset) register(t *testing.T) {
	t.Helper()
	conn, err := h.dial()
	if err != nil {
		h.registrar.note("not registered")
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintln(conn, h.config.Device)
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || answer != "registered\n" {
		h.registrar.note("not registered")
	}
}

func (h *handset) dial() (net.Conn, error) {
	if !h.security.IsSecure() {
		return net.Dial("tcp", h.registrar.plain.Addr().String())
	}
	lsc, err := h.config.Flash.LSC()
	if err != nil || lsc == nil {
		return nil, fmt.Errorf("no LSC: %w", err)
	}
	own := tls.Certificate{Certificate: [][]byte{lsc.Certificate.Raw}, PrivateKey: lsc.Key}
	return tls.Dial("tcp", h.registrar.secured.Addr().String(), &tls.Config{Certificates: []tls.Certificate{own},
		InsecureSkipVerify: true}) // the test is about the other direction
}

// check holds what happened against what should have.
func (r *registrar) check(t *testing.T, want ...string) {
	t.Helper()
	if got := r.happened(); got != strings.Join(want, ", ") {
		t.Errorf("%s; want %s", got, strings.Join(want, ", "))
	}
}

// The registrar itself: a secure mode takes nothing but the phone's own LSC of this CAPF.
func TestRegistrar(t *testing.T) {
	s := newService(t, usual())
	r := s.newRegistrar(t)
	secure := capf.Encrypted
	s.pending(device, capf.OperationInstall, capf.P256)
	s.set(capf.PhoneChange{Device: device, SecurityMode: &secure})
	for name, shown := range map[string]*phone.Identity{
		"of another CAPF":  leaf{issuer: allIssuers(t).impostor, name: device}.make(t),
		"of another phone": leaf{issuer: s.own(), name: "SEP0011223344AB"}.make(t),
		"none":             nil,
		"its own":          leaf{issuer: s.own(), name: device}.make(t),
	} {
		h := r.newHandset(device)
		if h.security = secure; shown != nil {
			if err := h.config.Flash.StoreLSC(*shown); err != nil {
				t.Fatal(err)
			}
		}
		h.register(t)
		want := "not registered"
		if name == "its own" {
			want = "registered encrypted"
		}
		if got := r.happened(); got != want {
			t.Errorf("LSC %s: %s", name, got)
		}
	}
	h := r.newHandset(device) // it still believes that it is non-secure
	h.register(t)
	if got := r.happened(); got != "not registered" {
		t.Errorf("in another mode: %s", got)
	}
}
