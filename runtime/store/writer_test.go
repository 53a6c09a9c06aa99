package store

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3"

	"capf/runtime/capf"
)

// newTestWriter gives a writer on a table of numbers that may stand there once.
func newTestWriter(t *testing.T) (*Writer, *sql.DB) {
	t.Helper()
	return newWriterInPlace(t, nil)
}

// newWriterInPlace is newTestWriter for a store that may go away.
func newWriterInPlace(t *testing.T, inPlace func() error) (*Writer, *sql.DB) {
	t.Helper()
	pool, err := sql.Open("sqlite3", filepath.Join(t.TempDir(), "test.db")+"?_journal_mode=WAL")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(`CREATE TABLE numbers (n INTEGER PRIMARY KEY)`); err != nil {
		t.Fatal(err)
	}
	connection, err := pool.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w := NewWriter(connection, Dialect{Begin: "BEGIN IMMEDIATE", Commit: "COMMIT", Rollback: "ROLLBACK",
		Savepoint: "SAVEPOINT member", Release: "RELEASE member", RollbackTo: "ROLLBACK TO member",
		Classify: func(err error) error { return err }, InPlace: inPlace})
	t.Cleanup(func() {
		if err := errors.Join(w.Close(), pool.Close()); err != nil {
			t.Error(err)
		}
	})
	return w, pool
}

func add(n int) func(*Statements) error {
	return func(tx *Statements) error {
		_, err := tx.Exec(`INSERT INTO numbers (n) VALUES (?1)`, n)
		return err
	}
}

func numbers(t *testing.T, pool *sql.DB) []int {
	t.Helper()
	found, err := Collect(NewStatements(pool, func(err error) error { return err }), func(row Scanner) (n int, err error) {
		err = row.Scan(&n)
		return n, err
	}, `SELECT n FROM numbers ORDER BY n`)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// holdWriter keeps the writer busy until release is called, and gives the error of that member.
func holdWriter(t *testing.T, w *Writer) (release func() error) {
	t.Helper()
	begun, hold, reply := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		reply <- w.Do(context.Background(), func(*Statements) error {
			close(begun)
			<-hold
			return nil
		})
	}()
	<-begun
	return func() error {
		close(hold)
		return <-reply
	}
}

// waitFor waits until so many members stand in the queue.
func waitFor(w *Writer, count int) {
	for {
		if waiting, _ := w.waiting(); waiting >= count {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// doAll hands every work in, in its order, while the writer is held, and gives what became of each.
func doAll(t *testing.T, w *Writer, works ...func(*Statements) error) []error {
	t.Helper()
	release := holdWriter(t, w)
	replies := make([]chan error, len(works))
	for i, work := range works {
		replies[i] = make(chan error, 1)
		go func() { replies[i] <- w.Do(context.Background(), work) }()
		waitFor(w, i+1)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	results := make([]error, len(works))
	for i := range replies {
		results[i] = <-replies[i]
	}
	return results
}

func TestGroupSharesACommit(t *testing.T) {
	const count = 100
	w, pool := newTestWriter(t)
	var works []func(*Statements) error
	for n := range count {
		works = append(works, add(n))
	}
	for _, err := range doAll(t, w, works...) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := len(numbers(t, pool)); got != count {
		t.Errorf("%d numbers, want %d", got, count)
	}
	if commits := w.Commits(); commits != 2 {
		t.Errorf("%d commits for the member that held the writer and a group of %d, want 2", commits, count)
	}
	if w.lonely != 0 {
		t.Errorf("%d groups of one after a group of %d: the next would not wait for company", w.lonely, count)
	}
}

func TestGroupsAreBounded(t *testing.T) {
	const count = largestGroup + 10
	w, pool := newTestWriter(t)
	var works []func(*Statements) error
	for n := range count {
		works = append(works, add(n))
	}
	if err := errors.Join(doAll(t, w, works...)...); err != nil {
		t.Fatal(err)
	}
	if got := len(numbers(t, pool)); got != count {
		t.Errorf("%d numbers, want %d", got, count)
	}
	if commits := w.Commits(); commits != 3 {
		t.Errorf("%d commits, want 3", commits)
	}
}

func TestMembersFailAlone(t *testing.T) {
	refused := errors.New("refused")
	w, pool := newTestWriter(t)
	results := doAll(t, w,
		add(1),
		func(tx *Statements) error {
			if err := add(2)(tx); err != nil {
				return err
			}
			return refused
		},
		add(1), // is there already
		func(tx *Statements) error {
			if err := add(3)(tx); err != nil {
				return err
			}
			panic("at the disco")
		},
		add(4))
	if got, want := numbers(t, pool), []int{1, 4}; !slices.Equal(got, want) {
		t.Errorf("numbers %v, want %v", got, want)
	}
	if results[0] != nil || results[4] != nil {
		t.Errorf("members that did nothing wrong failed: %v, %v", results[0], results[4])
	}
	if !errors.Is(results[1], refused) {
		t.Errorf("got %v, want the member's own error", results[1])
	}
	if results[2] == nil || !strings.Contains(results[2].Error(), "UNIQUE") {
		t.Errorf("got %v, want the engine's error", results[2])
	}
	if !capf.HasCode(results[3], capf.CodeInternal) || !strings.Contains(results[3].Error(), "at the disco") {
		t.Errorf("got %v, want the panic as an error", results[3])
	}
}

func TestMemberByItselfIsUndone(t *testing.T) {
	w, pool := newTestWriter(t)
	refused := errors.New("refused")
	err := w.Do(t.Context(), func(tx *Statements) error { return errors.Join(add(1)(tx), refused) })
	if !errors.Is(err, refused) {
		t.Errorf("got %v, want the member's error", err)
	}
	if err := w.Do(t.Context(), func(*Statements) error { panic("alone") }); !capf.HasCode(err, capf.CodeInternal) {
		t.Errorf("got %v, want the panic as an error", err)
	}
	if err := w.Do(t.Context(), add(2)); err != nil {
		t.Fatal(err)
	}
	if got := numbers(t, pool); !slices.Equal(got, []int{2}) {
		t.Errorf("numbers %v, want 2", got)
	}
	if w.Commits() != 1 {
		t.Errorf("%d commits, want 1: a member that failed needs none", w.Commits())
	}
}

// TestBrokenTransactionFailsAll has a member end the transaction behind the writer's back, as an engine
// does when the disk is full.
func TestBrokenTransactionFailsAll(t *testing.T) {
	w, pool := newTestWriter(t)
	full := errors.New("disk full")
	results := doAll(t, w, add(1), func(tx *Statements) error {
		if _, err := tx.Exec(`ROLLBACK`); err != nil {
			t.Error(err)
		}
		return full
	}, add(2))
	for i, err := range results {
		if !errors.Is(err, full) {
			t.Errorf("member %d: %v, want what broke the transaction", i, err)
		}
	}
	if got := numbers(t, pool); len(got) != 0 {
		t.Errorf("numbers %v are there, and everyone was told that they are not", got)
	}
	if err := w.Do(t.Context(), add(3)); err != nil {
		t.Errorf("the writer does not go on: %v", err)
	}
}

// TestFailedCommitFailsAll makes the commit itself fail, by a foreign key that is checked only then.
func TestFailedCommitFailsAll(t *testing.T) {
	w, pool := newTestWriter(t)
	setUp := func(tx *Statements) error {
		_, err := tx.Exec(`CREATE TABLE children (n INTEGER REFERENCES numbers (n) DEFERRABLE INITIALLY DEFERRED)`)
		return err
	}
	if err := w.Do(t.Context(), setUp); err != nil {
		t.Fatal(err)
	}
	err := w.Alone(t.Context(), func() error {
		_, err := w.statements.Exec(`PRAGMA foreign_keys = ON`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	results := doAll(t, w, add(1), func(tx *Statements) error {
		_, err := tx.Exec(`INSERT INTO children (n) VALUES (99)`)
		return err
	}, add(2))
	for i, err := range results {
		if err == nil || !strings.Contains(err.Error(), "FOREIGN KEY") {
			t.Errorf("member %d: %v, want the error of the commit", i, err)
		}
	}
	if got := numbers(t, pool); len(got) != 0 {
		t.Errorf("numbers %v are there, and everyone was told that they are not", got)
	}
	if err := w.Do(t.Context(), add(3)); err != nil {
		t.Errorf("the writer does not go on: %v", err)
	}
}

func TestCancelledBeforeItBegan(t *testing.T) {
	w, pool := newTestWriter(t)
	release := holdWriter(t, w)
	ctx, cancel := context.WithCancel(t.Context())
	left, stayed := make(chan error, 1), make(chan error, 1)
	go func() { left <- w.Do(ctx, add(1)) }()
	waitFor(w, 1)
	go func() { stayed <- w.Do(context.Background(), add(2)) }()
	waitFor(w, 2)
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that it was cancelled", err)
	}
	if err := errors.Join(release(), <-stayed); err != nil {
		t.Error(err)
	}
	if got := numbers(t, pool); !slices.Equal(got, []int{2}) {
		t.Errorf("numbers %v, want 2", got)
	}
}

func TestCancelledAfterItBegan(t *testing.T) {
	w, pool := newTestWriter(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := w.Do(ctx, func(tx *Statements) error {
		cancel()
		return add(1)(tx)
	})
	if err != nil {
		t.Errorf("it was written, and the answer is %v", err)
	}
	if got := numbers(t, pool); !slices.Equal(got, []int{1}) {
		t.Errorf("numbers %v, want 1", got)
	}
}

// TestAllHaveLeft: a group of which nobody waits any more takes no write lock. Here it could not have it.
func TestAllHaveLeft(t *testing.T) {
	w, pool := newTestWriter(t)
	m := &member{work: add(1), reply: make(chan error, 1)}
	m.state.Store(memberLeft)
	other, err := pool.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	w.statements.classify = func(err error) error { t.Errorf("the group was begun: %v", err); return err }
	if err := w.Alone(t.Context(), func() error { w.runGroup([]*member{m}); return nil }); err != nil {
		t.Error(err)
	}
	if _, err := other.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Error(err)
	}
}

// A store that goes away during a write takes it along, and while it is away nobody begins one.
func TestWhatIsWrittenIntoNothingDoesNotCount(t *testing.T) {
	away := errors.New("away")
	var place error // of the writer's goroutine, which is asked
	w, _ := newWriterInPlace(t, func() error { return place })
	ways := map[string]func(work func() error) error{
		"with others": func(work func() error) error {
			return w.Do(t.Context(), func(*Statements) error { return work() })
		},
		"alone": func(work func() error) error { return w.Alone(t.Context(), work) },
	}
	for name, write := range ways {
		place = nil
		if err := write(func() error { place = away; return nil }); !errors.Is(err, away) {
			t.Errorf("%s: the store went away during the write: %v", name, err)
		}
		if err := write(func() error { t.Errorf("%s: begun without a store", name); return nil }); !errors.Is(err, away) {
			t.Errorf("%s: the store is away: %v", name, err)
		}
	}
}
