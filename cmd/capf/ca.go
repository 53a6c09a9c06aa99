package main

import (
	"bytes"

	"capf/runtime/admin"
	"capf/runtime/ca"
	"capf/runtime/capf"
	"capf/runtime/store/sqlite"
)

type caCommands struct {
	List     caListCommand     `cmd:"" help:"CAPF's own certificates: in force, next, past, and where the service serves their CRLs."`
	Renew    caRenewCommand    `cmd:"" help:"Make the next CAPF key and certificate, beside those in force."`
	Activate caActivateCommand `cmd:"" help:"Put the next CAPF certificate in force."`
	Revoke   caRevokeCommand   `cmd:"" help:"Revoke an LSC, or all of a device."`
	CRL      caCRLCommand      `cmd:"" name:"crl" help:"Write the list of revoked LSCs (CRL)."`
}

type caListCommand struct{}

// Run lists CAPF's own certificates, and where the service serves the CRL of each.
func (c *caListCommand) Run(app *app) error {
	current, err := app.authority()
	if err != nil {
		return err
	}
	past, err := ca.Past(app.data, ca.System())
	if err != nil {
		return err
	}
	next, err := ca.Next(app.data, ca.System())
	if err != nil && !capf.HasCode(err, capf.CodeNotFound) {
		return err
	}
	paths, err := crlPaths(app, current, past)
	if err != nil {
		return err
	}
	list := app.list("state", "common-name", "serial", "not-before", "not-after", "sha256", "crl")
	add := func(state string, one *ca.Authority) error {
		certificate := one.Certificate
		digest := capf.HexSHA256(certificate.Raw)
		return list.add(state, one.Name(), capf.FormatSerial(certificate.SerialNumber), capf.FormatTime(certificate.NotBefore),
			capf.FormatTime(certificate.NotAfter), digest, paths[digest])
	}
	if err := add("in-force", current); err != nil {
		return err
	}
	if next != nil {
		if err := add("next", next); err != nil {
			return err
		}
	}
	for _, one := range past {
		if err := add("past", one); err != nil {
			return err
		}
	}
	return list.close()
}

// crlPaths gives where the service serves CRLs, by the SHA-256 of their issuers: of the certificate in force, and of
// those before that are anchors still, where they may sign one.
func crlPaths(app *app, current *ca.Authority, past []*ca.Authority) (map[string]string, error) {
	served := []*ca.Authority{current}
	err := app.withStore(func(store *sqlite.Store) error {
		anchors, err := store.Anchors(app.ctx, capf.LSC)
		for _, anchor := range anchors {
			for _, one := range past {
				if bytes.Equal(one.Certificate.Raw, anchor.DER) {
					served = append(served, one)
				}
			}
		}
		return err
	})
	paths := make(map[string]string)
	for _, one := range served {
		if one.CanSignCRL() == nil {
			digest := capf.HexSHA256(one.Certificate.Raw)
			paths[digest] = admin.CRLPath(digest)
		}
	}
	return paths, err
}
