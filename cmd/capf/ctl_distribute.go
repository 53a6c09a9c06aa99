package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-multierror"

	"capf/ctl"
	"capf/ctl/distribute"
	"capf/internal/plain"
	"capf/runtime/capf"
	"capf/runtime/daemon"
	"capf/runtime/store/sqlite"
)

// Trust lists on their way to the servers, and what is there.

type ctlDistributeCommand struct {
	Nodes     []string `arg:"" optional:"" name:"node" help:"Only these nodes."`
	Failed    bool     `help:"Only the nodes that do not hold all files of the newest list: the others are read, not written."`
	DryRun    bool     `help:"Read what the nodes hold, and say what would be done."`
	Version   int64    `help:"Put this older list back: it becomes the newest. Nodes keep theirs if phones that hold it would not take this one." placeholder:"N"`
	StartOver bool     `help:"Replace lists that ours does not succeed; phones that hold those must be reset by hand."`
}

// Run brings the newest list and the CAPF certificates to the nodes; where not all got everything the exit
// status is 3.
func (c *ctlDistributeCommand) Run(app *app) error {
	return app.withStore(func(store *sqlite.Store) error {
		run := &distribution{app: app, store: store, command: c}
		if err := run.choose(); err != nil {
			return err
		}
		if c.DryRun {
			options, err := app.reach()
			if err != nil {
				return err
			}
			return run.tryOut(options)
		}
		return app.reachAlone(run.run)
	})
}

// distribution is one run of the command.
type distribution struct {
	app     *app
	store   *sqlite.Store
	command *ctlDistributeCommand
	list    capf.CTLVersion
	back    bool // the list is not the newest yet
	payload *distribute.Payload
	nodes   []capf.Node
	known   func([sha256.Size]byte) (int, bool)

	delivering *delivering // nil where nothing is changed
}

// choose finds the list, what goes with it, and the nodes that are meant.
func (d *distribution) choose() (err error) {
	if d.list, err = d.store.LatestCTL(d.app.ctx); err != nil {
		return err
	}
	if d.command.Version != 0 {
		older, err := d.store.CTL(d.app.ctx, d.command.Version)
		if err != nil {
			return err
		}
		if d.back = older.SHA256 != d.list.SHA256; d.back {
			d.list = older
		}
	}
	if d.payload, err = payloadFor(d.app, d.store, d.list); err != nil {
		return err
	}
	versions, err := d.store.CTLVersions(d.app.ctx)
	if err != nil {
		return err
	}
	d.known = daemon.KnownVersions(versions)
	d.nodes, err = d.chooseNodes()
	return err
}

// run distributes. A list that is put back becomes the newest before the first node gets it, and only if no node
// refuses it: from then on it is what the nodes should hold.
func (d *distribution) run(options distribute.Options) error {
	if len(d.nodes) == 0 {
		d.app.say("every node has got version %d and the certificates that go with it", d.list.Version)
		return d.sayRestarts()
	}
	if d.back {
		if err := d.putBack(options); err != nil {
			return err
		}
	}
	d.delivering = &delivering{app: d.app, store: d.store, version: d.list.Version}
	return d.delivering.close(d.print(d.do(options, false)))
}

// do visits the nodes. Lists that the store has from before ours are known to have come before it.
func (d *distribution) do(options distribute.Options, dry bool) []distribute.Result {
	options.StartOver, options.DryRun = d.command.StartOver, dry
	options.Precedes = func(sum [sha256.Size]byte) bool {
		version, ok := d.known(sum)
		return ok && (d.back || int64(version) < d.list.Version)
	}
	if !dry || d.command.DryRun {
		progress := d.app.newNodeProgress(len(d.nodes))
		defer progress.done()
		options.Progress, options.Step = func(result distribute.Result) {
			if d.delivering != nil {
				d.delivering.ends(result)
			}
			progress.ends(result)
		}, progress.step
		if d.delivering != nil {
			options.Listing = d.delivering.lists
		}
	}
	return distribute.Distribute(d.app.ctx, daemon.Receivers(d.nodes), d.payload, options)
}

// print prints a line a node, and says which have not got everything.
func (d *distribution) print(results []distribute.Result) error {
	list := d.app.list("node", "outcome", "files", "error")
	var failures []error
	for _, result := range results {
		if result.Err != nil {
			failures = append(failures, errors.New(result.Error))
		}
		list.add(result.Node, result.Outcome, describeFiles(result.Files), result.Error)
	}
	if err := list.close(); err != nil {
		return err
	}
	if d.command.DryRun {
		return partly(failures, len(results), "would not get everything", "mend them first")
	}
	if err := d.sayRestarts(); err != nil {
		return err
	}
	return partly(failures, len(results), "have not got everything", "mend them and run `capf ctl distribute --failed`")
}

// sayRestarts names the nodes whose services have to be restarted, whichever run has changed their list.
func (d *distribution) sayRestarts() error {
	restarts, err := d.store.Restarts(context.WithoutCancel(d.app.ctx))
	if due := capf.RestartsDue(restarts); len(due) > 0 {
		d.app.say("the list has changed: restart the CallManager and TFTP services of %s, then reset the phones, and say so with `capf ctl restarted`",
			plain.Line(strings.Join(due, ", ")))
	}
	return err
}

func describeFiles(files []distribute.FileResult) string {
	words := make([]string, len(files))
	for i, file := range files {
		words[i] = file.Path + " " + string(file.Outcome)
	}
	return strings.Join(words, ", ")
}

// partly names what failed, a line each, and then how many.
func partly(failures []error, all int, what, hint string) error {
	var problems *multierror.Error
	for _, failure := range failures {
		problems = multierror.Append(problems, &capf.Error{Code: capf.CodePart, Message: failure.Error()})
	}
	if problems != nil {
		problems = multierror.Append(problems, &capf.Error{Code: capf.CodePart, Message: fmt.Sprintf("%d of %s %s", len(failures), plain.Counted(all, "node"), what), Hint: hint})
	}
	return problems.ErrorOrNil()
}

// chooseNodes gives the nodes that are meant.
func (d *distribution) chooseNodes() ([]capf.Node, error) {
	nodes, err := namedNodes(d.app, d.store, d.command.Nodes)
	if err != nil || !d.command.Failed || d.back {
		return nodes, err
	}
	return d.notEqual(nodes)
}

// notEqual gives those of the nodes that lack something. Of a node whose last delivery failed that is known; the others
// are read, since not all files come with a new list: an anchor or another CAPF certificate makes no new version.
func (d *distribution) notEqual(nodes []capf.Node) ([]capf.Node, error) {
	deliveries, err := d.store.Deliveries(d.app.ctx)
	if err != nil {
		return nil, err
	}
	var done []capf.Node
	for _, node := range nodes {
		if slices.ContainsFunc(deliveries, func(last capf.Delivery) bool {
			return last.Node == node.Name && last.Version == d.list.Version &&
				(last.Outcome == string(distribute.Done) || last.Outcome == string(distribute.Unchanged))
		}) {
			done = append(done, node)
		}
	}
	options, err := d.app.reach()
	if err != nil {
		return nil, err
	}
	equal := map[string]bool{}
	for _, status := range distribute.Status(d.app.ctx, daemon.Receivers(done), d.payload, d.known, options) {
		equal[status.Node] = status.State == distribute.StateEqual
	}
	return slices.DeleteFunc(nodes, func(node capf.Node) bool { return equal[node.Name] }), nil
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

// payloadOf gives what every node should hold: the newest list, and the certificates that go with it.
func payloadOf(app *app, store *sqlite.Store) (*distribute.Payload, capf.CTLVersion, error) {
	latest, err := store.LatestCTL(app.ctx)
	if err != nil {
		return nil, capf.CTLVersion{}, err
	}
	payload, err := payloadFor(app, store, latest)
	return payload, latest, err
}

// payloadFor gives a list with the certificates that go with it.
func payloadFor(app *app, store *sqlite.Store, list capf.CTLVersion) (*distribute.Payload, error) {
	authority, err := app.authority()
	if err != nil {
		return nil, err
	}
	return daemon.Payload(app.ctx, store, app.data, authority.Certificate, list)
}

// delivering keeps what became of each node as soon as it is known. What a run did before it was killed is then known
// to the next one, and to `ctl build`, which follows the list that phones may hold.
type delivering struct {
	app      *app
	store    *sqlite.Store
	version  int64
	removed  []string // nodes that the store no longer has
	problems *multierror.Error
}

// lists is told that a node is about to get a list: from then on its services are to be restarted, also where nobody comes
// to say so.
func (d *delivering) lists(ctx context.Context, node string) error {
	err := d.store.OweRestart(ctx, node, d.version)
	if capf.HasCode(err, capf.CodeNotFound) {
		return nil // see ends
	}
	return err
}

// ends is told what became of a node.
func (d *delivering) ends(result distribute.Result) {
	delivery := capf.Delivery{Node: result.Node, Version: d.version, Outcome: string(result.Outcome), Detail: result.Error, At: time.Now().UTC()}
	// Also when it was interrupted: what was done is to be known the next time.
	err := d.store.RecordDelivery(context.WithoutCancel(d.app.ctx), delivery)
	switch {
	case capf.HasCode(err, capf.CodeNotFound):
		d.removed = append(d.removed, plain.Line(result.Node))
	case err != nil:
		d.problems = multierror.Append(d.problems, err)
	}
}

// close adds to the outcome of the run what could not be recorded.
func (d *delivering) close(outcome error) error {
	if len(d.removed) > 0 {
		d.app.say("removed from the store meanwhile, so that what they got is not recorded: %s", strings.Join(d.removed, ", "))
	}
	if d.problems.ErrorOrNil() == nil {
		return outcome
	}
	return multierror.Append(d.problems, outcome).ErrorOrNil()
}

// putBack asks what phones hold and all nodes first, then makes the older list the newest. Its time is before that of
// the list that they hold, which does not count: what counts for phones is who signed (ctl-format.md, "Rules").
func (d *distribution) putBack(options distribute.Options) error {
	refusals := multierror.Append(nil, d.checkField())
	var failures *multierror.Error
	results := d.do(options, true)
	for _, result := range results {
		if result.Outcome == distribute.Refused {
			refusals = multierror.Append(refusals, d.notPutBack(result.Err, ""))
		}
		if result.Err != nil {
			failures = multierror.Append(failures, d.notPutBack(result.Err, "bring one of the nodes back first"))
		}
	}
	if refusals.ErrorOrNil() != nil {
		return refusals
	}
	if failures != nil && len(failures.Errors) == len(results) {
		return failures // it would be the newest, also for phones that ask the service, and nobody was asked
	}
	again := d.list
	again.AddedAt = time.Time{}
	version, err := d.store.AddCTL(d.app.ctx, again, actor())
	if err != nil {
		return err
	}
	d.app.say("version %d is put back, as version %d; it is older than what phones may hold: see that one phone takes it before you reset the others",
		d.list.Version, version)
	d.list.Version, d.back = version, false
	return nil
}

// tryOut says what would be done, and changes nothing.
func (d *distribution) tryOut(options distribute.Options) error {
	var refusals *multierror.Error
	if d.back {
		refusals = multierror.Append(refusals, d.checkField())
	}
	return multierror.Append(refusals, d.print(d.do(options, true))).ErrorOrNil()
}

func (d *distribution) notPutBack(cause error, hint string) error {
	return &capf.Error{Code: capf.CodeRefused, Message: fmt.Sprintf("version %d is not put back", d.list.Version), Err: cause, Hint: hint}
}

// checkField says what phones will do with an older list: those that hold the newest that was distributed, whatever the
// nodes hold by now. A node that has lost its list, or is not reached, must not hide that.
func (d *distribution) checkField() error {
	field, err := d.store.FieldCTL(d.app.ctx)
	if err != nil || field.SHA256 == d.list.SHA256 || field.Origin == capf.CTLBuilt && field.DistributedAt.IsZero() {
		return err // they hold it already, or none
	}
	err = ctl.VerifySuccession(d.list.File, field.File)
	switch {
	case err == nil, errors.Is(err, ctl.ErrOlder):
		d.app.say("phones that hold version %d take version %d by its signature: a token of theirs made it", field.Version, d.list.Version)
		return nil
	case d.command.StartOver && errors.Is(err, ctl.ErrNotSuccessor):
		d.app.say("phones that hold version %d do not take version %d, and must be reset by hand: %v", field.Version, d.list.Version, err)
		return nil
	}
	return d.notPutBack(fmt.Errorf("phones may hold version %d: %w", field.Version, err),
		"build a new list with what the older one had (`capf ctl build`), or start over (--start-over), after which those phones need theirs erased by hand")
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
			list.add(node.Node, node.State, file.Path, file.State, version, file.SHA256, cmp.Or(file.Error, node.Error))
		}
		if len(node.Files) == 0 {
			list.add(node.Node, node.State, "", "", "", "", node.Error)
		}
	}
	if err := list.close(); err != nil {
		return err
	}
	return partly(failures, len(statuses), "do not hold what they should", "see the list above; "+advice)
}

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
		list.add(one.Node, one.Version, capf.FormatTime(one.Since), capf.FormatTime(one.DoneAt), one.DoneBy)
	}
	return list.close()
}
