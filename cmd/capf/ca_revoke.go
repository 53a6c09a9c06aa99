package main

import (
	"fmt"
	"strings"

	"capf/runtime/admin"
	"capf/runtime/capf"
	"capf/runtime/store/sqlite"
)

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
			if err := list.add(certificate.Serial, certificate.Device, certificate.State, certificate.RevokeReason, capf.FormatTime(certificate.NotAfter)); err != nil {
				return err
			}
		}
		if err := list.close(); err != nil {
			return err
		}
		for _, one := range revoked {
			explainRevocation(app, one)
		}
		app.say("servers learn of it from the CRL of its issuer: `capf ca crl`, or " + admin.PathCRL + " of the service; for an earlier CAPF certificate " +
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
