package main

import (
	"errors"
	"fmt"
	"strings"

	"capf/internal/plain"
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
	decisions, err := readDecisions(c.Decisions)
	if err != nil {
		return err
	}
	store, err := app.newStore()
	if err != nil {
		return err
	}
	defer closeInto(&err, store)
	var report *migrate.Report
	answers := &answers{}
	defer lean()()
	err = app.migrating("migrate run", func() (err error) {
		options := c.options(c.mergeFlags)
		bar := app.newPhases()
		options.Decisions, options.Ask = decisions, answers.count(bar.aside(app.askAbout(isTerminal)))
		options.Progress = bar.set
		report, err = migrate.Run(app.ctx, specs, options, store, actor())
		bar.done()
		return err
	})
	if err != nil {
		answers.lost(app, c)
		return err
	}
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

type migrateVerifyCommand struct {
	RunID int64 `arg:"" optional:"" name:"run" help:"Number of the run; default: the newest."`
}

// Run compares, and has the store remember what was found. Where something is not as it should be the exit status is 1.
func (c *migrateVerifyCommand) Run(app *app) error {
	defer lean()()
	return app.withStore(func(store *sqlite.Store) error {
		bar := app.newPhases()
		found, err := migrate.VerifyTelling(app.ctx, c.RunID, store, bar.set)
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
	others, differences := 0, plain.Counted(len(found.Differences), "difference")
	for _, from := range found.Sources {
		if from.State != migrate.SourceUnchanged {
			others++
		}
	}
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
			row = append(row, verifiedColumns(run)...)
			row = append(row, stateOf(run), capf.FormatTime(run.RolledBackAt), run.RolledBackBy)
			list.add(row...)
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

// verifiedColumns say when and by whom a run was last verified, and how many differences there were; empty: never.
func verifiedColumns(run capf.MigrationRun) []any {
	if run.Verified == nil {
		return []any{"", "", ""}
	}
	return []any{capf.FormatTime(run.Verified.At), run.Verified.By, run.Verified.Differences}
}

// stateOf says whether a run stands.
func stateOf(run capf.MigrationRun) string {
	if run.RolledBackAt.IsZero() {
		return "applied"
	}
	return "rolled-back"
}
