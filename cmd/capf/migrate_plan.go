package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"capf/internal/plain"
	"capf/legacy/source"
	"capf/migrate"
	"capf/runtime/capf"
	"capf/runtime/store/sqlite"
)

// A plan is printed for a person from the general to the particular: first whether a run can go on, what is in the way and
// what to type next, then what would happen, at the end phone by phone.

type migratePlanCommand struct {
	sourceFlags
	mergeFlags
	Decisions string `help:"Write the conflicts there for editing. Where the file is there already, plan with what it decides." type:"path" placeholder:"FILE"`
	Report    string `help:"Write the plan as one page of HTML to print and sign." type:"path" placeholder:"FILE.html"`
}

// Run prints what a run would do. The store need not be there yet.
func (c *migratePlanCommand) Run(app *app) error {
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

// mostInTheWay is how many obstacles of a kind the first screen names; all of them follow below it.
const mostInTheWay = 5

// verdict says in one line whether a run can go on.
func verdict(plan *migrate.Plan) string {
	switch {
	case plan.Applied != 0:
		return fmt.Sprintf("run %d did this already: a run would change nothing", plan.Applied)
	case plan.Ready:
		return "a run can go on"
	}
	return "a run would be refused: " + strings.Join(plan.Obstacles(), ", ")
}

// printVerdict is the first screen: can it run, what is in the way, what to type next, and how many of what.
func printVerdict(out *section, app *app, c *migratePlanCommand, plan *migrate.Plan) {
	out.row("can it run", "%s", verdict(plan))
	for i, one := range plan.Missing {
		if i == mostInTheWay {
			out.row("missing", "and %d more: see --json or --report", len(plan.Missing)-i)
			break
		}
		state := "to be looked at"
		if one.Stops && plan.AcceptMissing {
			state = "accepted"
		} else if one.Stops {
			state = "stops the run"
		}
		out.row("missing", "%s\t%s; %s", state, one.Why, one.Do)
	}
	printOpen(out, plan)
	for _, line := range next(app, c, plan) {
		out.row("next", "%s", line)
	}
	values := countsOf(plan.Counts)
	for i, name := range countNames {
		out.row("in all", "%s\t%v", name, values[i])
	}
}

// printOpen names the first conflicts that are open.
func printOpen(out *section, plan *migrate.Plan) {
	named := 0
	for _, one := range plan.Conflicts {
		if one.Chosen != nil {
			continue
		}
		if named == mostInTheWay {
			out.row("open conflicts", "and %d more: see below", plan.Open()-named)
			return
		}
		named++
		out.row("open conflicts", "%s\t%s", one.Device, one.Why)
	}
}

// next gives what to do, and the exact command.
func next(app *app, c *migratePlanCommand, plan *migrate.Plan) []string {
	missing, open := len(plan.Stopping()) > 0, plan.Open() > 0
	accepting := *c
	accepting.AcceptMissing = c.AcceptMissing || missing
	switch {
	case plan.Applied != 0:
		return []string{app.commandLine("migrate", "verify", fmt.Sprint(plan.Applied))}
	case missing:
		return []string{"copy what is missing and plan again; or, where it is lost for good:", accepting.commandLine(app, "plan", c.Decisions)}
	case open && c.Decisions == "":
		return []string{"choose by a rule (--prefer latest, publisher, store or a source), or write the conflicts into a file:",
			c.commandLine(app, "plan", "decisions.toml")}
	case open:
		return []string{"fill in " + c.Decisions + ", then:", c.commandLine(app, "run", c.Decisions)}
	}
	return []string{c.commandLine(app, "run", c.Decisions)}
}

// commandLine is the command with the same sources and choices.
func (c *migratePlanCommand) commandLine(app *app, name, decisions string) string {
	words := []string{"migrate", name}
	flag := func(name, value string) {
		if value != "" {
			words = append(words, name, value)
		}
	}
	flag("--dialect", c.Dialect)
	flag("--prefer", c.Prefer)
	for _, anchor := range c.Anchor {
		flag("--anchor", anchor)
	}
	if c.AcceptMissing {
		words = append(words, "--accept-missing")
	}
	flag("--decisions", decisions)
	return app.commandLine(append(words, c.Sources...)...)
}

// commandLine is a command as it is typed into a shell, with the folder of the data where that is not what it is by
// itself.
func (a *app) commandLine(words ...string) string {
	out := []string{"capf"}
	usual := os.Getenv("CAPF_DATA")
	if usual == "" {
		usual = "capf-data"
	}
	if whole, err := filepath.Abs(usual); err != nil || whole != a.data {
		out = append(out, "--data", capf.ShellWord(a.data))
	}
	if a.config != "" {
		out = append(out, "--config", capf.ShellWord(a.config))
	}
	for _, word := range words {
		out = append(out, capf.ShellWord(word))
	}
	return strings.Join(out, " ")
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
