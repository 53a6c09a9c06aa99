package main

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/mattn/go-sqlite3"

	"capf/runtime/capf"
	"capf/runtime/daemon"
	"capf/runtime/store"
	"capf/runtime/store/sqlite"
)

// mostOfLock is for how long the last step of a migration may hold the write lock.
const mostOfLock = 5 * time.Second

// beside runs a migration into a store that is in use. Somebody asks for the write lock all the time, and a session
// begins its operation and reads its phone.
func (m *measuredMigration) beside(b *testing.B) {
	b.Helper()
	const device = "SEPFFFFFFFFFFFF"
	i := newActivated(b)
	i.capf("phone", "add", device, "--operation", "install", "--auth", "null-string")
	serving, err := store.TakeServeLock(i.data) // as the service does
	if err != nil {
		b.Fatal(err)
	}
	defer serving.Release()
	ctx, stop := context.WithCancel(b.Context())
	var others sync.WaitGroup
	others.Go(func() { m.locked = max(m.locked, i.watchLock(b, ctx)) })
	others.Go(func() { m.session(b, ctx, i, device) })
	i.capf("migrate", "run", m.source)
	stop()
	others.Wait()
	if m.locked > mostOfLock && !testing.Short() {
		b.Errorf("the write lock is held for %v, not at most %v", m.locked, mostOfLock)
	}
}

// watchLock asks for the write lock again and again, without waiting for it, and gives the longest time for which it
// could not be had.
func (i *installation) watchLock(b *testing.B, ctx context.Context) (longest time.Duration) {
	const pause = 300 * time.Microsecond
	database, err := sql.Open("sqlite3", "file:"+filepath.Join(i.data, daemon.StoreFile)+"?mode=rw&_busy_timeout=0")
	if err != nil {
		b.Error(err)
		return 0
	}
	defer database.Close()
	database.SetMaxOpenConns(1)
	had := time.Now()
	for ctx.Err() == nil {
		_, err := database.Exec("BEGIN IMMEDIATE; ROLLBACK")
		var engine sqlite3.Error
		switch now := time.Now(); {
		case err == nil:
			longest, had = max(longest, now.Sub(had)), now
		case !errors.As(err, &engine) || engine.Code != sqlite3.ErrBusy:
			b.Error(err)
			return longest
		}
		time.Sleep(pause)
	}
	return longest
}

// session does what sessions do with the store of the service, and notes what it waited for at most.
func (m *measuredMigration) session(b *testing.B, ctx context.Context, i *installation, device string) {
	open, err := sqlite.Open(ctx, sqlite.Options{Path: filepath.Join(i.data, daemon.StoreFile)})
	if err != nil {
		b.Error(err)
		return
	}
	defer open.Close()
	for ctx.Err() == nil {
		begin := time.Now()
		phone, err := open.Phone(context.Background(), device)
		if err != nil {
			b.Error(err)
			return
		}
		read := time.Now()
		m.readsAfter = max(m.readsAfter, read.Sub(begin))
		info := capf.SessionInfo{Instance: "bench", Address: "192.0.2.7", TLS: "1.0", Started: read}
		if err := open.BeginOperation(context.Background(), device, phone.Last.Ref, info); err != nil {
			b.Error(err)
			return
		}
		m.answered = max(m.answered, time.Since(read))
	}
}
