package migrate

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"capf/legacy/source"
	"capf/runtime/capf"
)

// testNow is the time of every test.
var testNow = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// testRandom gives the same bytes in every test.
func testRandom() io.Reader { return rand.NewChaCha8([32]byte{1}) }

// testOptions go on without the certificates of CAPF: most trees of the tests are nothing but records.
func testOptions() Options {
	options := strictOptions()
	options.AcceptMissing = true
	return options
}

// strictOptions are refused for what is missing.
func strictOptions() Options {
	return Options{Clock: func() time.Time { return testNow }, Random: testRandom()}
}

func preferring(choice string) Options {
	options := testOptions()
	options.Prefer = choice
	return options
}

const header = "Device Name,Operation,Status,Status Time,Authentication Mode,Authentication String,Key Size,Description"

// folders writes machines, each the content of its files by their names, and gives them as sources.
func folders(t *testing.T, machines map[string]map[string]string) []source.Spec {
	t.Helper()
	root := t.TempDir()
	var specs []source.Spec
	for name, files := range machines {
		for file, content := range files {
			path := filepath.Join(root, name, filepath.FromSlash(file))
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		specs = append(specs, source.Spec{Name: name, Folder: filepath.Join(root, name)})
	}
	return specs
}

// phoneFolders writes machines with a phone file each, of the rows given under the header.
func phoneFolders(t *testing.T, machines map[string][]string) []source.Spec {
	t.Helper()
	files := map[string]map[string]string{}
	for name, rows := range machines {
		files[name] = map[string]string{"CAPF.phone": strings.Join(append([]string{header}, rows...), "\r\n") + "\r\n"}
	}
	return folders(t, files)
}

func mustRun(t *testing.T, specs []source.Spec, options Options, store *memoryStore) *Report {
	t.Helper()
	report, err := Run(context.Background(), specs, options, store, "tester")
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func mustPlan(t *testing.T, specs []source.Spec, options Options, store PlanStore) *Plan {
	t.Helper()
	plan, err := NewPlan(context.Background(), specs, options, store)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func mustVerify(t *testing.T, store *memoryStore, id int64) *Verification {
	t.Helper()
	out, err := Verify(context.Background(), id, store, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// wantCode sees that an error has the code and names all the texts.
func wantCode(t *testing.T, err error, code capf.Code, texts ...string) {
	t.Helper()
	if !capf.HasCode(err, code) {
		t.Fatalf("error %v, want one of code %s", err, code)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error %q does not name %q", err, text)
		}
	}
	var many interface{ WrappedErrors() []error }
	if errors.As(err, &many) {
		for _, one := range many.WrappedErrors() {
			if !capf.HasCode(one, code) {
				t.Errorf("error %v among them, want only code %s", one, code)
			}
		}
	}
}

// sample gives the sample cluster, or the machines of the sample conflict.
func sample(name string, machines ...string) []source.Spec {
	var specs []source.Spec
	for _, machine := range machines {
		specs = append(specs, source.Spec{Name: machine, Folder: filepath.Join("../testdata/legacy", name, machine)})
	}
	return specs
}

func sampleCluster() []source.Spec {
	return sample("cluster", "publisher", "subscriber-1", "subscriber-2")
}

func ptr[T any](value T) *T { return &value }

func dialectFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dialect.toml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
