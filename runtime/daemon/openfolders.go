package daemon

import (
	"context"
	"errors"
	"maps"
	"net/url"
	"sync"

	"capf/ctl/distribute"
)

// openFolders knows the folders at which a look hangs: a share whose server is gone holds whoever touches it, for as long
// as it is gone, and a thread with it. Another look at it would hold another thread, until there are none left.
type openFolders struct {
	mu   sync.Mutex
	open map[string]int // folders that have been opened and not been closed yet, by URL
}

var errHangs = errors.New("an earlier look at the folder still hangs: see to the share that is mounted there")

// guard is open for one look: it refuses a folder that an earlier one has not come back from.
func (f *openFolders) guard(open distribute.Opener) distribute.Opener {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := maps.Clone(f.open)
	return func(ctx context.Context, address *url.URL) (distribute.Target, error) {
		folder := address.String()
		if before[folder] > 0 {
			return nil, errHangs
		}
		f.count(folder, 1)
		target, err := open(ctx, address)
		if err != nil {
			f.count(folder, -1)
			return nil, err
		}
		return &guarded{target, sync.OnceFunc(func() { f.count(folder, -1) })}, nil
	}
}

func (f *openFolders) count(folder string, change int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open == nil {
		f.open = make(map[string]int)
	}
	if f.open[folder] += change; f.open[folder] == 0 {
		delete(f.open, folder)
	}
}

// guarded is a folder that says when it is closed.
type guarded struct {
	distribute.Target
	closed func()
}

func (g *guarded) Close() error {
	defer g.closed()
	return g.Target.Close()
}
