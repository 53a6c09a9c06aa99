package main

import (
	"slices"

	"capf/runtime/capf"
	"capf/runtime/store/sqlite"
)

type ctlRestartedCommand struct {
	Nodes []string `arg:"" optional:"" name:"node" help:"These nodes; default: all."`
}

// Run notes that the services of nodes were restarted, and shows what is known of them now. Only a person can tell: what
// phones do shows neither which list they have nor from whom.
func (c *ctlRestartedCommand) Run(app *app) error {
	return app.withStore(func(store *sqlite.Store) error {
		nodes, err := namedNodes(app, store, c.Nodes)
		if err != nil {
			return err
		}
		names := make([]string, len(nodes))
		for i, node := range nodes {
			names[i] = node.Name
		}
		if err := store.RestartsDone(app.ctx, names, actor()); err != nil {
			return err
		}
		restarts, err := store.Restarts(app.ctx)
		if err != nil {
			return err
		}
		return printRestarts(app, slices.DeleteFunc(restarts, func(one capf.Restart) bool { return !slices.Contains(names, one.Node) }))
	})
}

func printRestarts(app *app, restarts []capf.Restart) error {
	list := app.list("node", "since-version", "since", "done-at", "done-by")
	for _, one := range restarts {
		if err := list.add(one.Node, one.Version, capf.FormatTime(one.Since), capf.FormatTime(one.DoneAt), one.DoneBy); err != nil {
			return err
		}
	}
	return list.close()
}
