package distribute

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"

	"capf/ctl"
)

// maxExisting is how much of a file that stands in the way is read, and kept.
const maxExisting = 16 << 20

// temporaryName is what files are called until they are whole. Only names of this form are ever cleaned
// away.
var temporaryName = regexp.MustCompile(`^\.capf-[0-9a-f]{16}\.new$`)

// run is the work on one node. The steps, in order: open, look, judge, clean, write beside, put in place.
type run struct {
	ctx       context.Context
	node      Node
	startOver bool
	target    Target
	files     []*work
}

// work is one file of a run.
type work struct {
	payloadFile
	path     string // below the target
	exists   bool
	tooLarge bool
	existing []byte // as it was read at first
	beside   string // the temporary name, once written
	outcome  FileOutcome
	kept     string
	err      error
}

func newRun(ctx context.Context, node Node, payload *Payload, startOver bool) *run {
	r := &run{ctx: ctx, node: node, startOver: startOver}
	for _, file := range payload.files {
		r.files = append(r.files, &work{payloadFile: file, path: path.Join(node.dir(file.place), file.name), outcome: Untouched})
	}
	return r
}

// errRefused marks a list that may not be replaced.
var errRefused = errors.New("the list that is there is not replaced")

func (r *run) distribute(open opening) Result {
	err := r.open(open)
	if err == nil {
		err = r.all()
		r.discard()
		err = cmp.Or(err, r.target.Close())
	}
	result := Result{Node: r.node.Name, Err: err}
	written := false
	for _, file := range r.files {
		result.Files = append(result.Files, file.result())
		written = written || file.outcome == New || file.outcome == Replaced
	}
	switch {
	case err == nil && written:
		result.Outcome = Done
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

func (r *run) open(open opening) error {
	return r.step(func() (err error) {
		r.target, err = open(r.ctx)
		return err
	})
}

// step does one thing at the target, unless the time is over.
func (r *run) step(do func() error) error {
	if r.ctx.Err() != nil {
		return reason(r.ctx)
	}
	return do()
}

// each does something for every file that is not yet in place, up to the first that fails.
func (r *run) each(do func(*work) error) error {
	for _, file := range r.files {
		if file.outcome != Untouched {
			continue
		}
		if err := do(file); err != nil {
			file.err = err
			return fmt.Errorf("%s: %w", file.path, err)
		}
	}
	return nil
}

func (r *run) all() error {
	if err := r.each(r.look); err != nil {
		return err
	}
	if err := r.each(r.judge); err != nil {
		return err
	}
	if err := r.clean(); err != nil {
		return err
	}
	if err := r.each(r.writeBeside); err != nil {
		return err
	}
	return r.each(r.putInPlace)
}

// look reads what is there.
func (r *run) look(file *work) error {
	data, exists, err := r.read(file.path)
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

func (r *run) read(name string) (data []byte, exists bool, err error) {
	err = r.step(func() error {
		data, err = r.target.Read(name, maxExisting)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	return data, err == nil, err
}

// judge refuses to replace a list that phones would not leave for ours.
func (r *run) judge(file *work) error {
	if file.list && file.exists && !r.startOver {
		if err := r.succeeds(file); err != nil {
			return fmt.Errorf("%w: %w; sign with a token of that list, or start over (--start-over), after which "+
				"phones that hold it need it erased by hand", errRefused, err)
		}
	}
	if file.tooLarge {
		return fmt.Errorf("%w to be kept as %s.old; move it away", ErrTooLarge, file.name)
	}
	return nil
}

func (r *run) succeeds(file *work) error {
	if file.tooLarge {
		return fmt.Errorf("it is not a trust list: %w", ErrTooLarge)
	}
	if _, err := ctl.Decode(file.existing); err != nil {
		return fmt.Errorf("it is not a readable trust list: %w", err)
	}
	return ctl.VerifySuccession(file.data, file.existing)
}

// clean makes the folders and takes away what earlier runs left behind in them. Where every file is in
// place already a folder is there, and only cleaned.
func (r *run) clean() error {
	folders := []string{r.node.CertificatesDir}
	if r.node.TFTPDir != r.node.CertificatesDir {
		folders = append(folders, r.node.TFTPDir)
	}
	for _, folder := range folders {
		if err := r.step(func() error { return r.target.MakeFolder(folder) }); err != nil {
			return fmt.Errorf("folder %s: %w", folder, err)
		}
		if err := r.cleanFolder(folder); err != nil {
			return fmt.Errorf("folder %s: %w", folder, err)
		}
	}
	return nil
}

func (r *run) cleanFolder(folder string) error {
	var names []string
	err := r.step(func() (err error) {
		names, err = r.target.List(folder)
		return err
	})
	for _, name := range names {
		if err == nil && temporaryName.MatchString(name) {
			err = r.step(func() error { return r.target.Remove(path.Join(folder, name)) })
			if errors.Is(err, fs.ErrNotExist) { // another run cleans too
				err = nil
			}
		}
	}
	return err
}

func (r *run) writeBeside(file *work) error {
	file.beside = temporaryBeside(file.path)
	return r.write(file.beside, file.data)
}

// temporaryBeside returns a new temporary name in the same folder. It is random, so that two runs at once
// never write to one file.
func temporaryBeside(name string) string {
	var random [8]byte
	rand.Read(random[:])
	return path.Join(path.Dir(name), ".capf-"+hex.EncodeToString(random[:])+".new")
}

// write makes a file and compares what is then there.
func (r *run) write(name string, data []byte) error {
	if err := r.step(func() error { return r.target.Write(name, data) }); err != nil {
		return err
	}
	return r.compare(name, sha256.Sum256(data))
}

func (r *run) compare(name string, want [sha256.Size]byte) error {
	data, exists, err := r.read(name)
	if err != nil {
		return err
	}
	if !exists || sha256.Sum256(data) != want {
		return fmt.Errorf("%s: what was written is not what is there now; look at the target's disk", name)
	}
	return nil
}

// putInPlace keeps what is there as `.old` and then renames. The name itself is never without a file: the
// one that is kept is a copy.
func (r *run) putInPlace(file *work) error {
	if err := r.same(file); err != nil {
		return err
	}
	if file.exists {
		if err := r.keep(file); err != nil {
			return err
		}
	}
	if err := r.step(func() error { return r.target.Rename(file.beside, file.path) }); err != nil {
		return err
	}
	file.beside = ""
	file.outcome = New
	if file.exists {
		file.outcome = Replaced
	}
	return r.compare(file.path, file.sum)
}

// same refuses to go on where someone else has changed the file since it was judged.
func (r *run) same(file *work) error {
	data, exists, err := r.read(file.path)
	if err != nil {
		return err
	}
	if exists != file.exists || string(data) != string(file.existing) {
		return errors.New("the file was changed by someone else meanwhile; distribute again")
	}
	return nil
}

func (r *run) keep(file *work) error {
	beside := temporaryBeside(file.path)
	err := r.write(beside, file.existing)
	if err == nil {
		err = r.step(func() error { return r.target.Rename(beside, file.path+".old") })
	}
	if err != nil {
		_ = r.target.Remove(beside) // best effort: the next run cleans it
		return fmt.Errorf("keep the file as %s.old: %w", file.name, err)
	}
	file.kept = file.path + ".old"
	return nil
}

// discard takes away the temporary files of a run that failed, as far as it can; the next run cleans the
// rest.
func (r *run) discard() {
	for _, file := range r.files {
		if file.beside != "" {
			_ = r.target.Remove(file.beside)
		}
	}
}
