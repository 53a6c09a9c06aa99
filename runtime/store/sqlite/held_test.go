package sqlite

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/mattn/go-sqlite3"

	"capf/runtime/capf"
	"capf/runtime/store/storetest"
)

// heldStore makes the test binary apply a run, or take it back, until a trigger holds it; heldAt is the run and where.
const (
	heldStore = "CAPF_TEST_HELD_STORE"
	heldAt    = "CAPF_TEST_HELD_AT"
)

const isHeld = "held"

// holdWriting does what its parent says, and stops in the middle of it, until it is killed.
func holdWriting(path string) error {
	ctx := context.Background()
	s, err := Open(ctx, Options{Path: path})
	if err != nil {
		return err
	}
	what, rest, _ := strings.Cut(os.Getenv(heldAt), " ")
	number, where, _ := strings.Cut(rest, " ")
	run, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return err
	}
	if err := s.holdAt(ctx, where); err != nil {
		return err
	}
	if what == "rollback" {
		_, err = s.RollBackRun(ctx, run, "undoer")
		return err
	}
	return s.ApplyRun(ctx, run, capf.MigrationCounts{})
}

// holdAt has the connection on which runs are applied and taken back, and no other, stop where a statement does that to a
// row of a table.
func (s *Store) holdAt(ctx context.Context, where string) error {
	connection, err := s.bulkPool.Conn(ctx)
	if err != nil {
		return err
	}
	defer connection.Close()
	err = connection.Raw(func(raw any) error {
		return raw.(*sqlite3.SQLiteConn).RegisterFunc("hold", func() int64 {
			fmt.Println(isHeld)
			_, _ = io.Copy(io.Discard, os.Stdin) // for as long as the parent lives
			return 0
		}, false)
	})
	if err == nil {
		_, err = connection.ExecContext(ctx, `CREATE TEMP TRIGGER holds AFTER `+where+` BEGIN SELECT hold(); END`)
	}
	return err
}

// killHeld has another process write until it is held, looks at the store, and kills the process there.
func killHeld(t *testing.T, s *Store, what string, run int64, where string, look func(when string)) {
	t.Helper()
	process := exec.Command(os.Args[0])
	process.Env = append(os.Environ(), heldStore+"="+s.path, fmt.Sprintf("%s=%s %d %s", heldAt, what, run, where))
	process.Stderr = os.Stderr
	input, err := process.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer input.Close()
	output, err := process.StdoutPipe()
	if err == nil {
		err = process.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(output)
	if !lines.Scan() || lines.Text() != isHeld {
		t.Fatalf("the process ends without having come to %s: %q, %v", where, lines.Text(), process.Wait())
	}
	look("before the kill")
	if err := process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = process.Wait()
	look("after the kill")
}

const heldPhones, heldUpdated = 40, 30

// heldRun has phones that wait for what a run will make of them, and of others.
func heldRun(t *testing.T) (s *Store, records []storetest.Planned) {
	t.Helper()
	s = openAt(t, filepath.Join(t.TempDir(), "capf.db"), nil)
	records = addedRecords(0, heldPhones)
	for n := range heldUpdated {
		apply(t, s, operation(records[n].Device))
		records[n].Verdict = capf.VerdictUpdated
	}
	return s, records
}

// TestKilledInLastTransaction kills a run while it writes what makes it visible: nothing of it is, and the next run
// comes to the same.
func TestKilledInLastTransaction(t *testing.T) {
	for name, where := range map[string]string{
		"first phone":     `UPDATE ON main.phones`,
		"last phone":      `UPDATE ON main.phones WHEN new.device = '` + deviceName(heldUpdated-1) + `'`,
		"first operation": `UPDATE OF ending ON main.operations WHEN new.ending = 'replaced'`,
		"the run":         `UPDATE OF applied_at ON main.migration_runs`,
		"audit trail":     `INSERT ON main.audit`,
	} {
		t.Run(name, func(t *testing.T) {
			s, records := heldRun(t)
			before := dump(t, s)
			id := stageRun(t, s, "key", records)
			killHeld(t, s, "run", id, where, func(when string) {
				sameDump(t, when, dump(t, s), before)
				if runs, err := s.Runs(t.Context()); err != nil || len(runs) > 0 {
					t.Errorf("%s: the run can be seen: %v, %v", when, runs, err)
				}
			})
			checkWhole(t, s)
			next := stageRun(t, s, "key", records)
			sameDump(t, "staged again", dump(t, s), before)
			checkApplied(t, s, next, before)
		})
	}
}

// checkApplied applies a run and takes it back.
func checkApplied(t *testing.T, s *Store, id int64, before map[string]string) {
	t.Helper()
	if err := s.ApplyRun(t.Context(), id, capf.MigrationCounts{}); err != nil {
		t.Fatal(err)
	}
	if of := texts(t, s.readPool, `SELECT count(*) || '' FROM phones p JOIN import_records i ON i.id = p.imported`); of[0] != strconv.Itoa(heldPhones) {
		t.Errorf("%s phones are of the run, not %d", of[0], heldPhones)
	}
	checkRolledBack(t, s, id, before)
}

func checkRolledBack(t *testing.T, s *Store, id int64, before map[string]string) {
	t.Helper()
	done, err := s.RollBackRun(t.Context(), id, "undoer")
	if err != nil || done.Counts.PhonesRestored != heldUpdated || done.Counts.PhonesRemoved != heldPhones-heldUpdated || len(done.Kept) > 0 {
		t.Fatal(done, err)
	}
	sameDump(t, "taken back", dump(t, s), before)
	checkWhole(t, s)
}

// TestRollbackKilledInItsTransaction: all of the run stands then, and the same rollback takes it back.
func TestRollbackKilledInItsTransaction(t *testing.T) {
	for name, where := range map[string]string{
		"restored phone":   `UPDATE ON main.phones`,
		"removed phone":    `DELETE ON main.phones`,
		"operation":        `DELETE ON main.operations`,
		"opened operation": `UPDATE OF ending ON main.operations WHEN new.ending = ''`,
		"the run":          `UPDATE OF rolled_back_at ON main.migration_runs`,
		"audit trail":      `INSERT ON main.audit`,
	} {
		t.Run(name, func(t *testing.T) {
			s, records := heldRun(t)
			before := dump(t, s)
			id := stageRun(t, s, "key", records)
			if err := s.ApplyRun(t.Context(), id, capf.MigrationCounts{}); err != nil {
				t.Fatal(err)
			}
			applied := dump(t, s)
			killHeld(t, s, "rollback", id, where, func(when string) {
				sameDump(t, when, dump(t, s), applied)
				if run, err := s.Run(t.Context(), id); err != nil || !run.RolledBackAt.IsZero() {
					t.Errorf("%s: the run is taken back: %+v, %v", when, run, err)
				}
			})
			checkRolledBack(t, s, id, before)
		})
	}
}
