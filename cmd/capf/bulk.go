package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"capf/internal/plain"
	"capf/runtime/capf"
	"capf/runtime/reset"
	"capf/runtime/store/sqlite"
)

// Many phones changed by one file, and reset afterwards.

type bulkCommands struct {
	Apply bulkApplyCommand `cmd:"" help:"Apply a CSV file: all rows or none."`
}

type bulkApplyCommand struct {
	File   string `arg:"" help:"CSV with a header line; - for standard input. Columns: device, operation, auth-mode, auth-string, key-size, completes-by, security-mode, lsc-hash, description."`
	DryRun bool   `xor:"reset" help:"Check every row and change nothing."`
	Reset  bool   `xor:"reset" help:"Then reset the phones whose operation was set or changed, by [reset] of the configuration."`
}

// Run applies the file.
func (c *bulkApplyCommand) Run(app *app) error {
	changes, err := c.read(app)
	if err != nil {
		return err
	}
	if len(changes) == 0 {
		app.say("warning: %s: no phones in it, only the header line", c.name())
	}
	var resetter *reset.Resetter
	if c.Reset {
		if resetter, err = app.resetter(); err != nil {
			return err
		}
	}
	return app.withStore(func(store *sqlite.Store) error {
		apply := store.ApplyChanges
		if c.DryRun {
			apply = store.TryChanges
		}
		changed, err := apply(app.ctx, capf.ApplyUpsert, changes, capf.ChangeContext{Actor: actor()})
		if err != nil {
			return err
		}
		if err := c.tell(app, changed); err != nil || resetter == nil {
			return err
		}
		return resetChanged(app, store, resetter, changed)
	})
}

func (c *bulkApplyCommand) name() string {
	if c.File == "-" {
		return "standard input"
	}
	return c.File
}

func (c *bulkApplyCommand) read(app *app) ([]capf.PhoneChange, error) {
	var source io.Reader = app.stdin
	if c.File != "-" {
		file, err := os.Open(c.File)
		if err != nil {
			return nil, &capf.Error{Code: capf.CodeInvalid, Message: "bulk file", Err: err, Hint: "name a CSV file, or - for standard input"}
		}
		defer file.Close()
		source = file
	}
	changes, err := capf.ReadBulk(source)
	return changes, inFile(c.name(), err)
}

// inFile puts the file before each of the problems found in it.
func inFile(name string, err error) error {
	if err == nil {
		return nil
	}
	var all []error
	for _, one := range lines(err) {
		all = append(all, fmt.Errorf("%s: %w", name, one))
	}
	return errors.Join(all...)
}

// tell says how many operations began, and collects the warnings that many rows share.
func (c *bulkApplyCommand) tell(app *app, changed []capf.Changed) error {
	operations := 0
	for _, one := range changed {
		if one.Effect != capf.EffectNone {
			operations++
		}
	}
	const most = 5
	warnings := warningsOf(changed)
	for _, warning := range warnings[:min(most, len(warnings))] {
		app.say("warning: %s", warning)
	}
	if len(warnings) > most {
		app.say("warning: %d more like these", len(warnings)-most)
	}
	verb := "applied"
	if c.DryRun {
		verb = "would be applied"
	}
	if app.json {
		return app.printJSON(map[string]any{"rows": len(changed), "operations": operations, "dry-run": c.DryRun})
	}
	_, err := fmt.Fprintf(app.stdout, "%s %s, %s set or changed\n", plain.Counted(len(changed), "row"), verb, plain.Counted(operations, "operation"))
	return err
}

func warningsOf(changed []capf.Changed) []string {
	var warnings []string
	for _, one := range changed {
		warnings = append(warnings, one.Warnings...)
	}
	return warnings
}

// resetChanged resets the phones for which a set of changes has set or changed an operation. Those that the
// maintenance window holds back are left to the service: they would have to be reset again when it opens.
func resetChanged(app *app, store *sqlite.Store, resetter *reset.Resetter, changed []capf.Changed) error {
	var phones []capf.Phone
	for _, one := range changed {
		if one.Effect == capf.EffectNew || one.Effect == capf.EffectReplaced || one.Effect == capf.EffectAmended {
			phones = append(phones, one.Phone)
		}
	}
	held, err := heldBack(app, store, phones)
	if err != nil {
		return err
	}
	if len(held.devices) > 0 {
		app.say("%s not reset now: the maintenance window opens at %s, and the service resets what is pending then",
			plain.CountedAs(len(held.devices), "phone is", "phones are"), capf.FormatTime(held.until))
	}
	devices := without(phones, held.devices)
	run := &resetRun{app: app, store: store, outcomes: make(map[string]string)}
	failure := run.reset(resetter, devices)
	done := 0
	for _, outcome := range run.outcomes {
		if outcome == outcomeReset {
			done++
		}
	}
	app.say("%s reset", plain.Counted(done, "phone"))
	return failure
}

// without gives the names of phones but those that are left out.
func without(phones []capf.Phone, left []string) []string {
	leaves := make(map[string]bool, len(left))
	for _, device := range left {
		leaves[device] = true
	}
	var devices []string
	for _, phone := range phones {
		if !leaves[phone.Device] {
			devices = append(devices, phone.Device)
		}
	}
	return devices
}

// isOrAre is the verb that goes with a number of things.
func isOrAre(number int) string {
	if number == 1 {
		return "is"
	}
	return "are"
}
