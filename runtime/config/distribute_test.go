package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"capf/runtime/capf"
	"capf/runtime/config"
)

// withoutSSH takes away what the environment of the test may have.
func withoutSSH(t *testing.T) {
	t.Helper()
	for _, name := range []string{config.SSHUserVariable, config.SSHPasswordVariable, config.SSHPassphraseVariable, config.SSHAgentVariable} {
		t.Setenv(name, "")
	}
}

func TestDistribute(t *testing.T) {
	withoutSSH(t)
	text := "[distribute]\nuser = 'ccmadmin'\npassword = '4711081547'\nidentity-files = ['/etc/capf/id']\nknown-hosts = '/etc/capf/known_hosts'\n" +
		"parallel = 5\nconnect-timeout = '3s'\noperation-timeout = '4s'\nnode-timeout = '5s'\n"
	want := config.Distribute{User: "ccmadmin", Password: "4711081547", IdentityFiles: []string{"/etc/capf/id"}, Agent: true, KnownHosts: "/etc/capf/known_hosts",
		Parallel: 5, ConnectTimeout: config.Duration{Duration: 3 * time.Second}, OperationTimeout: config.Duration{Duration: 4 * time.Second},
		NodeTimeout: config.Duration{Duration: 5 * time.Second}, CheckEvery: config.Interval{Duration: time.Hour}}
	if got, err := load(t, text); err != nil || !reflect.DeepEqual(got.Distribute, want) {
		t.Errorf("%+v, %v", got.Distribute, err)
	}
	t.Setenv(config.SSHUserVariable, "other")
	t.Setenv(config.SSHPasswordVariable, "0815471100")
	t.Setenv(config.SSHPassphraseVariable, "open")
	t.Setenv(config.SSHAgentVariable, "/run/agent")
	want.User, want.Password, want.Passphrase, want.AgentAt = "other", "0815471100", "open", "/run/agent"
	if got, err := load(t, text); err != nil || !reflect.DeepEqual(got.Distribute, want) {
		t.Errorf("with an environment: %+v, %v", got.Distribute, err)
	}
	if got, err := config.Load(""); err != nil || got.Distribute.Password != "0815471100" || got.Distribute.AgentAt != "/run/agent" {
		t.Errorf("without a file: %+v, %v", got.Distribute, err)
	}
	if got, err := load(t, "[distribute]\nagent = false\n"); err != nil || got.Distribute.AgentAt != "" {
		t.Errorf("without an agent: %+v, %v", got.Distribute, err)
	}
}

// A password in a file that others can read is none any more; without one the file may be read.
func TestPasswordThatOthersCanRead(t *testing.T) {
	withoutSSH(t)
	for text, modes := range map[string]map[os.FileMode]bool{
		"[distribute]\npassword = 'geheim-4711'\n": {0o600: true, 0o400: true, 0o640: false, 0o604: false, 0o644: false},
		"[distribute]\nuser = 'ccmadmin'\n":        {0o600: true, 0o644: true},
	} {
		for mode, good := range modes {
			path := filepath.Join(t.TempDir(), "capf.toml")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
			_, err := config.Load(path)
			if (err == nil) != good {
				t.Errorf("%q with mode %04o: %v", text, mode, err)
			}
			if err != nil && (!capf.HasCode(err, capf.CodeInvalid) || !strings.Contains(err.Error(), "chmod 600") || strings.Contains(err.Error(), "geheim")) {
				t.Errorf("%04o: %v", mode, err)
			}
		}
	}
}

func TestDistributeThatCannotBe(t *testing.T) {
	withoutSSH(t)
	for text, want := range map[string]string{
		"parallel = 0":              "distribute.parallel = 0",
		"parallel = 1001":           "distribute.parallel",
		"connect-timeout = '0s'":    "distribute.connect-timeout",
		"operation-timeout = '-1s'": "distribute.operation-timeout",
		"node-timeout = '0s'":       "distribute.node-timeout",
		"identity-files = ['']":     "distribute.identity-files",
		"passphrase = 'geheim'":     "unknown key",
		"password = 4711081547":     "line 2",
		"password = 'geheim":        "line 2",
	} {
		_, err := load(t, "[distribute]\n"+text+"\n")
		if !capf.HasCode(err, capf.CodeInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
		if strings.Contains(fmt.Sprint(err), "geheim") || strings.Contains(fmt.Sprint(err), "4711081547") {
			t.Errorf("%s: the secret is shown: %v", text, err)
		}
	}
}

func TestPasswordIsNotPrinted(t *testing.T) {
	settings := config.Default()
	settings.Distribute.Password, settings.Distribute.Passphrase = "4711081547", "0815471100"
	for _, text := range []string{fmt.Sprint(settings), fmt.Sprintf("%+v", settings), fmt.Sprintf("%#v", settings.Distribute)} {
		if strings.Contains(text, "4711081547") || strings.Contains(text, "0815471100") {
			t.Errorf("printed: %s", text)
		}
	}
}
