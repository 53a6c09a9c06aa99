package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"filippo.io/age"

	"capf/runtime/capf"
)

// A backup is made of an image: a folder in the data directory that holds what the backup is to hold, and that nobody
// else writes to.

// Source is a data directory of which backups are made.
type Source struct {
	Data    string
	Machine string           // its name, for a person
	Clock   func() time.Time // never nil

	// Snapshot writes the store, as it is at one moment, into a new file.
	Snapshot func(ctx context.Context, into string) error
	// Inspect says what a data directory is, and fails where something in it is damaged.
	Inspect func(ctx context.Context, data string) (Contents, error)

	Progress func(done, total int64) // bytes; may be nil
}

// Backup is what a backup was made of.
type Backup struct {
	Manifest
	LeftOut []string // at the top of the data directory, and nothing of capf's
}

// Create writes a backup to out, encrypted for the recipients where there are any. The data directory needs
// room for a copy of the store. Nobody who works on it has to wait. CodeBusy while another backup is made of it,
// or where its keys would not keep still.
func (s Source) Create(ctx context.Context, out io.Writer, recipients []age.Recipient) (Backup, error) {
	leftOut, err := s.foreign()
	if err != nil {
		return Backup{}, err
	}
	image, err := takeScratch(filepath.Join(s.Data, scratchName), "another backup of "+s.Data+" is being made")
	if err != nil {
		return Backup{}, err
	}
	manifest, err := s.create(ctx, image.image(), out, recipients)
	if removed := image.remove(); err == nil && removed != nil {
		err = folderError(image.path, removed)
	}
	return Backup{Manifest: manifest, LeftOut: leftOut}, err
}

// foreign gives what is at the top of the data directory that capf did not make.
func (s Source) foreign() (names []string, err error) {
	entries, err := os.ReadDir(s.Data)
	if errors.Is(err, os.ErrNotExist) {
		return nil, &capf.Error{Code: capf.CodeNotActivated, Message: "there is no data directory " + s.Data, Hint: "say with --data where it is"}
	}
	if err != nil {
		return nil, folderError(s.Data, err)
	}
	for _, entry := range entries {
		if isForeign(entry.Name()) {
			names = append(names, entry.Name())
		}
	}
	return names, nil
}

func (s Source) create(ctx context.Context, image string, out io.Writer, recipients []age.Recipient) (Manifest, error) {
	if err := s.freeze(ctx, image); err != nil {
		return Manifest{}, err
	}
	manifest := Manifest{Format: Format, CreatedAt: s.Clock().UTC().Truncate(time.Second)}
	if isText(s.Machine) {
		manifest.Machine = s.Machine
	}
	var err error
	if manifest.Contents, err = s.Inspect(ctx, image); err != nil {
		return Manifest{}, err
	}
	if manifest.Members, err = members(ctx, image); err != nil {
		return Manifest{}, err
	}
	open := func(member Member) (io.ReadCloser, error) {
		file, err := os.Open(filepath.Join(image, filepath.FromSlash(member.Name)))
		return struct {
			io.Reader
			io.Closer
		}{interruptible{ctx, file}, file}, err
	}
	err = encrypted(out, recipients, func(plain io.Writer) error { return Write(plain, manifest, open, s.Progress) })
	if err != nil {
		return Manifest{}, explained(err, "write the backup", "check space and permissions")
	}
	return manifest, nil
}

// tries is how often a backup begins anew when the CAPF keys are changed under it.
const tries = 5

// smallFiles are those beside the store, by name: CAPF's own keys and certificates above all.
type smallFiles map[string]string

// freeze makes an image of the data directory in an empty folder: a consistent copy of the store, and the files
// that belong to it. The CAPF keys are read before the store and after it: were they changed meanwhile, the two
// would not belong together (a CAPF certificate in force whose predecessor is no anchor yet, or LSCs of one that
// is not in force), and it is done again.
func (s Source) freeze(ctx context.Context, image string) error {
	store := filepath.Join(image, StoreName)
	for range tries {
		before, err := readFiles(s.Data)
		if err != nil {
			return err
		}
		if err := s.Snapshot(ctx, store); err != nil {
			return err
		}
		after, err := readFiles(s.Data)
		if err != nil {
			return err
		}
		if maps.Equal(before, after) {
			return errors.Join(after.write(image), s.freezeTraces(ctx, image))
		}
		if err := os.Remove(store); err != nil {
			return folderError(image, err)
		}
	}
	return &capf.Error{Code: capf.CodeBusy, Message: "the CAPF keys are being changed: each time that the store was copied they were others",
		Hint: "try again when `capf ca` commands have ended"}
}

// readFiles reads what isSmall tells.
func readFiles(data string) (smallFiles, error) {
	found := make(smallFiles)
	for _, folder := range []string{"", KeyFolder} {
		entries, err := os.ReadDir(filepath.Join(data, folder))
		if err != nil && !(folder != "" && errors.Is(err, fs.ErrNotExist)) {
			return nil, folderError(filepath.Join(data, folder), err)
		}
		for _, entry := range entries {
			name := path.Join(folder, entry.Name())
			if !Kept(name) || !isSmall(name) {
				continue
			}
			content, err := readSmall(filepath.Join(data, filepath.FromSlash(name)))
			if errors.Is(err, fs.ErrNotExist) {
				continue // renamed just now: the second look finds that
			}
			if err != nil {
				return nil, err
			}
			found[name] = string(content)
		}
	}
	return found, nil
}

// readSmall reads a file that cannot be large.
func readSmall(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, notOurs(name))
	}
	content, err := io.ReadAll(io.LimitReader(file, maxSmallFile+1))
	if err == nil && len(content) > maxSmallFile {
		err = notOurs(name)
	}
	return content, err
}

func notOurs(name string) error {
	return &capf.Error{Code: capf.CodeRefused, Message: fmt.Sprintf("%s is no file of at most %d bytes, as everything in a data directory but the store is", name, maxSmallFile),
		Hint: "see what it is, and move it away"}
}

func (f smallFiles) write(image string) error {
	if err := os.Mkdir(filepath.Join(image, KeyFolder), 0o700); err != nil {
		return folderError(image, err)
	}
	for name, content := range f {
		target := filepath.Join(image, filepath.FromSlash(name))
		if err := os.WriteFile(target, []byte(content), 0o600); err != nil {
			return folderError(target, err)
		}
	}
	return nil
}

// freezeTraces takes what a Troubleshoot fetched. The service replaces such a file as a whole, so a second name keeps
// what was there.
func (s Source) freezeTraces(ctx context.Context, image string) error {
	from, to := filepath.Join(s.Data, TraceFolder), filepath.Join(image, TraceFolder)
	entries, err := os.ReadDir(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = os.Mkdir(to, 0o700)
	}
	for _, entry := range entries {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			break
		}
		if !isTrace(entry.Name()) || !entry.Type().IsRegular() {
			continue
		}
		err = os.Link(filepath.Join(from, entry.Name()), filepath.Join(to, entry.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			err = nil // removed meanwhile
		}
	}
	if err != nil {
		return folderError(from, err)
	}
	return nil
}

// members lists the files of an image with their digests, the store first, then by name.
func members(ctx context.Context, image string) ([]Member, error) {
	var all []Member
	err := fs.WalkDir(os.DirFS(image), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		member, err := describe(ctx, image, name)
		all = append(all, member)
		return err
	})
	if err != nil {
		return nil, folderError(image, err)
	}
	slices.SortFunc(all, func(a, b Member) int { return strings.Compare(order(a), order(b)) })
	return all, nil
}

// order is what members are sorted by: the store has the first place.
func order(member Member) string {
	if member.Name == StoreName {
		return ""
	}
	return member.Name
}

func describe(ctx context.Context, image, name string) (Member, error) {
	file, err := os.Open(filepath.Join(image, filepath.FromSlash(name)))
	if err != nil {
		return Member{}, folderError(image, err)
	}
	defer file.Close()
	sum := sha256.New()
	size, err := io.Copy(sum, interruptible{ctx, file})
	if err != nil {
		return Member{}, folderError(name, err)
	}
	if size > maxSmallFile && name != StoreName {
		return Member{}, notOurs(name)
	}
	return Member{Name: name, Size: size, SHA256: hex.EncodeToString(sum.Sum(nil))}, nil
}

// interruptible ends a long copy with its context.
type interruptible struct {
	ctx context.Context
	io.Reader
}

func (i interruptible) Read(into []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.Reader.Read(into)
}
