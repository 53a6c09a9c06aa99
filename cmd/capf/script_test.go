package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"capf": main})
}

// TestScripts runs the commands as a user does: testdata/script. $SAMPLES is the repository's testdata.
func TestScripts(t *testing.T) {
	samples, err := filepath.Abs("../../testdata")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(environment *testscript.Env) error {
			environment.Setenv("SAMPLES", samples)
			environment.Setenv("USER", "tester")
			return os.Mkdir(filepath.Join(environment.WorkDir, "nodes"), 0o700)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"mode": checkMode, "status": checkStatus, "flip": flipByte},
	})
}
