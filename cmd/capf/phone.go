package main

import (
	"time"

	"capf/runtime/capf"
	"capf/runtime/store/sqlite"
)

type phoneCommands struct {
	Add    phoneAddCommand    `cmd:"" help:"Add a phone."`
	Set    phoneSetCommand    `cmd:"" help:"Change a phone; with --operation a new operation begins."`
	List   phoneListCommand   `cmd:"" help:"All phones, or those named."`
	Show   phoneShowCommand   `cmd:"" help:"Everything that is known of a phone, its authentication string included."`
	Remove phoneRemoveCommand `cmd:"" help:"Remove phones; their certificates and history stay."`
	Reset  phoneResetCommand  `cmd:"" help:"Reset phones, by [reset] of the configuration."`
	Config phoneConfigCommand `cmd:"" help:"Put into the configuration file of a phone what makes it call CAPF."`
}

// phoneSettings are the settings B1 to B5 of the guide.
type phoneSettings struct {
	Device       string              `arg:"" help:"SEP and 12 hex digits, a MAC address, or another device name."`
	Operation    *capf.Operation     `help:"none, install, delete or troubleshoot." placeholder:"O"`
	Auth         *capf.AuthMode      `help:"authentication-string, null-string, existing-certificate-lsc or existing-certificate-mic." placeholder:"M"`
	AuthString   *string             `help:"4 to 10 digits, or generate." placeholder:"DIGITS"`
	KeySize      *capf.KeySize       `help:"512, 1024, 2048, 3072, 4096, p256, p384 or p521." placeholder:"K"`
	CompletesBy  string              `help:"When the operation must be complete (RFC 3339)." placeholder:"T"`
	SecurityMode *capf.SecurityMode  `help:"non-secure, authenticated or encrypted." placeholder:"S"`
	LSCHash      *capf.SignatureHash `name:"lsc-hash" help:"Hash of the signature of its LSC: sha256, or sha1 for phones that know nothing else." placeholder:"H"`
	Description  *string             `help:"For people." placeholder:"TEXT"`
}

// change makes of the flags what the domain asks for.
func (s *phoneSettings) change() (capf.PhoneChange, error) {
	device, err := capf.ParseDevice(s.Device)
	if err != nil {
		return capf.PhoneChange{}, err
	}
	change := capf.PhoneChange{Device: device, Operation: s.Operation, AuthMode: s.Auth, KeySize: s.KeySize,
		SecurityMode: s.SecurityMode, LSCHash: s.LSCHash, Description: s.Description}
	if s.AuthString != nil {
		if err := change.SetAuthString(*s.AuthString); err != nil {
			return capf.PhoneChange{}, err
		}
	}
	if s.CompletesBy != "" {
		if err := change.SetCompletesBy(s.CompletesBy); err != nil {
			return capf.PhoneChange{}, err
		}
	}
	return change, nil
}

func (s *phoneSettings) apply(app *app, mode capf.ApplyMode) error {
	change, err := s.change()
	if err != nil {
		return err
	}
	return app.withStore(func(store *sqlite.Store) error {
		changed, err := store.ApplyChanges(app.ctx, mode, []capf.PhoneChange{change}, capf.ChangeContext{Actor: actor()})
		if err != nil {
			return err
		}
		for _, warning := range warningsOf(changed) {
			app.say("warning: %s", warning)
		}
		return printPhone(app, store, change.Device)
	})
}

type phoneAddCommand struct{ phoneSettings }

// Run adds the phone.
func (c *phoneAddCommand) Run(app *app) error { return c.apply(app, capf.ApplyAdd) }

type phoneSetCommand struct{ phoneSettings }

// Run changes the phone.
func (c *phoneSetCommand) Run(app *app) error { return c.apply(app, capf.ApplySet) }

type phoneListCommand struct {
	Devices []string `arg:"" optional:"" name:"device" help:"Devices, or GLOBs like SEP0011*."`
}

// Run lists phones without their strings.
func (c *phoneListCommand) Run(app *app) error {
	return app.withStore(func(store *sqlite.Store) error {
		at, err := store.Moment()
		if err != nil {
			return err
		}
		list := app.list("device", "operation", "status", "auth-mode", "key-size", "completes-by", "security-mode", "lsc-status", "last-session", "lsc-hash", "description")
		err = eachPhone(app, store, c.Devices, func(phone capf.Phone) {
			list.add(phone.Device, phone.PendingOperation(at.Now), phone.Last.Status(at.Now, at.Living), phone.AuthMode, phone.KeySize,
				capf.FormatTime(phone.Deadline(at.Now)), phone.SecurityMode, phone.LSCStatus(at.Now), capf.FormatTime(phone.LastSession), phone.LSCHash, phone.Description)
		})
		if err != nil {
			return err
		}
		return list.close()
	})
}

// eachPhone shows every phone that one of the names means, once. A name without a pattern must be there.
func eachPhone(app *app, store *sqlite.Store, names []string, show func(capf.Phone)) error {
	shown := make(map[string]bool)
	for _, filter := range deviceFilters(names) {
		found := false
		err := store.Phones(app.ctx, filter, func(phone capf.Phone) error {
			found = true
			if len(names) < 2 || !shown[phone.Device] {
				show(phone)
			}
			if len(names) > 1 {
				shown[phone.Device] = true
			}
			return nil
		})
		if err != nil {
			return err
		}
		if _, whole := filter.DevicePrefix(); whole && !found {
			return &capf.Error{Code: capf.CodeNotFound, Message: filter.Device + " is not in the store", Hint: "see `capf phone list`"}
		}
	}
	return nil
}

// deviceFilters gives a filter for each name, one for all phones where there is none.
func deviceFilters(names []string) []capf.PhoneFilter {
	if len(names) == 0 {
		return []capf.PhoneFilter{{}}
	}
	filters := make([]capf.PhoneFilter, len(names))
	for i, name := range names {
		if device, err := capf.ParseDevice(name); err == nil {
			name = device
		}
		filters[i].Device = name
	}
	return filters
}

type phoneShowCommand struct {
	Devices []string `arg:"" name:"device" help:"Devices."`
}

// Run tells the story of one phone, as one object with --json; of several it shows what the report knows, a
// row each.
func (c *phoneShowCommand) Run(app *app) error {
	devices, err := parseDevices(c.Devices)
	if err != nil {
		return err
	}
	return app.withStore(func(store *sqlite.Store) error {
		if len(devices) == 1 {
			return printStory(app, store, devices[0])
		}
		at, err := store.Moment()
		if err != nil {
			return err
		}
		list := app.list(capf.ReportColumns...)
		for _, device := range devices {
			phone, err := store.Phone(app.ctx, device)
			if err != nil {
				return err
			}
			list.add(anyOf(phone.ReportRow(at))...)
		}
		return list.close()
	})
}

// printPhone prints all that the report knows of one phone, a line each.
func printPhone(app *app, store *sqlite.Store, device string) error {
	phone, err := store.Phone(app.ctx, device)
	if err != nil {
		return err
	}
	at, err := store.Moment()
	if err != nil {
		return err
	}
	return app.fields(capf.ReportColumns, anyOf(phone.ReportRow(at)))
}

type phoneRemoveCommand struct {
	Devices []string `arg:"" name:"device" help:"Devices."`
}

// Run removes all of them or none.
func (c *phoneRemoveCommand) Run(app *app) error {
	devices, err := parseDevices(c.Devices)
	if err != nil {
		return err
	}
	return app.withStore(func(store *sqlite.Store) error { return store.RemovePhones(app.ctx, devices, actor()) })
}

func parseDevices(names []string) ([]string, error) {
	devices := make([]string, len(names))
	for i, name := range names {
		device, err := capf.ParseDevice(name)
		if err != nil {
			return nil, err
		}
		devices[i] = device
	}
	return devices, nil
}

func anyOf(texts []string) []any {
	values := make([]any, len(texts))
	for i, text := range texts {
		values[i] = text
	}
	return values
}

// parseOptionalTime gives the zero time for nothing.
func parseOptionalTime(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	return capf.ParseTime(text)
}
