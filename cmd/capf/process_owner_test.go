package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// nobody owns what is not root's.
const nobody = 65534

// asRoot skips where another user runs the tests: who else could give a directory to somebody.
func asRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can give a directory to another user, and work on it")
	}
}

// given is an installation whose data directory belongs to nobody, with a program that nobody may run.
func given(t *testing.T) *installation {
	t.Helper()
	asRoot(t)
	i := newActivated(t)
	i.capf("phone", "add", "SEP000000000001")
	i.giveAway()
	i.program = i.open()
	return i
}

// giveAway gives the data directory to nobody.
func (i *installation) giveAway() {
	i.t.Helper()
	err := filepath.WalkDir(i.data, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, nobody, nobody)
	})
	if err != nil {
		i.t.Fatal(err)
	}
}

// open copies the program to where everybody may run it, as capf.
func (i *installation) open() string {
	i.t.Helper()
	content, err := os.ReadFile(i.program)
	if err != nil {
		i.t.Fatal(err)
	}
	folder := i.t.TempDir()
	path := filepath.Join(folder, "capf")
	// The folder of all temporary ones of a test is root's alone.
	if err := errors.Join(os.Chmod(filepath.Dir(folder), 0o755), os.WriteFile(path, content, 0o755)); err != nil {
		i.t.Fatal(err)
	}
	return path
}

// as has a command run as another user.
func as(user uint32, command *exec.Cmd) *exec.Cmd {
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
	return command
}

// owned lists the data directory, whose files must all be nobody's.
func (i *installation) owned() (names string) {
	i.t.Helper()
	err := filepath.WalkDir(i.data, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Sys().(*syscall.Stat_t).Uid != nobody {
			i.t.Errorf("%s is not the owner's any more", path)
		}
		names += path + "\n"
		return err
	})
	if err != nil {
		i.t.Fatal(err)
	}
	return names
}

// What root writes there the service could not read. The command that is named instead does what was asked.
func TestRootOnTheDataOfAnother(t *testing.T) {
	i := given(t)
	before := i.owned()
	for _, words := range [][]string{{"phone", "list"}, {"init"}, {"serve", "--listen", "127.0.0.1:0"}, {"backup", filepath.Join(t.TempDir(), "b")},
		{"checklist"}, {"session", "list"}, {"migrate", "list"}, {"--json", "report"}, {"ca", "renew"},
		{"phone", "set", "SEP000000000001", "--description", "two words; $HOME 'quoted'"}} {
		_, stderr, err := i.try(words...)
		if err == nil || !strings.Contains(stderr, i.data) || !strings.Contains(stderr, "sudo -u nobody capf --data "+i.data+" "+words[0]) {
			t.Errorf("%q as root: %v, %s", words, err, stderr)
		}
		if strings.Count(stderr, "\n") != 1 {
			t.Errorf("not one line: %q", stderr)
		}
	}
	if after := i.owned(); after != before {
		t.Errorf("the data directory was\n%s and is\n%s", before, after)
	}
	_, stderr, _ := i.try("phone", "set", "SEP000000000001", "--description", "two words; $HOME 'quoted'")
	i.named(stderr)
	i.giveAwayToRoot()
	if got := i.phone("SEP000000000001")["description"]; got != "two words; $HOME 'quoted'" {
		t.Errorf("the command that is named has set %q", got)
	}
}

// named runs the command that an error names, with a sudo that needs no password and is called by the user himself.
func (i *installation) named(stderr string) {
	i.t.Helper()
	folder := filepath.Dir(i.program)
	if err := os.WriteFile(filepath.Join(folder, "sudo"), []byte("#!/bin/sh\nshift 2\nexec \"$@\"\n"), 0o755); err != nil {
		i.t.Fatal(err)
	}
	_, command, found := strings.Cut(stderr, "run `")
	end := strings.LastIndex(command, "`")
	if !found || end < 0 {
		i.t.Fatalf("no command in %s", stderr)
	}
	shell := as(nobody, exec.Command("sh", "-c", command[:end]))
	shell.Dir = folder
	shell.Env = []string{"PATH=" + folder + ":/usr/bin:/bin"}
	if output, err := shell.CombinedOutput(); err != nil {
		i.t.Fatalf("%s: %v, %s", command[:end], err, output)
	}
}

func (i *installation) giveAwayToRoot() {
	i.t.Helper()
	if output, err := exec.Command("chown", "-R", "0:0", i.data).CombinedOutput(); err != nil {
		i.t.Fatalf("%v: %s", err, output)
	}
}

// The data directory may come from the environment, and an authentication string goes into no error.
func TestRootIsToldWithoutSecrets(t *testing.T) {
	i := given(t)
	for _, words := range [][]string{
		{"phone", "set", "SEP000000000001", "--auth-string", "48151623"},
		{"phone", "set", "SEP000000000001", "--auth-string=48151623"},
		{"node", "add", "n", "--role", "tftp", "--address", "192.0.2.1", "--target", "sftp://u:48151623@192.0.2.1/"},
		{"node", "add", "n", "--role", "tftp", "--address", "192.0.2.1", "--target", "sftp://u:a&/48151623@192.0.2.1/"},
		{"init", "--pkcs11", "pkcs11:token=t?pin-value=48151623&module-path=/x"},
	} {
		command := exec.Command(i.program, words...)
		command.Env = []string{"CAPF_DATA=" + i.data}
		var stderr bytes.Buffer
		command.Stderr = &stderr
		err := command.Run()
		if text := stderr.String(); err == nil || strings.Contains(text, "48151623") || !strings.Contains(text, "sudo -u nobody capf --data "+i.data+" "+words[0]) {
			t.Errorf("%q: %v, %s", words, err, text)
		}
	}
	// A port is no secret: the command that is named must do what was meant.
	if _, stderr, _ := i.try("node", "set", "n", "--target", "sftp://192.0.2.1:2222/x"); !strings.Contains(stderr, "sftp://192.0.2.1:2222/x") {
		t.Errorf("the port is hidden: %s", stderr)
	}
}

// Commands that need no data directory do not mind whose it is.
func TestRootWithoutData(t *testing.T) {
	i := given(t)
	source := t.TempDir()
	for _, words := range [][]string{{"simulate", "--server", "127.0.0.1:1", "--no-ctl"}, {"migrate", "inspect", source}, {"migrate", "dialect", source}, {"--help"}, {"phone", "list", "--help"}} {
		if _, stderr, _ := i.try(words...); strings.Contains(stderr, "sudo") {
			t.Errorf("%q: %s", words, stderr)
		}
	}
}

// A data directory of somebody else's is none to make an authority in, nor is one whose keys would lie elsewhere.
func TestInitInADirectoryOfAnother(t *testing.T) {
	asRoot(t)
	i := newActivated(t)
	i.program = i.open()
	i.data = filepath.Join(t.TempDir(), "roots")
	if err := os.Mkdir(i.data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(i.data, 0o777); err != nil {
		t.Fatal(err)
	}
	output, err := as(nobody, i.command("init")).CombinedOutput()
	if err == nil || !strings.Contains(string(output), i.data+" belongs to root") {
		t.Errorf("init in a directory of root's: %v, %s", err, output)
	}
	i.isEmpty(i.data)
}

func TestInitWithKeysElsewhere(t *testing.T) {
	i := newActivated(t)
	i.data = filepath.Join(t.TempDir(), "data")
	elsewhere := t.TempDir()
	if err := os.Mkdir(i.data, 0o700); err != nil {
		t.Fatal(err)
	}
	keys := filepath.Join(i.data, "keys")
	if err := os.Symlink(elsewhere, keys); err != nil {
		t.Fatal(err)
	}
	if _, stderr, err := i.try("init"); err == nil || !strings.Contains(stderr, keys+" is a link") {
		t.Errorf("init with keys elsewhere: %v, %s", err, stderr)
	}
	i.isEmpty(elsewhere)
	if err := os.Remove(keys); err != nil {
		t.Fatal(err)
	}
	i.isEmpty(i.data)
	i.capf("init")
}

func (i *installation) isEmpty(folder string) {
	i.t.Helper()
	if entries, err := os.ReadDir(folder); err != nil || len(entries) > 0 {
		i.t.Errorf("%s holds %v, %v", folder, entries, err)
	}
}
