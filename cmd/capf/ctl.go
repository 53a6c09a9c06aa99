package main

import (
	"crypto/x509"

	"capf/ctl"
	"capf/internal/plain"
	"capf/runtime/capf"
	"capf/runtime/store/sqlite"
)

type ctlCommands struct {
	Token      tokenCommands        `cmd:"" help:"The administrator's security tokens (SAST)."`
	Build      ctlBuildCommand      `cmd:"" help:"Build and sign a new list."`
	Import     ctlImportCommand     `cmd:"" help:"Record the list that phones hold now."`
	List       ctlListCommand       `cmd:"" help:"All versions of the list."`
	Show       ctlShowCommand       `cmd:"" help:"Print a list as show ctl does."`
	Verify     ctlVerifyCommand     `cmd:"" help:"Check a list, and whether phones that hold another would take it."`
	Diff       ctlDiffCommand       `cmd:"" help:"What one list has other than another, in words."`
	Distribute ctlDistributeCommand `cmd:"" help:"Bring the list and the CAPF certificate to every node."`
	Status     ctlStatusCommand     `cmd:"" help:"What every node really holds."`
	Restarted  ctlRestartedCommand  `cmd:"" help:"Say that servers were restarted and their phones reset after a new list."`
}

type ctlImportCommand struct {
	File string `arg:"" help:"CTLFile.tlv as phones hold it."`
}

// Run records a list from before us. It need only be readable: phones hold it already.
func (c *ctlImportCommand) Run(app *app) error {
	raw, err := readListFile(c.File)
	if err != nil {
		return err
	}
	file, err := ctl.Decode(raw)
	if err != nil {
		return &capf.Error{Code: capf.CodeInvalid, Message: "trust list " + c.File, Err: err}
	}
	if file.IsITL() {
		return &capf.Error{Code: capf.CodeInvalid, Message: "trust list " + c.File + " is an ITL, which phones keep beside the list",
			Hint: "give their CTLFile.tlv; `capf ctl verify --previous` tells whether phones with that ITL take another"}
	}
	signer := file.Header.Signer.Subject
	if verified, err := ctl.Verify(raw); err != nil {
		app.say("warning: the list does not verify: %v", err)
	} else {
		signer = verified.Certificate.Subject.String() // as those of ours are written
	}
	for _, one := range file.Unknown() {
		app.say("note: nothing is known here of %s; it is kept with the list, and no list built here will have it", plain.Line(one))
	}
	return app.withStore(func(store *sqlite.Store) error {
		version, added, err := store.ImportCTL(app.ctx, capf.CTLVersion{Origin: capf.CTLImported, Digest: file.Header.Digest.String(),
			Signer: signer, SignedAt: file.Header.Timestamp, SHA256: capf.HexSHA256(raw), File: raw}, actor())
		if err != nil {
			return err
		}
		if !added {
			app.say("it is there already as version %d, which phones are known to hold: nothing was changed", version)
			return nil
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
