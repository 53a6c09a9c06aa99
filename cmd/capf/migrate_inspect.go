package main

import (
	"fmt"
	"io"
	"strings"

	"capf/internal/plain"
	"capf/legacy"
	"capf/legacy/source"
	"capf/migrate"
	"capf/runtime/capf"
)

type migrateInspectCommand struct {
	sourceFlags
	Reveal bool `help:"Show strings and passwords too; on a terminal only."`
}

// Run shows what is there. What cannot be read is named beside what can, and makes the exit status 1.
func (c *migrateInspectCommand) Run(app *app) error {
	specs, err := c.specs()
	if err != nil {
		return err
	}
	if c.Reveal && !isTerminal(app.stdout) {
		return &capf.Error{Code: capf.CodeInvalid, Message: "--reveal shows authentication strings, so it is for a terminal only",
			Hint: "leave it out to have them masked"}
	}
	if err := app.keepOut(specs); err != nil {
		return err
	}
	found, err := migrate.Inspect(app.ctx, specs, c.options(mergeFlags{}), migrate.View(c.Reveal))
	if err != nil {
		return err
	}
	if err := printInspection(app, found); err != nil || len(found.Problems) == 0 {
		return err
	}
	for _, problem := range found.Problems {
		app.say("capf: %s", problem)
	}
	return &capf.Error{Code: capf.CodeRefused, Message: plain.CountedAs(len(found.Problems), "problem keeps", "problems keep") + " the sources from being read",
		Hint: "each says what to do about it"}
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
		out.row(name+"files", "%s\t%s\t%s%s", file.File, file.Kind, plain.Counted(int(file.Size), "byte"), reading)
	}
	for _, file := range m.Files {
		for _, record := range file.First {
			out.row(name+"first records of "+file.File+" (field [bytes of its line])", "line %d\t%s", record.Line, fieldList(record.Fields, record.Line))
		}
	}
	for _, one := range m.Settings {
		place := ""
		if one.From > 0 {
			place = fmt.Sprintf(" [%d-%d]", one.From, one.To)
		}
		out.row(name+"settings", "%s%s\t%s = %s\t%s", placeOf(one.File, one.Line), place, one.Key, one.Value, one.Parameter)
	}
	for _, one := range m.Certificates {
		out.row(name+"certificates", "%s\t%s\tissued by %s\t%s to %s\t%s, own signature %s", placeOf(one.File, one.Line), one.Subject, one.Issuer,
			capf.FormatTime(one.NotBefore), capf.FormatTime(one.NotAfter), one.Signed, one.SelfSignature)
	}
	for _, one := range m.Kept {
		out.row(name+"kept aside", "%s\t%s\t%s", placeOf(one.File, one.Line), one.Reason, one.Text)
		if one.Fields != nil {
			out.row(name+"kept aside", "\t%s", fieldList(one.Fields, one.Line))
		}
	}
	for _, one := range m.Findings {
		out.row(name+"findings", "%s\t%s\t%s", placeOf(one.File, one.Line), one.Severity, one.Reason)
	}
}

// placeOf is a line of a file; the file alone where there is no line.
func placeOf(file string, line int) string { return legacy.Position{File: file, Line: line}.String() }

// fieldList shows fields with the bytes that they came from, and the line where it is not that of the record.
func fieldList(fields []migrate.Field, line int) string {
	texts := make([]string, len(fields))
	for i, field := range fields {
		name := field.Name
		if field.Column != "" && legacy.Normalise(field.Column) != legacy.Normalise(name) {
			name += fmt.Sprintf(" (%s)", field.Column)
		}
		switch {
		case field.To == 0:
		case field.Line != line:
			name += fmt.Sprintf(" [line %d: %d-%d]", field.Line, field.From, field.To)
		default:
			name += fmt.Sprintf(" [%d-%d]", field.From, field.To)
		}
		texts[i] = name + " = " + field.Value
	}
	return strings.Join(texts, ", ")
}

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
