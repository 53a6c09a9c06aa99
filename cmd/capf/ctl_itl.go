package main

import (
	"errors"
	"fmt"
	"slices"

	"capf/ctl"
	"capf/runtime/capf"
	"capf/runtime/store/sqlite"
)

// signerVersion is the one that was asked for. By itself a CTL has none: a list is for all phones of the cluster, and
// those of the 4.1 era are to be spared the element [P]. An ITL is for newer phones only.
func (c *ctlBuildCommand) signerVersion(contents *ctl.Contents) ctl.Version {
	switch {
	case c.Signer == "1.1", c.Signer == "auto" && contents.ITL && contents.HasEC():
		return ctl.SignerVersion11
	case c.Signer == "1.0", c.Signer == "auto" && contents.ITL:
		return ctl.SignerVersion10
	}
	return ctl.SignerVersionOmitted
}

// noteEC says what phones make of a server with an EC key.
func (c *ctlBuildCommand) noteEC(app *app, contents *ctl.Contents) {
	if contents.HasEC() && contents.SignerVersion != ctl.SignerVersion11 {
		app.say("note: a server has an EC key, which phones of the 4.1 era cannot read; where all phones are newer, build with --signer-version 1.1")
	}
}

// makeITL makes the ITL, where one is asked for, with the token that signed the list if that will do. Its tokens are named
// as in the list, by which phones may know them.
func (b *building) makeITL(made *ctl.Successor) error {
	if !b.command.ITL {
		return nil
	}
	list, err := ctl.Decode(made.Raw)
	if err != nil {
		return err
	}
	contents := b.made
	contents.ITL = true
	contents.SpellAs(list)
	contents.SignerVersion = b.command.signerVersion(&contents)
	if err := addTVS(b.app, b.store, &contents); err != nil {
		return err
	}
	candidates := b.candidates()
	slices.SortStableFunc(candidates, func(x, y ctl.Candidate) int { return rank(x, made.Signer.Name) - rank(y, made.Signer.Name) })
	succession := ctl.Succession{Contents: contents, Candidates: candidates, StartOver: b.command.StartOver}
	field, err := b.store.FieldITL(b.app.ctx)
	if err != nil && !capf.HasCode(err, capf.CodeNotFound) {
		return err
	}
	succession.Previous = field.ITL
	b.itl, err = succession.Build()
	if refused := new(ctl.NoSignerError); errors.As(err, &refused) {
		return &capf.Error{Code: capf.CodeRefused, Message: fmt.Sprintf("build an ITL that phones with that of version %d take", field.Version), Err: refused,
			Hint: "plug in or add one of these; if all of them are lost, --start-over builds one for which every phone must be reset by hand"}
	}
	if err != nil {
		return &capf.Error{Code: capf.CodeRefused, Message: "build the ITL", Err: err}
	}
	return nil
}

func rank(candidate ctl.Candidate, signer string) int {
	if candidate.Name == signer {
		return 0
	}
	return 1
}

// addTVS adds the trust verification services of the nodes.
func addTVS(app *app, store *sqlite.Store, contents *ctl.Contents) error {
	nodes, err := store.Nodes(app.ctx)
	if err != nil {
		return err
	}
	for _, node := range nodes {
		if certificate := parseStored(node.TVSCertificate); certificate != nil {
			contents.TVS = append(contents.TVS, ctl.Server{Name: node.Name, DNSName: node.HostName(), Address: node.Address,
				Role: ctl.RoleTrustVerificationService, Certificate: certificate})
		}
	}
	return nil
}

// sayITL says what phones make of the ITL, and where an older one is left behind.
func (b *building) sayITL() error {
	if b.itl != nil {
		b.app.say("with an ITL, signed by %s", b.itl.Signer.Certificate.Subject)
		if b.itl.Broken != nil {
			b.app.say("warning: phones that hold the earlier ITL do not take this one: %v; erase it on each (Settings, Security Configuration, Trust List)", b.itl.Broken)
		}
		return nil
	}
	field, err := b.store.FieldITL(b.app.ctx)
	if capf.HasCode(err, capf.CodeNotFound) {
		return nil
	}
	if err == nil {
		b.app.say("warning: version %d came with an ITL and this one does not: where that one is, it stays; build with --itl to keep both in step", field.Version)
	}
	return err
}
