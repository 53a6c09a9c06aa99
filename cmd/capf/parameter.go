package main

import (
	"fmt"

	"capf/runtime/capf"
	"capf/runtime/store/sqlite"
)

type parameterCommands struct {
	List parameterListCommand `cmd:"" help:"All parameters with their values."`
	Get  parameterGetCommand  `cmd:"" help:"The value of a parameter."`
	Set  parameterSetCommand  `cmd:"" help:"Change a parameter."`
}

type parameterListCommand struct{}

// Run lists the parameters.
func (c *parameterListCommand) Run(app *app) error {
	return app.withStore(func(store *sqlite.Store) error {
		values, err := store.Parameters(app.ctx)
		if err != nil {
			return err
		}
		list := app.list("name", "value", "unit", "default", "takes-effect", "description")
		for _, p := range capf.ParameterList {
			list.add(p.Name, values.Get(p.Name), p.Unit, p.Default, p.TakesEffect, p.Description)
		}
		return list.close()
	})
}

type parameterGetCommand struct {
	Name string `arg:"" help:"Name of the parameter."`
}

// Run prints the value alone.
func (c *parameterGetCommand) Run(app *app) error {
	if _, err := capf.FindParameter(c.Name); err != nil {
		return err
	}
	return app.withStore(func(store *sqlite.Store) error {
		values, err := store.Parameters(app.ctx)
		if err != nil {
			return err
		}
		if app.json {
			return app.printJSON(values.Get(c.Name))
		}
		_, err = fmt.Fprintln(app.stdout, values.Get(c.Name))
		return err
	})
}

type parameterSetCommand struct {
	Name  string `arg:"" help:"Name of the parameter."`
	Value string `arg:"" help:"Its new value."`
}

// Run sets the value and says from when it holds.
func (c *parameterSetCommand) Run(app *app) error {
	parameter, err := capf.FindParameter(c.Name)
	if err != nil {
		return err
	}
	return app.withStore(func(store *sqlite.Store) error {
		if err := store.SetParameter(app.ctx, c.Name, c.Value, actor()); err != nil {
			return err
		}
		app.say("%s is set; it holds for %s", c.Name, parameter.TakesEffect)
		if c.Name == capf.ParamKeySize && capf.KeySize(c.Value).Bits() >= 2048 {
			app.say("warning: %s", parameter.Description)
		}
		return nil
	})
}
