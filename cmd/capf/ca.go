package main

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	"github.com/google/renameio/v2"
	"github.com/hashicorp/go-multierror"

	"capf/ctl/distribute"
	"capf/internal/plain"
	"capf/runtime/ca"
	"capf/runtime/capf"
	"capf/runtime/daemon"
	"capf/runtime/store/sqlite"
	"capf/runtime/web"
)

// CAPF's own certificates, from the next one to those that are past, and what is revoked of theirs.

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
	add := func(state string, one *ca.Authority) {
		certificate := one.Certificate
		digest := capf.HexSHA256(certificate.Raw)
		list.add(state, one.Name(), capf.FormatSerial(certificate.SerialNumber), capf.FormatTime(certificate.NotBefore),
			capf.FormatTime(certificate.NotAfter), digest, paths[digest])
	}
	add("in-force", current)
	if next != nil {
		add("next", next)
	}
	for _, one := range past {
		add("past", one)
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
			paths[digest] = web.CRLPath(digest)
		}
	}
	return paths, err
}

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

type caActivateCommand struct {
	Force bool `help:"Also where nodes lack a list with the next certificate: phones that hold such a list will refuse this CAPF."`
}

// Run puts the next certificate in force, after every node was found to hold a list with it. Interrupted, it is
// run again.
func (c *caActivateCommand) Run(app *app) error {
	return app.withStore(func(store *sqlite.Store) error {
		succession := ca.Succession{Directory: app.data, Environment: ca.System(), Keeper: store, Actor: actor()}
		next, err := ca.Next(app.data, ca.System())
		if capf.HasCode(err, capf.CodeNotFound) {
			return finishActivation(app, succession, err)
		}
		if err != nil {
			return err
		}
		if err := c.checkNodes(app, store, next); err != nil {
			return err
		}
		if err := succession.Run(app.ctx, next); err != nil {
			return err
		}
		app.say("%s, serial number %s, is in force; a running service goes on with it by itself", next.Name(), capf.FormatSerial(next.Certificate.SerialNumber))
		app.say("the one before is now an anchor for the LSCs that it issued; run `capf ctl distribute` to bring the new CAPF.cer to the nodes")
		return nil
	})
}

// finishActivation completes what an interrupted run has left to do; where that is nothing, none is the answer.
func finishActivation(app *app, succession ca.Succession, none error) error {
	completed, err := succession.Finish(app.ctx)
	if err != nil {
		return err
	}
	if !completed {
		return none
	}
	authority, err := app.authority()
	if err != nil {
		return err
	}
	app.say("%s was in force already; that is now on record, and CAPF.cer and %s.0 are its own", authority.Name(), authority.Name())
	return nil
}

// checkNodes reads what the nodes hold, now. Each that lacks a list with the next certificate is a line of its
// own.
func (c *caActivateCommand) checkNodes(app *app, store *sqlite.Store, next *ca.Authority) error {
	nodes, err := store.Nodes(app.ctx)
	if err != nil {
		return err
	}
	if len(nodes) == 0 {
		app.say("warning: no node is known: phones that hold a trust list from elsewhere will refuse %s", next.Name())
	}
	options, err := app.reach()
	if err != nil {
		return err
	}
	var problems *multierror.Error
	var lacking []string
	for i, problem := range distribute.Lacking(app.ctx, daemon.Receivers(nodes), next.Certificate, options) {
		if problem == nil {
			continue
		}
		lacking = append(lacking, nodes[i].Name)
		problems = multierror.Append(problems, &capf.Error{Code: capf.CodeRefused, Message: "no list with " + next.Name(), Err: problem,
			Hint: "run `capf ctl build` and `capf ctl distribute`, or activate with --force: phones that take their list there will refuse this CAPF"})
	}
	if !c.Force || len(lacking) == 0 {
		return problems.ErrorOrNil()
	}
	for _, problem := range problems.Errors {
		app.say("warning: %v", problem)
	}
	return store.AddAudit(app.ctx, actor(), "ca activating", capf.FormatSerial(next.Certificate.SerialNumber),
		fmt.Sprintf("forced, although nodes lack a list with it: %s", strings.Join(lacking, " ")))
}

type caRevokeCommand struct {
	Which  string            `arg:"" name:"serial|device" help:"Serial number of an LSC, or a device of which all LSCs are meant."`
	Reason capf.RevokeReason `help:"unspecified, key-compromise, affiliation-changed, superseded, cessation-of-operation or privilege-withdrawn." default:"unspecified" placeholder:"REASON"`
}

// Run revokes, and says what that means for the phone.
func (c *caRevokeCommand) Run(app *app) error {
	return app.withStore(func(store *sqlite.Store) error {
		device, serial, err := c.find(app, store)
		if err != nil {
			return err
		}
		revoked, err := store.RevokeLSCs(app.ctx, device, serial, c.Reason, actor())
		if err != nil {
			return err
		}
		list := app.list("serial", "device", "state", "reason", "not-after")
		for _, one := range revoked {
			certificate := one.Certificate
			list.add(certificate.Serial, certificate.Device, certificate.State, certificate.RevokeReason, capf.FormatTime(certificate.NotAfter))
		}
		if err := list.close(); err != nil {
			return err
		}
		for _, one := range revoked {
			explainRevocation(app, one)
		}
		app.say("servers learn of it from the CRL of its issuer: `capf ca crl`, or " + web.PathCRL + " of the service; for an earlier CAPF certificate " +
			"`capf ca crl --issuer SERIAL`, or the path that `capf ca list` names")
		return nil
	})
}

// find tells a device from a serial number. Short serial numbers look like device names: what is in the store
// decides, and where both are, the person must.
func (c *caRevokeCommand) find(app *app, store *sqlite.Store) (device, serial string, err error) {
	serial = normalSerial(c.Which)
	device, invalid := capf.ParseDevice(c.Which)
	isSerial, isDevice, err := c.present(app, store, serial, device)
	switch {
	case err != nil:
		return "", "", err
	case isSerial && isDevice:
		return "", "", &capf.Error{Code: capf.CodeInvalid, Message: fmt.Sprintf("%q is a serial number and a device", c.Which),
			Hint: "write the device with SEP before it, or name the device of that certificate"}
	case isSerial:
		return "", serial, nil
	case isDevice || serial == "" && invalid == nil:
		return device, "", nil
	case serial == "":
		return "", "", invalid
	}
	return "", "", &capf.Error{Code: capf.CodeNotFound, Message: fmt.Sprintf("no certificate has serial number or device %q", c.Which),
		Hint: "see `capf certificate list`"}
}

// present looks up what the store has of either.
func (c *caRevokeCommand) present(app *app, store *sqlite.Store, serial, device string) (isSerial, isDevice bool, err error) {
	if device != "" {
		err = store.Certificates(app.ctx, device, func(capf.Certificate) error {
			isDevice = true
			return nil
		})
	}
	if serial == "" || err != nil {
		return false, isDevice, err
	}
	isSerial, err = store.HasSerial(app.ctx, serial)
	return isSerial, isDevice, err
}

// normalSerial gives a serial number as the store writes it; empty for what is none.
func normalSerial(text string) string {
	digits := strings.ToLower(strings.NewReplacer(":", "", " ", "").Replace(text))
	const most = 128 // digits; RFC 5280 allows 40
	if digits == "" || len(digits) > most || strings.Trim(digits, "0123456789abcdef") != "" {
		return ""
	}
	if len(digits)%2 == 1 {
		digits = "0" + digits
	}
	for len(digits) > 2 && strings.HasPrefix(digits, "00") {
		digits = digits[2:]
	}
	return digits
}

// explainRevocation says what the phone can do now, and what to do about it.
func explainRevocation(app *app, revoked capf.RevokedLSC) {
	device := revoked.Certificate.Device
	switch phone := revoked.Phone; {
	case phone == nil:
		app.say("%s is not in the store any more", device)
	case !revoked.WasCurrent && phone.LSC != nil:
		app.say("%s is known to hold another LSC, %s, which stays valid", device, phone.LSC.Serial)
	default:
		app.say("warning: %s may hold no other LSC: by existing certificate it is refused with this one (result 4); "+
			"give it a new one with `capf phone set %s --operation install --auth null-string`, or by authentication string", device, device)
		if phone.SecurityMode.IsSecure() {
			app.say("warning: %s is in mode %s: servers that go by the CRL let it register no more until it has a new LSC", device, phone.SecurityMode)
		}
	}
}

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
