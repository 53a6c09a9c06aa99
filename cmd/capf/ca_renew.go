package main

import (
	"fmt"

	"capf/runtime/ca"
	"capf/runtime/capf"
	"capf/runtime/store/sqlite"
)

type caRenewCommand struct {
	CommonName         string `help:"Common name of the next certificate; default: CAPF- and 8 hex digits. It cannot be that of an earlier one." placeholder:"CN"`
	Organization       string `help:"Organization in it and in LSCs; default: as in the one in force." placeholder:"O"`
	OrganizationalUnit string `help:"Organizational unit in it and in LSCs; default: as in the one in force." placeholder:"OU"`
	KeySize            int    `help:"Bits of its RSA key: 2048, 3072 or 4096; default: as the one in force." placeholder:"BITS"`
	PKCS11             string `name:"pkcs11" help:"Make the next key in this token, or take the one that the URI names there; its PIN is in $CAPF_KEY_PIN, or asked for." placeholder:"URI" xor:"where"`
	KeyInFile          bool   `help:"Keep the next key in a file, where the one in force lies in a token." xor:"where"`
	Replace            bool   `help:"Replace a next certificate that was made before and is not in force."`
}

// Run makes the next CAPF certificate. Nothing goes by it yet.
func (c *caRenewCommand) Run(app *app) error {
	return app.withStore(func(store *sqlite.Store) error {
		taken, err := authorityNames(app, store)
		if err != nil {
			return err
		}
		newKey, err := keyInToken(app, store, c.PKCS11)
		if err != nil {
			return err
		}
		next, err := ca.MakeNext(app.data, ca.Options{CommonName: c.CommonName, Organization: c.Organization,
			OrganizationalUnit: c.OrganizationalUnit, KeySize: c.KeySize, NewKey: newKey, KeyInFile: c.KeyInFile}, taken, c.Replace, app.environment())
		if err != nil {
			return err
		}
		serial := capf.FormatSerial(next.Certificate.SerialNumber)
		if err := store.AddAudit(app.ctx, actor(), "ca renew", serial, fmt.Sprintf("subject=%q replace=%t", next.Certificate.Subject, c.Replace)); err != nil {
			return err
		}
		app.say("%s, serial number %s, is made and not in force yet", next.Name(), serial)
		if c.Replace {
			app.say("lists that were built with a next certificate before this one do not help it")
		}
		app.say("next: `capf ctl build`, `capf ctl distribute`, have the phones reset so that they load the list, then `capf ca activate`")
		return nil
	})
}

// authorityNames gives the common names by which servers may know a CAPF certificate already.
func authorityNames(app *app, store *sqlite.Store) ([]string, error) {
	past, err := ca.Past(app.data, ca.System())
	if err != nil {
		return nil, err
	}
	var names []string
	for _, one := range past {
		names = append(names, one.Name())
	}
	anchors, err := store.Anchors(app.ctx, capf.LSC)
	if err != nil {
		return nil, err
	}
	for _, anchor := range anchors {
		if certificate := parseStored(anchor.DER); certificate != nil {
			names = append(names, certificate.Subject.CommonName)
		}
	}
	return names, nil
}
