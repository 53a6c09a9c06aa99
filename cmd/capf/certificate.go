package main

import (
	"encoding/pem"
	"errors"

	"capf/runtime/capf"
	"capf/runtime/store/sqlite"
)

type certificateCommands struct {
	List certificateListCommand `cmd:"" help:"All that was issued or seen."`
}

type certificateListCommand struct {
	Device string `arg:"" optional:"" help:"Of this device only."`
	PEM    bool   `name:"pem" help:"Print the certificates themselves."`
}

// Run lists the certificates in the order in which they were recorded.
func (c *certificateListCommand) Run(app *app) error {
	device, err := optionalDevice(c.Device)
	if err != nil {
		return err
	}
	return app.withStore(func(store *sqlite.Store) error {
		if err := knownDevice(app, store, device); err != nil {
			return err
		}
		if c.PEM && !app.json {
			return store.Certificates(app.ctx, device, func(certificate capf.Certificate) error {
				return pem.Encode(app.stdout, &pem.Block{Type: "CERTIFICATE", Bytes: certificate.DER})
			})
		}
		return c.print(app, store, device)
	})
}

var errFound = errors.New("found")

// knownDevice sees that a device is in the store, or was: the certificates of a phone that was removed stay.
func knownDevice(app *app, store *sqlite.Store, device string) error {
	if device == "" {
		return nil
	}
	err := store.Certificates(app.ctx, device, func(capf.Certificate) error { return errFound })
	if errors.Is(err, errFound) {
		return nil
	}
	if err == nil {
		_, err = store.Phone(app.ctx, device)
	}
	return err
}

func (c *certificateListCommand) print(app *app, store *sqlite.Store, device string) error {
	columns := []string{"serial", "device", "kind", "state", "not-before", "not-after", "issuer"}
	if c.PEM {
		columns = append(columns, "pem")
	}
	list := app.list(columns...)
	err := store.Certificates(app.ctx, device, func(one capf.Certificate) error {
		values := []any{one.Serial, one.Device, one.Kind, one.State, capf.FormatTime(one.NotBefore), capf.FormatTime(one.NotAfter), one.Issuer}
		if c.PEM {
			values = append(values, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: one.DER})))
		}
		return list.add(values...)
	})
	if err != nil {
		return err
	}
	return list.close()
}

func optionalDevice(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	return capf.ParseDevice(text)
}
