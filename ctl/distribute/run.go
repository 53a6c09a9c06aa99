package distribute

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"sync"

	"capf/ctl"
)

// maxExisting is how much of a file that stands in the way is read, and kept.
const maxExisting = 4 << 20

// Step is how far a node is.
type Step string

// The steps of a node, in their order.
const (
	StepConnect Step = "connect"
	StepRead    Step = "read"
	StepWrite   Step = "write"
	StepPlace   Step = "put in place"
)

// Steps are all of them.
var Steps = []Step{StepConnect, StepRead, StepWrite, StepPlace}

// run is the work on one node.
type run struct {
	ctx     context.Context
	node    Node
	opening opening
	all     *round
	target  Target
	files   []*work
}

// work is one file of a run.
type work struct {
	payloadFile
	path     string // below the target
	exists   bool
	tooLarge bool
	existing []byte   // as it was read at first
	left     []string // temporary files of an earlier run
	beside   []string // temporary files of this one, until they are renamed
	outcome  FileOutcome
	kept     string
	err      error
}

func newRun(ctx context.Context, node Node, open opening, payload *Payload, all *round) *run {
	r := &run{ctx: ctx, node: node, opening: open, all: all}
	for _, file := range payload.files {
		r.files = append(r.files, &work{payloadFile: file, path: path.Join(node.dir(file.place), file.name), outcome: Untouched})
	}
	return r
}

// errRefused marks a list that may not be replaced.
var errRefused = errors.New("the list that is there is not replaced")

func (r *run) distribute() Result {
	r.tell(StepConnect)
	err := r.open()
	if err == nil {
		err = r.takeSteps()
		r.discard()
		err = cmp.Or(err, r.target.Close())
	}
	result := Result{Node: r.node.Name, Err: ofNode(r.node.Name, err)}
	if err != nil {
		result.Error = result.Err.Error()
	}
	written, planned := false, false
	for _, file := range r.files {
		result.Files = append(result.Files, file.result())
		written = written || file.outcome == New || file.outcome == Replaced
		planned = planned || file.outcome == WouldBeNew || file.outcome == WouldReplace
	}
	switch {
	case err == nil && written:
		result.Outcome = Done
	case err == nil && planned:
		result.Outcome = WouldChange
	case err == nil:
		result.Outcome = Unchanged
	case errors.Is(err, errRefused) && !written:
		result.Outcome = Refused
	case written:
		result.Outcome = Partly
	default:
		result.Outcome = Failed
	}
	return result
}

func (f *work) result() FileResult {
	result := FileResult{Path: f.path, Outcome: f.outcome, SHA256: hex.EncodeToString(f.sum[:]), Kept: f.kept}
	if f.err != nil {
		result.Error = f.err.Error()
	}
	return result
}

func (r *run) tell(step Step) {
	if r.all.Step != nil {
		r.all.calling.Lock()
		defer r.all.calling.Unlock()
		r.all.Step(r.node.Name, step)
	}
}

func (r *run) open() (err error) {
	r.target, err = ask(r, func() (Target, error) { return r.opening(r.ctx) })
	return err
}

// step does one thing at the target, unless the time is over.
func (r *run) step(do func() error) error {
	if r.ctx.Err() != nil {
		return reason(r.ctx)
	}
	err := do()
	if err != nil && r.ctx.Err() != nil {
		return fmt.Errorf("%w (%w)", reason(r.ctx), err)
	}
	return withRemedy(err)
}

// ask is step for what has an answer.
func ask[T any](r *run, do func() (T, error)) (answer T, err error) {
	err = r.step(func() (err error) {
		answer, err = do()
		return err
	})
	return answer, err
}

// atOnce does n things: all at the same time where the target is pipelined, else one by one up to the first that
// fails. The error is that of the first thing with one.
func (r *run) atOnce(n int, do func(i int) error) error {
	if !r.target.Pipelined() {
		for i := range n {
			if err := do(i); err != nil {
				return err
			}
		}
		return nil
	}
	problems := make([]error, n)
	var running sync.WaitGroup
	for i := range n {
		running.Go(func() { problems[i] = do(i) })
	}
	running.Wait()
	return cmp.Or(problems...)
}

// each does something for each of the files, as atOnce does.
func (r *run) each(files []*work, do func(*work) error) error {
	return r.atOnce(len(files), func(i int) error {
		file := files[i]
		if file.err = do(file); file.err != nil {
			return fmt.Errorf("%s: %w", file.path, file.err)
		}
		return nil
	})
}

// only gives the files for which keep says so.
func (r *run) only(keep func(*work) bool) (files []*work) {
	for _, file := range r.files {
		if keep(file) {
			files = append(files, file)
		}
	}
	return files
}

// takeSteps takes them in order: look, judge, clean, write beside, put in place.
func (r *run) takeSteps() error {
	r.tell(StepRead)
	if err := r.each(r.files, r.look); err != nil {
		return err
	}
	pending := r.only(func(file *work) bool { return file.outcome == Untouched })
	if err := r.each(pending, r.judge); err != nil {
		return err
	}
	if r.all.DryRun {
		return r.each(pending, plan)
	}
	r.tell(StepWrite)
	if err := r.prepare(len(pending) > 0); err != nil {
		return err
	}
	if err := r.each(pending, r.writeBeside); err != nil {
		return err
	}
	r.tell(StepPlace)
	return r.placeAll(pending)
}

// look reads what is there, and whether an earlier run has left something beside it.
func (r *run) look(file *work) error {
	if err := r.recover(file); err != nil {
		return err
	}
	kinds := []string{kindNew, kindKept}
	left := make([]string, len(kinds))
	err := r.atOnce(1+len(kinds), func(i int) (err error) {
		if i == 0 {
			return r.lookAt(file)
		}
		left[i-1], err = r.findLeft(temporary(r.all.Instance, kinds[i-1], file.path))
		return err
	})
	file.left = slices.DeleteFunc(left, func(name string) bool { return name == "" })
	return err
}

func (r *run) lookAt(file *work) error {
	data, exists, err := r.read(file.path, maxExisting)
	if errors.Is(err, ErrTooLarge) {
		file.exists, file.tooLarge = true, true
		return nil
	}
	if err != nil {
		return err
	}
	file.existing, file.exists = data, exists
	if exists && sha256.Sum256(data) == file.sum {
		file.outcome = Equal
	}
	return nil
}

// findLeft gives the name back where it is there.
func (r *run) findLeft(name string) (string, error) {
	if there, err := r.exists(name); !there || err != nil {
		return "", err
	}
	return name, nil
}

func (r *run) exists(name string) (bool, error) {
	return ask(r, func() (bool, error) { return r.target.Exists(name) })
}

func (r *run) recover(file *work) error {
	if r.all.DryRun {
		return nil
	}
	return r.atOnce(2, func(i int) error {
		return r.step(func() error { return r.target.Recover(file.path + []string{"", ".old"}[i]) })
	})
}

func (r *run) read(name string, limit int64) (data []byte, exists bool, err error) {
	data, err = ask(r, func() ([]byte, error) { return r.target.Read(name, limit) })
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	return data, err == nil, err
}

// judge refuses to replace a list that phones would not leave for ours.
func (r *run) judge(file *work) error {
	if file.list && file.exists && !r.all.StartOver {
		if err := r.succeeds(file); err != nil {
			return fmt.Errorf("%w: %w; %s or start over (--start-over), after which phones that hold it need it erased by hand",
				errRefused, err, insteadOfStartingOver(err))
		}
	}
	if file.tooLarge {
		return fmt.Errorf("%w to be kept as %s.old; move it away", ErrTooLarge, file.name)
	}
	return nil
}

// insteadOfStartingOver says what to do about a list that is not replaced.
func insteadOfStartingOver(err error) string {
	switch {
	case errors.Is(err, ctl.ErrOlder):
		return "build it anew with the clock of this machine right,"
	case errors.Is(err, ctl.ErrOtherKind), !errors.Is(err, ctl.ErrNotSuccessor):
		return "move it away, if phones do not hold it,"
	}
	return "sign with a token of that list,"
}

func (r *run) succeeds(file *work) error {
	if file.tooLarge {
		return fmt.Errorf("it is not a trust list: %w", ErrTooLarge)
	}
	if _, err := ctl.Decode(file.existing); err != nil {
		return fmt.Errorf("it is not a readable trust list: %w", err)
	}
	err := ctl.VerifySuccession(file.data, file.existing)
	// Older is all that it is: the signature, on which phones insist (ctl-format.md, "Rules"), is good.
	if errors.Is(err, ctl.ErrOlder) && r.precedes(sha256.Sum256(file.existing)) {
		return nil
	}
	return err
}

func (r *run) precedes(sum [sha256.Size]byte) bool {
	if r.all.Precedes == nil {
		return false
	}
	r.all.calling.Lock()
	defer r.all.calling.Unlock()
	return r.all.Precedes(sum)
}

func plan(file *work) error {
	file.outcome = WouldBeNew
	if file.exists {
		file.outcome = WouldReplace
		file.kept = file.path + ".old"
	}
	return nil
}
