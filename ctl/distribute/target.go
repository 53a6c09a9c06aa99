package distribute

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Target is the place where a node's files go. Paths are relative to the node's URL and have slashes;
// nothing outside is asked for. Different files may be worked on at the same time where the target is
// Pipelined.
type Target interface {
	// MakeFolder makes a folder with its parents; one that is there is no error.
	MakeFolder(folder string) error
	// Exists reports whether the name is taken, also by a link or a folder.
	Exists(path string) (bool, error)
	// Read returns a regular file of at most limit bytes; fs.ErrNotExist where it is absent, ErrTooLarge
	// where it is longer.
	Read(path string, limit int64) ([]byte, error)
	// Write makes a new file that servers may read, and returns when it is on disk. A file of that name
	// is an error.
	Write(path string, data []byte) error
	// Rename gives a file its name, replacing what has it, and returns when that is on disk, as far as the
	// target can tell.
	Rename(from, to string) error
	// Remove takes a file away.
	Remove(path string) error
	// Recover puts back what a cut between the steps of Rename has left without its name, where it takes more
	// than one.
	Recover(path string) error
	// Free gives the bytes that are left for us in a folder; false where the target cannot tell.
	Free(folder string) (free uint64, known bool, err error)
	// Modified gives the time of a file, by the clock of the machine that keeps it.
	Modified(path string) (time.Time, error)
	// Pipelined tells whether each step waits for an answer from afar, so that steps for different files are
	// better taken at the same time.
	Pipelined() bool
	// Close gives the target back.
	Close() error
}

// Opener makes the target of a URL. The target gives up what it is doing when the context ends, as far as
// it can.
type Opener func(ctx context.Context, address *url.URL) (Target, error)

// ErrTooLarge is what Target.Read returns for a file beyond the limit.
var ErrTooLarge = errors.New("the file is too large")

// schemes are the checks of the URLs that nodes may have.
var schemes = map[string]func(*url.URL) error{"file": checkFolderURL, "sftp": checkSFTPURL}

// byScheme finds what there is for the scheme of a URL.
func byScheme[T any](address *url.URL, known map[string]T) (T, error) {
	found, ok := known[address.Scheme]
	if !ok {
		return found, fmt.Errorf("target %s: scheme %q is not supported; these are: %s", address.Redacted(), address.Scheme,
			strings.Join(slices.Sorted(maps.Keys(known)), ", "))
	}
	return found, nil
}
