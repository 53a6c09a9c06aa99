package distribute

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"capf/ctl"
)

// How the files of a node are written beside their names, and then given them.

// prepare makes the folders, and takes away what earlier runs left behind. Where every file is in place already
// the folders are there.
func (r *run) prepare(folders bool) error {
	if folders {
		if err := r.makeFolders(); err != nil {
			return err
		}
	}
	return r.each(r.only(func(file *work) bool { return len(file.left) > 0 }), func(file *work) error {
		for _, name := range file.left {
			err := r.step(func() error { return r.target.Remove(name) })
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		return nil
	})
}

func (r *run) makeFolders() error {
	folders := slices.Compact([]string{r.node.CertificatesDir, r.node.TFTPDir})
	return r.atOnce(len(folders), func(i int) error {
		if err := r.step(func() error { return r.target.MakeFolder(folders[i]) }); err != nil {
			return fmt.Errorf("folder %s: %w", folders[i], err)
		}
		return nil
	})
}

// writeBeside writes the file under a name of our own, and what is there as that which is to be kept. The name
// itself is never without a file: the one that is kept is a copy.
func (r *run) writeBeside(file *work) error {
	names := []string{temporary(r.all.Instance, kindNew, file.path)}
	if file.exists {
		names = append(names, temporary(r.all.Instance, kindKept, file.path))
	}
	file.beside = names
	return r.atOnce(len(names), func(i int) error {
		if i == 0 {
			return r.write(names[0], file.data)
		}
		if err := r.write(names[1], file.existing); err != nil {
			return fmt.Errorf("keep the file as %s.old: %w", file.name, err)
		}
		return nil
	})
}

// write makes a file and compares what is then there.
func (r *run) write(name string, data []byte) error {
	if err := r.step(func() error { return r.target.Write(name, data) }); err != nil {
		return err
	}
	return r.compare(name, int64(len(data)), sha256.Sum256(data))
}

func (r *run) compare(name string, size int64, want [sha256.Size]byte) error {
	data, exists, err := r.read(name, size)
	if err != nil && !errors.Is(err, ErrTooLarge) {
		return err
	}
	if err != nil || !exists || sha256.Sum256(data) != want {
		return fmt.Errorf("%s: what was written is not what is there now; look at the target's disk", name)
	}
	return nil
}

// placeAll gives the files their names, after all of them were found whole beside them and those that are there
// as they were judged: the certificates first, the list last, since phones that load it will ask for what it names.
func (r *run) placeAll(pending []*work) error {
	if err := r.each(pending, r.same); err != nil {
		return err
	}
	if err := r.each(pending, r.renameKept); err != nil {
		return err
	}
	for _, stage := range []func(*work) bool{
		func(file *work) bool { return file.place == CertificatesFolder },
		func(file *work) bool { return file.place == TFTPFolder && file.name != ctl.FileName },
		func(file *work) bool { return file.name == ctl.FileName },
	} {
		files := r.only(func(file *work) bool { return stage(file) && file.outcome == Untouched })
		if err := r.announce(files); err != nil {
			return err
		}
		if err := r.each(files, r.putInPlace); err != nil {
			return err
		}
	}
	return r.each(pending, func(file *work) error { return r.compare(file.path, int64(len(file.data)), file.sum) })
}

// announce tells, before one of these files gets its name, that a list will.
func (r *run) announce(files []*work) error {
	if r.all.Listing == nil || !slices.ContainsFunc(files, func(file *work) bool { return file.list }) {
		return nil
	}
	return r.step(func() error { return r.all.Listing(r.ctx, r.node.Name) })
}

// same refuses to go on where someone else has changed the file since it was judged.
func (r *run) same(file *work) error {
	data, exists, err := r.read(file.path, maxExisting)
	if err != nil {
		return err
	}
	if exists != file.exists || string(data) != string(file.existing) {
		return errors.New("the file was changed by someone else meanwhile; distribute again")
	}
	return nil
}

func (r *run) renameKept(file *work) error {
	if !file.exists {
		return nil
	}
	if err := r.step(func() error { return r.target.Rename(file.beside[1], file.path+".old") }); err != nil {
		return fmt.Errorf("keep the file as %s.old: %w", file.name, err)
	}
	file.beside = file.beside[:1]
	file.kept = file.path + ".old"
	return nil
}

func (r *run) putInPlace(file *work) error {
	if err := r.step(func() error { return r.target.Rename(file.beside[0], file.path) }); err != nil {
		return err
	}
	file.beside = nil
	file.outcome = New
	if file.exists {
		file.outcome = Replaced
	}
	return nil
}

// discard takes away the temporary files of a run that failed, as far as it can; the next run cleans the
// rest.
func (r *run) discard() {
	for _, file := range r.files {
		for _, name := range file.beside {
			_ = r.target.Remove(name)
		}
	}
}

// The kinds of temporary files.
const (
	kindNew   = "new"   // what is to become the file
	kindKept  = "kept"  // what is to become `<file>.old`
	kindCheck = "check" // tries whether a folder can be written to
	kindAside = "aside" // the file itself, while a server without a replacing rename changes it
)

// temporary returns the name beside a file for our own use. It is the same for every run of an instance, which
// runs one at a time (Lock), so that a run finds what an earlier one has left behind without reading the folder;
// and no two instances ever write to one file.
func temporary(instance, kind, name string) string {
	sum := sha256.Sum256([]byte(instance + "\x00" + name))
	return path.Join(path.Dir(name), ".capf-"+hex.EncodeToString(sum[:8])+"."+kind)
}

// newInstance returns a name that nobody has.
func newInstance() string {
	var random [16]byte
	rand.Read(random[:])
	return hex.EncodeToString(random[:])
}
