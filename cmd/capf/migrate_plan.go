package main

import (
	"fmt"

	"capf/migrate"
	"capf/runtime/capf"
)

// printPlan prints a plan for a person: first what to act on, then what would happen.
func printPlan(app *app, plan *migrate.Plan) error {
	out := &section{app: app}
	for _, one := range plan.Sources {
		dialect := one.Dialect
		if dialect == "" {
			dialect = "no phone records"
		}
		out.row("sources", "%s\t%s\t%d records\t%s", one.Machine, one.Path, one.Records, dialect)
	}
	for _, warning := range plan.Warnings {
		out.row("warnings", "%s", warning)
	}
	printConflicts(out, plan.Conflicts)
	for _, one := range plan.Phones {
		from := one.Why
		if one.From != nil {
			from = one.From.String() + "\t" + one.From.Says
		}
		out.row("phones", "%s\t%s\t%s", one.Device, one.Verdict, from)
	}
	printCertificates(out, plan.Certificates)
	for _, one := range plan.Settings {
		out.row("settings", "%s %s:%d\t%s = %s\t%s\t%s %s", one.Machine, one.File, one.Line, one.Key, one.Value, one.Parameter, one.Use, one.Why)
	}
	for _, one := range plan.Kept {
		out.row("kept aside", "%s %s:%d\t%s\t%s", one.Machine, one.File, one.Line, one.Reason, one.Text)
	}
	for _, one := range plan.Findings {
		out.row("findings", "%s %s:%d\t%s\t%s", one.Machine, one.File, one.Line, one.Severity, one.Reason)
	}
	for _, one := range plan.Pending {
		out.row("operations that go on", "%s\t%d", one.AuthMode, one.Count)
	}
	values := countsOf(plan.Counts)
	for i, name := range countNames {
		out.row("in all", "%s\t%v", name, values[i])
	}
	if plan.Applied != 0 {
		out.row("in all", "run %d did this already: a run would change nothing", plan.Applied)
	}
	if open := plan.Open(); open > 0 {
		app.say("%d conflicts are open: a run is refused until --prefer decides them", open)
	}
	return out.err
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
				out.row(certificateTitles[use], "%s %s:%d\t%s\tuntil %s\t%s", one.Machine, one.File, one.Line, one.Subject, capf.FormatTime(one.NotAfter), one.Why)
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
