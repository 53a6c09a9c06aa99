package phone

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"capf/runtime/capf"
	"capf/runtime/wire"
)

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
