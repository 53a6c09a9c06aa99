package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"filippo.io/age"
	"golang.org/x/sys/unix"

	"capf/internal/durable"
	"capf/runtime/capf"
)

// restoringSuffix is behind the name of a data directory until it is whole.
const restoringSuffix = ".restoring"

// Target is where a data directory is to be.
type Target struct {
	Data string // absent, or an empty folder

	// Begin may refuse by the manifest, before anything is written.
	Begin func(manifest Manifest) error
	// Inspect says what a data directory is, and fails where something in it is damaged.
	Inspect func(ctx context.Context, data string) (Contents, error)

	Progress func(done, total int64) // bytes; may be nil
}

// Restored is what was restored.
type Restored struct {
	Manifest
	Encrypted bool
}

// Restore makes the data directory of a backup: all of it, or nothing. It is made beside its place, in
// `<data>.restoring`, held against the manifest, and then gets its name in one step. Whatever the backup says,
// folders have mode 0700 and files 0600. CodeConflict where something is in that place already.
func (t Target) Restore(ctx context.Context, in io.Reader, identities []age.Identity) (Restored, error) {
	data, err := t.place()
	if err != nil {
		return Restored{}, err
	}
	plain, encrypted, err := decrypted(interruptible{ctx, in}, identities)
	if err != nil {
		return Restored{}, err
	}
	beside, err := takeScratch(data+restoringSuffix, "another restore to "+data+" is under way")
	if err != nil {
		return Restored{}, err
	}
	manifest, err := t.restore(ctx, plain, beside.image())
	if err == nil {
		err = moveInto(beside.image(), data)
	}
	if removed := beside.remove(); err == nil && removed != nil {
		err = folderError(data, removed)
	}
	if err != nil {
		return Restored{}, err
	}
	return Restored{Manifest: manifest, Encrypted: encrypted}, nil
}

// place gives the directory by its real path, after a look that nothing is there.
func (t Target) place() (string, error) {
	data, err := filepath.Abs(t.Data)
	if err != nil {
		return "", folderError(t.Data, err)
	}
	if real, err := filepath.EvalSymlinks(data); err == nil {
		data = real
	}
	entries, err := os.ReadDir(data)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.MkdirAll(filepath.Dir(data), 0o700); err != nil {
			return "", folderError(data, err)
		}
		return data, nil
	case err != nil:
		return "", folderError(data, err)
	case len(entries) > 0:
		return "", notEmpty(data)
	}
	return data, nil
}

func notEmpty(data string) error {
	return &capf.Error{Code: capf.CodeConflict, Message: data + " is not empty", Hint: "a restore replaces nothing: give another --data, or move away what is there"}
}

// restore fills the folder and sees that it is what the manifest says.
func (t Target) restore(ctx context.Context, in io.Reader, folder string) (manifest Manifest, err error) {
	into, err := openUnpacked(folder)
	if err != nil {
		return Manifest{}, err
	}
	defer into.Close()
	err = Read(in, func(read Manifest) error {
		manifest = read
		if t.Begin == nil {
			return nil
		}
		return t.Begin(read)
	}, into.create, t.Progress)
	if err != nil {
		return Manifest{}, err
	}
	found, err := t.Inspect(ctx, folder)
	if err != nil {
		return Manifest{}, err
	}
	if found != manifest.Contents {
		return Manifest{}, &capf.Error{Code: capf.CodeRefused, Message: fmt.Sprintf("the backup says of itself schema %d and CAPF %q, but holds schema %d and CAPF %q",
			manifest.Schema, manifest.Identity, found.Schema, found.Identity), Hint: "this is no backup that capf made"}
	}
	return manifest, into.sync()
}

// moveInto gives the folder the name of the data directory, which the system takes away in the same step if it
// is still empty.
func moveInto(folder, data string) error {
	err := unix.Rename(folder, data) // os.Rename refuses every folder that is there
	switch {
	case errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST):
		return notEmpty(data)
	case errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EXDEV):
		return &capf.Error{Code: capf.CodeUnavailable, Message: data + " cannot be put in place", Err: err, Hint: "it is a mount: restore into a new folder inside it"}
	case err == nil:
		err = durable.SyncFolder(filepath.Dir(data))
	}
	if err != nil {
		return folderError(data, err)
	}
	return nil
}

// unpacked is the folder that a backup is read into. It is written through os.Root, although Kept lets no name through that
// would lead out of it.
type unpacked struct{ *os.Root }

func openUnpacked(folder string) (unpacked, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return unpacked{}, folderError(folder, err)
	}
	for _, name := range []string{KeyFolder, TraceFolder} {
		if err := errors.Join(root.Mkdir(name, 0o700), root.Chmod(name, 0o700)); err != nil {
			return unpacked{}, errors.Join(folderError(name, err), root.Close())
		}
	}
	return unpacked{root}, nil
}

// create makes the file of a member.
func (u unpacked) create(member Member) (io.WriteCloser, error) {
	file, err := u.OpenFile(filepath.FromSlash(member.Name), os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err == nil {
		err = file.Chmod(0o600)
	}
	if err != nil {
		return nil, fileError(member.Name, err)
	}
	return newFile{file, member.Name}, nil
}

// newFile says of its errors that they are not those of the backup that is read.
type newFile struct {
	*os.File
	name string
}

func (f newFile) Write(content []byte) (int, error) {
	n, err := f.File.Write(content)
	if err != nil {
		err = fileError(f.name, err)
	}
	return n, err
}

func (f newFile) Close() error {
	if err := f.File.Close(); err != nil {
		return fileError(f.name, err)
	}
	return nil
}

// sync brings everything to disk; file by file that takes minutes with the traces of 100,000 phones. A data
// directory without keys or traces is without those folders.
func (u unpacked) sync() error {
	for _, name := range []string{TraceFolder, KeyFolder} {
		if err := u.Remove(name); err != nil && !errors.Is(err, fs.ErrExist) { // it is not empty
			return folderError(name, err)
		}
	}
	folder, err := u.Open(".")
	if err != nil {
		return folderError(u.Name(), err)
	}
	if err := errors.Join(unix.Syncfs(int(folder.Fd())), folder.Close()); err != nil {
		return folderError(u.Name(), err)
	}
	return nil
}
