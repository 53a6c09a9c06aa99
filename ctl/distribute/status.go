package distribute

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"sync"
)

// State is what a node holds in place of a file, or of all of them.
type State string

// The states, from good to bad.
const (
	StateEqual       State = "equal"       // what it should
	StateOld         State = "old"         // an earlier one of ours
	StateForeign     State = "foreign"     // none of ours
	StateMissing     State = "missing"     // nothing
	StateUnreachable State = "unreachable" // could not be read
)

var states = []State{StateEqual, StateOld, StateForeign, StateMissing, StateUnreachable}

// FileStatus is one file of a node, as it was read just now.
type FileStatus struct {
	Path    string `json:"path"` // below the target
	State   State  `json:"state"`
	Version int    `json:"version,omitempty"` // of an old one
	Size    int    `json:"size"`              // bytes
	SHA256  string `json:"sha256,omitempty"`  // of what is there, lower-case hex
	Error   string `json:"error,omitempty"`
}

// NodeStatus is one node; its state is the worst of its files'.
type NodeStatus struct {
	Node  string       `json:"node"`
	State State        `json:"state"`
	Files []FileStatus `json:"files"`
	Err   error        `json:"-"` // why it could not be reached; names the node
	Error string       `json:"error,omitempty"`
}

// Status reads what the nodes hold and compares it with the payload. Known tells the version of an earlier
// file of ours by its SHA-256; it may be nil, and is called for one file at a time. Nothing is written. The results are in the order of the nodes.
func Status(ctx context.Context, nodes []Node, payload *Payload, known func(sum [sha256.Size]byte) (version int, ok bool), options Options) []NodeStatus {
	results := make([]NodeStatus, len(nodes))
	known = oneAtATime(known)
	options.each(ctx, nodes, func(ctx context.Context, i int, node Node, open opening, err error) {
		late := func(err error) NodeStatus { return newRun(ctx, node, payload, &wishes{}).unreachable(err) }
		if err != nil {
			results[i] = late(err)
			return
		}
		results[i] = bounded(ctx, func(ctx context.Context) NodeStatus {
			return newRun(ctx, node, payload, &wishes{}).status(open, known)
		}, late)
	})
	return results
}

func oneAtATime(known func([sha256.Size]byte) (int, bool)) func([sha256.Size]byte) (int, bool) {
	var asking sync.Mutex
	return func(sum [sha256.Size]byte) (int, bool) {
		if known == nil {
			return 0, false
		}
		asking.Lock()
		defer asking.Unlock()
		return known(sum)
	}
}

func (s NodeStatus) finish() NodeStatus {
	if s.Err = ofNode(s.Node, s.Err); s.Err != nil {
		s.Error = s.Err.Error()
	}
	return s
}

func (r *run) unreachable(err error) NodeStatus {
	status := NodeStatus{Node: r.node.Name, State: StateUnreachable, Err: err}
	for _, file := range r.files {
		status.Files = append(status.Files, FileStatus{Path: file.path, State: StateUnreachable})
	}
	return status.finish()
}

func (r *run) status(open opening, known func([sha256.Size]byte) (int, bool)) NodeStatus {
	if err := r.open(open); err != nil {
		return r.unreachable(err)
	}
	status := NodeStatus{Node: r.node.Name, State: StateEqual}
	files, problems := make([]FileStatus, len(r.files)), make([]error, len(r.files))
	// One file that cannot be read must not hide the others.
	_ = r.atOnce(len(files), func(i int) error {
		files[i], problems[i] = r.fileStatus(r.files[i], known)
		return nil
	})
	for i, one := range files {
		status.Files = append(status.Files, one)
		status.Err = cmp.Or(status.Err, problems[i])
		if slices.Index(states, one.State) > slices.Index(states, status.State) {
			status.State = one.State
		}
	}
	status.Err = cmp.Or(status.Err, r.target.Close())
	return status.finish()
}

func (r *run) fileStatus(file *work, known func([sha256.Size]byte) (int, bool)) (FileStatus, error) {
	status := FileStatus{Path: file.path}
	data, exists, err := r.read(file.path, maxExisting)
	switch {
	case errors.Is(err, ErrTooLarge):
		status.State = StateForeign
		return status, nil
	case err != nil:
		status.State, status.Error = StateUnreachable, err.Error()
		return status, err
	case !exists:
		status.State = StateMissing
		return status, nil
	}
	sum := sha256.Sum256(data)
	status.Size, status.SHA256 = len(data), hex.EncodeToString(sum[:])
	status.State = StateForeign
	if sum == file.sum {
		status.State = StateEqual
	} else if version, ok := known(sum); ok {
		status.State, status.Version = StateOld, version
	}
	return status, nil
}
