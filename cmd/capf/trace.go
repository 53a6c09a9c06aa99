package main

import (
	"capf/runtime/capf"
	"capf/runtime/store/sqlite"
)

type traceCommands struct {
	Set  traceSetCommand  `cmd:"" help:"Trace the sessions of a device or of all, or change the level of the service's log, while the service runs."`
	List traceListCommand `cmd:"" help:"What is traced."`
}

type traceSetCommand struct {
	Subject string          `arg:"" help:"A device; all: every session, in one file; service: the level of the service's log."`
	Level   capf.TraceLevel `required:"" help:"debug: every message; info: what became of each session; off. For service also warn and error; off is the level of the configuration." placeholder:"LEVEL"`
}

// Run sets the level. A running service sees it within about a second.
func (c *traceSetCommand) Run(app *app) error {
	subject, err := capf.ParseTraceSubject(c.Subject)
	if err != nil {
		return err
	}
	return app.withStore(func(store *sqlite.Store) error {
		return store.SetTrace(app.ctx, subject, c.Level, actor())
	})
}

type traceListCommand struct{}

// Run lists the subjects.
func (c *traceListCommand) Run(app *app) error {
	return app.withStore(func(store *sqlite.Store) error {
		settings, err := store.Traces(app.ctx)
		if err != nil {
			return err
		}
		list := app.list("subject", "level", "changed", "changed-by")
		for _, one := range settings {
			list.add(one.Subject, one.Level, capf.FormatTime(one.ChangedAt), one.ChangedBy)
		}
		return list.close()
	})
}
