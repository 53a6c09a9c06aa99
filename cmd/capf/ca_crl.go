package main

import (
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"capf/internal/plain"
	"capf/runtime/ca"
	"capf/runtime/capf"
	"capf/runtime/daemon"
	"capf/runtime/store/sqlite"
)

type caCRLCommand struct {
	File   string `arg:"" optional:"" help:"Where to write it: PEM where the name ends in .pem, else DER. Without: PEM to standard output." type:"path"`
	Days   int    `help:"How long it holds; never longer than the CAPF certificate that signs it." default:"7"`
	Issuer string `help:"Serial number of a past CAPF certificate, for the LSCs that it issued; see capf ca list." placeholder:"SERIAL"`
}

// Validate checks the numbers.
func (c *caCRLCommand) Validate() error {
	if c.Days < 1 || c.Days > 3650 {
		return &capf.Error{Code: capf.CodeInvalid, Message: fmt.Sprintf("--days %d", c.Days), Hint: "use 1 to 3650"}
	}
	return nil
}

// Run makes the next CRL.
func (c *caCRLCommand) Run(app *app) error {
	authority, err := c.authority(app)
	if err != nil {
		return err
	}
	return app.withStore(func(store *sqlite.Store) error {
		if c.File != "" {
			if err := app.keepOutOf(store, output{"the CRL", c.File}); err != nil {
				return err
			}
		}
		made, err := daemon.MakeCRL(app.ctx, store, authority, ca.System(), time.Duration(c.Days)*24*time.Hour)
		if err != nil {
			return err
		}
		text := pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: made.DER})
		switch {
		case c.File == "" && !app.json:
			_, err = app.stdout.Write(text)
			return err
		case c.File == "":
			return app.fields([]string{"number", "entries", "made-at", "until", "pem"},
				[]any{made.Number, made.Entries, capf.FormatTime(made.MadeAt), capf.FormatTime(made.Until), string(text)})
		}
		content := made.DER
		if strings.HasSuffix(strings.ToLower(c.File), ".pem") {
			content = text
		}
		if err := renameio.WriteFile(c.File, content, 0o644); err != nil {
			return &capf.Error{Code: capf.CodeUnavailable, Message: "write the CRL", Err: err, Hint: "check space and permissions"}
		}
		app.say("CRL number %d of %s with %s, good until %s: %s", made.Number, authority.Name(), plain.CountedAs(made.Entries, "entry", "entries"), capf.FormatTime(made.Until), c.File)
		return nil
	})
}

// authority gives the one whose CRL is meant.
func (c *caCRLCommand) authority(app *app) (*ca.Authority, error) {
	current, err := app.authority()
	if err != nil || c.Issuer == "" {
		return current, err
	}
	past, err := ca.Past(app.data, app.environment())
	if err != nil {
		return nil, err
	}
	for _, one := range append(past, current) {
		if capf.FormatSerial(one.Certificate.SerialNumber) == normalSerial(c.Issuer) {
			return one, nil
		}
	}
	return nil, &capf.Error{Code: capf.CodeNotFound, Message: fmt.Sprintf("no CAPF certificate with its key has serial number %q", c.Issuer),
		Hint: "see `capf ca list`"}
}
