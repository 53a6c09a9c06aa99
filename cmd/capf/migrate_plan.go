package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime/debug"

	"capf/internal/plain"
	"capf/legacy/source"
	"capf/migrate"
	"capf/runtime/capf"
	"capf/runtime/store/sqlite"
)

type migratePlanCommand struct {
	sourceFlags
	mergeFlags
	Decisions string `help:"Write the conflicts there for editing. Where the file is there already, plan with what it decides." type:"path" placeholder:"FILE"`
	Report    string `help:"Write the plan as one page of HTML to print and sign." type:"path" placeholder:"FILE.html"`
}

// planGarbage is how much garbage, in percent of what is in use, a plan lets lie: of 200,000 phones it remembers enough
// as it is.
const planGarbage = 25

// Run prints what a run would do. The store need not be there yet.
func (c *migratePlanCommand) Run(app *app) error {
	defer debug.SetGCPercent(debug.SetGCPercent(planGarbage))
	specs, err := c.specs()
	if err != nil {
		return err
	}
	if err := app.keepOut(specs, app.dataOutput(), output{"the file of decisions", c.Decisions}, output{"the report", c.Report}); err != nil {
		return err
	}
	decisions, fresh, err := c.decisions()
	if err != nil {
		return err
	}
	plan, err := c.plan(app, specs, decisions)
	if err != nil {
		return err
	}
	if err := c.write(app, plan, fresh); err != nil {
		return err
	}
	if app.json {
		return plan.WriteJSON(app.stdout)
	}
	return printPlan(app, c, plan)
}

// decisions reads those that are there; fresh tells that the file is still to be written.
func (c *migratePlanCommand) decisions() (_ *migrate.Decisions, fresh bool, err error) {
	if c.Decisions == "" {
		return nil, false, nil
	}
	if _, err := os.Stat(c.Decisions); errors.Is(err, fs.ErrNotExist) {
		return nil, true, nil
	}
	decisions, err := migrate.ReadDecisions(c.Decisions)
	return decisions, false, err
}

func (c *migratePlanCommand) plan(app *app, specs []source.Spec, decisions *migrate.Decisions) (plan *migrate.Plan, err error) {
	options := c.options(c.mergeFlags)
	options.Decisions = decisions
	bar := app.newPhases()
	defer bar.done()
	options.Progress = bar.set
	if _, err := os.Stat(app.storePath()); os.IsNotExist(err) {
		return migrate.NewPlan(app.ctx, specs, options, nil)
	}
	err = app.withStore(func(store *sqlite.Store) error {
		plan, err = migrate.NewPlan(app.ctx, specs, options, store)
		return err
	})
	return plan, err
}

// write writes the files that were asked for.
func (c *migratePlanCommand) write(app *app, plan *migrate.Plan, fresh bool) error {
	if fresh {
		if err := writeNew(c.Decisions, "the decisions", plan.WriteDecisions); err != nil {
			return err
		}
		app.say("%s has %s to decide", c.Decisions, plain.Counted(len(plan.Conflicts), "conflict"))
	}
	if c.Report == "" {
		return nil
	}
	err := writeNew(c.Report, "the report", func(w io.Writer) error { return plan.WritePage(w, actor()) })
	if err == nil {
		app.say("%s is there to print and sign", c.Report)
	}
	return err
}

// printPlan prints a plan for a person: first whether a run can go on, what is in the way and what to do next, then
// what would happen.
func printPlan(app *app, c *migratePlanCommand, plan *migrate.Plan) error {
	lines := bufio.NewWriter(app.stdout)
	buffered := *app
	buffered.stdout = lines
	out := &section{app: &buffered}
	printVerdict(out, app, c, plan)
	for _, one := range plan.Sources {
		dialect := one.Dialect
		if dialect == "" {
			dialect = "no phone records"
		}
		out.row("sources", "%s\t%s\t%s\t%s", one.Machine, one.Path, plain.Counted(one.Records, "record"), dialect)
	}
	for _, warning := range plan.Warnings {
		out.row("warnings", "%s", warning)
	}
	for _, one := range plan.Pending {
		out.row("operations that go on", "%s\t%d", one.AuthMode, one.Count)
	}
	printConflicts(out, plan.Conflicts)
	printCertificates(out, plan.Certificates)
	printRest(out, plan)
	printPhones(out, plan)
	if out.err == nil {
		out.err = lines.Flush()
	}
	if out.err == nil {
		app.say("%s", verdict(plan))
	}
	return out.err
}

func printPhones(out *section, plan *migrate.Plan) {
	for one := range plan.Phones {
		from := one.Why
		if one.From != nil {
			from = one.From.String() + "\t" + one.From.Says
		}
		out.row("phones", "%s\t%s\t%s", one.Device, one.Verdict, from)
	}
}

func printRest(out *section, plan *migrate.Plan) {
	for _, one := range plan.Settings {
		out.row("settings", "%s %s\t%s = %s\t%s\t%s %s", one.Machine, placeOf(one.File, one.Line), one.Key, one.Value, one.Parameter, one.Use, one.Why)
	}
	for _, one := range plan.Kept {
		out.row("kept aside", "%s %s\t%s\t%s", one.Machine, placeOf(one.File, one.Line), one.Reason, one.Text)
	}
	for _, one := range plan.Findings {
		out.row("findings", "%s %s\t%s\t%s", one.Machine, placeOf(one.File, one.Line), one.Severity, one.Reason)
	}
}

func printConflicts(out *section, conflicts []migrate.Conflict) {
	for _, one := range conflicts {
		decision := "open"
		if one.Chosen != nil {
			decision = "decided for " + one.Chosen.String()
		}
		out.row("conflicts", "%s\t%s\t%s", one.Device, one.Why, decision)
		for _, version := range one.Versions {
			out.row("conflicts", "\t%s\t%s", version, version.Says)
		}
	}
}

func printCertificates(out *section, certificates []migrate.PlannedCertificate) {
	for _, use := range []capf.LegacyUse{capf.LegacyAnchor, capf.LegacyLSC, capf.LegacyStored} {
		for _, one := range certificates {
			if one.Use == use {
				out.row(certificateTitles[use], "%s %s\t%s\tuntil %s\t%s", one.Machine, placeOf(one.File, one.Line), one.Subject, capf.FormatTime(one.NotAfter), one.Why)
			}
		}
	}
}

var certificateTitles = map[capf.LegacyUse]string{
	capf.LegacyAnchor: "trust anchors",
	capf.LegacyLSC:    "LSCs of phones",
	capf.LegacyStored: "certificates that are stored, not trusted",
}

// section prints rows under titles, and remembers the first failure.
type section struct {
	app   *app
	title string
	err   error
}

func (s *section) row(title, format string, values ...any) {
	if s.err != nil {
		return
	}
	if title != s.title {
		s.title = title
		_, s.err = fmt.Fprintf(s.app.stdout, "\n%s\n", title)
	}
	if s.err == nil {
		_, s.err = fmt.Fprintln(s.app.stdout, "\t"+safeLine(fmt.Sprintf(format, values...)))
	}
}
