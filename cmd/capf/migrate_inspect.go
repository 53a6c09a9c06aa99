package main

import (
	"fmt"
	"strings"

	"capf/migrate"
	"capf/runtime/capf"
)

type migrateInspectCommand struct{ sourceFlags }

// Run shows what is there. What cannot be read is named beside what can, and makes the exit status 1.
func (c *migrateInspectCommand) Run(app *app) error {
	specs, err := c.specs()
	if err != nil {
		return err
	}
	found, err := migrate.Inspect(app.ctx, specs, c.options(mergeFlags{}))
	if err != nil {
		return err
	}
	if err := printInspection(app, found); err != nil || len(found.Problems) == 0 {
		return err
	}
	for _, problem := range found.Problems {
		app.say("capf: %s", problem)
	}
	return &capf.Error{Code: capf.CodeRefused, Message: fmt.Sprintf("%d problems keep the sources from being read", len(found.Problems)),
		Hint: "mend them, or describe the files with --dialect"}
}

func printInspection(app *app, found *migrate.Inspection) error {
	if app.json {
		return app.printJSON(found)
	}
	out := &section{app: app}
	for _, one := range found.Machines {
		printMachine(out, one)
	}
	return out.err
}

func printMachine(out *section, m migrate.InspectedMachine) {
	name := m.Machine + " (" + m.Path + "): "
	for _, file := range m.Files {
		reading := ""
		if file.Dialect != "" {
			reading = fmt.Sprintf("\t%s, %s; %s: %d read, %d kept aside", file.Dialect, file.Why, file.Encoding, file.Records, file.Kept)
		}
		out.row(name+"files", "%s\t%s\t%d bytes%s", file.File, file.Kind, file.Size, reading)
	}
	for _, file := range m.Files {
		for _, record := range file.First {
			fields := make([]string, len(record.Fields))
			for i, field := range record.Fields {
				fields[i] = field.Name + " = " + field.Value
			}
			out.row(name+"first records of "+file.File, "line %d\t%s", record.Line, strings.Join(fields, ", "))
		}
	}
	for _, one := range m.Settings {
		out.row(name+"settings", "%s:%d\t%s = %s\t%s", one.File, one.Line, one.Key, one.Value, one.Parameter)
	}
	for _, one := range m.Certificates {
		out.row(name+"certificates", "%s:%d\t%s\tissued by %s\t%s to %s\t%s, own signature %s", one.File, one.Line, one.Subject, one.Issuer,
			capf.FormatTime(one.NotBefore), capf.FormatTime(one.NotAfter), one.Signed, one.SelfSignature)
	}
	for _, one := range m.Kept {
		out.row(name+"kept aside", "%s:%d\t%s\t%s", one.File, one.Line, one.Reason, one.Text)
	}
	for _, one := range m.Findings {
		out.row(name+"findings", "%s:%d\t%s\t%s", one.File, one.Line, one.Severity, one.Reason)
	}
}
