package main

import (
	"capf/ctl"
	"capf/internal/plain"
	"capf/runtime/capf"
)

type ctlDiffCommand struct {
	From string `arg:"" name:"A" help:"A list, or the number of a version."`
	To   string `arg:"" name:"B" help:"Another one."`
	ITL  bool   `name:"itl" help:"The ITLs of two versions."`
}

// Run compares two lists, of any maker.
func (c *ctlDiffCommand) Run(app *app) error {
	from, err := readList(app, c.From, c.ITL)
	if err != nil {
		return err
	}
	to, err := readList(app, c.To, c.ITL)
	if err != nil {
		return err
	}
	difference, err := ctl.Compare(from.raw, to.raw)
	if err != nil {
		return &capf.Error{Code: capf.CodeUnavailable, Message: "compare " + from.name + " with " + to.name, Err: err}
	}
	if app.json {
		return app.printJSON(difference)
	}
	return difference.Print(app.stdout, plain.Line(from.name), plain.Line(to.name))
}
