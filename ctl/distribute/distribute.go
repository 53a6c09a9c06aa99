package distribute

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Outcome is what became of a node.
type Outcome string

// The outcomes.
const (
	Done        Outcome = "done"         // everything is in place, something was written
	Unchanged   Outcome = "unchanged"    // everything was in place already
	WouldChange Outcome = "would change" // a dry run: something would be written
	Partly      Outcome = "partly"       // some files were put in place, then something failed
	Refused     Outcome = "refused"      // the list that is there may not be replaced; nothing was touched
	Failed      Outcome = "failed"       // nothing was put in place
)

// FileOutcome is what became of a file.
type FileOutcome string

// The outcomes of a file.
const (
	New       FileOutcome = "new"       // there was none
	Replaced  FileOutcome = "replaced"  // the earlier one is kept as FileResult.Kept
	Equal     FileOutcome = "equal"     // not touched
	Untouched FileOutcome = "untouched" // ought to have been written, was not

	WouldBeNew   FileOutcome = "would be new"  // a dry run
	WouldReplace FileOutcome = "would replace" // a dry run
)

// FileResult is one file of a node.
type FileResult struct {
	Path    string      `json:"path"` // below the target
	Outcome FileOutcome `json:"outcome"`
	SHA256  string      `json:"sha256"` // of the file to be put there, lower-case hex
	Kept    string      `json:"kept,omitempty"`
	Error   string      `json:"error,omitempty"`
}

// Result is one node.
type Result struct {
	Node    string       `json:"node"`
	Outcome Outcome      `json:"outcome"`
	Files   []FileResult `json:"files"`
	Err     error        `json:"-"`               // nil for Done and Unchanged; names the node
	Error   string       `json:"error,omitempty"` // Err as text
}

// Options of Distribute, Status, Lacking and Check. The zero value has working defaults.
type Options struct {
	StartOver bool              // replace a list that ours does not succeed
	DryRun    bool              // read, judge, and say what would be done
	Parallel  int               // nodes at a time; 0: DefaultParallel
	Timeout   time.Duration     // for one node; 0: DefaultTimeout
	Openers   map[string]Opener // by URL scheme; nil: `file` only

	// Instance is who distributes, and the same for every run that may have to clean up after another one; such
	// runs must not happen at the same time (Lock). Empty: a new one.
	Instance string
	// Precedes tells by its SHA-256 whether a list that is there came before ours, so that its time does not count
	// against ours: an older list that is put back. Its signature does count. May be nil.
	Precedes func(sum [sha256.Size]byte) bool
	// Progress is called by Distribute as each node ends, Step as a node begins a step. They are called one at a
	// time; both may be nil.
	Progress func(Result)
	Step     func(node string, step Step)
	// Listing is called by Distribute just before a list of a node gets its name; where it fails, none does. Its
	// context ends with the node's time. It may be called for several nodes at the same time, and be nil.
	Listing func(ctx context.Context, node string) error
}

// The defaults of Options.
const (
	DefaultParallel = 32
	DefaultTimeout  = time.Minute
)

// grace is how long a node that is out of time is given to stop between two steps. What hangs in the
// system longer is left behind; it takes no further step when it returns.
const grace = 2 * time.Second

// Distribute brings the payload to the nodes, several at a time, and returns one result for each in their
// order. A list that is there is replaced only by one that succeeds it, unless options say StartOver.
func Distribute(ctx context.Context, nodes []Node, payload *Payload, options Options) []Result {
	failed := func(r *run, err error) Result {
		return Result{Node: r.node.Name, Outcome: Failed, Err: ofNode(r.node.Name, err), Error: ofNode(r.node.Name, err).Error()}
	}
	return visit(ctx, nodes, payload, options, (*run).distribute, failed, options.Progress)
}

func ofNode(node string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("node %q: %w", node, err)
}

// round is one visit to all nodes, as it was asked for.
type round struct {
	Options
	calling sync.Mutex // the functions of the options, but Listing, are called one at a time
}

// visit works on the nodes, a bounded number at a time, each with its own deadline, and gives what came of each
// in their order. What failed says is for a node that is not valid or out of time. Ended is told each result as
// it comes, one at a time; it may be nil.
func visit[T any](ctx context.Context, nodes []Node, payload *Payload, options Options,
	work func(*run) T, failed func(*run, error) T, ended func(T)) []T {
	all := &round{Options: options}
	all.Instance = cmp.Or(options.Instance, newInstance())
	results := make([]T, len(nodes))
	seats := make(chan struct{}, cmp.Or(max(options.Parallel, 0), DefaultParallel))
	timeout := cmp.Or(max(options.Timeout, 0), DefaultTimeout)
	var running sync.WaitGroup
	taken := map[string]bool{}
	for i, node := range nodes {
		node, open, err := node.opening(options.Openers)
		if err == nil {
			err = take(taken, node)
		}
		seats <- struct{}{}
		running.Go(func() {
			defer func() { <-seats }()
			ctx, cancel := context.WithTimeout(ctx, timeout)
			defer cancel()
			r := newRun(ctx, node, open, payload, all)
			if err != nil {
				results[i] = failed(r, err)
			} else {
				results[i] = bounded(r, work, failed)
			}
			if ended != nil {
				all.calling.Lock()
				defer all.calling.Unlock()
				ended(results[i])
			}
		})
	}
	running.Wait()
	return results
}

// take refuses two nodes with one folder: they would take away each other's files.
func take(taken map[string]bool, node Node) error {
	certificates, tftp := node.place()+" "+node.CertificatesDir, node.place()+" "+node.TFTPDir
	if taken[certificates] || taken[tftp] {
		return errors.New("its folders are those of another node too; give each node its own target")
	}
	taken[certificates], taken[tftp] = true, true
	return nil
}

// bounded runs the work until it ends or, at the latest, a grace after its time is over.
func bounded[T any](r *run, work func(*run) T, failed func(*run, error) T) T {
	done := make(chan T, 1)
	go func() { done <- work(r) }()
	select {
	case result := <-done:
		return result
	case <-r.ctx.Done():
	}
	select {
	case result := <-done:
		return result
	case <-time.After(grace):
		return failed(r, fmt.Errorf("%w; the target does not answer, look at it before the next try", reason(r.ctx)))
	}
}

// reason says in words why a context ended.
func reason(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("out of time: %w", ctx.Err())
	}
	return fmt.Errorf("interrupted: %w", ctx.Err())
}
