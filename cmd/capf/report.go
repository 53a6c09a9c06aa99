package main

import (
	"io"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"capf/runtime/capf"
	"capf/runtime/store/sqlite"
)

type reportCommand struct {
	CSV           *string         `name:"csv" help:"Write CSV to a file, or to standard output with -. It holds authentication strings: keep it in a safe place." placeholder:"FILE"`
	Device        string          `help:"Devices that match, as SEP0011*." placeholder:"GLOB"`
	Operation     *capf.Operation `help:"Phones with this operation pending." placeholder:"O"`
	Status        *capf.Status    `help:"Phones in this status." placeholder:"S"`
	AuthMode      *capf.AuthMode  `help:"Phones with this authentication mode." placeholder:"M"`
	LSCStatus     *capf.LSCStatus `name:"lsc-status" help:"none, installed, expired or unknown." placeholder:"L"`
	ExpiresBefore string          `help:"Phones whose LSC ends before this time." placeholder:"T"`
}

// Run prints the report, or writes it as CSV.
func (c *reportCommand) Run(app *app) error {
	before, err := parseOptionalTime(c.ExpiresBefore)
	if err != nil {
		return err
	}
	filter := capf.PhoneFilter{Device: c.Device, Operation: c.Operation, Status: c.Status, AuthMode: c.AuthMode,
		LSCStatus: c.LSCStatus, ExpiresBefore: before}
	return app.withStore(func(store *sqlite.Store) error {
		switch {
		case c.CSV == nil:
			return c.print(app, store, filter)
		case *c.CSV == "-":
			return writeReport(app, store, filter, app.stdout)
		case *c.CSV == "":
			return &capf.Error{Code: capf.CodeInvalid, Message: "--csv has no name", Hint: "name a file, or - for standard output"}
		}
		return c.writeFile(app, store, filter)
	})
}

func (c *reportCommand) print(app *app, store *sqlite.Store, filter capf.PhoneFilter) error {
	at, err := store.Moment()
	if err != nil {
		return err
	}
	list := app.list(capf.ReportColumns...)
	err = store.Phones(app.ctx, filter, func(phone capf.Phone) error {
		list.add(anyOf(phone.ReportRow(at))...)
		return nil
	})
	if err != nil {
		return err
	}
	return list.close()
}

// writeFile writes a file that is whole or not there, for its owner only. What is no regular file (a pipe, a
// device) is written to as it is.
func (c *reportCommand) writeFile(app *app, store *sqlite.Store, filter capf.PhoneFilter) (err error) {
	path := filepath.Clean(*c.CSV)
	if err := app.keepOutOf(store, output{"the report", path}); err != nil {
		return err
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return c.writeInto(app, store, filter, path)
	}
	// Beside its place, so that no other folder ever holds the strings.
	file, err := renameio.NewPendingFile(path, renameio.WithTempDir(filepath.Dir(path)), renameio.WithPermissions(0o600), renameio.IgnoreUmask())
	if err != nil {
		return &capf.Error{Code: capf.CodeUnavailable, Message: "write the report", Err: err, Hint: "check the folder"}
	}
	defer file.Cleanup()
	if err := writeReport(app, store, filter, file); err != nil {
		return err
	}
	if err := file.CloseAtomicallyReplace(); err != nil {
		return &capf.Error{Code: capf.CodeUnavailable, Message: "write the report", Err: err, Hint: "check the folder"}
	}
	app.say("%s holds authentication strings: keep it in a safe place", *c.CSV)
	return nil
}

func (c *reportCommand) writeInto(app *app, store *sqlite.Store, filter capf.PhoneFilter, path string) (err error) {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return &capf.Error{Code: capf.CodeUnavailable, Message: "write the report", Err: err, Hint: "name a file or -"}
	}
	defer closeInto(&err, file)
	return writeReport(app, store, filter, file)
}

func writeReport(app *app, store *sqlite.Store, filter capf.PhoneFilter, w io.Writer) error {
	at, err := store.Moment()
	if err != nil {
		return err
	}
	report, err := capf.NewReportWriter(w)
	if err != nil {
		return err
	}
	if err := store.Phones(app.ctx, filter, func(phone capf.Phone) error { return report.Write(&phone, at) }); err != nil {
		return err
	}
	return report.Close()
}
