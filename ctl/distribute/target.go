package distribute

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// Target is the place where a node's files go. Paths are relative to the node's URL and have slashes;
// nothing outside can be reached. One goroutine uses a target at a time.
type Target interface {
	// MakeFolder makes a folder with its parents; one that is there is no error.
	MakeFolder(folder string) error
	// List returns the names in a folder; fs.ErrNotExist where that is absent.
	List(folder string) ([]string, error)
	// Read returns a regular file of at most limit bytes; fs.ErrNotExist where it is absent, ErrTooLarge
	// where it is longer.
	Read(path string, limit int64) ([]byte, error)
	// Write makes a new file that servers may read, and returns when it is on disk. A file of that name
	// is an error.
	Write(path string, data []byte) error
	// Rename gives a file its name, replacing what has it, in one step, and returns when that is on disk.
	Rename(from, to string) error
	// Remove takes a file away.
	Remove(path string) error
	// Close gives the target back.
	Close() error
}

// Opener makes the target of a URL. The target gives up what it is doing when the context ends, as far as
// it can.
type Opener func(ctx context.Context, address *url.URL) (Target, error)

// ErrTooLarge is what Target.Read returns for a file beyond the limit.
var ErrTooLarge = errors.New("the file is too large")

// openers are the schemes that are known without Options.Openers.
var openers = map[string]Opener{"file": OpenFolder}

// parseTarget reads a node's URL and finds the opener for its scheme.
func parseTarget(text string, known map[string]Opener) (*url.URL, Opener, error) {
	if known == nil {
		known = openers
	}
	address, err := url.Parse(text)
	if err != nil {
		// The error of url.Parse quotes the URL, which may carry a password.
		return nil, nil, errors.New("the target is not a readable URL: use file:///folder")
	}
	opener, ok := known[address.Scheme]
	if !ok {
		schemes := slices.Sorted(maps.Keys(known))
		return nil, nil, fmt.Errorf("target %s: scheme %q is not supported; these are: %s",
			address.Redacted(), address.Scheme, strings.Join(schemes, ", "))
	}
	return address, opener, nil
}
