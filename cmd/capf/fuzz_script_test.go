package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fuzzedGo stands for the go command with one package and one target, whose fuzzing ends as it is told to: the moment at
// which go test fails with its own clock cannot be had at will.
const fuzzedGo = `#!/bin/sh
case "$*" in
list*) echo "example $FOLDER" ;;
*-list*) echo FuzzIt; echo "ok  	example	0.1s" ;;
*-fuzz*) printf '%b' "$SAID"; if [ -n "$WRITES" ]; then mkdir -p "$FOLDER/testdata/fuzz/FuzzIt" && echo x >"$FOLDER/testdata/fuzz/FuzzIt/$WRITES"; fi; exit "$STATUS" ;;
*) exit 9 ;;
esac
`

// TestFuzzScript tells the end of the time, with which go test fails now and then, from a finding.
func TestFuzzScript(t *testing.T) {
	script, err := filepath.Abs("../../scripts/fuzz")
	if err != nil {
		t.Fatal(err)
	}
	const (
		elapsed = `fuzz: elapsed: 20s, execs: 5 (0/sec), new interesting: 0 (total: 1)\n`
		over    = elapsed + `--- FAIL: FuzzIt (20.05s)\n    context deadline exceeded\nFAIL\nexit status 1\nFAIL\texample\t20.1s\n`
	)
	for name, one := range map[string]struct {
		said, writes, status string
		passes               bool
	}{
		"nothing found":              {elapsed + `PASS\nok\texample\t20.1s\n`, "", "0", true},
		"the end of its time":        {over, "", "1", true},
		"an input beside it":         {over, "0badcafe", "1", false},
		"a panic":                    {elapsed + `--- FAIL: FuzzIt (3.05s)\n    --- FAIL: FuzzIt (0.00s)\n        panic: x\nFAIL\n`, "", "1", false},
		"a panic beside it":          {`panic: x\n` + over, "", "1", false},
		"those words from the test":  {strings.Replace(over, "context deadline", "it_test.go:7: context deadline", 1), "", "1", false},
		"those words and more":       {strings.Replace(over, "exceeded", `exceeded\n    it_test.go:7: and this`, 1), "", "1", false},
		"another target":             {strings.Replace(over, "FuzzIt (", "FuzzOther (", 1), "", "1", false},
		"a failing seed":             {`failure while testing seed corpus entry: FuzzIt/seed#0\n` + over, "", "1", false},
		"what does not build":        {`FAIL\texample [build failed]\nFAIL\n`, "", "1", false},
		"a worker that hung":         {strings.Replace(over, "context deadline exceeded", "fuzzing process hung or terminated unexpectedly: exit status 2", 1), "", "1", false},
		"an input that was there":    {over, "before", "1", true},
		"nothing said and no result": {"", "", "1", false},
	} {
		folder := t.TempDir()
		for path, content := range map[string]string{"bin/go": fuzzedGo, "testdata/fuzz/FuzzIt/before": "x"} {
			path = filepath.Join(folder, path)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(content), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		command := exec.Command(script, "20s")
		command.Env = append(os.Environ(), "PATH="+filepath.Join(folder, "bin")+":"+os.Getenv("PATH"), "FOLDER="+folder, "SAID="+one.said,
			"WRITES="+one.writes, "STATUS="+one.status)
		output, err := command.CombinedOutput()
		if (err == nil) != one.passes {
			t.Errorf("%s: %v\n%s", name, err, output)
		}
	}
}
