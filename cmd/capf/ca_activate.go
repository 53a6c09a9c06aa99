package main

import (
	"fmt"
	"strings"

	"github.com/hashicorp/go-multierror"

	"capf/ctl/distribute"
	"capf/runtime/ca"
	"capf/runtime/capf"
	"capf/runtime/daemon"
	"capf/runtime/store/sqlite"
)

type caActivateCommand struct {
	Force bool `help:"Also where nodes lack a list with the next certificate: phones that hold such a list will refuse this CAPF."`
}

// Run puts the next certificate in force, after every node was found to hold a list with it. Interrupted, it is
// run again.
func (c *caActivateCommand) Run(app *app) error {
	return app.withStore(func(store *sqlite.Store) error {
		succession := ca.Succession{Directory: app.data, Environment: ca.System(), Keeper: store, Actor: actor()}
		next, err := ca.Next(app.data, ca.System())
		if capf.HasCode(err, capf.CodeNotFound) {
			return finishActivation(app, succession, err)
		}
		if err != nil {
			return err
		}
		if err := c.checkNodes(app, store, next); err != nil {
			return err
		}
		if err := succession.Run(app.ctx, next); err != nil {
			return err
		}
		app.say("%s, serial number %s, is in force; a running service goes on with it by itself", next.Name(), capf.FormatSerial(next.Certificate.SerialNumber))
		app.say("the one before is now an anchor for the LSCs that it issued; run `capf ctl distribute` to bring the new CAPF.cer to the nodes")
		return nil
	})
}

// finishActivation completes what an interrupted run has left to do; where that is nothing, none is the answer.
func finishActivation(app *app, succession ca.Succession, none error) error {
	completed, err := succession.Finish(app.ctx)
	if err != nil {
		return err
	}
	if !completed {
		return none
	}
	authority, err := app.authority()
	if err != nil {
		return err
	}
	app.say("%s was in force already; that is now on record, and CAPF.cer and %s.0 are its own", authority.Name(), authority.Name())
	return nil
}

// checkNodes reads what the nodes hold, now. Each that lacks a list with the next certificate is a line of its
// own.
func (c *caActivateCommand) checkNodes(app *app, store *sqlite.Store, next *ca.Authority) error {
	nodes, err := store.Nodes(app.ctx)
	if err != nil {
		return err
	}
	if len(nodes) == 0 {
		app.say("warning: no node is known: phones that hold a trust list from elsewhere will refuse %s", next.Name())
	}
	options, err := app.reach()
	if err != nil {
		return err
	}
	var problems *multierror.Error
	var lacking []string
	for i, problem := range distribute.Lacking(app.ctx, daemon.Receivers(nodes), next.Certificate, options) {
		if problem == nil {
			continue
		}
		lacking = append(lacking, nodes[i].Name)
		problems = multierror.Append(problems, &capf.Error{Code: capf.CodeRefused, Message: "no list with " + next.Name(), Err: problem,
			Hint: "run `capf ctl build` and `capf ctl distribute`, or activate with --force: phones that take their list there will refuse this CAPF"})
	}
	if !c.Force || len(lacking) == 0 {
		return problems.ErrorOrNil()
	}
	for _, problem := range problems.Errors {
		app.say("warning: %v", problem)
	}
	return store.AddAudit(app.ctx, actor(), "ca activating", capf.FormatSerial(next.Certificate.SerialNumber),
		fmt.Sprintf("forced, although nodes lack a list with it: %s", strings.Join(lacking, " ")))
}
