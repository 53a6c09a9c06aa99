package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
)

// TestBackupBesideService makes backups while phones enrol one after another, and goes on from the last of them
// elsewhere: what had been enrolled then is there, and the others can enrol at the new service.
func TestBackupBesideService(t *testing.T) {
	const rounds = 3
	phones := 60
	if brief() {
		phones = 20
	}
	i := newInstallation(t)
	addNullPhones(i, phones)
	service := i.serve()
	calling := i.command("simulate", "--server", service.address, "--ctl", trustList(i), "--phones", fmt.Sprint(phones), "--first", "SEP000000000100",
		"--parallel", "4", "--key-size", "1024")
	output := start(t, calling)
	var last string
	for round := range rounds {
		last = filepath.Join(t.TempDir(), "backup.tar")
		i.capf("backup", last)
		if round == 0 {
			waitForSuccess(i, 1) // so that a later one has enrolled phones
		}
	}
	if err := calling.Wait(); err != nil {
		t.Fatalf("beside the backups: %v\n%s", err, output)
	}
	if status := service.terminate(); status != 0 {
		t.Errorf("the service ends with status %d", status)
	}

	j := i.restored(last)
	before, after := i.successes(), j.successes()
	if len(after) == 0 || len(before) != phones {
		t.Fatalf("%d phones had enrolled when the backup was made, %d in the end", len(after), len(before))
	}
	for device := range after {
		if confirmed := j.confirmed(device); confirmed == "" || confirmed != i.confirmed(device) {
			t.Errorf("%s: in the backup its LSC is %q, it was %q", device, confirmed, i.confirmed(device))
		}
	}
	again := j.serve()
	j.capf("bulk", "apply", j.write("again.csv", "device,operation\n"+strings.Join(j.devices(), ",install\n")+",install\n"))
	j.capf("simulate", "--server", again.address, "--ctl", trustList(i), "--phones", fmt.Sprint(phones), "--first", "SEP000000000100", "--parallel", "4", "--key-size", "1024")
	if got := len(j.successes()); got != phones {
		t.Errorf("at the restored service %d of %d phones enrolled", got, phones)
	}
}

func addNullPhones(i *installation, count int) {
	i.t.Helper()
	var rows strings.Builder
	rows.WriteString("device,operation,auth-mode,key-size\n")
	for n := range count {
		fmt.Fprintf(&rows, "SEP%012X,install,null-string,1024\n", 0x100+n)
	}
	i.capf("bulk", "apply", i.write("phones.csv", rows.String()))
}

// trustList builds the list by which phones check the service, once.
func trustList(i *installation) string {
	i.t.Helper()
	path := filepath.Join(filepath.Dir(i.data), "node", "TFTPPath", "CTLFile.tlv")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	samples, err := filepath.Abs("../../testdata/ctl")
	if err != nil {
		i.t.Fatal(err)
	}
	for _, token := range []string{"1024", "2048"} {
		i.capf("ctl", "token", "add", token, "--file", filepath.Join(samples, "tokens", token+".pem"))
	}
	node := filepath.Dir(filepath.Dir(path))
	if err := os.Mkdir(node, 0o700); err != nil {
		i.t.Fatal(err)
	}
	i.capf("node", "add", "pub", "--role", "ccm+tftp", "--address", "127.0.0.1", "--publisher", "--certificate", filepath.Join(samples, "servers", "publisher.pem"),
		"--target", "file://"+node)
	i.capf("ctl", "build")
	i.capf("ctl", "distribute")
	return path
}

// start starts a command, whose words are gathered.
func start(t *testing.T, command *exec.Cmd) *bytes.Buffer {
	t.Helper()
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	return &output
}

// restored is the installation that comes of a backup.
func (i *installation) restored(file string) *installation {
	i.t.Helper()
	j := *i
	j.data = filepath.Join(i.t.TempDir(), "restored")
	j.capf("restore", file)
	return &j
}

func (i *installation) devices() (names []string) {
	i.t.Helper()
	for _, one := range i.phones() {
		names = append(names, one["device"])
	}
	return names
}

func (i *installation) successes() map[string]bool {
	i.t.Helper()
	found := make(map[string]bool)
	for _, one := range i.phones() {
		if one["status"] == "success" {
			found[one["device"]] = true
		}
	}
	return found
}

// confirmed gives the serial number of a phone's LSC.
func (i *installation) confirmed(device string) string {
	i.t.Helper()
	return i.phone(device)["lsc-serial"]
}

func waitForSuccess(i *installation, count int) {
	i.t.Helper()
	for deadline := time.Now().Add(patience); len(i.successes()) < count; {
		if time.Now().After(deadline) {
			i.t.Fatal("no phone enrols")
		}
	}
}

// waitForFile waits until a file is there, or the process has ended.
func waitForFile(t *testing.T, path string, ended <-chan struct{}) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		if _, err := os.Stat(path); err == nil {
			return
		}
		select {
		case <-ended:
			return
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not appear", path)
		}
	}
}

// TestKillBackup kills a backup as soon as each of its steps can be seen. The file is whole or not there, the
// next backup is made and clears away what was left.
func TestKillBackup(t *testing.T) {
	i := newInstallation(t)
	addNullPhones(i, 5000)
	file := filepath.Join(t.TempDir(), "backup.tar")
	scratch := filepath.Join(i.data, ".backup")
	for _, sign := range []string{scratch, filepath.Join(scratch, "image", "capf.db"), filepath.Join(scratch, "image", "keys", "capf.pem"), file + ".part", file} {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		command, ended := i.command("backup", file), make(chan struct{})
		start(t, command)
		go func() {
			defer close(ended)
			_ = command.Wait()
		}()
		waitForFile(t, sign, ended)
		_ = command.Process.Kill() // unless it has ended just now
		<-ended
		if _, err := os.Stat(file); err == nil {
			i.restored(file)
		} else if !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	i.capf("backup", file)
	if got := len(i.restored(file).phones()); got != 5000 {
		t.Errorf("%d phones are in the last backup", got)
	}
	for _, path := range []string{scratch, file + ".part"} {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left: %v", path, err)
		}
	}
}

// TestKillRestore kills a restore that has got only so much of its backup: nothing is in the place, and the next
// restore is whole.
func TestKillRestore(t *testing.T) {
	i := newInstallation(t)
	addNullPhones(i, 2000)
	file := filepath.Join(t.TempDir(), "backup.tar")
	i.capf("backup", file)
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	j := *i
	j.data = filepath.Join(t.TempDir(), "restored")
	for part, sign := range map[int]string{600: j.data + ".restoring", len(raw) / 3: j.data + ".restoring/image/capf.db", len(raw) - 1: j.data + ".restoring/image/keys/capf.pem"} {
		command, ended := j.command("restore", "-"), make(chan struct{})
		stdin, err := command.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		start(t, command)
		if _, err := io.Copy(stdin, bytes.NewReader(raw[:part])); err != nil {
			t.Fatal(err)
		}
		waitForFile(t, sign, ended) // then it waits for the rest
		if err := command.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = command.Wait()
		if _, err := os.Stat(j.data); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("after %d bytes something is in the place: %v", part, err)
		}
	}
	j.capf("restore", file)
	if got := len(j.phones()); got != 2000 {
		t.Errorf("%d phones are restored", got)
	}
	if entries, err := os.ReadDir(filepath.Dir(j.data)); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v %v", entries, err)
	}
}

// TestBackupForARecipient makes a backup for a key of age that was made just now: that key, and no other, makes the same
// data of it; and of a file that is torn or has one bit flipped nothing is made.
func TestBackupForARecipient(t *testing.T) {
	i := newInstallation(t)
	addNullPhones(i, 100)
	right, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	wrong, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	rightFile, wrongFile := i.write("right.txt", right.String()+"\n"), i.write("wrong.txt", wrong.String()+"\n")
	file := filepath.Join(t.TempDir(), "backup.age")
	i.capf("backup", file, "--recipient", right.Recipient().String())
	sealed, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	j := *i
	j.data = filepath.Join(t.TempDir(), "restored")
	refused := func(what, file, key string) {
		t.Helper()
		_, said, err := j.try("restore", file, "--identity", key)
		var failed *exec.ExitError
		if !errors.As(err, &failed) || failed.ExitCode() != 1 || strings.Count(said, "\n") != 1 {
			t.Errorf("%s: %v: %s", what, err, said)
		}
		for _, path := range []string{j.data, j.data + ".restoring"} {
			if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: something is in %s: %v", what, path, err)
			}
		}
	}
	refused("with another key", file, wrongFile)
	for _, length := range []int{100, len(sealed) / 2, len(sealed) - 1} {
		refused(fmt.Sprintf("torn after %d bytes", length), i.write("torn.age", string(sealed[:length])), rightFile)
	}
	for _, at := range []int{10, 150, len(sealed) / 2, len(sealed) - 1} {
		flipped := bytes.Clone(sealed)
		flipped[at] ^= 4
		refused(fmt.Sprintf("with byte %d flipped", at), i.write("flipped.age", string(flipped)), rightFile)
	}
	j.capf("restore", file, "--identity", rightFile)
	if before, after := dumpOf(t, i.database(t)), dumpOf(t, j.database(t)); before != after {
		t.Error("the restored store is another")
	}
	for _, name := range []string{"keys/capf.pem", "CAPF.cer"} {
		before, err := os.ReadFile(filepath.Join(i.data, name))
		if err != nil {
			t.Fatal(err)
		}
		if after, err := os.ReadFile(filepath.Join(j.data, name)); err != nil || !bytes.Equal(before, after) {
			t.Errorf("%s is another, %v", name, err)
		}
	}
}
