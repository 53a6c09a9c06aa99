package distribute

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"slices"

	"capf/ctl"
)

// What the nodes hold now: compared with a payload (Status), or asked for one certificate (Lacking).

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
	if known == nil {
		known = func([sha256.Size]byte) (int, bool) { return 0, false }
	}
	return visit(ctx, nodes, payload, options, func(r *run) NodeStatus { return r.status(known) }, (*run).unreachable, nil)
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

func (r *run) status(known func([sha256.Size]byte) (int, bool)) NodeStatus {
	if err := r.open(); err != nil {
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
	r.all.calling.Lock()
	defer r.all.calling.Unlock()
	if sum == file.sum {
		status.State = StateEqual
	} else if version, ok := known(sum); ok {
		status.State, status.Version = StateOld, version
	}
	return status, nil
}

// Lacking reads the list that each node holds now, and gives, for each node in their order, why it does not
// have the certificate as CAPF's: no list, one that does not verify, another list, or a node that does not
// answer. Nil where it has. Errors name their node. Nothing is written.
func Lacking(ctx context.Context, nodes []Node, capf *x509.Certificate, options Options) []error {
	failed := func(r *run, err error) error { return ofNode(r.node.Name, err) }
	return visit(ctx, nodes, &Payload{}, options, func(r *run) error { return failed(r, r.lacks(capf)) }, failed, nil)
}

func (r *run) lacks(capf *x509.Certificate) error {
	if err := r.open(); err != nil {
		return err
	}
	name := path.Join(r.node.TFTPDir, ctl.FileName)
	list, exists, err := r.read(name, maxExisting)
	switch err = cmp.Or(err, r.target.Close()); {
	case err != nil:
		return fmt.Errorf("%s: %w", name, err)
	case !exists:
		return fmt.Errorf("%s: is not there", name)
	}
	if err := holds(list, capf); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// holds says why phones with this list would not take the certificate as CAPF's.
func holds(list []byte, capf *x509.Certificate) error {
	verification, err := ctl.Verify(list)
	if err != nil {
		return fmt.Errorf("does not verify: %w", err)
	}
	certificates, err := verification.File.Certificates(ctl.RoleCAPF)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(certificates, capf.Equal) {
		return errors.New("does not hold the certificate")
	}
	return nil
}
