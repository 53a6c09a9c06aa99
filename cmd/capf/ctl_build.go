package main

import (
	"errors"
	"time"

	"capf/ctl"
	"capf/runtime/ca"
	"capf/runtime/capf"
	"capf/runtime/store/sqlite"
)

type ctlBuildCommand struct {
	Mode        capf.ClusterMode `help:"Security mode of the cluster: non-secure or mixed; kept and shown, the file has no field for it." default:"non-secure"`
	Digest      string           `help:"sha1 or sha512; phones of the 79xx family know sha1 only." default:"sha1" enum:"sha1,sha512"`
	SingleToken bool             `help:"Accept a list with one token: were it lost, phones would take no other list."`
}

// Run builds a list, signed by a token of the newest one, and keeps it.
func (c *ctlBuildCommand) Run(app *app) error {
	return app.withStore(func(store *sqlite.Store) error {
		tokens, err := store.Tokens(app.ctx)
		if err != nil {
			return err
		}
		contents, err := c.contents(app, store, tokens)
		if err != nil {
			return err
		}
		signers := loadSigners(app, tokens)
		latest, err := store.LatestCTL(app.ctx)
		if err != nil && !capf.HasCode(err, capf.CodeNotFound) {
			return err
		}
		raw, signer, refused, err := ctl.BuildSuccessor(contents, signers, latest.File)
		if err != nil {
			return &capf.Error{Code: capf.CodeRefused, Message: "build the trust list", Err: err}
		}
		if refused != nil {
			app.say("warning: phones that hold version %d would not take this list (%v); sign with a token of that list, or distribute with --start-over and reset the phones by hand",
				latest.Version, refused)
		}
		version, err := store.AddCTL(app.ctx, capf.CTLVersion{Origin: capf.CTLBuilt, Mode: c.Mode, Digest: c.Digest,
			Signer: signer.Certificate.Subject.String(), SignedAt: contents.Timestamp, SHA256: capf.HexSHA256(raw), File: raw}, actor())
		if err != nil {
			return err
		}
		app.say("version %d, cluster security mode %s, signed by %s; distribute it with `capf ctl distribute`", version, c.Mode, signer.Certificate.Subject)
		return nil
	})
}

// contents gathers what the list is made of: tokens, nodes, and the CAPF certificate under the publisher's
// name, with the next one where there is one.
func (c *ctlBuildCommand) contents(app *app, store *sqlite.Store, tokens []capf.Token) (ctl.Contents, error) {
	authority, err := app.authority()
	if err != nil {
		return ctl.Contents{}, err
	}
	digest, err := ctl.ParseDigest(c.Digest)
	if err != nil {
		return ctl.Contents{}, err
	}
	contents := ctl.Contents{Timestamp: time.Now().UTC().Truncate(time.Second), Digest: digest, SingleToken: c.SingleToken,
		// Phones of the 4.1 era are to be spared the element [P], and a list is for all phones of the cluster.
		SignerVersion: ctl.SignerVersionOmitted}
	for _, token := range tokens {
		contents.Tokens = append(contents.Tokens, ctl.SAST{Name: token.Name, Certificate: parseStored(token.Certificate)})
	}
	nodes, err := store.Nodes(app.ctx)
	if err != nil {
		return ctl.Contents{}, err
	}
	next, err := ca.Next(app.data, ca.System())
	if err != nil && !capf.HasCode(err, capf.CodeNotFound) {
		return ctl.Contents{}, err
	}
	for _, node := range nodes {
		role, err := ctl.ParseRole(string(node.Role))
		if err != nil {
			return ctl.Contents{}, err
		}
		server := ctl.Server{Name: node.Name, DNSName: node.HostName(), Address: node.Address, Role: role, Certificate: parseStored(node.Certificate)}
		contents.Servers = append(contents.Servers, server)
		if node.Publisher {
			server.Certificate = authority.Certificate
			contents.CAPF = append(contents.CAPF, server)
			if next != nil {
				server.Certificate = next.Certificate
				contents.CAPF = append(contents.CAPF, server)
			}
		}
	}
	if len(contents.CAPF) == 0 {
		return ctl.Contents{}, &capf.Error{Code: capf.CodeRefused, Message: "no node is the publisher, on which CAPF runs",
			Hint: "add it with `capf node add NAME --publisher`"}
	}
	return contents, nil
}

// loadSigners loads the tokens whose keys are at hand, and says which are not.
func loadSigners(app *app, stored []capf.Token) []*ctl.Token {
	var signers []*ctl.Token
	for _, token := range stored {
		loaded, err := loadSigner(token)
		if err != nil {
			app.say("token %s cannot sign: %v", token.Name, err)
			continue
		}
		signers = append(signers, loaded)
	}
	return signers
}

// loadSigner loads a token, if its file is still what it was.
func loadSigner(token capf.Token) (*ctl.Token, error) {
	loaded, err := ctl.LoadToken(token.Location)
	if err == nil && capf.HexSHA256(loaded.Certificate.Raw) != capf.HexSHA256(token.Certificate) {
		err = errors.New("its file holds another certificate than when it was added")
	}
	return loaded, err
}
