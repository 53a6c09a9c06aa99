package main

import (
	"crypto/x509"
	"errors"
	"io"
	"os"

	"capf/ctl"
	"capf/runtime/capf"
	"capf/runtime/store/sqlite"
)

type ctlCommands struct {
	Token      tokenCommands        `cmd:"" help:"The administrator's security tokens (SAST)."`
	Build      ctlBuildCommand      `cmd:"" help:"Build and sign a new list."`
	Import     ctlImportCommand     `cmd:"" help:"Record the list that phones hold now."`
	Show       ctlShowCommand       `cmd:"" help:"Print a list as show ctl does."`
	Verify     ctlVerifyCommand     `cmd:"" help:"Check a list."`
	Distribute ctlDistributeCommand `cmd:"" help:"Bring the list and the CAPF certificate to every node."`
	Status     ctlStatusCommand     `cmd:"" help:"What every node really holds."`
}

const maxListFile = 4 << 20

// readList reads a list from a file, or the newest of the store where no file is named.
func readList(app *app, path string) ([]byte, error) {
	if path == "" {
		var raw []byte
		err := app.withStore(func(store *sqlite.Store) error {
			latest, err := store.LatestCTL(app.ctx)
			raw = latest.File
			return err
		})
		return raw, err
	}
	return readListFile(path)
}

func readListFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, &capf.Error{Code: capf.CodeInvalid, Message: "trust list", Err: err}
	}
	defer file.Close()
	raw, err := io.ReadAll(io.LimitReader(file, maxListFile+1))
	if err == nil && len(raw) > maxListFile {
		err = errors.New("more than 4 MiB: no trust list is that long")
	}
	if err != nil {
		return nil, &capf.Error{Code: capf.CodeInvalid, Message: "trust list " + path, Err: err}
	}
	return raw, nil
}

type ctlShowCommand struct {
	File string `arg:"" optional:"" help:"A list; default: the newest of the store."`
}

// Run prints the list, also one that does not verify.
func (c *ctlShowCommand) Run(app *app) error {
	raw, err := readList(app, c.File)
	if err != nil {
		return err
	}
	description, err := ctl.Describe(raw)
	if err != nil {
		return &capf.Error{Code: capf.CodeUnavailable, Message: "the trust list cannot be read", Err: err}
	}
	if app.json {
		return app.printJSON(description)
	}
	return description.Print(app.stdout)
}

type ctlVerifyCommand struct {
	File     string `arg:"" optional:"" help:"A list; default: the newest of the store."`
	Previous string `help:"A list that phones hold: would they take this one?" placeholder:"FILE"`
}

// Run checks the list, and whether it succeeds another.
func (c *ctlVerifyCommand) Run(app *app) error {
	raw, err := readList(app, c.File)
	if err != nil {
		return err
	}
	verification, err := ctl.Verify(raw)
	if err != nil {
		return &capf.Error{Code: capf.CodeRefused, Message: "the trust list does not verify", Err: err}
	}
	if c.Previous != "" {
		previous, err := readList(app, c.Previous)
		if err != nil {
			return err
		}
		if err := ctl.VerifySuccession(raw, previous); err != nil {
			return &capf.Error{Code: capf.CodeRefused, Message: "phones that hold " + c.Previous + " would not take this list", Err: err,
				Hint: "sign with a token of that list"}
		}
	}
	header := verification.File.Header
	return app.fields([]string{"valid", "signer", "digest", "signed-at", "records"}, []any{true, verification.Certificate.Subject.String(),
		header.Digest.String(), capf.FormatTime(header.Timestamp), len(verification.File.Records)})
}

type ctlImportCommand struct {
	File string `arg:"" help:"CTLFile.tlv as phones hold it."`
}

// Run records a list from before us. It need only be readable: phones hold it already.
func (c *ctlImportCommand) Run(app *app) error {
	raw, err := readList(app, c.File)
	if err != nil {
		return err
	}
	file, err := ctl.Decode(raw)
	if err != nil {
		return &capf.Error{Code: capf.CodeInvalid, Message: "trust list " + c.File, Err: err}
	}
	if _, err := ctl.Verify(raw); err != nil {
		app.say("warning: the list does not verify: %v", err)
	}
	return app.withStore(func(store *sqlite.Store) error {
		version, err := store.AddCTL(app.ctx, capf.CTLVersion{Origin: capf.CTLImported, Digest: file.Header.Digest.String(),
			Signer: file.Header.Signer.String(), SignedAt: file.Header.Timestamp, SHA256: capf.HexSHA256(raw), File: raw}, actor())
		if err != nil {
			return err
		}
		app.say("kept as version %d", version)
		return nil
	})
}

// parseStored parses certificates that were checked before they were stored.
func parseStored(der []byte) *x509.Certificate {
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil
	}
	return certificate
}
