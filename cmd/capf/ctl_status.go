package main

import (
	"cmp"
	"fmt"

	"capf/ctl/distribute"
	"capf/runtime/daemon"
	"capf/runtime/store/sqlite"
)

type ctlStatusCommand struct{}

// Run reads what the nodes hold, now; where not all of it is equal the exit status is 3.
func (c *ctlStatusCommand) Run(app *app) error {
	return app.withStore(func(store *sqlite.Store) error {
		nodes, err := namedNodes(app, store, nil)
		if err != nil {
			return err
		}
		payload, latest, err := payloadOf(app, store)
		if err != nil {
			return err
		}
		app.say("version %d, cluster security mode %s", latest.Version, latest.Mode)
		versions, err := store.CTLVersions(app.ctx)
		if err != nil {
			return err
		}
		options, err := app.reach()
		if err != nil {
			return err
		}
		statuses := distribute.Status(app.ctx, daemon.Receivers(nodes), payload, daemon.KnownVersions(versions), options)
		if err := remindOfStatus(app, store, latest); err != nil {
			return err
		}
		advice, err := daemon.Advice(app.ctx, store, latest, statuses)
		if err != nil {
			return err
		}
		return printStatus(app, statuses, advice)
	})
}

// printStatus prints the nodes, and the advice where not all are equal.
func printStatus(app *app, statuses []distribute.NodeStatus, advice string) error {
	list := app.list("node", "state", "file", "file-state", "version", "sha256", "error")
	var failures []error
	for _, node := range statuses {
		if node.State != distribute.StateEqual {
			failures = append(failures, cmp.Or(node.Err, fmt.Errorf("node %q: %s", node.Node, node.State)))
		}
		for _, file := range node.Files {
			version := ""
			if file.Version > 0 {
				version = fmt.Sprint(file.Version)
			}
			if err := list.add(node.Node, node.State, file.Path, file.State, version, file.SHA256, cmp.Or(file.Error, node.Error)); err != nil {
				return err
			}
		}
		if len(node.Files) == 0 {
			if err := list.add(node.Node, node.State, "", "", "", "", node.Error); err != nil {
				return err
			}
		}
	}
	if err := list.close(); err != nil {
		return err
	}
	return partly(failures, len(statuses), "do not hold what they should", "see the list above; "+advice)
}
