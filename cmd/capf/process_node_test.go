package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"capf/ctl/distribute"
	"capf/ctl/distribute/sshdtest"
)

// dyingVariable names a file. While that is not there, this program is an SFTP server (behind sshd) that ends for
// good when a list is to get its name: as a server whose power goes.
const dyingVariable = "CAPF_TEST_DYING_SFTP"

const sftpServer = "/usr/lib/openssh/sftp-server"

func init() {
	if mended := os.Getenv(dyingVariable); mended != "" {
		os.Exit(dyingServer(mended))
	}
}

func dyingServer(mended string) int {
	server := exec.Command(sftpServer)
	server.Stdout = os.Stdout
	requests, err := server.StdinPipe()
	if err != nil || server.Start() != nil {
		return 1
	}
	_, err = os.Stat(mended)
	carryRequests(requests, err == nil)
	_ = server.Process.Kill()
	_ = server.Wait()
	return 0
}

// carryRequests carries them until the one before which a server dies.
func carryRequests(to io.Writer, mended bool) {
	for {
		var length uint32
		if binary.Read(os.Stdin, binary.BigEndian, &length) != nil {
			return
		}
		request := make([]byte, length)
		if _, err := io.ReadFull(os.Stdin, request); err != nil {
			return
		}
		if !mended && bytes.Contains(request, []byte("posix-rename@openssh.com")) && bytes.HasSuffix(request, []byte("/CTLFile.tlv")) {
			return
		}
		if binary.Write(to, binary.BigEndian, length) != nil {
			return
		}
		if _, err := to.Write(request); err != nil {
			return
		}
	}
}

// serverNode is a node that is reached over SFTP.
type serverNode struct {
	name   string
	server *sshdtest.Server
	folder string
}

// cluster is an installation with nodes that are OpenSSH servers, each on a loopback address of its own, and a list.
type cluster struct {
	*installation
	nodes  []serverNode
	config string
}

func newCluster(t *testing.T, nodes ...serverNode) *cluster {
	t.Helper()
	c := &cluster{installation: newInstallation(t), nodes: nodes, config: filepath.Join(t.TempDir(), "capf.toml")}
	samples, err := filepath.Abs("../../testdata/ctl")
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for i, node := range nodes {
		keys = append(keys, node.server.Login)
		arguments := []string{"node", "add", node.name, "--role", "ccm+tftp", "--address", "192.0.2." + string(rune('1'+i)),
			"--certificate", filepath.Join(samples, "servers", "publisher.pem"), "--target", node.server.Target(node.folder)}
		if i == 0 {
			arguments = append(arguments, "--publisher")
		}
		c.capf(arguments...)
	}
	names, err := json.Marshal(keys)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.config, []byte("[distribute]\nagent = false\nidentity-files = "+string(names)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{"1024", "2048"} {
		c.capf("ctl", "token", "add", token, "--file", filepath.Join(samples, "tokens", token+".pem"))
	}
	c.capf("ctl", "build")
	return c
}

// know writes the known hosts, some with another key than theirs.
func (c *cluster) know(mistaken ...string) {
	c.t.Helper()
	var lines []string
	for _, node := range c.nodes {
		line := node.server.Known(c.t)
		for _, name := range mistaken {
			if name == node.name {
				line = node.server.Mistaken(c.t)
			}
		}
		lines = append(lines, line)
	}
	sshdtest.KnownHosts(c.t, filepath.Join(c.data, "known_hosts"), lines...)
}

// rows runs a command that prints a list, wants its exit status, and gives the rows by the node's name and what
// was said beside.
func (c *cluster) rows(status int, arguments ...string) (map[string]map[string]any, string) {
	c.t.Helper()
	stdout, stderr, err := c.try(append([]string{"--config", c.config, "--json"}, arguments...)...)
	var exit *exec.ExitError
	got := 0
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	}
	if got != status {
		c.t.Fatalf("capf %s: exit status %d, not %d:\n%s%s", strings.Join(arguments, " "), got, status, stdout, stderr)
	}
	var all []map[string]any
	if err := json.Unmarshal([]byte(stdout), &all); err != nil {
		c.t.Fatalf("%v:\n%s%s", err, stdout, stderr)
	}
	byNode := map[string]map[string]any{}
	for _, row := range all {
		byNode[row["node"].(string)] = row
	}
	return byNode, stderr
}

// check wants a word in a column of each node, and in what it says of an error.
func (c *cluster) check(rows map[string]map[string]any, column string, wants map[string][2]string) {
	c.t.Helper()
	if len(rows) != len(wants) {
		c.t.Errorf("%d nodes instead of %d: %v", len(rows), len(wants), rows)
	}
	for name, want := range wants {
		row := rows[name]
		problem, _ := row["error"].(string)
		if row[column] != want[0] || !strings.Contains(problem, want[1]) || (problem == "") != (want[1] == "") {
			c.t.Errorf("%s: %s %v, %q; want %q", name, column, row[column], problem, want)
		}
	}
}

// fullDisk gives a folder on a file system without room, and how to make room. Where that cannot be mounted the
// server must be Short.
func fullDisk(t *testing.T) (folder string, makeRoom func(), mounted bool) {
	t.Helper()
	folder = t.TempDir()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=64k"); err != nil {
		return folder, func() {}, false
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(folder, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	filler := filepath.Join(folder, "filler")
	if err := os.WriteFile(filler, make([]byte, 1<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	return folder, func() {
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
	}, true
}

// failure is all that SFTP says of a write that failed, where there is room by the numbers.
const failure = "Failure"

// fiveServers are one that is good, and four with a trouble of their own each; mend takes the troubles away, save
// the host key.
func fiveServers(t *testing.T) (nodes []serverNode, full string, mend func()) {
	t.Helper()
	sshdtest.Need(t)
	mended := filepath.Join(t.TempDir(), "mended")
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	small, makeRoom, mounted := fullDisk(t)
	full = "no space left on device"
	if !mounted {
		full = failure
	}
	options := []sshdtest.Options{{}, {Refuses: true}, {Subsystem: "/usr/bin/env " + dyingVariable + "=" + mended + " " + program}, {Short: !mounted}, {}}
	for i, name := range []string{"good", "refuses", "dies", "full", "changed"} {
		options[i].Address = "127.0.0." + string(rune('1'+i))
		folder := small
		if name != "full" {
			folder = t.TempDir()
		}
		nodes = append(nodes, serverNode{name, sshdtest.Start(t, options[i]), folder})
	}
	return nodes, full, func() {
		nodes[1].server.LetIn(t)
		if err := os.WriteFile(mended, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		makeRoom()
		if !mounted {
			nodes[3].server.Room(t)
		}
	}
}

// TestFiveServers has a cluster of which each server but one is in trouble. Each trouble is named, the good one gets
// everything, and once all is mended --failed brings the rest what they lack.
func TestFiveServers(t *testing.T) {
	nodes, full, mend := fiveServers(t)
	c := newCluster(t, nodes...)
	c.know("changed")

	tried := full
	if full == failure { // what a check writes is short
		tried = ""
	}
	rows, _ := c.rows(3, "node", "check")
	c.check(rows, "login", map[string][2]string{"good": {"yes", ""}, "refuses": {"no", "log in as"}, "dies": {"yes", ""},
		"full": {"yes", tried}, "changed": {"unknown", "the host key has changed"}})
	rows, _ = c.rows(3, "ctl", "distribute", "--dry-run")
	c.check(rows, "outcome", map[string][2]string{"good": {"would change", ""}, "refuses": {"failed", "log in as"}, "dies": {"would change", ""},
		"full": {"would change", ""}, "changed": {"failed", "the host key has changed"}})
	rows, said := c.rows(3, "ctl", "distribute")
	c.check(rows, "outcome", map[string][2]string{"good": {"done", ""}, "refuses": {"failed", "log in as"}, "dies": {"partly", "connection to the server was lost"},
		"full": {"failed", full}, "changed": {"failed", "the host key has changed"}})
	for _, want := range []string{"good: done", "dies: partly", `node "refuses": `, `node "full": `, nodes[4].server.Fingerprint(t), "4 of 5 nodes have not got everything"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is missing in:\n%s", want, said)
		}
	}
	rows, _ = c.rows(3, "ctl", "status")
	c.check(rows, "state", map[string][2]string{"good": {"equal", ""}, "refuses": {"unreachable", "log in as"}, "dies": {"missing", ""},
		"full": {"missing", ""}, "changed": {"unreachable", "the host key has changed"}})

	mend()
	c.know()
	rows, _ = c.rows(0, "ctl", "distribute", "--failed")
	c.check(rows, "outcome", map[string][2]string{"refuses": {"done", ""}, "dies": {"done", ""}, "full": {"done", ""}, "changed": {"done", ""}})
	equal := map[string][2]string{}
	for _, node := range nodes {
		equal[node.name] = [2]string{"equal", ""}
	}
	rows, _ = c.rows(0, "ctl", "status")
	c.check(rows, "state", equal)
	sameFiles(t, nodes)
}

// sameFiles wants the same files on all servers, and nothing of ours beside them.
func sameFiles(t *testing.T, nodes []serverNode) {
	t.Helper()
	for _, name := range []string{"Certificates/CAPF.cer", "Certificates/" + capfName + ".0", "TFTPPath/CTLFile.tlv"} {
		first, err := os.ReadFile(filepath.Join(nodes[0].folder, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, node := range nodes[1:] {
			if other, err := os.ReadFile(filepath.Join(node.folder, name)); err != nil || !bytes.Equal(other, first) {
				t.Errorf("%s of %s is another: %v", name, node.name, err)
			}
		}
	}
	for _, node := range nodes {
		if left, err := filepath.Glob(filepath.Join(node.folder, "*", ".capf-*")); err != nil || len(left) != 0 {
			t.Errorf("%s: left behind: %q, %v", node.name, left, err)
		}
	}
}

// One run at a time works on the nodes of a data directory.
func TestTwoDistributions(t *testing.T) {
	server := sshdtest.Start(t, sshdtest.Options{})
	c := newCluster(t, serverNode{"only", server, t.TempDir()})
	c.know()
	lock, err := distribute.Lock(c.data)
	if err != nil {
		t.Fatal(err)
	}
	for _, arguments := range [][]string{{"ctl", "distribute"}, {"node", "check"}} {
		_, stderr, err := c.try(append([]string{"--config", c.config}, arguments...)...)
		if err == nil || !strings.Contains(stderr, "another run") || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%v: %v: %s", arguments, err, stderr)
		}
	}
	c.rows(3, "ctl", "status")
	c.rows(0, "ctl", "distribute", "--dry-run")
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	c.rows(0, "ctl", "distribute")
	rows, _ := c.rows(0, "node", "check")
	c.check(rows, "certificates", map[string][2]string{"only": {"writable", ""}})
}
