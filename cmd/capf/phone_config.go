package main

import (
	"errors"
	"io"
	"strings"
	"time"

	"capf/runtime/capf"
	"capf/runtime/phoneconfig"
	"capf/runtime/store/sqlite"
)

type phoneConfigCommand struct {
	Device  string `arg:"" help:"SEP and 12 hex digits, a MAC address, or another device name."`
	File    string `arg:"" optional:"" help:"Its configuration file, as SEP….cnf.xml; one that is not there is made. With - one is read from standard input and printed, without it a new one is printed." type:"path"`
	DryRun  bool   `help:"Say what would be changed, and write nothing."`
	Address bool   `help:"Name the publisher by its address, for phones without DNS; default: by the name by which phones reach it."`
}

// Validate refuses a dry run of what writes no file.
func (c *phoneConfigCommand) Validate() error {
	if c.DryRun && (c.File == "" || c.File == "-") {
		return errors.New("--dry-run needs a file; without one, or with -, nothing is written anyway")
	}
	return nil
}

// Run writes the file, or merges into it, and keeps the one before as FILE.old.
func (c *phoneConfigCommand) Run(app *app) error {
	device, err := capf.ParseDevice(c.Device)
	if err != nil {
		return err
	}
	phone, settings, err := c.settings(app, device)
	if err != nil {
		return err
	}
	if !phone.Last.IsPending(time.Now()) {
		app.say("no operation is pending for %s: set one, or the phone calls and has nothing to do", device)
	}
	if c.File == "" || c.File == "-" {
		return c.print(app, device, settings)
	}
	outcome, changed, err := phoneconfig.Update(c.File, device, settings, c.DryRun)
	if err != nil {
		return refuseConfig(c.File, err)
	}
	switch outcome {
	case phoneconfig.New:
		app.say("%s has only what CAPF needs: a phone that loads it knows no CallManager", c.File)
	case phoneconfig.Changed:
		app.say("the phone loads it when it is reset: `capf phone reset %s`, if its TFTP server has this file", device)
	}
	return app.fields([]string{"device", "file", "outcome", "changed", "auth-mode", "security-mode", "server", "port"},
		[]any{device, c.File, outcome, strings.Join(changed, " "), phone.AuthMode, phone.SecurityMode, settings.Server, settings.Port})
}

// refuseConfig says what to do about a file that is not edited.
func refuseConfig(file string, err error) error {
	refused := &capf.Error{Code: capf.CodeRefused, Message: "configuration file " + file, Err: err}
	if errors.Is(err, phoneconfig.ErrSigned) {
		refused.Hint = "change the plain .cnf.xml from which it is made, or the phone's CAPF settings where that is done, and have it signed or encrypted anew"
	}
	return refused
}

// settings gathers what the file is to say: of the phone, the publisher, and the port for phones.
func (c *phoneConfigCommand) settings(app *app, device string) (phone capf.Phone, settings phoneconfig.Settings, err error) {
	err = app.withStore(func(store *sqlite.Store) error {
		if phone, err = store.Phone(app.ctx, device); err != nil {
			return err
		}
		parameters, err := store.Parameters(app.ctx)
		if err != nil {
			return err
		}
		server, err := c.server(app, store)
		settings = phoneconfig.Settings{AuthMode: phone.AuthMode, SecurityMode: phone.SecurityMode, Server: server, Port: parameters.PhonePort()}
		return err
	})
	return phone, settings, err
}

func (c *phoneConfigCommand) server(app *app, store *sqlite.Store) (string, error) {
	nodes, err := store.Nodes(app.ctx)
	if err != nil {
		return "", err
	}
	for _, node := range nodes {
		if node.Publisher && c.Address {
			return node.Address.String(), nil
		}
		if node.Publisher {
			return node.HostName(), nil
		}
	}
	return "", &capf.Error{Code: capf.CodeRefused, Message: "no node is the publisher, on which CAPF runs", Hint: "add it with `capf node add NAME --publisher`"}
}

// print prints the document that is made, or what becomes of the one on standard input.
func (c *phoneConfigCommand) print(app *app, device string, settings phoneconfig.Settings) error {
	if app.json {
		return &capf.Error{Code: capf.CodeInvalid, Message: "a configuration of a phone is XML", Hint: "leave --json out, or name a file"}
	}
	document, err := c.document(app, settings)
	if err != nil {
		return refuseConfig("of "+device, err)
	}
	_, err = app.stdout.Write(document)
	return err
}

func (c *phoneConfigCommand) document(app *app, settings phoneconfig.Settings) ([]byte, error) {
	if c.File == "" {
		return phoneconfig.Minimal(settings)
	}
	before, err := io.ReadAll(io.LimitReader(app.stdin, phoneconfig.MaxFile+1))
	if err != nil {
		return nil, err
	}
	merged, _, err := phoneconfig.Merge(before, settings)
	return merged, err
}
