package main

import (
	"fmt"
	"os"

	"capf/legacy/source"
	"capf/migrate"
	"capf/runtime/capf"
	"capf/runtime/store/sqlite"
)

type migrateCommands struct {
	Inspect migrateInspectCommand `cmd:"" help:"What is there and how each line reads; changes nothing."`
	Plan    migratePlanCommand    `cmd:"" help:"What a run would do; changes nothing."`
	Run     migrateRunCommand     `cmd:"" help:"Take the sources over, all at once or not at all."`
	Verify  migrateVerifyCommand  `cmd:"" help:"Read the sources of a run again and compare them with the store."`
	List    migrateListCommand    `cmd:"" help:"The runs that were applied."`
}

// sourceFlags are what all commands on sources take.
type sourceFlags struct {
	Sources []string `arg:"" name:"source" help:"FOLDER, or NAME=FOLDER to name the machine that it was copied from."`
	Dialect string   `help:"Read CAPF.phone and CAPF.cfg by this dialect (TOML)." type:"path" placeholder:"FILE"`
}

// mergeFlags are what decides between machines.
type mergeFlags struct {
	Prefer string   `help:"Decide conflicts: latest, publisher, store or the name of a source." placeholder:"WHO"`
	Anchor []string `help:"Trust this certificate of the sources too, by its SHA-256." placeholder:"SHA256"`
}

// specs reads the sources' names.
func (f *sourceFlags) specs() ([]source.Spec, error) {
	specs, err := source.ParseAll(f.Sources)
	if err != nil {
		return nil, &capf.Error{Code: capf.CodeInvalid, Message: "sources", Err: err}
	}
	return specs, nil
}

func (f *sourceFlags) options(merge mergeFlags) migrate.Options {
	return migrate.Options{Dialect: f.Dialect, Prefer: merge.Prefer, Anchors: merge.Anchor}
}

type migratePlanCommand struct {
	sourceFlags
	mergeFlags
}

// Run prints what a run would do. The store need not be there yet.
func (c *migratePlanCommand) Run(app *app) error {
	specs, err := c.specs()
	if err != nil {
		return err
	}
	plan, err := c.plan(app, specs)
	if err != nil {
		return err
	}
	if app.json {
		return app.printJSON(plan)
	}
	return printPlan(app, plan)
}

func (c *migratePlanCommand) plan(app *app, specs []source.Spec) (plan *migrate.Plan, err error) {
	if _, err := os.Stat(app.storePath()); os.IsNotExist(err) {
		return migrate.NewPlan(app.ctx, specs, c.options(c.mergeFlags), nil)
	}
	err = app.withStore(func(store *sqlite.Store) error {
		plan, err = migrate.NewPlan(app.ctx, specs, c.options(c.mergeFlags), store)
		return err
	})
	return plan, err
}

type migrateRunCommand struct {
	sourceFlags
	mergeFlags
}

// Run takes the sources over. It makes the store where there is none, never an identity of CAPF.
func (c *migrateRunCommand) Run(app *app) (err error) {
	specs, err := c.specs()
	if err != nil {
		return err
	}
	store, err := app.newStore()
	if err != nil {
		return err
	}
	defer closeInto(&err, store)
	options := c.options(c.mergeFlags)
	bar := app.newProgress("records")
	options.Progress = bar.set
	report, err := migrate.Run(app.ctx, specs, options, store, actor())
	bar.done()
	if err != nil {
		return err
	}
	for _, warning := range report.Warnings {
		app.say("warning: %s", warning)
	}
	if report.Counts.KeptAside > 0 {
		app.say("%d lines were not understood and are kept aside; see `capf migrate inspect`", report.Counts.KeptAside)
	}
	if report.Already {
		app.say("run %d of %s did this already; nothing was changed", report.Run, capf.FormatTime(report.AppliedAt))
	}
	if app.json {
		return app.printJSON(report)
	}
	return app.fields(append([]string{"run"}, countNames...), append([]any{report.Run}, countsOf(report.Counts)...))
}

var countNames = []string{"records", "new", "updated", "unchanged", "history", "kept-aside", "conflicts", "anchors", "stored", "lscs", "pending"}

func countsOf(c capf.MigrationCounts) []any {
	return []any{c.Records, c.New, c.Updated, c.Unchanged, c.History, c.KeptAside, c.Conflicts, c.Anchors, c.Stored, c.LSCs, c.Pending}
}

type migrateVerifyCommand struct {
	RunID int64 `arg:"" optional:"" name:"run" help:"Number of the run; default: the newest."`
}

// Run compares; where something is not as it should be the exit status is 1.
func (c *migrateVerifyCommand) Run(app *app) error {
	return app.withStore(func(store *sqlite.Store) error {
		found, err := migrate.Verify(app.ctx, c.RunID, store)
		if err != nil {
			return err
		}
		if err := printVerification(app, found); err != nil {
			return err
		}
		if found.OK() {
			return nil
		}
		return &capf.Error{Code: capf.CodeRefused, Message: fmt.Sprintf("run %d: sources and store are not the same (%d differences)", found.Run, len(found.Differences)),
			Hint: "see the list"}
	})
}

func printVerification(app *app, found *migrate.Verification) error {
	if app.json {
		return app.printJSON(found)
	}
	for _, one := range found.Sources {
		app.say("%s (%s): %s %s", one.Machine, one.Path, one.State, one.Problem)
	}
	for _, one := range found.Since {
		app.say("since the run: %s %s:%d %s %s", one.Machine, one.File, one.Line, one.Device, one.What)
	}
	list := app.list("machine", "file", "line", "device", "difference")
	for _, one := range found.Differences {
		if err := list.add(one.Machine, one.File, one.Line, one.Device, one.What); err != nil {
			return err
		}
	}
	if len(found.Differences) > 0 {
		return list.close()
	}
	return app.fields([]string{"run", "records", "phones", "certificates", "kept-aside", "differences", "changed-since"},
		[]any{found.Run, found.Records, found.Phones, found.Certificates, found.KeptAside, len(found.Differences), len(found.Since)})
}

type migrateListCommand struct{}

// Run lists the runs, the oldest first.
func (c *migrateListCommand) Run(app *app) error {
	return app.withStore(func(store *sqlite.Store) error {
		runs, err := migrate.List(app.ctx, store)
		if err != nil {
			return err
		}
		list := app.list(append([]string{"run", "applied-at", "by", "sources", "prefer"}, countNames...)...)
		for _, run := range runs {
			machines := ""
			for i, one := range run.Sources {
				if i > 0 {
					machines += " "
				}
				machines += one.Machine
			}
			row := append([]any{run.ID, capf.FormatTime(run.AppliedAt), run.By, machines, run.Prefer}, countsOf(run.Counts)...)
			if err := list.add(row...); err != nil {
				return err
			}
		}
		return list.close()
	})
}
