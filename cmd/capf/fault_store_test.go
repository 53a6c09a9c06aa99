package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	_ "github.com/mattn/go-sqlite3"

	"capf/runtime/capf"
	"capf/runtime/phone"
	"capf/runtime/wire"
)

// The store is taken from under the service: its disk is full, another process holds its lock, its file is
// gone. The phone gets a broken line, which makes it try again; no certificate leaves that is not in the store;
// the log and /healthz say what is wrong; and when it is mended the phone's next attempt succeeds.

// failing is a fault that comes at some point of a phone's first session, and is mended before its second.
type failing struct {
	*killing
	strike func() error // brings the fault
	mend   func() error
	wants  []string // in the log meanwhile
}

func newFailing(t *testing.T) *failing {
	t.Helper()
	return &failing{killing: &killing{installation: newActivated(t), mode: capf.AuthByNullString, keys: keysOfTarget(t), line: newRelay(t)}}
}

// faultPoints are the messages of the service after which a phone finds the store gone. Up to the second
// nothing is on disk yet, so that no certificate may leave.
var faultPoints = []wire.Command{wire.CommandAuthenticationRequest, wire.CommandKeyGenerationRequest, wire.CommandStoreCertificateRequest}

// faults has a phone meet the fault at each of the points, and ends the service.
func (f *failing) faults(t *testing.T, points ...wire.Command) {
	t.Helper()
	for number, command := range points {
		t.Run(command.String(), func(t *testing.T) { f.fault(t, f.waiting(number), command) })
	}
	if status := f.service.terminate(); status != 0 {
		t.Errorf("the service ends with status %d", status)
	}
	checkLog(t, f.service)
}

func (f *failing) fault(t *testing.T, device string, at wire.Command) {
	var tap *wireTap
	var monitor chan error
	calling, tap := f.newPhone(t, device, func(_ context.Context, point phone.Point) error {
		switch {
		case point.Attempt == 1 && point.After && point.Command == at:
			monitor = make(chan error, 1)
			if err := f.strike(); err != nil {
				return err
			}
			go func() { monitor <- f.service.healthIs(http.StatusServiceUnavailable) }()
		case point.Attempt == 2 && point.Number == 1 && !point.After:
			f.checkFault(t, device, at, len(tap.came), <-monitor)
			return f.mend()
		}
		return nil
	})
	outcome := calling.Run(t.Context())
	if outcome.Err != nil || outcome.Attempts != 2 {
		t.Fatalf("after %d attempts: %v", outcome.Attempts, outcome.Err)
	}
	f.checkCertificates(t, device, outcome.Certificate, tap.came)
	if got := f.in(t).phone(device); got["status"] != "success" || got["lsc-status"] != "installed" {
		t.Errorf("at last the phone reads %v", got)
	}
	if err := f.service.healthIs(http.StatusOK); err != nil {
		t.Error(err)
	}
}

// checkFault looks while the store is away and the phone's first session has ended.
func (f *failing) checkFault(t *testing.T, device string, at wire.Command, came int, monitor error) {
	t.Helper()
	if left := at == wire.CommandStoreCertificateRequest; left != (came == 1) {
		t.Errorf("%d certificates left for %s", came, device)
	}
	if monitor != nil {
		t.Error(monitor)
	}
	text := f.service.text()
	for _, want := range append(f.wants, "device="+device) {
		if !strings.Contains(text, want) {
			t.Errorf("the log has no %q", want)
		}
	}
}

// healthIs asks as a monitor does.
func (s *service) healthIs(want int) error {
	client := http.Client{Timeout: patience}
	response, err := client.Get(s.admin() + "/healthz")
	if err != nil {
		return err
	}
	if response.StatusCode != want {
		err = fmt.Errorf("/healthz answers %s", response.Status)
	}
	return errors.Join(err, response.Body.Close())
}

// admin is the address for people.
func (s *service) admin() string {
	s.t.Helper()
	var address string
	eventually(s.t, "ready", func() bool {
		for line := range strings.Lines(s.text()) {
			if fields := strings.Fields(line); len(fields) >= 3 && fields[0] == "ready" {
				address = strings.TrimPrefix(fields[2], "admin=")
			}
		}
		return address != ""
	})
	return address
}

// TestFaultStoreLocked has another process's lock outlast the time for which the service waits.
func TestFaultStoreLocked(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for three times as long as a writer waits for SQLite's lock, which are 7 s")
	}
	t.Parallel() // it waits for the most part
	f := newFailing(t)
	f.start()
	database, err := sql.Open("sqlite3", "file:"+f.data+"/capf.db?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer database.Close()
	var lock *sql.Tx
	f.strike = func() (err error) {
		lock, err = database.Begin()
		return err
	}
	f.mend = func() error { return lock.Rollback() }
	f.wants = []string{"is being written by another process", "try again when that has ended", retryHint}
	f.faults(t, wire.CommandKeyGenerationRequest)
}

const retryHint = "line closed, so that the phone tries again"

// TestFaultStoreRemoved moves a file of the store away. SQLite would go on writing into it, unseen.
func TestFaultStoreRemoved(t *testing.T) {
	for _, name := range []string{"capf.db", "capf.db-wal", "capf.db-shm"} {
		t.Run(name, func(t *testing.T) {
			f := newFailing(t)
			f.start()
			path := filepath.Join(f.data, name)
			f.strike = func() error { return os.Rename(path, path+".away") }
			f.mend = func() error { return os.Rename(path+".away", path) }
			f.wants = []string{path, "gone", retryHint}
			f.faults(t, faultPoints...)
		})
	}
}

// TestFaultStoreLogDeleted deletes a file beside the store between two sessions: what the service writes then would be
// unknown after a power failure. No phone is told success, nothing of the sessions before is lost when the service ends,
// and the one that starts next serves the phone.
func TestFaultStoreLogDeleted(t *testing.T) {
	for _, name := range []string{"capf.db-wal", "capf.db-shm"} {
		t.Run(name, func(t *testing.T) {
			f := newFailing(t)
			f.start()
			first, second := f.waiting(1), f.waiting(2)
			calling, _ := f.newPhone(t, first, nil)
			if outcome := calling.Run(t.Context()); outcome.Err != nil {
				t.Fatal(outcome.Err)
			}
			if err := os.Remove(filepath.Join(f.data, name)); err != nil {
				t.Fatal(err)
			}
			calling, tap := f.newPhone(t, second, nil)
			if outcome := calling.Run(t.Context()); outcome.Err == nil || len(tap.came) > 0 {
				t.Errorf("without %s: %v, and %d certificates", name, outcome.Err, len(tap.came))
			}
			if err := f.service.healthIs(http.StatusServiceUnavailable); err != nil {
				t.Error(err)
			}
			if text := f.service.text(); !strings.Contains(text, name+" is gone") {
				t.Errorf("the log does not say that %s is gone", name)
			}
			f.service.terminate()
			f.start()
			if got := f.in(t).phone(first); got["status"] != "success" || len(f.certificates(first)) != 1 {
				t.Errorf("of the session before is left %v", got)
			}
			calling, tap = f.newPhone(t, second, nil)
			outcome := calling.Run(t.Context())
			if outcome.Err != nil {
				t.Fatal(outcome.Err)
			}
			f.checkCertificates(t, second, outcome.Certificate, tap.came)
		})
	}
}

// TestFaultStoreReplaced puts another store, whole and right, in the place of the one that is open.
func TestFaultStoreReplaced(t *testing.T) {
	f := newFailing(t)
	path := filepath.Join(f.data, "capf.db")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f.start()
	f.strike = func() error {
		return errors.Join(os.Rename(path, path+".away"), os.WriteFile(path, content, 0o600))
	}
	f.mend = func() error { return os.Rename(path+".away", path) }
	f.wants = []string{path, "another file", "restart", retryHint}
	f.faults(t, wire.CommandKeyGenerationRequest)
}

// TestFaultDiskFull has the data directory on a small file system, which the service alone sees.
func TestFaultDiskFull(t *testing.T) {
	f := newFailing(t)
	program := f.program
	f.program = f.script("small", smallDisk(t), f.data, filepath.Join(t.TempDir(), "copy"), program)
	f.start()
	pid := strconv.Itoa(f.service.command.Process.Pid)
	f.program = f.script("inside", "exec nsenter --mount --target "+pid, program)
	filler := filepath.Join("/proc", pid, "root", f.data, "filler")
	f.strike = func() error { return fill(filler) }
	f.mend = func() error { return os.Remove(filler) }
	f.wants = []string{f.data + "/capf.db", "has room", retryHint}
	t.Run("the phone does not come again", f.letGo)
	f.faults(t, faultPoints...)
}

// letGo has a phone lose the store in the middle and never call again: when the store is back, its operation
// is not taken for one that is being served, which would never expire.
func (f *failing) letGo(t *testing.T) {
	device := f.waiting(len(faultPoints))
	calling, _ := f.newPhone(t, device, func(_ context.Context, point phone.Point) error {
		switch {
		case point.Attempt == 2:
			return errors.Join(f.mend(), errors.New("the phone is switched off"))
		case point.After && point.Command == wire.CommandKeyGenerationRequest:
			return f.strike()
		}
		return nil
	})
	if outcome := calling.Run(t.Context()); outcome.Err == nil || outcome.Attempts != 2 {
		t.Errorf("after %d attempts: %v", outcome.Attempts, outcome.Err)
	}
	eventually(t, "the operation pending again", func() bool { return f.in(t).phone(device)["status"] == "pending" })
}

// script writes a program that goes before another one.
func (f *failing) script(name, does string, arguments ...string) string {
	f.t.Helper()
	path := f.write(name, fmt.Sprintf("#!/bin/sh\n%s '%s' \"$@\"\n", does, strings.Join(arguments, "' '")))
	if err := os.Chmod(path, 0o700); err != nil {
		f.t.Fatal(err)
	}
	return path
}

// smallDisk is what a script does to run a program with a small file system in the place of a folder, which
// goes when the program ends. Its arguments are that folder, one for a copy of it, and the program.
func smallDisk(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"unshare", "nsenter", "mount"} {
		foreign(t, name, "apt-get install util-linux mount")
	}
	if output, err := exec.Command("unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", t.TempDir()).CombinedOutput(); err != nil {
		t.Skipf("a full disk needs a file system of its own, which only root may mount: %v: %s", err, output)
	}
	return `exec unshare --mount sh -e -c '
data=$1 copy=$2; shift 2
cp -a "$data" "$copy"
mount -t tmpfs -o size=4m,mode=0700 tmpfs "$data"
cp -a "$copy/." "$data"
exec "$@"' sh`
}

// fill writes a file until the disk is full.
func fill(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	const enough = 4 << 20
	for block, written := make([]byte, 1<<12), 0; written <= enough; written += len(block) {
		if _, err := file.Write(block); errors.Is(err, syscall.ENOSPC) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return errors.New("the disk does not get full")
}
