package main

import (
	"errors"
	"fmt"
	"strings"

	"capf/internal/plain"
	"capf/migrate"
	"capf/runtime/capf"
	"capf/runtime/store/sqlite"
)

type migrateVerifyCommand struct {
	RunID int64 `arg:"" optional:"" name:"run" help:"Number of the run; default: the newest."`
}

// Run compares, and has the store remember what was found. Where something is not as it should be the exit status is 1.
func (c *migrateVerifyCommand) Run(app *app) error {
	return app.withStore(func(store *sqlite.Store) error {
		bar := app.newPhases()
		found, err := migrate.Verify(app.ctx, c.RunID, store, bar.set)
		bar.done()
		if err != nil {
			return err
		}
		if err := errors.Join(printVerification(app, found), found.Record(app.ctx, store, actor())); err != nil {
			return err
		}
		if found.OK() {
			return nil
		}
		return notTheSame(found)
	})
}

// notTheSame says why a verification confirms nothing: what differs, and what could not be compared.
func notTheSame(found *migrate.Verification) error {
	out := &capf.Error{Code: capf.CodeRefused, Hint: "see the list"}
	others, differences := found.OtherSources(), plain.Counted(len(found.Differences), "difference")
	if out.Message = fmt.Sprintf("run %d: sources and store are not the same (%s)", found.Run, differences); others > 0 {
		out.Message = fmt.Sprintf("run %d: %d of %s %s not as the run read them (%s)", found.Run, others, plain.Counted(len(found.Sources), "source"), isOrAre(others), differences)
		out.Hint = "put the copies back as they were and verify again"
	}
	return out
}

func printVerification(app *app, found *migrate.Verification) error {
	if app.json {
		return app.printJSON(found)
	}
	for _, one := range found.Sources {
		app.say("%s", strings.TrimSpace(fmt.Sprintf("%s (%s): %s %s", one.Machine, one.Path, one.State, one.Problem)))
	}
	for _, one := range found.Since {
		app.say("since the run: %s %s %s", one.Machine, placeOf(one.File, one.Line), strings.TrimSpace(one.Device+" "+one.What))
	}
	superseded := 0
	for _, one := range found.Superseded {
		superseded += one.Records
		app.say("%s", one)
	}
	list := app.list("machine", "file", "line", "device", "difference")
	for _, one := range found.Differences {
		list.add(one.Machine, one.File, one.Line, one.Device, one.What)
	}
	if len(found.Differences) > 0 {
		app.say("run %d was compared: %s, %s, %s, %s kept aside", found.Run, plain.Counted(found.Records, "record"), plain.Counted(found.Phones, "phone"),
			plain.Counted(found.Certificates, "certificate"), plain.Counted(found.KeptAside, "line"))
		return list.close()
	}
	return app.fields([]string{"run", "records", "phones", "superseded", "certificates", "kept-aside", "parameters", "differences",
		"changed-since"}, []any{found.Run, found.Records, found.Phones, superseded, found.Certificates, found.KeptAside, found.Parameters,
		len(found.Differences), len(found.Since)})
}
