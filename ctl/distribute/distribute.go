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
	results := make([]Result, len(nodes))
	var reporting sync.Mutex
	wishes := options.wishes(&reporting)
	options.each(ctx, nodes, func(ctx context.Context, i int, node Node, open opening, err error) {
		result := Result{Node: node.Name, Outcome: Failed, Err: err}
		if err == nil {
			result = bounded(ctx, func(ctx context.Context) Result {
				return newRun(ctx, node, payload, wishes).distribute(open)
			}, func(err error) Result { return Result{Node: node.Name, Outcome: Failed, Err: err} })
		}
		result.finish()
		results[i] = result
		if options.Progress != nil {
			reporting.Lock()
			defer reporting.Unlock()
			options.Progress(result)
		}
	})
	return results
}

func (o Options) wishes(reporting *sync.Mutex) *wishes {
	w := &wishes{startOver: o.StartOver, dryRun: o.DryRun, instance: cmp.Or(o.Instance, newInstance()), listing: o.Listing}
	if o.Precedes != nil {
		var asking sync.Mutex
		w.precedes = func(sum [sha256.Size]byte) bool {
			asking.Lock()
			defer asking.Unlock()
			return o.Precedes(sum)
		}
	}
	if o.Step != nil {
		w.step = func(node string, step Step) {
			reporting.Lock()
			defer reporting.Unlock()
			o.Step(node, step)
		}
	}
	return w
}

func (r *Result) finish() {
	if r.Err = ofNode(r.Node, r.Err); r.Err != nil {
		r.Error = r.Err.Error()
	}
}

func ofNode(node string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("node %q: %w", node, err)
}

// each visits the nodes, a bounded number at a time, each with its own deadline. Nodes that are not valid
// are visited with the reason.
func (o Options) each(ctx context.Context, nodes []Node, visit func(context.Context, int, Node, opening, error)) {
	parallel, timeout := max(o.Parallel, 0), max(o.Timeout, 0)
	parallel, timeout = cmp.Or(parallel, DefaultParallel), cmp.Or(timeout, DefaultTimeout)
	seats := make(chan struct{}, parallel)
	var running sync.WaitGroup
	taken := map[string]bool{}
	for i, node := range nodes {
		node, open, err := node.opening(o.Openers)
		if err == nil {
			err = take(taken, node)
		}
		seats <- struct{}{}
		running.Go(func() {
			defer func() { <-seats }()
			ctx, cancel := context.WithTimeout(ctx, timeout)
			defer cancel()
			visit(ctx, i, node, open, err)
		})
	}
	running.Wait()
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
func bounded[T any](ctx context.Context, work func(context.Context) T, late func(error) T) T {
	done := make(chan T, 1)
	go func() { done <- work(ctx) }()
	select {
	case result := <-done:
		return result
	case <-ctx.Done():
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case result := <-done:
		return result
	case <-timer.C:
		return late(fmt.Errorf("%w; the target does not answer, look at it before the next try", reason(ctx)))
	}
}

// reason says in words why a context ended.
func reason(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("out of time: %w", ctx.Err())
	}
	return fmt.Errorf("interrupted: %w", ctx.Err())
}
