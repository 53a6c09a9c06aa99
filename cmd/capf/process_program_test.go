package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// The tests in the files process_*, foreign_* and bench_* have the program itself before them: built as
// `make build` does it, run as processes, killed as processes.

// buildArguments are added to `go build`; see process_race_test.go.
var buildArguments []string

// brief says that tests are to leave out what only repeats: with -short, and under the race detector, with
// which everything takes several times as long.
func brief() bool { return testing.Short() || len(buildArguments) > 0 }

// buildProgram builds capf once for all tests, with the GOFLAGS of the environment, so that the TLS overlay
// is in it. It lies beside the commands that TestMain has testscript make, and goes with them.
var buildProgram = sync.OnceValues(func() (string, error) {
	script, err := exec.LookPath("capf")
	if err != nil {
		return "", err
	}
	path := filepath.Join(filepath.Dir(filepath.Dir(script)), "capf-as-built")
	arguments := append([]string{"build", "-o", path}, buildArguments...)
	if output, err := exec.Command("go", append(arguments, ".")...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, output)
	}
	return path, nil
})

// installation is a data directory with an active CAPF, and the program to work on it.
type installation struct {
	t       testing.TB
	program string
	data    string
	godebug string // GODEBUG of the processes; empty: what is built in
}

const capfName = "CAPF-process"

func newInstallation(t testing.TB) *installation {
	t.Helper()
	program, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	i := &installation{t: t, program: program, data: filepath.Join(t.TempDir(), "data")}
	i.capf("init", "--common-name", capfName)
	return i
}

// in is the same installation for a subtest.
func (i *installation) in(t testing.TB) *installation {
	same := *i
	same.t = t
	return &same
}

// command is capf on this installation, not started yet. What is set in the environment of the tests does
// not reach it.
func (i *installation) command(arguments ...string) *exec.Cmd {
	command := exec.Command(i.program, append([]string{"--data", i.data}, arguments...)...)
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); name != "GODEBUG" && name != "CAPF_DATA" {
			command.Env = append(command.Env, variable)
		}
	}
	if i.godebug != "" {
		command.Env = append(command.Env, "GODEBUG="+i.godebug)
	}
	return command
}

// try runs a command and gives both its outputs, and its error where it failed.
func (i *installation) try(arguments ...string) (stdout, stderr string, err error) {
	var out, problems bytes.Buffer
	command := i.command(arguments...)
	command.Stdout, command.Stderr = &out, &problems
	err = command.Run()
	return out.String(), problems.String(), err
}

// capf runs a command that has to succeed.
func (i *installation) capf(arguments ...string) string {
	i.t.Helper()
	stdout, stderr, err := i.try(arguments...)
	if err != nil {
		i.t.Fatalf("capf %s: %v\n%s", strings.Join(arguments, " "), err, stderr)
	}
	return stdout
}

// read runs a command with --json and decodes what it prints.
func (i *installation) read(into any, arguments ...string) {
	i.t.Helper()
	output := i.capf(append([]string{"--json"}, arguments...)...)
	if err := json.Unmarshal([]byte(output), into); err != nil {
		i.t.Fatalf("capf --json %s: %v\n%s", strings.Join(arguments, " "), err, output)
	}
}

// phone reads a phone as `phone show` names its fields.
func (i *installation) phone(device string) map[string]string {
	i.t.Helper()
	var all map[string]any
	i.read(&all, "phone", "show", device)
	fields := make(map[string]string)
	for name, value := range all {
		if text, is := value.(string); is { // the rest is the history of the phone
			fields[name] = text
		}
	}
	return fields
}

// phones reads all phones as `phone list` names their fields.
func (i *installation) phones() []map[string]string {
	i.t.Helper()
	var all []map[string]string
	i.read(&all, "phone", "list")
	return all
}

// listed is a certificate as `certificate list --pem` prints it.
type listed struct {
	Serial, Device, Kind, State, PEM string
}

// certificates reads the certificates of a device, of all for "".
func (i *installation) certificates(device string) []listed {
	i.t.Helper()
	arguments := []string{"certificate", "list", "--pem"}
	if device != "" {
		arguments = append(arguments, device)
	}
	var all []listed
	i.read(&all, arguments...)
	return all
}

// certificateFile is the CAPF certificate in PEM.
func (i *installation) certificateFile() string { return filepath.Join(i.data, capfName+".0") }

// write makes a file beside the data directory and gives its path.
func (i *installation) write(name, content string) string {
	i.t.Helper()
	path := filepath.Join(filepath.Dir(i.data), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		i.t.Fatal(err)
	}
	return path
}

// foreign gives the path of a program that is not ours. Without it the test cannot run.
func foreign(t testing.TB, name, install string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	message := fmt.Sprintf("%s is not there: %s", name, install)
	if os.Getenv("CI") != "" {
		t.Fatal(message)
	}
	t.Skip(message)
	return ""
}
