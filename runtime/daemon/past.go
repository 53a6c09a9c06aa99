package daemon

import (
	"fmt"
	"os"
	"sync"
	"time"

	"capf/runtime/ca"
)

// pastAuthorities are the CAPF certificates that were in force before, as they were when the folder of the keys
// last changed.
type pastAuthorities struct {
	mu      sync.Mutex
	changed time.Time // the folder, when they were read; zero: read again
	known   []*ca.Authority
}

// Past gives the CAPF certificates that were in force before and whose keys are kept, with these.
func (i *identity) Past() ([]*ca.Authority, error) {
	i.past.mu.Lock()
	defer i.past.mu.Unlock()
	folder, err := os.Stat(ca.KeyFolder(i.directory))
	if err != nil {
		return nil, fmt.Errorf("look for earlier CAPF keys: %w", err)
	}
	if !i.past.changed.IsZero() && i.past.changed.Equal(folder.ModTime()) {
		return i.past.known, nil
	}
	known, err := ca.Past(i.directory, i.environment)
	if err != nil {
		return nil, err
	}
	i.past.known, i.past.changed = known, time.Time{}
	if time.Since(folder.ModTime()) > racy {
		i.past.changed = folder.ModTime()
	}
	return known, nil
}
