package distribute

import (
	"errors"
	"io/fs"
	"path"
	"strings"
)

// The target itself may be a link, or lie behind one: the administrator has named it. Below it links are followed only
// where they stay below it, as in folders of this machine: whoever may write there could otherwise have us write, or copy
// what we may read, elsewhere. SFTP can only be asked where a path leads: it is asked once, and what it says is gone to
// from then on, so that a link that is changed later changes nothing. A server that resolves no links is not held to this.

// errLeadsOut is for a link that is not followed, and says what to do.
var errLeadsOut = errors.New("a link there leads out of the target folder, and is not followed; have the target begin above both, " +
	"or put a folder in the link's place")

// whole gives the path of a file or folder on the server, for all that does not follow a link in its last part.
func (t *sftpTarget) whole(name string) (string, error) {
	if path.Dir(name) == "." || path.IsAbs(name) {
		return path.Join(t.base, name), nil
	}
	folder, err := t.inside(path.Dir(name))
	return path.Join(folder, path.Base(name)), err
}

// inside gives the path to which a folder leads; one that is not there leads nowhere else.
func (t *sftpTarget) inside(folder string) (string, error) {
	t.mu.Lock()
	known, ok := t.folders[folder]
	t.mu.Unlock()
	if ok {
		return known, nil
	}
	leads, err := t.leads(path.Join(t.base, folder))
	if errors.Is(err, fs.ErrNotExist) {
		return path.Join(t.base, folder), nil
	}
	if err != nil {
		return "", err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.folders[folder] = leads
	return leads, nil
}

// again asks anew where a folder leads: it may have been made, or come into its place, since it was asked.
func (t *sftpTarget) again(folder string) error {
	t.mu.Lock()
	delete(t.folders, folder)
	t.mu.Unlock()
	_, err := t.inside(folder)
	return err
}

// leads gives the path to which another one leads, if that lies below the target.
func (t *sftpTarget) leads(full string) (string, error) {
	leads, err := t.files.RealPath(full)
	if err != nil {
		return "", err
	}
	if leads != t.base && !strings.HasPrefix(leads, strings.TrimSuffix(t.base, "/")+"/") {
		return "", errLeadsOut
	}
	return leads, nil
}
