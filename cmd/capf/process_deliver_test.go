package main

import (
	"bufio"
	"bytes"
	"io"
	"os/exec"
	"strings"
	"testing"

	"capf/ctl/distribute/sshdtest"
)

// underWay is a cluster of which one server has got everything, while the other lets us in and then is silent.
type underWay struct {
	*cluster
	silent *sshdtest.Server
	run    *exec.Cmd
	stdout bytes.Buffer
	stderr *bufio.Reader
}

func newUnderWay(t *testing.T) *underWay {
	t.Helper()
	u := &underWay{silent: sshdtest.Start(t, sshdtest.Options{Subsystem: "/bin/sleep 600"})}
	u.cluster = newCluster(t, serverNode{"good", sshdtest.Start(t, sshdtest.Options{}), t.TempDir()}, serverNode{"silent", u.silent, t.TempDir()})
	u.know()
	u.run = u.command("--config", u.config, "ctl", "distribute")
	u.run.Stdout = &u.stdout
	said, err := u.run.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := u.run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = u.run.Process.Kill() })
	u.stderr = bufio.NewReader(said)
	if line, err := u.stderr.ReadString('\n'); err != nil || line != "good: done (1 of 2)\n" {
		t.Fatalf("%q, %v", line, err)
	}
	return u
}

// A run that is killed has recorded what it did: another one does not repeat it, but names the server that is to be
// restarted, and a list that is built then follows the one that is there.
func TestDistributionKilled(t *testing.T) {
	u := newUnderWay(t)
	if err := u.run.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = u.run.Wait()
	u.silent.Kill()
	rows, _ := u.rows(3, "ctl", "distribute", "--failed", "--dry-run")
	u.check(rows, "outcome", map[string][2]string{"silent": {"failed", "reach the server"}})
	if _, said := u.rows(3, "ctl", "distribute", "--failed"); !strings.Contains(said, "services of good, then reset the phones") {
		t.Errorf("the restart is not due any more: %s", said)
	}
	_, said, err := u.try("ctl", "build")
	if err != nil || strings.Contains(said, "no node is known") || !strings.Contains(said, "version 1 is not known to be on silent") {
		t.Errorf("%v: %s", err, said)
	}
}

// A node that is removed while a run is at it takes nothing from what is said and recorded of the others.
func TestNodeRemovedMeanwhile(t *testing.T) {
	u := newUnderWay(t)
	u.capf("node", "remove", "silent")
	u.silent.Kill()
	said, err := io.ReadAll(u.stderr)
	if err != nil {
		t.Fatal(err)
	}
	if err := u.run.Wait(); err == nil || u.run.ProcessState.ExitCode() != 3 {
		t.Errorf("%v: %s", err, said)
	}
	for _, want := range []string{"removed from the store meanwhile, so that what they got is not recorded: silent", "restart the CallManager and TFTP services of good", "1 of 2 nodes"} {
		if !strings.Contains(string(said), want) {
			t.Errorf("%q is missing in: %s", want, said)
		}
	}
	if shown := u.stdout.String(); !strings.Contains(shown, "good\tdone") || !strings.Contains(shown, "silent\tfailed") {
		t.Errorf("shown: %s", shown)
	}
	if _, said, err := u.try("--config", u.config, "ctl", "distribute", "--failed"); err != nil || !strings.Contains(said, "every node has got version 1") {
		t.Errorf("%v: %s", err, said)
	}
}
