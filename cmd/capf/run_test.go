package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The first command of the README, twice in a row: it clears what it made and ends by itself.
func TestMakeRun(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program and runs all of the main job")
	}
	if _, err := exec.LookPath("make"); err != nil {
		missingProgram(t, "make")
	}
	folder := filepath.Join(t.TempDir(), "run data")
	for range 2 {
		command := exec.Command("make", "run", "ARGS=--once")
		command.Dir = "../.."
		command.Env = append(os.Environ(), "RUN_DATA="+folder)
		output, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
		for _, want := range []string{"differences\t0", "21 phones called", "SEP00112F001CF1\tM. Rossi (moved)\tnone\tsuccess\tUpgrade Success", "report.csv"} {
			if !strings.Contains(string(output), want) {
				t.Errorf("%q is missing in:\n%s", want, output)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(folder, "nodes", "subscriber-2", "TFTPPath", "CTLFile.tlv")); err != nil {
		t.Error(err)
	}
}

// What is not its own is not cleared.
func TestRunClearsOnlyItsOwnFolder(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "precious")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command("../../scripts/run", "--once")
	command.Env = append(os.Environ(), "RUN_DATA="+folder)
	if output, err := command.CombinedOutput(); err == nil || !strings.Contains(string(output), "move it away") {
		t.Errorf("%v: %s", err, output)
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}

// missingProgram fails where CI is set, and skips otherwise.
func missingProgram(t *testing.T, name string) {
	t.Helper()
	message := name + " is needed: apt-get install " + name
	if os.Getenv("CI") != "" {
		t.Fatal(message)
	}
	t.Skip(message)
}
