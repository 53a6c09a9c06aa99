package main

import (
	"crypto/x509"

	"capf/ctl"
	"capf/runtime/ca"
	"capf/runtime/capf"
	"capf/runtime/store/sqlite"
)

type ctlShowCommand struct {
	File string `arg:"" optional:"" help:"A list, also of another maker, or the number of a version; default: the newest of the store."`
	ITL  bool   `name:"itl" help:"The ITL of that version."`
}

// Run prints the list, also one that does not verify, and reminds of what is to be done about it.
func (c *ctlShowCommand) Run(app *app) error {
	list, err := readList(app, c.File, c.ITL)
	if err != nil {
		return err
	}
	file, err := ctl.Decode(list.raw)
	if err != nil {
		return unreadable(list, err)
	}
	known, err := knownFor(app, file)
	if err != nil {
		return err
	}
	description, err := ctl.Describe(list.raw, known...)
	if err != nil {
		return unreadable(list, err)
	}
	if app.json {
		err = app.printJSON(description)
	} else {
		err = description.Print(app.stdout)
	}
	if err != nil {
		return err
	}
	return remindOf(app, list, file)
}

// knownFor gives the certificates with which the hash records of a list are compared; none where it has no such record.
func knownFor(app *app, file *ctl.File) ([]*x509.Certificate, error) {
	for i := range file.Records {
		if file.Records[i].IsHash() {
			return knownCertificates(app)
		}
	}
	return nil, nil
}

// knownCertificates gives those of the store: servers, tokens, CAPF, anchors. Without a store none are known.
func knownCertificates(app *app) (known []*x509.Certificate, err error) {
	add := func(der []byte) {
		if certificate := parseStored(der); certificate != nil {
			known = append(known, certificate)
		}
	}
	err = app.withStore(func(store *sqlite.Store) error {
		nodes, err := store.Nodes(app.ctx)
		if err != nil {
			return err
		}
		for _, node := range nodes {
			add(node.Certificate)
			add(node.TVSCertificate)
		}
		tokens, err := store.Tokens(app.ctx)
		if err != nil {
			return err
		}
		for _, token := range tokens {
			add(token.Certificate)
		}
		for _, kind := range []capf.CertificateKind{capf.LSC, capf.MIC} {
			anchors, err := store.Anchors(app.ctx, kind)
			if err != nil {
				return err
			}
			for _, anchor := range anchors {
				add(anchor.DER)
			}
		}
		own, err := ca.Certificates(app.data)
		known = append(known, own...)
		return err
	})
	if capf.HasCode(err, capf.CodeNotActivated) {
		return nil, nil
	}
	return known, err
}
