package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"capf/runtime/pkcs11/softhsmtest"
)

// flowTokens are the four tokens of a flow: $A to $D, by the key sizes of the samples.
var flowTokens = map[string]string{"A": "1024", "B": "2048", "C": "4096", "D": "512"}

// TestHardware has tokens of SoftHSM 2 alone (testdata/hardware).
func TestHardware(t *testing.T) {
	softhsmtest.Need(t)
	runTokenScripts(t, "testdata/hardware", "softhsm")
}

// TestTokenFlows goes through what may happen to security tokens (testdata/tokens), each once with PEM files and once
// with tokens of SoftHSM 2. `lose A` takes a token away.
func TestTokenFlows(t *testing.T) {
	t.Run("pem", func(t *testing.T) { runTokenScripts(t, "testdata/tokens", "pem") })
	t.Run("softhsm", func(t *testing.T) {
		softhsmtest.Need(t)
		runTokenScripts(t, "testdata/tokens", "softhsm")
	})
}

func runTokenScripts(t *testing.T, folder, kind string) {
	samples, err := filepath.Abs("../../testdata/ctl")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 folder,
		RequireExplicitExec: true,
		Setup: func(environment *testscript.Env) error {
			environment.Setenv("SERVERS", filepath.Join(samples, "servers"))
			environment.Setenv("USER", "tester")
			environment.Setenv("CAPF_DATA", filepath.Join(environment.WorkDir, "data"))
			if err := os.Mkdir(filepath.Join(environment.WorkDir, "nodes"), 0o700); err != nil {
				return err
			}
			if kind == "pem" {
				return pemTokens(environment, samples)
			}
			return hsmTokens(environment, samples)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"status": checkStatus, "lose": loseToken},
	})
}

func pemTokens(environment *testscript.Env, samples string) error {
	for name, size := range flowTokens {
		content, err := os.ReadFile(filepath.Join(samples, "tokens", size+".pem"))
		if err != nil {
			return err
		}
		path := filepath.Join(environment.WorkDir, name+".pem")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return err
		}
		environment.Setenv(name, path)
	}
	return nil
}

func hsmTokens(environment *testscript.Env, samples string) error {
	hsm, err := softhsmtest.NewIn(filepath.Join(environment.WorkDir, "hsm"))
	if err != nil {
		return err
	}
	for name, size := range flowTokens {
		hsm.AddToken(name)
		hsm.Import(name, "sast", "01", filepath.Join(samples, "tokens", size+".pem"))
		environment.Setenv(name, hsm.URI(name, "sast"))
	}
	environment.Setenv("SOFTHSM2_CONF", hsm.Configuration())
	environment.Setenv("CAPF_TOKEN_PIN", softhsmtest.PIN)
	environment.Setenv("PIN", softhsmtest.PIN)
	environment.Setenv("MODULE", hsm.Module)
	environment.Values[hsmValue{}] = hsm
	return nil
}

// hsmValue is the key of the script's SoftHSM.
type hsmValue struct{}

// loseToken is `lose A`: the file is deleted, or the token pulled for good.
func loseToken(script *testscript.TestScript, negated bool, arguments []string) {
	if negated || len(arguments) != 1 {
		script.Fatalf("usage: lose TOKEN")
	}
	if hsm, ok := script.Value(hsmValue{}).(*softhsmtest.HSM); ok {
		hsm.Pull(arguments[0])
		return
	}
	script.Check(os.Remove(script.MkAbs(fmt.Sprintf("%s.pem", arguments[0]))))
}
