package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"capf/runtime/capf"
)

// tries is how often a backup begins anew when the CAPF keys are changed under it.
const tries = 5

// smallFiles are those beside the store, by name: CAPF's own keys and certificates above all.
type smallFiles map[string][]byte

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
		if before.equal(after) {
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
			found[name] = content
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
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxSmallFile {
		return nil, notOurs(name)
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

func (f smallFiles) equal(other smallFiles) bool {
	if len(f) != len(other) {
		return false
	}
	for name, content := range f {
		if present, there := other[name]; !there || !bytes.Equal(content, present) {
			return false
		}
	}
	return true
}

func (f smallFiles) write(image string) error {
	if err := os.Mkdir(filepath.Join(image, KeyFolder), 0o700); err != nil {
		return folderError(image, err)
	}
	for name, content := range f {
		target := filepath.Join(image, filepath.FromSlash(name))
		if err := os.WriteFile(target, content, 0o600); err != nil {
			return folderError(target, err)
		}
	}
	return nil
}

// freezeTraces takes what a Troubleshoot fetched. The service replaces such a file as a whole, so a second name
// keeps what was there; where the file system knows none it is copied.
func (s Source) freezeTraces(ctx context.Context, image string) error {
	from, to := filepath.Join(s.Data, TraceFolder), filepath.Join(image, TraceFolder)
	entries, err := os.ReadDir(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = os.Mkdir(to, 0o700)
	}
	if err != nil {
		return folderError(from, err)
	}
	for _, entry := range entries {
		if !isTrace(entry.Name()) || !entry.Type().IsRegular() {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		name := filepath.Join(from, entry.Name())
		err := os.Link(name, filepath.Join(to, entry.Name()))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			err = copySmall(name, filepath.Join(to, entry.Name()))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return folderError(name, err)
		}
	}
	return nil
}

func copySmall(from, to string) error {
	content, err := readSmall(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o600)
}

// members lists the files of an image with their digests, the store first, then by name.
func members(ctx context.Context, image string) ([]Member, error) {
	var all []Member
	for _, folder := range []string{"", KeyFolder, TraceFolder} {
		entries, err := os.ReadDir(filepath.Join(image, folder))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, folderError(image, err)
		}
		for _, entry := range entries {
			if entry.IsDir() {
				continue
			}
			member, err := describe(ctx, image, path.Join(folder, entry.Name()))
			if err != nil {
				return nil, err
			}
			all = append(all, member)
		}
	}
	slices.SortFunc(all, func(a, b Member) int {
		if (a.Name == StoreName) != (b.Name == StoreName) {
			return map[bool]int{true: -1, false: 1}[a.Name == StoreName]
		}
		return strings.Compare(a.Name, b.Name)
	})
	return all, nil
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
