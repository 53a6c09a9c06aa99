package main

import (
	"io"

	"capf/legacy/source"
	"capf/migrate"
	"capf/runtime/capf"
)

type migrateDialectCommand struct {
	Source   string `arg:"" help:"As for inspect: FOLDER, or NAME=FOLDER."`
	File     string `help:"Path below the source of the file that the dialect is for; default: its CAPF.phone." placeholder:"PATH"`
	Encoding string `help:"Look at the file in this encoding, such as windows-1251; default: it is found." placeholder:"NAME"`
}

// Run prints a dialect file to begin with, made from the data and without any string in it.
func (c *migrateDialectCommand) Run(app *app) error {
	specs, err := source.ParseAll([]string{c.Source})
	if err != nil {
		return &capf.Error{Code: capf.CodeInvalid, Message: "source", Err: err}
	}
	if err := app.keepOut(specs); err != nil {
		return err
	}
	drafted, err := migrate.DraftDialect(app.ctx, specs[0], c.File, c.Encoding)
	if err != nil {
		return err
	}
	if app.json {
		return app.printJSON(map[string]string{"dialect": drafted})
	}
	_, err = io.WriteString(app.stdout, drafted)
	return err
}
