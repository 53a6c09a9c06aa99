// Package session is the phone service: a TLS server that speaks the CAPF protocol and carries out, for
// each phone that calls and proves who it is, the one operation that is pending for it.
//
// The files are its diagram: a server accepts connections, a limiter says how many may speak, a connection
// becomes a session, a session authenticates its phone and runs one operation: install, delete or
// troubleshoot, each in its file. The order of messages comes from capf-protocol.md ("Sessions"), what
// follows from them from capf-guide.md; what must be true on disk at each step is said where it is done.
package session

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"capf/runtime/capf"
)

// Phones is what a session asks and tells before its phone has authenticated.
type Phones interface {
	// Phone gives a phone, or an error with CodeNotFound.
	Phone(ctx context.Context, device string) (capf.Phone, error)
	Parameters(ctx context.Context) (capf.Parameters, error)
	// RecordAttempt adds to the bounded log of attempts.
	RecordAttempt(ctx context.Context, attempt capf.Attempt) error
	// RecordIdleCall keeps a call for which nothing was pending, in place of the one before of that phone.
	RecordIdleCall(ctx context.Context, call capf.IdleCall) error
}

// Operations is how a session carries out an operation. Each call is on disk when it returns. An operation
// that is no longer the one pending gives CodeSuperseded, and nothing is written. So does, with CodeAuthentication,
// a session whose certificate was revoked since it authenticated, or the anchor of that removed.
type Operations interface {
	BeginOperation(ctx context.Context, device string, ref capf.OperationRef, info capf.SessionInfo) error
	// Certificates yields all that were issued to the device or seen on it.
	Certificates(ctx context.Context, device string, yield func(capf.Certificate) error) error
	// PublicKeyOwner gives the device whose certificate has that key.
	PublicKeyOwner(ctx context.Context, keySHA256 string) (device string, found bool, err error)
	// AddIssued gives the ID of a certificate that it has for the operation already.
	AddIssued(ctx context.Context, ref capf.OperationRef, presented *capf.Presented, certificate capf.Certificate) (id int64, err error)
	EndOperation(ctx context.Context, device string, ref capf.OperationRef, outcome capf.Outcome) error
	// ReleaseOperation leaves the operation pending after a broken line.
	ReleaseOperation(ctx context.Context, ref capf.OperationRef, instance string, result capf.Result) error
}

// Issuer signs the public key of a phone. It may be another machine and take its time.
type Issuer interface {
	Issue(ctx context.Context, request capf.LSCRequest) (der []byte, err error)
}

// Traces keeps what a Troubleshoot fetched for people to read; certificate is nil where the phone had none.
type Traces interface {
	WriteTrace(device string, kind capf.CertificateKind, certificate *x509.Certificate, at time.Time) error
}

// Settings are the choices of the machine's configuration.
type Settings struct {
	MinTLS                     uint16        // a version of crypto/tls
	MaxSessions                int           // in all
	MaxSessionsPerAddress      int           // 0: no limit
	MaxWaiting                 int           // connections that may wait for a place
	HandshakeTimeout           time.Duration // also the wait for a free place
	MessageTimeout             time.Duration
	AnnounceAuthenticationType bool // send element 8 in the first message, as the recordings do
}

// Server answers phones.
type Server struct {
	Phones      Phones
	Operations  Operations
	Issuer      Issuer
	Trust       Trust
	Strings     Strings
	HeldCalls   HeldCalls // nil: none are remembered
	Traces      Traces
	Certificate tls.Certificate // the CAPF certificate with its key
	Identities  Identities      // over Issuer and Certificate; nil: those hold while the server runs
	Settings    Settings
	Instance    string // of the service, as the store knows it
	Clock       func() time.Time

	// KeyGenerationTime, over parameter C4; 0: the parameter's. For tests, which cannot wait for minutes.
	KeyGenerationTime time.Duration

	Random   io.Reader // for session IDs
	Log      *slog.Logger
	Observer Observer // nil: nobody counts
	Tracer   Tracer   // nil: no session is traced

	sessions  sync.WaitGroup
	limiter   *limiter
	registry  registry
	certified atomic.Pointer[certified]
	strings   stringLocks
	living    living
	failures  failureTable
}

const (
	acceptPauseMin = 5 * time.Millisecond
	acceptPauseMax = time.Second
)

// Serve answers phones until the context ends, and then until every session has ended, which it hurries.
// It closes the listener. The loop never waits for a handshake: a silent connection stops nobody.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	s.limiter = newLimiter(s.Settings.MaxSessions, s.Settings.MaxSessionsPerAddress, s.Settings.MaxWaiting)
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	defer s.sessions.Wait()
	config := s.tlsConfig()
	pause := acceptPauseMin
	for number := int64(1); ; number++ { // of the connection, in the order in which they come
		conn, err := listener.Accept()
		if ctx.Err() != nil {
			if err == nil {
				_ = conn.Close()
			}
			return nil
		}
		if errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("accept phones: %w", err)
		}
		if err != nil {
			// Out of descriptors, most likely: sessions that end give some back.
			s.Log.Warn("accept", "error", err, "pause", pause)
			sleep(ctx, pause)
			pause = min(2*pause, acceptPauseMax)
			continue
		}
		pause = acceptPauseMin
		s.sessions.Go(func() { s.serveConn(ctx, conn, config, number) })
	}
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// Identities gives the CAPF identity where it may change while phones are served: a successor of the CAPF
// certificate is put in force (*Two CAPF certificates* of the guide).
type Identities interface {
	// Current gives the certificate for handshakes, and who signs LSCs under it, as they are in force now. A
	// connection asks once and keeps both to its end.
	Current() (tls.Certificate, Issuer)
	// IsOwnKey reports whether a public key (capf.KeyIdentity) is CAPF's: in force, next or past.
	IsOwnKey(keySHA256 string) (bool, error)
}

// fixed is the identity of a server that keeps one.
type fixed struct{ server *Server }

func (f fixed) Current() (tls.Certificate, Issuer) { return f.server.Certificate, f.server.Issuer }

func (f fixed) IsOwnKey(keySHA256 string) (bool, error) {
	leaf := f.server.Certificate.Leaf
	return leaf != nil && capf.KeyIdentity(leaf.PublicKey, leaf.RawSubjectPublicKeyInfo) == keySHA256, nil
}

func (s *Server) identities() Identities {
	if s.Identities != nil {
		return s.Identities
	}
	return fixed{s}
}

// certified is a configuration with the certificate that it shows.
type certified struct {
	certificate []byte
	config      *tls.Config
}

// identity gives what one connection goes by: the configuration with the certificate in force now, and who
// issues under it. The configuration is shared by all connections until the certificate is another.
func (s *Server) identity(shared *tls.Config) (*tls.Config, Issuer) {
	certificate, issuer := s.identities().Current()
	if last := s.certified.Load(); last != nil && bytes.Equal(last.certificate, certificate.Certificate[0]) {
		return last.config, issuer
	}
	config := shared.Clone()
	config.Certificates, config.MaxVersion = []tls.Certificate{certificate}, maxTLS(certificate)
	s.certified.Store(&certified{certificate.Certificate[0], config})
	return config, issuer
}
