package reset

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// program makes a script, and a folder that it may write to.
func program(t *testing.T, script string) (path, folder string) {
	t.Helper()
	folder = t.TempDir()
	path = filepath.Join(folder, "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\ncd '"+folder+"'\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path, folder
}

// The name is put into the arguments as it is, and no shell sees them.
func TestCommandArguments(t *testing.T) {
	path, folder := program(t, `printf '%s\n' "$#" "$@" > got`)
	command := Command{path, "--phone={device}", "; touch broken $(touch broken) {device}", "plain", ""}
	if err := command.Reset(t.Context(), "SEP0011223344AA"); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(folder, "got"))
	want := "4\n--phone=SEP0011223344AA\n; touch broken $(touch broken) SEP0011223344AA\nplain\n\n"
	if err != nil || string(got) != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	if _, err := os.Stat(filepath.Join(folder, "broken")); err == nil {
		t.Error("a shell has read the arguments")
	}
	if strings.Contains(command[1], "SEP") {
		t.Error("the configuration was changed")
	}
}

// A failure says what the program said, as one short line of plain text.
func TestCommandFails(t *testing.T) {
	loud, _ := program(t, `printf '\n  \033[31mno \aroute\n'; head -c 1000000 /dev/zero | tr '\0' x; exit 3`)
	long, _ := program(t, `head -c 1000000 /dev/zero | tr '\0' '\377' >&2; exit 1`)
	silent, _ := program(t, `exit 1`)
	for name, test := range map[string]struct {
		command Command
		want    string
	}{
		"loud":          {Command{loud, "{device}"}, `exit status 3, saying "[31mno  route"`},
		"long":          {Command{long, "{device}"}, `exit status 1, saying "?`},
		"silent":        {Command{silent, "{device}"}, `exit status 1`},
		"no such thing": {Command{filepath.Join(t.TempDir(), "nothing"), "{device}"}, "no such file"},
	} {
		err := test.command.Reset(t.Context(), "SEP0011223344AA")
		if err == nil || !strings.Contains(err.Error(), test.want) || len(err.Error()) > 400 || strings.ContainsAny(err.Error(), "\n\x1b\a") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A program that hangs is ended with everything that it started.
func TestCommandHangs(t *testing.T) {
	path, folder := program(t, "sleep 600 &\necho $! > child\nmv child started\nwait\n")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Command{path, "{device}"}.Reset(ctx, "SEP0011223344AA") }()
	started := filepath.Join(folder, "started")
	awaited(t, "the program begins", func() bool { _, err := os.Stat(started); return err == nil })
	cancel()
	if err := <-ended; err == nil {
		t.Error("it was ended, and that is no success")
	}
	content, err := os.ReadFile(started)
	if err != nil {
		t.Fatal(err)
	}
	child := "/proc/" + strings.TrimSpace(string(content)) + "/cmdline"
	awaited(t, "its child ends", func() bool { line, err := os.ReadFile(child); return err != nil || len(line) == 0 })
}

// A program that ends well and leaves something running has done its work.
func TestCommandLeavesSomethingRunning(t *testing.T) {
	path, folder := program(t, "sleep 600 &\necho $! > child\n")
	if err := (Command{path, "{device}"}).Reset(t.Context(), "SEP0011223344AA"); err != nil {
		t.Error(err)
	}
	content, err := os.ReadFile(filepath.Join(folder, "child"))
	if err != nil {
		t.Fatal(err)
	}
	killChild(t, strings.TrimSpace(string(content)))
}

func killChild(t *testing.T, id string) {
	t.Helper()
	var number int
	for _, digit := range id {
		number = number*10 + int(digit-'0')
	}
	if err := syscall.Kill(number, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
}

// awaited waits until something has happened elsewhere.
func awaited(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !happened(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}
