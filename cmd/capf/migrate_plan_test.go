package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"capf/runtime/capf"
)

func TestWriteNew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	write := func(text string) error {
		return writeNew(path, "the report", func(w io.Writer) error { _, err := io.WriteString(w, text); return err })
	}
	if err := write("first"); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := write("second"); !capf.HasCode(err, capf.CodeRefused) || !strings.Contains(err.Error(), path+" is there already") {
		t.Errorf("error %v", err)
	}
	failing := path + "2"
	err := writeNew(failing, "the report", func(io.Writer) error { return io.ErrShortWrite })
	if entries, _ := os.ReadDir(filepath.Dir(path)); !capf.HasCode(err, capf.CodeUnavailable) || len(entries) != 1 {
		t.Errorf("%v leaves %v", err, entries)
	}
	if content, err := os.ReadFile(path); err != nil || string(content) != "first" {
		t.Errorf("%q, %v", content, err)
	}
}

func TestCommandLine(t *testing.T) {
	t.Setenv("CAPF_DATA", "/var/capf")
	command := &migratePlanCommand{sourceFlags: sourceFlags{Sources: []string{"pub=/mnt/disk 1", "it's", "$x"}, Dialect: "/d.toml"},
		mergeFlags: mergeFlags{Prefer: "pub", Anchor: []string{"AB"}, AcceptMissing: true}}
	got := command.commandLine(&app{data: "/var/capf"}, "run", "/tmp/x.toml")
	want := `capf migrate run --dialect /d.toml --prefer pub --anchor AB --accept-missing --decisions /tmp/x.toml 'pub=/mnt/disk 1' 'it'\''s' '$x'`
	if got != want {
		t.Errorf("%s\n%s", got, want)
	}
	if got := (&app{data: "/srv/a b", config: "/etc/capf.toml"}).commandLine("migrate", "list"); got != "capf --data '/srv/a b' --config /etc/capf.toml migrate list" {
		t.Error(got)
	}
}

// TestHowToDecide: a run that is refused for conflicts gives the commands by which they are decided.
func TestHowToDecide(t *testing.T) {
	for decisions, want := range map[string]string{
		"": "`capf --data /d migrate plan --prefer latest --decisions decisions.toml pub=/x` writes them into a file; fill in `choose`, " +
			"then `capf --data /d migrate run --prefer latest --decisions decisions.toml pub=/x`",
		"/d.toml": "fill in what has no `choose` in /d.toml, then `capf --data /d migrate run --prefer latest --decisions /d.toml pub=/x`",
	} {
		var said bytes.Buffer
		command := migrateRunCommand{sourceFlags: sourceFlags{Sources: []string{"pub=/x"}}, mergeFlags: mergeFlags{Prefer: "latest"}, Decisions: decisions}
		command.sayHowToDecide(&app{data: "/d", stderr: &said})
		if !strings.Contains(said.String(), want) {
			t.Errorf("%q: said %q", decisions, said.String())
		}
	}
}
