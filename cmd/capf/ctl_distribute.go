package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"capf/ctl/distribute"
	"capf/runtime/ca"
	"capf/runtime/capf"
	"capf/runtime/store/sqlite"
)

type ctlDistributeCommand struct {
	Nodes     []string `arg:"" optional:"" name:"node" help:"Only these nodes."`
	Failed    bool     `help:"Only the nodes that have not got all of the newest list yet."`
	StartOver bool     `help:"Replace lists that ours does not succeed; phones that hold those must be reset by hand."`
}

// Run brings the newest list and the CAPF certificate to the nodes; where not all got everything the exit
// status is 3.
func (c *ctlDistributeCommand) Run(app *app) error {
	return app.withStore(func(store *sqlite.Store) error {
		payload, latest, err := payloadOf(app, store)
		if err != nil {
			return err
		}
		nodes, err := c.choose(app, store, latest.Version)
		if err != nil {
			return err
		}
		list := app.list("node", "outcome", "files", "error")
		options := distribute.Options{StartOver: c.StartOver, Progress: func(result distribute.Result) {
			app.say("%s: %s", result.Node, result.Outcome)
		}}
		results := distribute.Distribute(app.ctx, receivers(nodes), payload, options)
		bad := 0
		for _, result := range results {
			if result.Err != nil {
				bad++
			}
			delivery := capf.Delivery{Node: result.Node, Version: latest.Version, Outcome: string(result.Outcome), Detail: result.Error, At: time.Now().UTC()}
			if err := list.add(result.Node, result.Outcome, describeFiles(result.Files), result.Error); err != nil {
				return err
			}
			// Also when it was interrupted: what was done is to be known the next time.
			if err := store.RecordDelivery(context.WithoutCancel(app.ctx), delivery); err != nil {
				return err
			}
		}
		if err := list.close(); err != nil {
			return err
		}
		return partly(bad, len(results), "have not got everything", "mend them and run `capf ctl distribute --failed`")
	})
}

func describeFiles(files []distribute.FileResult) string {
	words := make([]string, len(files))
	for i, file := range files {
		words[i] = file.Path + " " + string(file.Outcome)
	}
	return strings.Join(words, ", ")
}

func partly(bad, all int, what, hint string) error {
	if bad == 0 {
		return nil
	}
	return &capf.Error{Code: capf.CodePart, Message: fmt.Sprintf("%d of %d nodes %s", bad, all, what), Hint: hint}
}

// choose gives the nodes that are meant; with --failed those that are not known to have all of that version.
func (c *ctlDistributeCommand) choose(app *app, store *sqlite.Store, version int64) ([]capf.Node, error) {
	nodes, err := namedNodes(app, store, c.Nodes)
	if err != nil || !c.Failed {
		return nodes, err
	}
	deliveries, err := store.Deliveries(app.ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(nodes, func(node capf.Node) bool {
		return slices.ContainsFunc(deliveries, func(d capf.Delivery) bool {
			return d.Node == node.Name && d.Version == version && (d.Outcome == string(distribute.Done) || d.Outcome == string(distribute.Unchanged))
		})
	}), nil
}

// namedNodes gives the nodes of those names, all where none is named.
func namedNodes(app *app, store *sqlite.Store, names []string) ([]capf.Node, error) {
	nodes, err := store.Nodes(app.ctx)
	if err != nil {
		return nil, err
	}
	if len(nodes) == 0 {
		return nil, &capf.Error{Code: capf.CodeRefused, Message: "the cluster has no nodes", Hint: "add them with `capf node add`"}
	}
	if len(names) == 0 {
		return nodes, nil
	}
	var named []capf.Node
	for _, name := range names {
		i := slices.IndexFunc(nodes, func(node capf.Node) bool { return node.Name == name })
		if i < 0 {
			return nil, &capf.Error{Code: capf.CodeNotFound, Message: "node " + name + " is not in the store", Hint: "see `capf node list`"}
		}
		named = append(named, nodes[i])
	}
	return named, nil
}

func receivers(nodes []capf.Node) []distribute.Node {
	result := make([]distribute.Node, len(nodes))
	for i, node := range nodes {
		result[i] = receiver(node)
	}
	return result
}

// payloadOf gives what every node should hold: the newest list, the CAPF certificate in force, and the next or
// past one that is in the list too.
func payloadOf(app *app, store *sqlite.Store) (*distribute.Payload, capf.CTLVersion, error) {
	authority, err := app.authority()
	if err != nil {
		return nil, capf.CTLVersion{}, err
	}
	latest, err := store.LatestCTL(app.ctx)
	if err != nil {
		return nil, capf.CTLVersion{}, err
	}
	own, err := ca.Certificates(app.data)
	if err != nil {
		return nil, capf.CTLVersion{}, err
	}
	payload, err := distribute.NewPayload(authority.Certificate, latest.File, own...)
	if err != nil {
		return nil, capf.CTLVersion{}, &capf.Error{Code: capf.CodeRefused, Message: fmt.Sprintf("list version %d", latest.Version), Err: err,
			Hint: "make a new one with `capf ctl build`"}
	}
	return payload, latest, nil
}

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
		statuses := distribute.Status(app.ctx, receivers(nodes), payload, knownVersions(versions), distribute.Options{})
		return printStatus(app, statuses)
	})
}

// knownVersions tells the version of a list by its digest.
func knownVersions(versions []capf.CTLVersion) func([sha256.Size]byte) (int, bool) {
	return func(sum [sha256.Size]byte) (int, bool) {
		digest := hex.EncodeToString(sum[:])
		i := slices.IndexFunc(versions, func(v capf.CTLVersion) bool { return v.SHA256 == digest })
		if i < 0 {
			return 0, false
		}
		return int(versions[i].Version), true
	}
}

func printStatus(app *app, statuses []distribute.NodeStatus) error {
	list := app.list("node", "state", "file", "file-state", "version", "sha256", "error")
	bad := 0
	for _, node := range statuses {
		if node.State != distribute.StateEqual {
			bad++
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
	return partly(bad, len(statuses), "do not hold what they should", "see the list above; `capf ctl distribute` brings it")
}
