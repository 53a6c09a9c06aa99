package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/google/renameio/v2"

	"capf/internal/plain"
	"capf/migrate"
	"capf/runtime/capf"
)

// readDecisions reads a file of decisions; none is named by "".
func readDecisions(path string) (*migrate.Decisions, error) {
	if path == "" {
		return nil, nil
	}
	return migrate.ReadDecisions(path)
}

// writeNew writes a file that is whole or not there, for its owner only. What is there already is never replaced: it
// may have been edited, or signed.
func writeNew(path, what string, write func(io.Writer) error) error {
	if _, err := os.Lstat(path); err == nil {
		return &capf.Error{Code: capf.CodeRefused, Message: fmt.Sprintf("write %s: %s is there already", what, path), Hint: "name another file, or move it away"}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return &capf.Error{Code: capf.CodeUnavailable, Message: "write " + what, Err: err, Hint: "check the folder"}
	}
	file, err := renameio.NewPendingFile(path, renameio.WithTempDir(filepath.Dir(path)), renameio.WithPermissions(0o600), renameio.IgnoreUmask())
	if err != nil {
		return &capf.Error{Code: capf.CodeUnavailable, Message: "write " + what, Err: err, Hint: "check the folder"}
	}
	defer file.Cleanup()
	out := bufio.NewWriter(file)
	if err := errors.Join(write(out), out.Flush()); err != nil {
		return &capf.Error{Code: capf.CodeUnavailable, Message: "write " + what + " to " + path, Err: err, Hint: "check the disk"}
	}
	if err := file.CloseAtomicallyReplace(); err != nil {
		return &capf.Error{Code: capf.CodeUnavailable, Message: "write " + what, Err: err, Hint: "check the folder"}
	}
	return nil
}

// asker asks a person about conflicts, a line at a time.
type asker struct {
	ctx     context.Context
	answers *bufio.Reader
	out     io.Writer
}

// askAbout gives what asks about conflicts, where a person sits at both ends; nil where nobody does.
func (a *app) askAbout(isTerminal func(any) bool) func(migrate.Conflict, int, int) (string, error) {
	if !isTerminal(a.stdin) || !isTerminal(a.stderr) {
		return nil
	}
	asker := &asker{ctx: a.ctx, answers: bufio.NewReader(a.stdin), out: a.stderr}
	return asker.ask
}

// aside ends the bar that is there before a person is asked.
func (p *phases) aside(ask func(migrate.Conflict, int, int) (string, error)) func(migrate.Conflict, int, int) (string, error) {
	if ask == nil {
		return nil
	}
	return func(conflict migrate.Conflict, number, of int) (string, error) {
		p.end()
		return ask(conflict, number, of)
	}
}

// answers are what a person has chosen at the terminal in a run.
type answers struct{ given int }

// count counts them as they are given.
func (a *answers) count(ask func(migrate.Conflict, int, int) (string, error)) func(migrate.Conflict, int, int) (string, error) {
	if ask == nil {
		return nil
	}
	return func(conflict migrate.Conflict, number, of int) (string, error) {
		choice, err := ask(conflict, number, of)
		if err == nil && choice != "" {
			a.given++
		}
		return choice, err
	}
}

// lost says, where a run stored nothing in spite of answers, how they would have been kept.
func (a *answers) lost(app *app, c *migrateRunCommand) {
	if a.given == 0 {
		return
	}
	plan := migratePlanCommand{sourceFlags: c.sourceFlags, mergeFlags: c.mergeFlags}
	if c.Decisions != "" {
		app.say("%s given here %s not kept: what stands as `choose` in %s holds however often a run is refused", plain.Counted(a.given, "answer"), isOrAre(a.given), c.Decisions)
		return
	}
	const file = "decisions.toml"
	app.say("%s given here %s not kept; what stands in a file holds however often a run is refused: %s writes it, fill in `choose`, then %s",
		plain.Counted(a.given, "answer"), isOrAre(a.given), plan.commandLine(app, "plan", file), plan.commandLine(app, "run", file))
}

// ask shows the versions of a conflict and takes the number of one, s to leave it open, or q to stop.
func (a *asker) ask(conflict migrate.Conflict, number, of int) (string, error) {
	fmt.Fprintf(a.out, "\nconflict %d of %d: %s: %s\n", number, of, conflict.Device, plain.Line(conflict.Why))
	choices := a.show(conflict)
	for {
		fmt.Fprintf(a.out, "which is to hold? 1 to %d, s (skip: it stays open), q (quit, nothing is stored): ", len(choices))
		answer, err := a.line()
		if err != nil {
			return "", stopped(number, of, err)
		}
		if answer == "s" || answer == "skip" {
			return "", nil
		}
		if answer == "q" || answer == "quit" {
			return "", stopped(number, of, nil)
		}
		if n, err := strconv.Atoi(answer); err == nil && n >= 1 && n <= len(choices) {
			return choices[n-1], nil
		}
	}
}

// show prints each version with its number, and gives the words by which they are chosen.
func (a *asker) show(conflict migrate.Conflict) []string {
	var choices []string
	for _, version := range conflict.Versions {
		number := "-" // cannot be chosen
		if version.Choice != "" {
			at := slices.Index(choices, version.Choice)
			if at < 0 {
				at = len(choices)
				choices = append(choices, version.Choice)
			}
			number = strconv.Itoa(at + 1)
		}
		fmt.Fprintf(a.out, "  %s  %s: %s\n", number, plain.Line(version.String()), plain.Line(version.Says))
	}
	return choices
}

// line reads an answer, until it comes or the command is to end.
func (a *asker) line() (string, error) {
	type read struct {
		text string
		err  error
	}
	came := make(chan read, 1)
	go func() {
		text, err := a.answers.ReadString('\n')
		came <- read{text, err}
	}()
	select {
	case <-a.ctx.Done():
		return "", a.ctx.Err()
	case answer := <-came:
		text := strings.ToLower(strings.TrimSpace(answer.text))
		if text != "" {
			return text, nil
		}
		return "", answer.err
	}
}

func stopped(number, of int, err error) error {
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return &capf.Error{Code: capf.CodeConflict, Message: fmt.Sprintf("stopped at conflict %d of %d", number, of), Err: err,
		Hint: "nothing is stored; `capf migrate plan --decisions FILE` writes all of them for editing"}
}
