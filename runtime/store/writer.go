package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"capf/runtime/capf"
)

// Dialect is how an engine words the frame of a transaction.
type Dialect struct {
	Begin, Commit, Rollback        string
	Savepoint, Release, RollbackTo string
	Classify                       func(error) error // the driver's errors into the domain's

	// InPlace says whether the store lies where it was opened. It is asked before each transaction, and again after it:
	// what was written into nothing counts for nobody. nil: it is not asked.
	InPlace func() error
}

const (
	gatherTime = 5 * time.Millisecond
	// enough members share a flush so well that it does not wait for more.
	enough = 32
	// largestGroup bounds how long a group can hold the write lock.
	largestGroup = 256
	// patience is how many groups of one in a row it takes to stop gathering: whoever writes alone must
	// not wait for company. Company is noticed when writes queue up behind a flush, and every so often
	// (probeEvery) by gathering on trial.
	patience   = 3
	probeEvery = 256
)

// Writer carries out the writing of many goroutines on one connection. What arrives together is committed
// together; each caller is answered when the commit that holds its work has returned.
type Writer struct {
	connection *sql.Conn
	dialect    Dialect
	statements *Statements
	wake       chan struct{}
	done       chan struct{}
	commits    atomic.Int64

	mu     sync.Mutex
	queue  []*member
	closed bool

	// Of the writer's own goroutine.
	lonely int // groups of one in a row
}

// member is the work of one caller.
type member struct {
	work  func(*Statements) error
	alone func() error // instead of work: outside any group and transaction of the writer
	state atomic.Int32
	err   error
	reply chan error
}

// The states of a member: a caller may leave while it is waiting, not after.
const (
	memberWaiting int32 = iota
	memberBegun
	memberLeft
)

// NewWriter takes over a connection on which nobody else works. Close ends it.
func NewWriter(connection *sql.Conn, dialect Dialect) *Writer {
	if dialect.InPlace == nil {
		dialect.InPlace = func() error { return nil }
	}
	w := &Writer{connection: connection, dialect: dialect, lonely: patience,
		statements: NewStatements(connection, dialect.Classify),
		wake:       make(chan struct{}, 1), done: make(chan struct{})}
	go w.loop()
	return w
}

// Do runs work inside a transaction that it may share with others, and returns when that is committed. An
// error of work undoes what work did, and that only. Work may only use what it is given, must not wait for
// anything, and can be called for nothing: when the commit fails, Do says so and nothing has happened.
// A context that ends before work has begun takes it back; after that the outcome is waited for.
func (w *Writer) Do(ctx context.Context, work func(*Statements) error) error {
	return w.submit(ctx, &member{work: work, reply: make(chan error, 1)})
}

// Alone runs work while the writer writes nothing, for work that brings its own connection.
func (w *Writer) Alone(ctx context.Context, work func() error) error {
	return w.submit(ctx, &member{alone: work, reply: make(chan error, 1)})
}

func (w *Writer) submit(ctx context.Context, m *member) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := w.enqueue(m); err != nil {
		return err
	}
	select {
	case err := <-m.reply:
		return err
	case <-ctx.Done():
		if m.state.CompareAndSwap(memberWaiting, memberLeft) {
			return ctx.Err()
		}
		return <-m.reply
	}
}

func (w *Writer) enqueue(m *member) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return &capf.Error{Code: capf.CodeUnavailable, Message: "the store is closed"}
	}
	w.queue = append(w.queue, m)
	if len(w.queue) == 1 || len(w.queue) == enough {
		w.signal()
	}
	return nil
}

func (w *Writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Commits gives the number of transactions that were committed.
func (w *Writer) Commits() int64 { return w.commits.Load() }

// Close carries out what has been handed in, then ends the writer and its connection. To close it again
// does nothing.
func (w *Writer) Close() error {
	w.mu.Lock()
	again := w.closed
	w.closed = true
	w.signal()
	w.mu.Unlock()
	<-w.done
	if again {
		return nil
	}
	if err := w.statements.Close(); err != nil {
		_ = w.connection.Close()
		return fmt.Errorf("close the statements of the writer: %w", err)
	}
	return w.connection.Close()
}

func (w *Writer) loop() {
	defer close(w.done)
	for {
		waiting, closed := w.waiting()
		switch {
		case waiting == 0 && closed:
			return
		case waiting == 0:
			<-w.wake
			continue
		case waiting < enough && !closed && w.expectsCompany():
			w.gather()
		}
		w.run(w.take())
	}
}

func (w *Writer) waiting() (int, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.queue), w.closed
}

func (w *Writer) expectsCompany() bool {
	return w.lonely < patience || w.lonely%probeEvery == probeEvery-1
}

// gather lets others join, for gatherTime or until there are enough. The write lock is not held yet.
func (w *Writer) gather() {
	timer := time.NewTimer(gatherTime)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return
		case <-w.wake:
			if waiting, closed := w.waiting(); closed || waiting >= enough {
				return
			}
		}
	}
}

// take gives the next group: members up to the next one that wants to be alone, or that one.
func (w *Writer) take() []*member {
	w.mu.Lock()
	defer w.mu.Unlock()
	size := 0
	for size < len(w.queue) && size < largestGroup && w.queue[size].alone == nil {
		size++
	}
	size = max(size, 1)
	group := w.queue[:size:size]
	w.queue = append([]*member(nil), w.queue[size:]...)
	return group
}

func (w *Writer) run(group []*member) {
	if m := group[0]; m.alone != nil {
		if m.begin() {
			m.reply <- w.runAlone(m)
		}
		return
	}
	if len(group) > 1 {
		w.lonely = 0
	} else {
		w.lonely++
	}
	w.runGroup(group)
}

func (w *Writer) runAlone(m *member) error {
	if err := w.dialect.InPlace(); err != nil {
		return err
	}
	if err := guard(m.alone); err != nil {
		return err
	}
	return w.dialect.InPlace()
}

// begin takes the member into work, unless its caller has left.
func (m *member) begin() bool { return m.state.CompareAndSwap(memberWaiting, memberBegun) }

// waits tells whether the caller is still there.
func (m *member) waits() bool { return m.state.Load() == memberWaiting }

// runGroup commits the members together. Where the transaction as a whole fails, all of them do.
func (w *Writer) runGroup(group []*member) {
	if !slices.ContainsFunc(group, (*member).waits) {
		return // to take the write lock would keep another process waiting for nothing
	}
	var begun []*member
	broken := w.dialect.InPlace()
	if broken == nil {
		_, broken = w.statements.Exec(w.dialect.Begin)
	}
	useful := false
	for _, m := range group {
		if !m.begin() {
			continue
		}
		begun = append(begun, m)
		if broken != nil {
			continue
		}
		m.err, broken = w.runMember(m, len(group) > 1)
		useful = useful || m.err == nil
	}
	if broken == nil {
		broken = w.finish(useful)
	} else {
		w.rollback()
	}
	for _, m := range begun {
		if broken != nil && m.err == nil {
			m.err = broken
		}
		m.reply <- m.err
	}
}

// runMember gives the member's own error, and one that ends the whole transaction. A member that shares
// it with others works behind a savepoint; one by itself is undone by the rollback.
func (w *Writer) runMember(m *member, shares bool) (own, broken error) {
	if !shares {
		return guard(func() error { return m.work(w.statements) }), nil
	}
	if _, err := w.statements.Exec(w.dialect.Savepoint); err != nil {
		return nil, err
	}
	if own = guard(func() error { return m.work(w.statements) }); own != nil {
		// A full disk makes an engine roll back by itself: then there is no savepoint any more, and
		// nothing left of the members before.
		if _, err := w.statements.Exec(w.dialect.RollbackTo); err != nil {
			return own, fmt.Errorf("a write in the same group broke the transaction: %w", own)
		}
	}
	if _, err := w.statements.Exec(w.dialect.Release); err != nil {
		return own, err
	}
	return own, nil
}

// guard turns a panic into an error: it must not take the writer down for everybody.
func guard(work func() error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = &capf.Error{Code: capf.CodeInternal, Message: fmt.Sprintf("panic while writing to the store: %v", cause)}
		}
	}()
	return work()
}

// finish commits, unless every member failed: then there is nothing to flush.
func (w *Writer) finish(useful bool) error {
	if !useful {
		w.rollback()
		return nil
	}
	if _, err := w.statements.Exec(w.dialect.Commit); err != nil {
		w.rollback()
		return err
	}
	w.commits.Add(1)
	return w.dialect.InPlace()
}

// rollback fails only where the engine has rolled back by itself: then there is nothing left to undo.
func (w *Writer) rollback() { _, _ = w.statements.Exec(w.dialect.Rollback) }
