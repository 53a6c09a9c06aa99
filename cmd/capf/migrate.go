package main

import (
	"fmt"
	"strings"
	"time"

	"capf/internal/plain"
	"capf/legacy/source"
	"capf/migrate"
	"capf/runtime/capf"
	"capf/runtime/store"
	"capf/runtime/store/sqlite"
)

type migrateCommands struct {
	Inspect migrateInspectCommand `cmd:"" help:"What is there and how each line reads; changes nothing."`
	Plan    migratePlanCommand    `cmd:"" help:"What a run would do; changes nothing."`
	Run     migrateRunCommand     `cmd:"" help:"Take the sources over, all at once or not at all."`
	Verify  migrateVerifyCommand  `cmd:"" help:"Read the sources of a run again and compare them with the store."`
	List    migrateListCommand    `cmd:"" help:"The runs that were applied."`
	Dialect migrateDialectCommand `cmd:"" help:"Print a dialect file to begin with, made from the data; no string is in it."`

	Rollback migrateRollbackCommand `cmd:"" help:"Go back before a run, the newest first; what was changed since stays."`
}

// sourceFlags are what all commands on sources take.
type sourceFlags struct {
	Sources []string `arg:"" name:"source" help:"FOLDER (or a zip, tar or tar.gz of it, a usecallmanager database, a CSV of phones), or NAME=FOLDER to name the machine that it was copied from."`
	Dialect string   `help:"Read CAPF.phone and CAPF.cfg by this dialect (TOML)." type:"path" placeholder:"FILE"`
}

// mergeFlags are what decides between machines.
type mergeFlags struct {
	Prefer string   `help:"Decide conflicts: latest, publisher, store or the name of a source." placeholder:"WHO"`
	Anchor []string `help:"Trust this certificate of the sources too, by its SHA-256." placeholder:"SHA256"`
	// AcceptMissing is the administrator's word that what is missing need not be found.
	AcceptMissing bool `help:"Go on though something is missing that a plan names; it is noted in the run."`
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
	return migrate.Options{Dialect: f.Dialect, Prefer: merge.Prefer, Anchors: merge.Anchor, AcceptMissing: merge.AcceptMissing}
}

type migrateRunCommand struct {
	sourceFlags
	mergeFlags
	Decisions string `help:"Decide conflicts one by one, by a file that migrate plan wrote and you have filled in." type:"path" placeholder:"FILE"`
}

// Run takes the sources over. It makes the store where there is none, never an identity of CAPF.
func (c *migrateRunCommand) Run(app *app) (err error) {
	specs, err := c.specs()
	if err != nil {
		return err
	}
	if err := app.keepOut(specs, app.dataOutput(), output{"the file of decisions", c.Decisions}); err != nil {
		return err
	}
	options := c.options(c.mergeFlags)
	if c.Decisions != "" {
		if options.Decisions, err = migrate.ReadDecisions(c.Decisions); err != nil {
			return err
		}
	}
	opened, err := app.newStore()
	if err != nil {
		return err
	}
	defer closeInto(&err, opened)
	var report *migrate.Report
	err = app.migrating("migrate run", func() (err error) {
		bar := app.newPhases()
		options.Progress = bar.set
		report, err = migrate.Run(app.ctx, specs, options, opened, actor())
		bar.done()
		return err
	})
	if migrate.IsUndecided(err) {
		c.sayHowToDecide(app)
	}
	if err != nil {
		return err
	}
	return printReport(app, report)
}

// sayHowToDecide gives the commands by which conflicts are decided one by one.
func (c *migrateRunCommand) sayHowToDecide(app *app) {
	plan, file := migratePlanCommand{sourceFlags: c.sourceFlags, mergeFlags: c.mergeFlags}, c.Decisions
	if file != "" {
		app.say("conflicts are open still: fill in what has no `choose` in %s, then `%s`", plain.Line(file), plan.commandLine(app, "run", file))
		return
	}
	file = "decisions.toml"
	app.say("to decide conflicts one by one: `%s` writes them into a file; fill in `choose`, then `%s`", plan.commandLine(app, "plan", file), plan.commandLine(app, "run", file))
}

func printReport(app *app, report *migrate.Report) error {
	for _, one := range report.Missing {
		app.say("%s", plain.Line(one.String()))
	}
	for _, warning := range report.Warnings {
		app.say("warning: %s", warning)
	}
	if kept := report.Counts.KeptAside; kept > 0 {
		app.say("%s kept aside: %d not understood, %s; see `capf migrate inspect`", plain.CountedAs(kept, "line was", "lines were"),
			kept-report.KeptSettings, plain.CountedAs(report.KeptSettings, "setting that is not taken", "settings that are not taken"))
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

// migrating does work that changes what was migrated, such as "migrate run", while nobody else does.
func (a *app) migrating(work string, do func() error) (err error) {
	lock, err := store.TakeRunLock(a.data, work, actor(), time.Now())
	if err != nil {
		return err
	}
	defer func() {
		if released := lock.Release(); err == nil {
			err = released
		}
	}()
	return do()
}

type migrateListCommand struct{}

// Run lists the runs, the oldest first.
func (c *migrateListCommand) Run(app *app) error {
	return app.withStore(func(store *sqlite.Store) error {
		runs, err := migrate.List(app.ctx, store)
		if err != nil {
			return err
		}
		columns := append([]string{"run", "applied-at", "by", "sources", "prefer"}, countNames...)
		list := app.list(append(columns, "decisions", "accepted-missing", "verified-at", "verified-by", "differences", "state", "rolled-back-at", "rolled-back-by")...)
		for _, run := range runs {
			row := append([]any{run.ID, capf.FormatTime(run.AppliedAt), run.By, sourcesOf(run, app.json), run.Prefer}, countsOf(run.Counts)...)
			row = append(row, len(run.Decisions), len(run.Missing))
			if run.Verified == nil {
				row = append(row, "", "", "")
			} else {
				row = append(row, capf.FormatTime(run.Verified.At), run.Verified.By, run.Verified.Differences)
			}
			state := "applied"
			if !run.RolledBackAt.IsZero() {
				state = "rolled-back"
			}
			list.add(append(row, state, capf.FormatTime(run.RolledBackAt), run.RolledBackBy)...)
		}
		return list.close()
	})
}

// sourcesOf gives the sources of a run: a list of their paths for scripts, the names of their machines for a person.
func sourcesOf(run capf.MigrationRun, json bool) any {
	names, paths := []string{}, []string{}
	for _, one := range run.Sources {
		names, paths = append(names, one.Machine), append(paths, one.Path)
	}
	if json {
		return paths
	}
	return strings.Join(names, " ")
}

type migrateRollbackCommand struct {
	RunID  int64 `arg:"" name:"run" help:"Number of the run, as in migrate list; the newest that stands."`
	DryRun bool  `help:"Say what would be restored and what would stay; change nothing."`
}

// Run goes back before a run. Where something had to stay the exit status is 3.
func (c *migrateRollbackCommand) Run(app *app) error {
	return app.withStore(func(store *sqlite.Store) error {
		done, err := c.rollBack(app, store)
		if err != nil {
			return err
		}
		if err := printRollback(app, done); err != nil {
			return err
		}
		if len(done.Kept) == 0 {
			return nil
		}
		verb := "is"
		if c.DryRun {
			verb = "would be"
		}
		return &capf.Error{Code: capf.CodePart, Message: fmt.Sprintf("run %d %s rolled back but for %s", done.Run, verb, plain.CountedAs(len(done.Kept), "thing, which stays", "things, which stay")),
			Hint: "see the list"}
	})
}

// rollBack keeps a run from being planned meanwhile with what goes; a dry run stands in nobody's way.
func (c *migrateRollbackCommand) rollBack(app *app, store *sqlite.Store) (done capf.Rollback, err error) {
	if c.DryRun {
		return migrate.Rollback(app.ctx, c.RunID, true, store, actor())
	}
	err = app.migrating("migrate rollback", func() (err error) {
		done, err = migrate.Rollback(app.ctx, c.RunID, false, store, actor())
		return err
	})
	return done, err
}

func printRollback(app *app, done capf.Rollback) error {
	if app.json {
		return app.printJSON(done)
	}
	c := done.Counts
	err := app.fields([]string{"run", "dry-run", "phones-removed", "phones-restored", "operations-removed", "operations-reopened",
		"certificates-removed", "anchors-removed", "parameters-removed", "kept"},
		[]any{done.Run, done.DryRun, c.PhonesRemoved, c.PhonesRestored, c.OperationsRemoved, c.OperationsReopened,
			c.Certificates, c.Anchors, c.Parameters, len(done.Kept)})
	if err != nil || len(done.Kept) == 0 {
		return err
	}
	list := app.list("kept", "name", "reason")
	for _, one := range done.Kept {
		list.add(one.Kind, one.Name, one.Reason)
	}
	return list.close()
}
