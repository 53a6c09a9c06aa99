package migrate

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"capf/legacy/source"
	"capf/runtime/capf"
)

// TestDraftOfSamples: what is drafted from every sample that a built-in dialect reads is what a run by it takes over.
func TestDraftOfSamples(t *testing.T) {
	specs := sampleCluster()
	for _, name := range []string{"osaka", "seoul", "taipei", "beijing", "budapest", "london", "chicago"} {
		specs = append(specs, sample("abroad", name)...)
	}
	for _, spec := range specs {
		drafted, err := DraftDialect(context.Background(), spec, "", "")
		if err != nil {
			t.Errorf("%s: %v", spec.Name, err)
			continue
		}
		named := testOptions()
		named.Dialect = dialectFile(t, drafted)
		plain, by := newMemoryStore(), newMemoryStore()
		counts := mustRun(t, []source.Spec{spec}, testOptions(), plain).Counts
		if got := mustRun(t, []source.Spec{spec}, named, by).Counts; got != counts || plain.dump(t) != by.dump(t) {
			t.Errorf("%s: %+v by the draft, %+v without it\n%s", spec.Name, got, counts, drafted)
		}
		for _, phone := range plain.phones {
			if secret := phone.AuthString.Reveal(); secret != "" && strings.Contains(drafted, secret) {
				t.Errorf("%s: a string is in the draft", spec.Name)
			}
		}
	}
}

// TestDraftChooses: a file is drafted for that is named, or that is the only one.
func TestDraftChooses(t *testing.T) {
	const phones, settings = "device,state\nSEP000000000001,ok\n", "KeySize=1024\n"
	for name, test := range map[string]struct {
		files      map[string]string
		path, want string
		code       capf.Code
	}{
		"phones":       {map[string]string{"CAPF.phone": phones, "CAPF.cfg": settings}, "", `files = ["phones"]`, ""},
		"by path":      {map[string]string{"CAPF.phone": phones, "CAPF.cfg": settings}, "capf.CFG", `files = ["configuration"]`, ""},
		"settings":     {map[string]string{"CAPF.cfg": settings}, "", `files = ["configuration"]`, ""},
		"two":          {map[string]string{"CAPF.phone": phones, "capf.PHONE": phones}, "", "one of CAPF.phone, capf.PHONE", capf.CodeInvalid},
		"another path": {map[string]string{"CAPF.phone": phones}, "x", "one of CAPF.phone", capf.CodeInvalid},
		"neither":      {map[string]string{"x.0": "x"}, "", "it has neither", capf.CodeInvalid},
		"empty":        {map[string]string{"CAPF.phone": "\x1a"}, "", "has no line", capf.CodeUnavailable},
	} {
		folder := t.TempDir()
		for file, content := range test.files {
			if err := os.WriteFile(filepath.Join(folder, file), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		drafted, err := DraftDialect(context.Background(), source.Spec{Name: "a", Folder: folder}, test.path, "")
		if test.code == "" {
			if err != nil || !strings.Contains(drafted, test.want) {
				t.Errorf("%s: %v\n%s", name, err, drafted)
			}
			continue
		}
		wantCode(t, err, test.code)
		if shown := err.Error(); !strings.Contains(shown, test.want) {
			t.Errorf("%s: %s", name, shown)
		}
	}
}
