package daemon

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"capf/ctl/distribute"
	"capf/runtime/capf"
)

// driftStore is what says which files the nodes should hold.
type driftStore interface {
	anchorStore
	Nodes(ctx context.Context) ([]capf.Node, error)
	heldLists
	LatestCTL(ctx context.Context) (capf.CTLVersion, error)
	CTLVersions(ctx context.Context) ([]capf.CTLVersion, error)
}

// driftMetrics is where it is counted.
type driftMetrics interface {
	NodesRead(states map[string]int, at time.Time)
	NodesUnknown(failed bool)
}

// drift is how the service looks, by itself and from time to time, at what the nodes hold. It only reads, and so needs
// no lock beside a distribution; one that it meets in the middle reads as what it is, nodes that do not hold
// everything yet.
type drift struct {
	store   driftStore
	data    string
	inForce func() *x509.Certificate
	reach   func() distribute.Options // anew each time: keys and known hosts may be others
	every   time.Duration
	clock   func() time.Time
	pause   func(context.Context, time.Duration) error // before a second look
	metrics driftMetrics
	log     *slog.Logger

	folders openFolders
	told    map[string]distribute.State // of each node at the last look
	reminds map[string]bool             // of what was reminded
	trouble string                      // why the last look was not possible
}

// driftStates are all that a node can be in.
var driftStates = []distribute.State{distribute.StateEqual, distribute.StateOld, distribute.StateForeign, distribute.StateMissing, distribute.StateUnreachable}

const (
	firstLookWithin = time.Minute // after the start
	looksAtOnce     = 8           // nodes: nobody waits, and the phones' connections need the descriptors
	jitter          = 0.1         // of the interval, up and down, so that services do not keep step
)

func (d *Daemon) newDrift() *drift {
	settings := d.options.Config.Distribute
	return &drift{store: d.store, data: d.options.Data, inForce: d.identity.Certificate, every: settings.CheckEvery.Duration,
		reach: func() distribute.Options { return Reach(settings, d.options.Data) },
		clock: d.options.Environment.Clock, pause: capf.Wait, metrics: d.metrics, log: d.options.Log}
}

// run looks now and then until the context ends. There is never more than one look at a time.
func (d *drift) run(ctx context.Context) error {
	if d.every == 0 {
		return nil
	}
	timer := time.NewTimer(spread(min(d.every, firstLookWithin), rand.Float64()))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		d.look(ctx)
		timer.Reset(spread(d.every, rand.Float64()))
	}
}

// spread gives a time that differs from another one by the jitter at most; random is from 0 to 1.
func spread(around time.Duration, random float64) time.Duration {
	return time.Duration(float64(around) * (1 - jitter + 2*jitter*random))
}

// look reads what the nodes hold, counts it, and logs what has changed.
func (d *drift) look(ctx context.Context) {
	statuses, err := d.read(ctx, func(capf.Node) bool { return true })
	if err == nil {
		statuses, err = d.lookTwice(ctx, statuses)
	}
	if ctx.Err() != nil {
		return // the service ends: what was not read says nothing
	}
	if err != nil {
		d.cannot(err)
		return
	}
	d.trouble = ""
	counts := make(map[string]int, len(driftStates))
	for _, state := range driftStates {
		counts[string(state)] = 0
	}
	told := make(map[string]distribute.State, len(statuses))
	for _, status := range statuses {
		counts[string(status.State)]++
		told[status.Node] = status.State
		d.tell(ctx, status)
	}
	d.told = told
	d.metrics.NodesRead(counts, d.clock())
}

// cannot is for a look that was not possible. Without a list there is nothing that nodes should hold.
func (d *drift) cannot(err error) {
	failed := !capf.HasCode(err, capf.CodeNotFound)
	d.metrics.NodesUnknown(failed)
	if failed && d.trouble != err.Error() {
		d.trouble = err.Error()
		d.log.Warn("it cannot be told whether the nodes hold what they should", "error", err)
	}
}

// read reads what those of the nodes hold that are wanted.
func (d *drift) read(ctx context.Context, wanted func(capf.Node) bool) ([]distribute.NodeStatus, error) {
	nodes, err := d.store.Nodes(ctx)
	nodes = slices.DeleteFunc(nodes, func(node capf.Node) bool { return !wanted(node) })
	if err != nil || len(nodes) == 0 {
		return nil, err
	}
	latest, err := d.store.LatestCTL(ctx)
	if err != nil {
		return nil, err
	}
	payload, err := Payload(ctx, d.store, d.data, d.inForce(), latest)
	if err != nil {
		return nil, err
	}
	versions, err := d.store.CTLVersions(ctx)
	if err != nil {
		return nil, err
	}
	d.remind(payload.Reminders(d.clock()))
	options := d.reach()
	options.Parallel = min(options.Parallel, looksAtOnce)
	options.Openers["file"] = d.folders.guard(options.Openers["file"])
	return distribute.Status(ctx, Receivers(nodes), payload, KnownVersions(versions), options), nil
}

// secondLookAfter is how long a node that could not be reached has until it is looked at again: a server that restarts
// its SSH service, or a line that breaks once, is back by then.
const secondLookAfter = 30 * time.Second

// lookTwice looks a second time at nodes that have become unreachable since the last look, before anybody is told: one lost
// connection is no drift. What the second look finds counts. Nodes that were unreachable before are left as they are.
func (d *drift) lookTwice(ctx context.Context, statuses []distribute.NodeStatus) ([]distribute.NodeStatus, error) {
	doubtful := make(map[string]bool)
	for _, status := range statuses {
		if status.State == distribute.StateUnreachable && d.told[status.Node] != distribute.StateUnreachable {
			doubtful[status.Node] = true
		}
	}
	if len(doubtful) == 0 {
		return statuses, nil
	}
	if err := d.pause(ctx, min(d.every, secondLookAfter)); err != nil {
		return nil, err
	}
	second, err := d.read(ctx, func(node capf.Node) bool { return doubtful[node.Name] })
	if err != nil {
		return nil, err
	}
	statuses = slices.DeleteFunc(statuses, func(status distribute.NodeStatus) bool { return doubtful[status.Node] })
	return append(statuses, second...), nil // without those that were removed meanwhile
}

// remind logs which certificates of the list come to their end, each once as it is said.
func (d *drift) remind(lines []string) {
	reminds := make(map[string]bool, len(lines))
	for _, line := range lines {
		if reminds[line] = true; !d.reminds[line] {
			d.log.Warn("a certificate of the trust list needs somebody", "reminder", line)
		}
	}
	d.reminds = reminds
}

// tell logs the state of a node when it has become another one.
func (d *drift) tell(ctx context.Context, status distribute.NodeStatus) {
	before, seen := d.told[status.Node]
	switch {
	case before == status.State:
	case status.State != distribute.StateEqual:
		d.log.Warn("a node does not hold what it should; `capf ctl status` shows it", "node", status.Node, "state", status.State,
			"files", strings.Join(deviating(status.Files), ", "), "error", status.Error, "next", d.advice(ctx, status))
	case seen:
		d.log.Info("a node holds what it should again", "node", status.Node, "before", before)
	default:
		d.log.Debug("a node holds what it should", "node", status.Node)
	}
}

// advice is what `capf ctl status` would say of this node.
func (d *drift) advice(ctx context.Context, status distribute.NodeStatus) string {
	latest, err := d.store.LatestCTL(ctx)
	if err == nil {
		var advice string
		if advice, err = Advice(ctx, d.store, latest, []distribute.NodeStatus{status}); err == nil {
			return advice
		}
	}
	return "see what `capf ctl status` says: " + err.Error()
}

func deviating(files []distribute.FileStatus) (words []string) {
	for _, file := range files {
		switch {
		case file.State == distribute.StateOld:
			words = append(words, fmt.Sprintf("%s %s (version %d)", file.Path, file.State, file.Version))
		case file.State != distribute.StateEqual:
			words = append(words, fmt.Sprintf("%s %s", file.Path, file.State))
		}
	}
	return words
}

// openFolders knows the folders at which a look hangs: a share whose server is gone holds whoever touches it, for as long
// as it is gone, and a thread with it. Another look at it would hold another thread, until there are none left.
type openFolders struct {
	mu   sync.Mutex
	open map[string]int // folders that have been opened and not been closed yet, by URL
}

var errHangs = errors.New("an earlier look at the folder still hangs: see to the share that is mounted there")

// guard is open for one look: it refuses a folder that an earlier one has not come back from.
func (f *openFolders) guard(open distribute.Opener) distribute.Opener {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := maps.Clone(f.open)
	return func(ctx context.Context, address *url.URL) (distribute.Target, error) {
		folder := address.String()
		if before[folder] > 0 {
			return nil, errHangs
		}
		f.count(folder, 1)
		target, err := open(ctx, address)
		if err != nil {
			f.count(folder, -1)
			return nil, err
		}
		return &guarded{target, sync.OnceFunc(func() { f.count(folder, -1) })}, nil
	}
}

func (f *openFolders) count(folder string, change int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open == nil {
		f.open = make(map[string]int)
	}
	if f.open[folder] += change; f.open[folder] == 0 {
		delete(f.open, folder)
	}
}

// guarded is a folder that says when it is closed.
type guarded struct {
	distribute.Target
	closed func()
}

func (g *guarded) Close() error {
	defer g.closed()
	return g.Target.Close()
}
