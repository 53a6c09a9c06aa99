package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The maintenance window is closed: `bulk apply --reset` leaves those that it holds back to the service, and
// `phone reset` says what will come of it.
func TestResetWhileTheWindowIsClosed(t *testing.T) {
	folder := t.TempDir()
	asked := filepath.Join(folder, "asked")
	configuration := filepath.Join(folder, "capf.toml")
	for path, content := range map[string]string{
		filepath.Join(folder, "note.sh"):    "echo $2 >> $1\n",
		configuration:                       "[reset]\ncommand = ['sh', '" + filepath.Join(folder, "note.sh") + "', '" + asked + "', '{device}']\nrate = 100\n",
		filepath.Join(folder, "phones.csv"): "device,operation,auth-mode\nSEP0011223344AA,install,null-string\nSEP0011223344AB,install,authentication-string\n",
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	capf := func(arguments ...string) string {
		t.Helper()
		var stdout, stderr bytes.Buffer
		if status := run(append([]string{"--data", filepath.Join(folder, "data"), "--config", configuration}, arguments...), strings.NewReader(""), &stdout, &stderr); status != 0 {
			t.Fatalf("%v: status %d\n%s", arguments, status, stderr.String())
		}
		return stderr.String()
	}
	opens := time.Now().UTC().Add(2 * time.Hour)
	capf("init")
	capf("parameter", "set", "maintenance-window", opens.Format("15:04-")+opens.Add(time.Hour).Format("15:04 UTC"))
	if said := capf("bulk", "apply", "--reset", filepath.Join(folder, "phones.csv")); !strings.Contains(said, "1 phone is not reset now: the maintenance window opens at "+opens.Format("2006-01-02T15:04:00Z")) ||
		!strings.Contains(said, "1 phone reset") {
		t.Errorf("it said %q", said)
	}
	checkAsked := func(want string) {
		t.Helper()
		if got, err := os.ReadFile(asked); err != nil || string(got) != want {
			t.Errorf("reset were %q, %v; want %q", got, err, want)
		}
	}
	checkAsked("SEP0011223344AB\n")
	if said := capf("phone", "reset", "SEP0011223344AA"); !strings.Contains(said, "1 phone has to wait: the maintenance window is closed until "+opens.Format("2006-01-02T15:04:00Z")) {
		t.Errorf("it said %q", said)
	}
	checkAsked("SEP0011223344AB\nSEP0011223344AA\n")
}
