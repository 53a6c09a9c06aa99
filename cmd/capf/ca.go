package main

import (
	"capf/runtime/ca"
	"capf/runtime/capf"
)

type caCommands struct {
	List     caListCommand     `cmd:"" help:"CAPF's own certificates: in force, next, past."`
	Renew    caRenewCommand    `cmd:"" help:"Make the next CAPF key and certificate, beside those in force."`
	Activate caActivateCommand `cmd:"" help:"Put the next CAPF certificate in force."`
	Revoke   caRevokeCommand   `cmd:"" help:"Revoke an LSC, or all of a device."`
	CRL      caCRLCommand      `cmd:"" name:"crl" help:"Write the list of revoked LSCs (CRL)."`
}

type caListCommand struct{}

// Run lists CAPF's own certificates.
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
	list := app.list("state", "common-name", "serial", "not-before", "not-after", "sha256")
	add := func(state string, authorities ...*ca.Authority) error {
		for _, one := range authorities {
			certificate := one.Certificate
			if err := list.add(state, one.Name(), capf.FormatSerial(certificate.SerialNumber), capf.FormatTime(certificate.NotBefore),
				capf.FormatTime(certificate.NotAfter), capf.HexSHA256(certificate.Raw)); err != nil {
				return err
			}
		}
		return nil
	}
	if err := add("in-force", current); err != nil {
		return err
	}
	if next != nil {
		if err := add("next", next); err != nil {
			return err
		}
	}
	if err := add("past", past...); err != nil {
		return err
	}
	return list.close()
}
