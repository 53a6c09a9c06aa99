package backup

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// unpacking receives a backup into an empty folder. It writes through os.Root, although Kept lets no name
// through that would lead out of it.
type unpacking struct {
	root     *os.Root
	begin    func(Manifest) error
	manifest Manifest
}

func newUnpacking(folder string, begin func(Manifest) error) (*unpacking, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, folderError(folder, err)
	}
	for _, name := range []string{KeyFolder, TraceFolder} {
		if err := errors.Join(root.Mkdir(name, 0o700), root.Chmod(name, 0o700)); err != nil {
			return nil, errors.Join(folderError(name, err), root.Close())
		}
	}
	return &unpacking{root: root, begin: begin}, nil
}

func (u *unpacking) Begin(manifest Manifest) error {
	u.manifest = manifest
	if u.begin == nil {
		return nil
	}
	return u.begin(manifest)
}

// Member writes a file.
func (u *unpacking) Member(member Member, content io.Reader) error {
	file, err := u.root.OpenFile(filepath.FromSlash(member.Name), os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return fileError(member.Name, err)
	}
	_, err = io.Copy(file, content)
	if err == nil {
		err = file.Chmod(0o600)
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return fileError(member.Name, err)
	}
	return nil
}

// sync brings everything to disk; file by file that takes minutes with the traces of 100,000 phones. A data
// directory without keys or traces is without those folders.
func (u *unpacking) sync() error {
	for _, name := range []string{TraceFolder, KeyFolder} {
		if err := u.root.Remove(name); err != nil && !errors.Is(err, fs.ErrExist) { // it is not empty
			return folderError(name, err)
		}
	}
	folder, err := u.root.Open(".")
	if err != nil {
		return folderError(u.root.Name(), err)
	}
	if err := errors.Join(unix.Syncfs(int(folder.Fd())), folder.Close()); err != nil {
		return folderError(u.root.Name(), err)
	}
	return nil
}
