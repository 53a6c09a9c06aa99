package distribute

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"time"
)

// Verdict is what a check found of one thing.
type Verdict string

// The verdicts.
const (
	Yes       Verdict = "yes"
	No        Verdict = "no"
	Unknown   Verdict = "unknown"
	NotNeeded Verdict = "none" // this kind of target has none
)

// NodeCheck is what a check found of a node.
type NodeCheck struct {
	Node      string        `json:"node"`
	Good      bool          `json:"good"`
	Reachable Verdict       `json:"reachable"`
	HostKey   Verdict       `json:"host-key"` // as it is known
	Login     Verdict       `json:"login"`
	Folders   []FolderCheck `json:"folders"`
	Clock     *int64        `json:"clock-difference,omitempty"` // seconds by which its clock is ahead of ours; nil: unknown
	Err       error         `json:"-"`                          // the first that is wrong; names the node
	Error     string        `json:"error,omitempty"`
}

// FolderCheck is what a check found of a folder.
type FolderCheck struct {
	Folder   string  `json:"folder"` // below the target
	Exists   Verdict `json:"exists"` // one that does not is made by the first distribution
	Writable Verdict `json:"writable"`
	Free     *uint64 `json:"free,omitempty"` // bytes; nil: unknown
	Error    string  `json:"error,omitempty"`
}

const (
	// leastFree is what a folder should have left: every file is there three times for a moment.
	leastFree = 1 << 20
	// mostClock is how far a clock may be off. Certificates and deadlines of operations go by it.
	mostClock = 60
)

// Check reaches each node, knows its host key, logs in, and tries its folders with a file of its own, which it
// takes away again. The results are in the order of the nodes. Of the options it heeds Parallel, Timeout, Openers
// and Instance.
func Check(ctx context.Context, nodes []Node, options Options) []NodeCheck {
	return visit(ctx, nodes, &Payload{}, options, (*run).check, (*run).unreached, nil)
}

// unreached says how far a node came that did not open.
func (r *run) unreached(err error) NodeCheck {
	result := NodeCheck{Node: r.node.Name, Reachable: No, HostKey: Unknown, Login: Unknown, Err: err}
	var at *stageError
	if errors.As(err, &at) {
		if at.stage == stageBegin {
			result.Reachable = Unknown
		}
		if at.stage > stageReach {
			result.Reachable, result.HostKey = Yes, No
		}
		if at.stage > stageHostKey {
			result.HostKey, result.Login = Yes, No
		}
		if at.stage > stageLogin {
			result.Login = Yes
		}
	}
	return result.finish()
}

func (c NodeCheck) finish() NodeCheck {
	if c.Err = ofNode(c.Node, c.Err); c.Err != nil {
		c.Error = c.Err.Error()
	}
	c.Good = c.Err == nil
	return c
}

func (r *run) check() NodeCheck {
	if err := r.open(); err != nil {
		return r.unreached(err)
	}
	result := NodeCheck{Node: r.node.Name, Reachable: Yes, HostKey: NotNeeded, Login: NotNeeded}
	if _, remote := r.target.(*sftpTarget); remote {
		result.HostKey, result.Login = Yes, Yes
	}
	result.Err = r.checkFolders(&result)
	if off := result.Clock; result.Err == nil && off != nil && max(*off, -*off) > mostClock {
		result.Err = fmt.Errorf("its clock is %+d s off ours; set one of the two right", *off)
	}
	result.Err = cmp.Or(result.Err, r.target.Close())
	return result.finish()
}

// checkFolders tries all folders, and gives the first problem.
func (r *run) checkFolders(result *NodeCheck) (first error) {
	folders := slices.Compact([]string{r.node.CertificatesDir, r.node.TFTPDir})
	result.Folders = make([]FolderCheck, len(folders))
	clocks, problems := make([]*int64, len(folders)), make([]error, len(folders))
	_ = r.atOnce(len(folders), func(i int) error {
		result.Folders[i], clocks[i], problems[i] = r.checkFolder(folders[i])
		return nil
	})
	for i, problem := range problems {
		if problem != nil {
			result.Folders[i].Error = problem.Error()
			first = cmp.Or(first, fmt.Errorf("folder %s: %w", folders[i], problem))
		}
		result.Clock = cmp.Or(result.Clock, clocks[i])
	}
	return first
}

// checkFolder tries a folder, or the one in which it would be made.
func (r *run) checkFolder(folder string) (result FolderCheck, clock *int64, err error) {
	result = FolderCheck{Folder: folder, Exists: Unknown, Writable: Unknown}
	there, err := r.nearest(folder)
	if err != nil {
		return result, nil, err
	}
	result.Exists, result.Writable = Yes, No
	if there != folder {
		result.Exists = No
	}
	if clock, err = r.try(path.Join(there, path.Base(temporary(r.all.Instance, kindCheck, folder)))); err != nil {
		return result, nil, err
	}
	result.Writable = Yes
	result.Free, err = r.free(there)
	return result, clock, err
}

// nearest gives the folder, or the innermost around it that is there; the target itself is.
func (r *run) nearest(folder string) (string, error) {
	for ; folder != "."; folder = path.Dir(folder) {
		exists, err := r.exists(folder)
		if err != nil || exists {
			return folder, err
		}
	}
	return folder, nil
}

// try writes a file and takes it away again. Its time tells the clock of the machine that keeps it.
func (r *run) try(name string) (clock *int64, err error) {
	left, err := r.findLeft(name)
	if err == nil && left != "" {
		err = r.step(func() error { return r.target.Remove(name) })
	}
	if err != nil {
		return nil, err
	}
	before := time.Now()
	if err := r.write(name, []byte("capf node check\n")); err != nil {
		_ = r.target.Remove(name)
		return nil, err
	}
	clock = r.clock(name, before, time.Now())
	return clock, r.step(func() error { return r.target.Remove(name) })
}

// clock gives by how many seconds a file's time is outside of that in which it was written; nil where the target
// does not tell.
func (r *run) clock(name string, before, after time.Time) *int64 {
	at, err := ask(r, func() (time.Time, error) { return r.target.Modified(name) })
	if err != nil || at.Unix() <= 0 {
		return nil
	}
	difference := int64(0)
	switch at := at.Unix(); {
	case at < before.Unix():
		difference = at - before.Unix()
	case at > after.Unix():
		difference = at - after.Unix()
	}
	return &difference
}

func (r *run) free(folder string) (*uint64, error) {
	var free uint64
	known := false
	err := r.step(func() (err error) {
		free, known, err = r.target.Free(folder)
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case !known:
		return nil, nil
	case free < leastFree:
		return &free, fmt.Errorf("%d bytes are free, which is too little; make room", free)
	}
	return &free, nil
}
