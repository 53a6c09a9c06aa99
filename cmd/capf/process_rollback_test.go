package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestRollbackKilled has a rollback killed in the middle of its writing, which lies in the WAL before it counts: what
// is read then is all of the before or all of the after, and the same command makes the after of both.
func TestRollbackKilled(t *testing.T) {
	i := newActivated(t)
	i.capf("phone", "add", "SEP000000000001", "--operation", "install")
	first := i.phoneFile("first", 3000, "pending", "2005-03-01 10:00:00")
	i.capf("migrate", "run", "pub="+first)
	between := i.records()
	i.capf("migrate", "run", "--accept-missing", "pub="+i.phoneFile("second", 4000, "success", "2005-03-02 10:00:00"))
	migrated := i.records()
	if between == migrated {
		t.Fatal("the second run has changed nothing")
	}
	grown := i.copied(t, "whole").rollBackUntil(t, -1)
	steps, unfinished := 8, 0
	if brief() {
		steps = 3
	}
	for step := 0; step < steps || unfinished == 0 && step < 10*steps; step++ { // a kill can come too late on a loaded machine
		t.Run(fmt.Sprint(step, " of ", steps), func(t *testing.T) {
			one := i.copied(t, "part")
			one.rollBackUntil(t, grown*int64(step%steps)/int64(steps))
			switch found, list := one.records(), one.capf("migrate", "list"); {
			case found == migrated && !strings.Contains(list, "rolled-back\t2"):
				unfinished++
				one.capf("migrate", "rollback", "2")
			case found == between && strings.Contains(list, "rolled-back\t2"):
			default:
				t.Fatalf("%d bytes of records are neither those of before nor those of after; the runs are\n%s", len(found), list)
			}
			if one.records() != between {
				t.Error("at last the records are not those of before the run")
			}
		})
	}
	if unfinished == 0 {
		t.Error("no kill has met a rollback before its end")
	}
	t.Logf("%d of %d were killed before their end", unfinished, steps)
}

// phoneFile writes the file of an older CAPF with so many phones, and gives its folder.
func (i *installation) phoneFile(name string, phones int, status, when string) string {
	i.t.Helper()
	var text strings.Builder
	text.WriteString("Device Name,Operation,Status,Status Time,Authentication Mode,Authentication String,Key Size,Description\r\n")
	for n := range phones {
		fmt.Fprintf(&text, "SEP0000000A%04X,install,%s,%s,authentication string,%06d,1024,%s\r\n", n, status, when, n, name)
	}
	folder := filepath.Join(filepath.Dir(i.data), name)
	if err := os.Mkdir(folder, 0o700); err != nil {
		i.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "CAPF.phone"), []byte(text.String()), 0o600); err != nil {
		i.t.Fatal(err)
	}
	return folder
}

// copied is the same installation on a copy of its data.
func (i *installation) copied(t *testing.T, name string) *installation {
	t.Helper()
	same := i.in(t)
	same.data = filepath.Join(t.TempDir(), name)
	if output, err := exec.Command("cp", "-a", i.data, same.data).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	return same
}

// rollBackUntil rolls run 2 back and kills the process as soon as the WAL is longer than so many bytes; -1: never.
func (i *installation) rollBackUntil(t *testing.T, limit int64) (grown int64) {
	t.Helper()
	return i.killedAt(t, limit, "migrate", "rollback", "2")
}

// killedAt kills a command as soon as the WAL is longer than so many bytes; -1: never. It gives the greatest length that it
// has seen.
func (i *installation) killedAt(t *testing.T, limit int64, arguments ...string) (grown int64) {
	t.Helper()
	command := i.command(arguments...)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	for {
		select {
		case err := <-ended:
			if err != nil && limit < 0 {
				t.Fatal(err)
			}
			return grown
		default:
		}
		info, err := os.Stat(filepath.Join(i.data, "capf.db-wal"))
		if err != nil {
			continue // not there yet, or not any more
		}
		grown = max(grown, info.Size())
		if limit >= 0 && grown > limit {
			_ = command.Process.Kill() // it may have ended by itself
			limit = 1 << 62
		}
	}
}
