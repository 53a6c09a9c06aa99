package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"capf/migrate"
	"capf/runtime/capf"
)

// askedConflict has two versions that can be chosen, one of them said twice, and one that cannot.
var askedConflict = migrate.Conflict{Device: "SEP001122334455", Why: "equal times\x1b[2J", Versions: []migrate.Place{
	{Machine: "east", File: "CAPF.phone", Line: 2, Says: "install success", Choice: "east"},
	{Machine: "north", File: "CAPF.phone", Line: 9, Says: "install success", Choice: "east"},
	{Machine: "store", Says: "install failed", Choice: "store"},
	{Machine: "west", File: "CAPF.phone", Line: 3, Says: "delete\tfailed"},
}}

func atTerminal(answers string) (*app, *bytes.Buffer) {
	var screen bytes.Buffer
	return &app{ctx: context.Background(), stdin: strings.NewReader(answers), stderr: &screen}, &screen
}

func yes(any) bool { return true }

func TestAsker(t *testing.T) {
	tests := []struct {
		name, answers, want string
		fails               bool
	}{
		{"a number", "2\n", "store", false},
		{"without a line end", "1", "east", false},
		{"wrong ones are asked for again", "\n0\n3\nwest\n-1\n 1 \n", "east", false},
		{"skip", "S\n", "", false},
		{"quit", "q\n1\n", "", true},
		{"nobody answers", "", "", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			app, screen := atTerminal(test.answers)
			got, err := app.askAbout(yes)(askedConflict, 2, 7)
			if got != test.want || (err != nil) != test.fails {
				t.Fatalf("answer %q, %v", got, err)
			}
			if test.fails && (!capf.HasCode(err, capf.CodeConflict) || !strings.Contains(err.Error(), "stopped at conflict 2 of 7; nothing is stored")) {
				t.Errorf("error %v", err)
			}
			for _, want := range []string{"conflict 2 of 7: SEP001122334455: equal times [2J", "  1  east CAPF.phone:2: install success\n", "  1  north",
				"  2  store: install failed", "  -  west CAPF.phone:3: delete failed", "1 to 2, s (skip"} {
				if !strings.Contains(screen.String(), want) {
					t.Errorf("%q is not in\n%s", want, screen.String())
				}
			}
		})
	}
}

// Whoever ends the command while it asks need not answer first.
func TestAskerEnds(t *testing.T) {
	silent, typing := io.Pipe()
	defer typing.Close()
	ctx, cancel := context.WithCancel(context.Background())
	app := &app{ctx: ctx, stdin: silent, stderr: io.Discard}
	ended := make(chan error, 1)
	go func() {
		_, err := app.askAbout(yes)(askedConflict, 1, 1)
		ended <- err
	}()
	cancel()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("no error")
		}
	case <-time.After(time.Minute):
		t.Fatal("it waits on")
	}
}

func TestAskNeedsTerminals(t *testing.T) {
	app, screen := atTerminal("1\n")
	for _, one := range []any{app.stdin, screen} {
		if app.askAbout(func(stream any) bool { return stream == one }) != nil {
			t.Errorf("asks with a terminal at one end only")
		}
	}
}

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

// TestAnswersLost: after answers that came to nothing it is said how they would have been kept; without any, nothing is.
func TestAnswersLost(t *testing.T) {
	for _, test := range []struct {
		choices []string
		want    string
	}{{nil, ""}, {[]string{"", ""}, ""}, {[]string{"", "a"}, "1 answer given here is not kept"}, {[]string{"a", "", "b"}, "2 answers given here are not kept"}} {
		var said bytes.Buffer
		given := &answers{}
		at := 0
		ask := given.count(func(migrate.Conflict, int, int) (string, error) { at++; return test.choices[at-1], nil })
		for range test.choices {
			if _, err := ask(askedConflict, 1, 1); err != nil {
				t.Fatal(err)
			}
		}
		given.lost(&app{data: "/d", stderr: &said}, &migrateRunCommand{sourceFlags: sourceFlags{Sources: []string{"pub=/x"}}})
		if got := said.String(); test.want == "" && got != "" || !strings.Contains(got, test.want) ||
			test.want != "" && !strings.Contains(got, "capf --data /d migrate plan --decisions decisions.toml pub=/x writes it, fill in `choose`, then capf --data /d migrate run --decisions decisions.toml pub=/x") {
			t.Errorf("%q: said %q", test.choices, got)
		}
	}
	var said bytes.Buffer
	(&answers{given: 1}).lost(&app{stderr: &said}, &migrateRunCommand{Decisions: "/d.toml"})
	if !strings.Contains(said.String(), "as `choose` in /d.toml") {
		t.Errorf("with a file: said %q", said.String())
	}
	if (&answers{}).count(nil) != nil {
		t.Error("somebody is asked where nobody can be")
	}
}
