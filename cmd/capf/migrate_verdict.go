package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"capf/migrate"
	"capf/runtime/capf"
)

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
