package source

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// member is a file of an archive, unpacked, or a folder that such files lie in. It is its own fs.FileInfo.
type member struct {
	path         string
	folder       bool
	offset, size int64 // in the spool
	sha256       [32]byte
	below        []*member // of a folder
}

// memberTree holds the members of an archive. Their names are keys and never become names on this machine's disk.
type memberTree struct {
	spool   *spool
	members map[string]*member
}

// newMemberTree puts files under their folders. A file that lies in what is itself a file is given back: it has no
// place.
func newMemberTree(content *spool, files []*member) (out *memberTree, misplaced []*member) {
	out = &memberTree{spool: content, members: map[string]*member{".": {path: ".", folder: true}}}
	for _, file := range slices.SortedFunc(slices.Values(files), func(a, b *member) int { return cmp.Compare(a.path, b.path) }) {
		if parent := out.folder(path.Dir(file.path)); parent == nil || out.members[file.path] != nil {
			misplaced = append(misplaced, file)
		} else {
			out.members[file.path] = file
			parent.below = append(parent.below, file)
		}
	}
	return out, misplaced
}

// folder gives a folder and makes those that it lies in; nil where one of them is a file.
func (t *memberTree) folder(name string) *member {
	if found := t.members[name]; found != nil {
		if !found.folder {
			return nil
		}
		return found
	}
	parent := t.folder(path.Dir(name))
	if parent == nil {
		return nil
	}
	made := &member{path: name, folder: true}
	t.members[name] = made
	parent.below = append(parent.below, made)
	return made
}

// files gives the paths of all files, sorted.
func (t *memberTree) files() []string {
	var out []string
	for _, one := range t.members {
		if !one.folder {
			out = append(out, one.path)
		}
	}
	slices.Sort(out)
	return out
}

func (t *memberTree) find(name string) (*member, error) {
	if found := t.members[name]; found != nil {
		return found, nil
	}
	return nil, fmt.Errorf("%q: %w", name, fs.ErrNotExist)
}

// ReadDir gives what lies in a folder, by name.
func (t *memberTree) ReadDir(name string) ([]fs.DirEntry, error) {
	found, err := t.find(name)
	if err != nil {
		return nil, err
	}
	var out []fs.DirEntry
	for _, one := range found.below {
		out = append(out, fs.FileInfoToDirEntry(one))
	}
	slices.SortFunc(out, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return out, nil
}

// Stat tells of a member.
func (t *memberTree) Stat(name string) (fs.FileInfo, error) { return t.find(name) }

// Open reads an unpacked file.
func (t *memberTree) Open(name string) (io.ReadCloser, error) {
	found, err := t.find(name)
	if err != nil || found.folder {
		return nil, cmp.Or(err, fmt.Errorf("%q is a folder", name))
	}
	if found.size == 0 {
		return io.NopCloser(bytes.NewReader(nil)), nil
	}
	return io.NopCloser(io.NewSectionReader(t.spool.file, found.offset, found.size)), nil
}

// Close gives up what was unpacked.
func (t *memberTree) Close() error { return t.spool.close() }

// Name is the last part of the path.
func (m *member) Name() string { return path.Base(m.path) }

// Size is in bytes.
func (m *member) Size() int64 { return m.size }

// Mode tells files from folders; there are no others.
func (m *member) Mode() fs.FileMode {
	if m.folder {
		return fs.ModeDir | 0o500
	}
	return 0o400
}

// ModTime is not known.
func (m *member) ModTime() time.Time { return time.Time{} }

// IsDir tells a folder.
func (m *member) IsDir() bool { return m.folder }

// Sys has nothing.
func (m *member) Sys() any { return nil }
