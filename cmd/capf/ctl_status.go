package main

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"strings"

	"capf/ctl"
	"capf/ctl/distribute"
	"capf/runtime/capf"
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
		return printStatus(app, statuses, statusHelp{app, store, latest})
	})
}

// statusHelp finds what helps nodes that do not hold what they should.
type statusHelp struct {
	app    *app
	store  *sqlite.Store
	latest capf.CTLVersion
}

// advise says it, one part for each kind of trouble: a node that cannot be reached gets nothing, and one that holds a list
// which ours does not succeed keeps it.
func (h statusHelp) advise(statuses []distribute.NodeStatus) (string, error) {
	var unreachable, foreign, plainly bool
	var kept []string
	for _, node := range statuses {
		blocked := false
		for _, file := range node.Files {
			switch {
			case !isList(file.Path):
			case file.State == distribute.StateForeign:
				foreign, blocked = true, true
			case file.State == distribute.StateOld:
				succeeds, err := h.succeeds(file)
				if err != nil {
					return "", err
				}
				if !succeeds {
					kept, blocked = append(kept, fmt.Sprintf("version %d on %s", file.Version, node.Node)), true
				}
			}
		}
		unreachable = unreachable || node.State == distribute.StateUnreachable
		plainly = plainly || !blocked && node.State != distribute.StateEqual && node.State != distribute.StateUnreachable
	}
	words := []string{"see the list above"}
	if unreachable {
		words = append(words, "see first that the unreachable can be reached")
	}
	if len(kept) > 0 {
		words = append(words, fmt.Sprintf("`capf ctl distribute` does not replace %s, which ours does not succeed: build one that is signed by a token of it", strings.Join(kept, ", ")))
	}
	if foreign {
		words = append(words, "`capf ctl distribute --dry-run` tells whether ours may replace a list that is not known here")
	}
	if plainly {
		words = append(words, "`capf ctl distribute` brings it")
	}
	return strings.Join(words, "; "), nil
}

// succeeds tells whether phones with an earlier list of ours take the newest; that it is older does not matter, since it
// is known to come after.
func (h statusHelp) succeeds(held distribute.FileStatus) (bool, error) {
	before, err := h.store.CTL(h.app.ctx, int64(held.Version))
	if err != nil {
		return false, err
	}
	err = ctl.VerifySuccession(h.latest.File, before.File)
	if path.Base(held.Path) == ctl.ITLFileName {
		err = ctl.VerifySuccession(h.latest.ITL, before.ITL)
	}
	return err == nil || errors.Is(err, ctl.ErrOlder), nil
}

func printStatus(app *app, statuses []distribute.NodeStatus, help statusHelp) error {
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
	if len(failures) == 0 {
		return nil
	}
	hint, err := help.advise(statuses)
	if err != nil {
		return err
	}
	return partly(failures, len(statuses), "do not hold what they should", hint)
}
