package main

import (
	"path/filepath"

	"capf/runtime/ca"
)

type initCommand struct {
	CommonName         string `help:"Common name of the CAPF certificate; default: CAPF- and 8 hex digits." placeholder:"CN"`
	Organization       string `help:"Organization in the CAPF certificate and in LSCs." default:"CAPF" placeholder:"O"`
	OrganizationalUnit string `help:"Organizational unit in the CAPF certificate and in LSCs." default:"CAPF" placeholder:"OU"`
	KeySize            int    `help:"Bits of CAPF's RSA key: 2048, 3072 or 4096." default:"2048"`
}

// Run activates CAPF; where it is active already nothing changes.
func (c *initCommand) Run(app *app) (err error) {
	store, err := app.newStore()
	if err != nil {
		return err
	}
	defer closeInto(&err, store)
	authority, created, err := ca.Activate(app.data, ca.Options{CommonName: c.CommonName, Organization: c.Organization,
		OrganizationalUnit: c.OrganizationalUnit, KeySize: c.KeySize}, ca.System())
	if err != nil {
		return err
	}
	if created {
		app.say("CAPF is active as %s; its certificate is %s", authority.Name(), filepath.Join(app.data, "CAPF.cer"))
	} else {
		app.say("CAPF was active already as %s; nothing was changed", authority.Name())
	}
	return remindOfList(app, store, authority)
}
