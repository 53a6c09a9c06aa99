package main

import (
	"fmt"

	"capf/internal/plain"
	"capf/migrate"
	"capf/runtime/capf"
	"capf/runtime/store/sqlite"
)

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
