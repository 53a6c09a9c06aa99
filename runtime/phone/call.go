package phone

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"capf/runtime/capf"
	"capf/runtime/wire"
)

// A call: sessions until one has ended, and what came of it.

// Run has the phone call its server, and call again where the line broke (A4), until a session has come to
// its end. The context ends it at any time.
func (p *Phone) Run(ctx context.Context) Outcome {
	start := time.Now()
	outcome := p.run(ctx)
	outcome.Duration = time.Since(start)
	return outcome
}

func (p *Phone) run(ctx context.Context) Outcome {
	chosen, err := p.authentication()
	if err != nil {
		return Outcome{Device: p.config.Device, Operation: capf.OperationNone, Err: err}
	}
	outcome := p.attempts(ctx, chosen)
	if outcome.Err == nil {
		outcome.Err = p.config.Flash.SetMode("") // cleared when the operation completes (A4)
	}
	return outcome
}

// authentication is how a phone authenticates in all the sessions of a call.
type authentication struct {
	mode     capf.AuthMode
	password wire.Secret // empty in every mode but authentication string
}

// authentication settles the mode. That of the configuration file goes into flash, from where a phone takes
// it that could not load that file.
func (p *Phone) authentication() (authentication, error) {
	mode := p.config.Mode
	if mode != "" {
		if err := p.config.Flash.SetMode(mode); err != nil {
			return authentication{}, err
		}
	} else if kept, err := p.config.Flash.Mode(); err != nil {
		return authentication{}, err
	} else if mode = kept; mode == "" {
		mode = capf.AuthByNullString
	}
	if mode != capf.AuthByString {
		return authentication{mode: mode, password: wire.NewSecret(nil)}, nil
	}
	if p.config.AuthenticationString.IsZero() {
		return authentication{}, fmt.Errorf("phone %s: the authentication mode in its flash is %s: give the authentication string, "+
			"or another mode", p.config.Device, mode)
	}
	return authentication{mode: mode, password: wire.NewSecret([]byte(p.config.AuthenticationString.Reveal()))}, nil
}

// attempts runs sessions until one has ended, or the phone gives up.
func (p *Phone) attempts(ctx context.Context, chosen authentication) Outcome {
	var installed *x509.Certificate // by an attempt before
	for attempt := 1; ; attempt++ {
		outcome, stored := p.session(ctx, chosen, attempt)
		if installed != nil && outcome.nothingLeft(p.config.Version) {
			outcome.Operation, outcome.Certificate, outcome.Err = capf.OperationInstall, installed, nil
		}
		if stored != nil {
			installed = stored
		}
		if attempt > p.config.Retry.Times || !again(outcome.Err, attempt) {
			return outcome
		}
		p.config.Log.Info("trying again", "device", p.config.Device, "attempt", attempt, "wait", p.config.Retry.Wait,
			"error", outcome.Err)
		if err := p.config.Sleep(ctx, p.config.Retry.Wait); err != nil {
			outcome.Err = err
			return outcome
		}
	}
}

// again says whether a phone tries again: when its line broke. One that never had a line has nothing that
// could break; once it had, a server that is away counts as one that is not back yet.
func again(err error, attempt int) bool {
	broken, is := errors.AsType[*LineError](err)
	return is && (attempt > 1 || !broken.NoRoute)
}

// nothingLeft says whether the server had nothing pending. Where the line broke after the phone had
// confirmed its certificate, that is how it learns that the server knows. A phone of version 2 is told so
// with reason 7 [C].
func (o *Outcome) nothingLeft(version uint8) bool {
	if o.Operation != capf.OperationNone || !o.Reason.Present {
		return false
	}
	return o.Reason.Value == wire.ReasonNoAction || version <= wire.Version2 && o.Reason.Value == wire.ReasonRefused
}

// Outcome says what came of a phone's call: what the server had it do, and how that ended. Of a call with
// several attempts it is the last one.
type Outcome struct {
	Device    string
	Operation capf.Operation // what the server asked for; none where it asked for nothing
	Err       error          // nil if an operation was carried out and the server ended it as one

	Reason      wire.Optional[wire.Reason] // with which the server ended the session; missing where it did not
	Certificate *x509.Certificate          // stored or shown; nil where there is none
	Server      *x509.Certificate          // the server's in the handshake
	TLSVersion  uint16                     // 0 where there was no handshake
	CipherSuite uint16
	Records     []int // TLS records with application data that each message received came in; see RecordCounter
	Attempts    int
	Duration    time.Duration // of all attempts and the waits between them
}

// judge says whether the phone got what it came for. The last message of an installation or deletion
// carries reason 1, that of a fetch reason 0; as every element beyond the traced ones it may be missing.
func (o *Outcome) judge(refusal error) error {
	reason := o.Reason.Or(wire.ReasonSuccess)
	done := reason == wire.ReasonSuccess
	switch o.Operation {
	case capf.OperationInstall:
		done = done && o.Certificate != nil
	case capf.OperationTroubleshoot:
		done = done || reason == wire.ReasonNoAction
	case capf.OperationNone:
		done = false
	}
	if done && refusal == nil {
		return nil
	}
	return &EndError{Operation: o.Operation, Reason: reason, Refusal: refusal}
}

// LineError says that the connection broke, or that there was none. After it a phone tries again, unless
// it never got through.
type LineError struct {
	Doing   string // what the phone was doing
	NoRoute bool   // there was no connection at all
	Err     error
}

func (e *LineError) Error() string {
	if e.NoRoute {
		return fmt.Sprintf("%s: %v: is the server running, is the address right?", e.Doing, e.Err)
	}
	return fmt.Sprintf("the line broke while %s: %v", e.Doing, e.Err)
}

// Unwrap is the cause.
func (e *LineError) Unwrap() error { return e.Err }

// ServerError says that the phone does not take the server for the one in its list.
type ServerError struct {
	Err error
}

func (e *ServerError) Error() string { return fmt.Sprintf("the server's certificate: %v", e.Err) }

// Unwrap is the cause.
func (e *ServerError) Unwrap() error { return e.Err }

// EndError says that the server ended the session without the phone having got what it came for.
type EndError struct {
	Operation capf.Operation // that was begun
	Reason    wire.Reason
	Refusal   error // what the phone itself had refused before, nil if nothing
}

func (e *EndError) Error() string {
	text := fmt.Sprintf("the server ended the session with reason %d (%v): %s", uint8(e.Reason), e.Reason, e.hint())
	if e.Refusal != nil {
		text += fmt.Sprintf("; before that the phone refused: %v", e.Refusal)
	}
	return text
}

// Unwrap is what the phone had refused.
func (e *EndError) Unwrap() error { return e.Refusal }

func (e *EndError) hint() string {
	switch {
	case e.Operation != capf.OperationNone:
		return fmt.Sprintf("operation %s did not come to its end; the server's log says why", e.Operation)
	case e.Reason == wire.ReasonUnknownDevice:
		return "the server does not know the device: add it"
	case e.Reason == wire.ReasonRefused:
		return "it did not take the authentication string or the certificate, or (to a phone of protocol version 2) no operation is pending"
	case e.Reason == wire.ReasonNoAction:
		return "no operation is pending for the device: set one"
	default:
		return "it asked for nothing; its log says why"
	}
}

// line makes a LineError of what is one; all else it wraps.
func line(doing string, err error) error {
	if broken(err) {
		return &LineError{Doing: doing, Err: err}
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// broken tells a broken or silent line from a server that says no. crypto/tls uses net.OpError for alerts
// too, with operations of its own.
func broken(err error) bool {
	if _, drop := errors.AsType[Drop](err); drop {
		return true
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, net.ErrClosed) {
		return true
	}
	operation, is := errors.AsType[*net.OpError](err)
	return is && (operation.Op == "read" || operation.Op == "write")
}

// oneLine shows joined errors in one line.
type oneLine struct{ error }

func (e oneLine) Error() string { return strings.ReplaceAll(e.error.Error(), "\n", "; ") }

func (e oneLine) Unwrap() error { return e.error }
