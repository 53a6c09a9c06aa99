package sqlite

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// writeStore makes the test binary write phones to a store until it is killed, and print each device once
// the store has said that it is written.
const writeStore = "CAPF_TEST_WRITE_STORE"

func TestMain(m *testing.M) {
	for variable, does := range map[string]func(string) error{writeStore: writeForever, upgradeStore: upgradeOnce, heldStore: holdWriting} {
		if path := os.Getenv(variable); path != "" {
			if err := does(path); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

func deviceName(n int) string { return fmt.Sprintf("SEP%012X", n) }

// writeForever sets a parameter ever again, in groups. Who did it is kept in the audit trail: its number.
func writeForever(path string) error {
	s, err := Open(context.Background(), Options{Path: path})
	if err != nil {
		return err
	}
	const writers = 16
	failures := make(chan error)
	var out sync.Mutex
	for writer := range writers {
		go func() {
			for n := writer; ; n += writers {
				if err := s.SetParameter(context.Background(), capf.ParamKeySize, "2048", actorOf(n)); err != nil {
					failures <- err
					return
				}
				out.Lock()
				fmt.Println(actorOf(n))
				out.Unlock()
			}
		}()
	}
	return <-failures
}

// actorOf gives a name that no other write of any round has.
func actorOf(n int) string { return fmt.Sprintf("%d-%d", os.Getpid(), n) }

// TestKillWhileWriting kills a process in the middle of its groups, over and over: all that was answered
// must be there, and the store must be whole.
func TestKillWhileWriting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "capf.db")
	openAt(t, path, nil)
	for round := range 3 {
		answered := killAfter(t, path, 150+round*37)
		s, err := Open(t.Context(), Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		checkAudit(t, s, answered)
		var result string
		if err := s.readPool.QueryRow(`PRAGMA integrity_check`).Scan(&result); err != nil || result != "ok" {
			t.Errorf("after the kill the store is %q, %v", result, err)
		}
		if err := s.Check(t.Context()); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// killAfter has a process write, kills it after so many answers, and gives all that it had answered.
func killAfter(t *testing.T, path string, answers int) map[string]bool {
	t.Helper()
	process := exec.Command(os.Args[0])
	process.Env = append(os.Environ(), writeStore+"="+path)
	process.Stderr = os.Stderr
	output, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	answered := make(map[string]bool)
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		answered[lines.Text()] = true
		if len(answered) == answers {
			if err := process.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = process.Wait()
	if len(answered) < answers {
		t.Fatalf("the writer ended after %d answers", len(answered))
	}
	return answered
}

func checkAudit(t *testing.T, s *Store, answered map[string]bool) {
	t.Helper()
	trail, err := s.Audit(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range trail {
		delete(answered, entry.Actor)
	}
	for actor := range answered {
		t.Errorf("write %s was answered and is not there", actor)
	}
}

// TestTwoProcesses opens the same file twice, as a service and a command beside it.
func TestTwoProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "capf.db")
	service, command := openAt(t, path, nil), openAt(t, path, nil)
	ref := apply(t, command, operation(deviceName(1)))[0].Phone.Last.Ref
	if err := service.BeginOperation(t.Context(), deviceName(1), ref, capf.SessionInfo{Instance: "here", Started: time.Now()}); err != nil {
		t.Fatal(err)
	}
	none := capf.OperationNone
	apply(t, command, capf.PhoneChange{Device: deviceName(1), Operation: &none})
	_, err := service.AddIssued(t.Context(), ref, nil, capf.Certificate{})
	wantCode(t, err, capf.CodeSuperseded)

	var group sync.WaitGroup
	for n := range 40 {
		for i, s := range []*Store{service, command} {
			group.Go(func() {
				err := s.RecordAttempt(context.Background(), capf.Attempt{Device: deviceName(10 + 2*n + i), At: time.Now()})
				if err != nil {
					t.Error(err)
				}
			})
		}
	}
	group.Wait()
	for n := range 80 {
		if attempts, err := service.Attempts(t.Context(), deviceName(10+n)); err != nil || len(attempts) != 1 {
			t.Fatalf("device %d: %v, %v", n, attempts, err)
		}
	}
}

// TestBusy holds the write lock from outside for longer than the store waits.
func TestBusy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "capf.db")
	holder := openAt(t, path, nil)
	s, err := Open(t.Context(), Options{Path: path, BusyTimeout: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var busy, changeErr, readErr error
	err = holder.writer.Do(t.Context(), func(tx *store.Statements) error {
		busy = s.RecordAttempt(t.Context(), capf.Attempt{Device: deviceName(1)})
		_, changeErr = s.ApplyChanges(t.Context(), capf.ApplyUpsert, []capf.PhoneChange{{Device: deviceName(1)}}, capf.ChangeContext{})
		_, readErr = s.Parameters(t.Context())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, busy, capf.CodeBusy, path)
	wantCode(t, changeErr, capf.CodeBusy, path)
	if readErr != nil {
		t.Errorf("a reader had to wait for the writer: %v", readErr)
	}
	if err := s.RecordAttempt(t.Context(), capf.Attempt{Device: deviceName(1)}); err != nil {
		t.Errorf("the store does not go on after it was busy: %v", err)
	}
	apply(t, s, capf.PhoneChange{Device: deviceName(1)})
}

// TestStatusFollowsTheService derives "in progress" from the lock of the service.
func TestStatusFollowsTheService(t *testing.T) {
	path := filepath.Join(t.TempDir(), "capf.db")
	s := openAt(t, path, nil)
	ref := apply(t, s, operation(deviceName(1)))[0].Phone.Last.Ref
	lock, err := store.TakeServeLock(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.BeginOperation(t.Context(), deviceName(1), ref, capf.SessionInfo{Instance: lock.Instance(), Started: time.Now()}); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, s, capf.StatusInProgress)
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, s, capf.StatusPending)
	next, err := store.TakeServeLock(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	defer next.Release()
	wantStatus(t, s, capf.StatusPending)
}

// TestServedOperationsDoNotHideOthers has the living service carry out a late operation: the sweeper leaves it
// and takes the one behind it.
func TestServedOperationsDoNotHideOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "capf.db")
	s := openAt(t, path, nil)
	lock, err := store.TakeServeLock(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()
	served, left := operation(deviceName(1)), operation(deviceName(2))
	soon, later := time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
	served.CompletesBy, left.CompletesBy = &soon, &later
	ref := apply(t, s, served, left)[0].Phone.Last.Ref
	if err := s.BeginOperation(t.Context(), deviceName(1), ref, capf.SessionInfo{Instance: lock.Instance(), Started: time.Now()}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{1, 0} {
		if ended, err := s.ExpireOperations(t.Context(), time.Now().Add(3*time.Hour), 1); err != nil || ended != want {
			t.Errorf("%d operations ended, %v; want %d", ended, err, want)
		}
	}
	for device, want := range map[string]capf.Ending{deviceName(1): capf.EndingNone, deviceName(2): capf.EndingExpired} {
		if phone, err := s.Phone(t.Context(), device); err != nil || phone.Last.Ending != want {
			t.Errorf("%s ended as %q, %v; want %q", device, phone.Last.Ending, err, want)
		}
	}
}

// wantStatus lists by every status; the one phone must come under that one only.
func wantStatus(t *testing.T, s *Store, want capf.Status) {
	t.Helper()
	for _, status := range capf.Statuses {
		var names []string
		err := s.Phones(t.Context(), capf.PhoneFilter{Status: &status}, func(phone capf.Phone) error {
			names = append(names, phone.Device)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if (len(names) == 1) != (status == want) {
			t.Errorf("under %s: %s; want the phone under %s", status, strings.Join(names, ", "), want)
		}
	}
}
