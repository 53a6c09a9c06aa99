package sqlite

import (
	"context"
	"database/sql"
	"sync"
	"sync/atomic"
)

// checkpoints copies the WAL into the file beside whoever writes much: that takes a good part of the time of writing,
// and the disk most of it. What is copied while others go on writing never catches up with the end of the WAL, so that
// SQLite does not begin it anew; where it has become long, who writes waits for once.
type checkpoints struct {
	pool *sql.DB

	mu   sync.Mutex
	wake chan struct{} // nil: nobody copies beside
	done chan struct{}
	turn int

	copying sync.Mutex
	length  atomic.Int64 // of the WAL, in pages, when it was last looked at
}

const (
	// checkpointEvery is how many times somebody has written before the WAL is copied.
	checkpointEvery = 4
	// longWAL is from how many pages on it is waited for: 64 MiB.
	longWAL = 1 << 14
)

func (c *checkpoints) loop(wake, done chan struct{}) {
	defer close(done)
	for range wake {
		c.checkpoint()
	}
}

// checkpoint copies what it can. Where that fails, more stays in the WAL, which is where it is safe.
func (c *checkpoints) checkpoint() {
	c.copying.Lock()
	defer c.copying.Unlock()
	var busy, length, copied int64
	if err := c.pool.QueryRowContext(context.Background(), `PRAGMA wal_checkpoint(PASSIVE)`).Scan(&busy, &length, &copied); err == nil {
		c.length.Store(length)
	}
}

// written says that something was. Where the WAL has become long it copies all of it before anything more is written.
func (c *checkpoints) written() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.wake == nil {
		c.wake, c.done = make(chan struct{}, 1), make(chan struct{})
		go c.loop(c.wake, c.done)
	}
	if c.length.Load() > longWAL {
		c.checkpoint()
		c.length.Store(0)
		return
	}
	if c.turn++; c.turn%checkpointEvery == 0 {
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
}

// end waits until nobody copies beside any more, and copies the rest.
func (c *checkpoints) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.wake == nil {
		return
	}
	close(c.wake)
	<-c.done
	c.wake = nil
	c.checkpoint()
}
