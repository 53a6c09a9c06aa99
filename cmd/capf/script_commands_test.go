package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"
)

// checkMode is `mode 0600 FILE…`: the permissions of files.
func checkMode(script *testscript.TestScript, negated bool, arguments []string) {
	if negated || len(arguments) < 2 {
		script.Fatalf("usage: mode OCTAL FILE...")
	}
	for _, name := range arguments[1:] {
		info, err := os.Stat(script.MkAbs(name))
		script.Check(err)
		if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != arguments[0] {
			script.Fatalf("%s has mode %s, not %s", name, got, arguments[0])
		}
	}
}

// checkStatus is `status N PROGRAM ARGUMENT…`: the exit status of a program.
func checkStatus(script *testscript.TestScript, negated bool, arguments []string) {
	if negated || len(arguments) < 2 {
		script.Fatalf("usage: status N PROGRAM ARGUMENT...")
	}
	want, err := strconv.Atoi(arguments[0])
	script.Check(err)
	err = script.Exec(arguments[1], arguments[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		script.Check(err)
	}
	if got != want {
		script.Fatalf("%v exits with %d, not %d", arguments[1:], got, want)
	}
}

// flipByte is `flip FILE OFFSET`: damages one byte.
func flipByte(script *testscript.TestScript, negated bool, arguments []string) {
	if negated || len(arguments) != 2 {
		script.Fatalf("usage: flip FILE OFFSET")
	}
	offset, err := strconv.Atoi(arguments[1])
	script.Check(err)
	path := script.MkAbs(arguments[0])
	content, err := os.ReadFile(path)
	script.Check(err)
	content[offset] ^= 1
	script.Check(os.WriteFile(path, content, 0o600))
}
