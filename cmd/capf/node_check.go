package main

import (
	"cmp"
	"errors"

	"capf/ctl/distribute"
	"capf/runtime/daemon"
	"capf/runtime/store/sqlite"
)

type nodeCheckCommand struct {
	Names []string `arg:"" optional:"" name:"name" help:"Only these nodes."`
}

// Run logs in to each node and tries its folders; where not all is good the exit status is 3.
func (c *nodeCheckCommand) Run(app *app) error {
	return app.withStore(func(store *sqlite.Store) error {
		nodes, err := namedNodes(app, store, c.Names)
		if err != nil {
			return err
		}
		return app.reachAlone(func(options distribute.Options) error {
			return printChecks(app, distribute.Check(app.ctx, daemon.Receivers(nodes), options))
		})
	})
}

func printChecks(app *app, checks []distribute.NodeCheck) error {
	list := app.list("node", "good", "reachable", "host-key", "login", "certificates", "certificates-free", "tftp", "tftp-free", "clock-difference", "error")
	var failures []error
	for _, check := range checks {
		if check.Err != nil {
			failures = append(failures, errors.New(check.Error))
		}
		// Both are one folder where a node has only one.
		certificates, tftp := distribute.FolderCheck{}, distribute.FolderCheck{}
		if len(check.Folders) > 0 {
			certificates, tftp = check.Folders[0], check.Folders[len(check.Folders)-1]
		}
		if err := list.add(check.Node, check.Good, check.Reachable, check.HostKey, check.Login, folderWord(certificates), known(certificates.Free),
			folderWord(tftp), known(tftp.Free), known(check.Clock), check.Error); err != nil {
			return err
		}
	}
	if err := list.close(); err != nil {
		return err
	}
	return partly(failures, len(checks), "are not fit to receive files", "mend them and run `capf node check` again")
}

func folderWord(folder distribute.FolderCheck) string {
	switch {
	case folder.Writable == distribute.Yes && folder.Exists == distribute.No:
		return "to be made"
	case folder.Writable == distribute.Yes:
		return "writable"
	case folder.Writable == distribute.No:
		return "not writable"
	}
	return string(cmp.Or(folder.Writable, distribute.Unknown))
}

// known gives a number, or the word for none.
func known[T any](number *T) any {
	if number == nil {
		return distribute.Unknown
	}
	return *number
}
