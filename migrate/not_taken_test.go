package migrate

import (
	"archive/tar"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"capf/legacy/source"
)

// writeTar writes an archive of one phone and of further members without content.
func writeTar(t *testing.T, members ...tar.Header) source.Spec {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pub.tar")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	out := tar.NewWriter(file)
	content := header + "\n" + row("2005-01-01 10:00:00", "lobby") + "\n"
	members = append([]tar.Header{{Name: "CAPF.phone", Typeflag: tar.TypeReg, Size: int64(len(content)), Mode: 0o600}}, members...)
	for i := range members {
		if err := out.WriteHeader(&members[i]); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			if _, err := out.Write([]byte(content)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return source.Spec{Name: "pub", Folder: path}
}

// TestMembersNotTakenAreWarnings: what of an archive is not read may be CAPF's, so a person is told before the run and
// by it; what is none of CAPF's files by its name is a finding only.
func TestMembersNotTakenAreWarnings(t *testing.T) {
	specs := []source.Spec{writeTar(t,
		tar.Header{Name: "WINNT/notes.txt", Typeflag: tar.TypeReg},
		tar.Header{Name: "A.0", Typeflag: tar.TypeSymlink, Linkname: "/etc/ssl/a.pem"},
		tar.Header{Name: "CAPF.cfg", Typeflag: tar.TypeBlock},
		tar.Header{Name: "../B.0", Typeflag: tar.TypeReg})}
	plan := mustPlan(t, specs, testOptions(), newMemoryStore())
	report := mustRun(t, specs, testOptions(), newMemoryStore())
	for _, warnings := range [][]string{plan.Warnings, report.Warnings} {
		for _, want := range []string{"pub: A.0: is a link: not read", "pub: CAPF.cfg: is a device: not read",
			"pub: ../B.0: has a name that leads out of the archive (..): not read"} {
			wantWarning(t, warnings, want)
		}
		if strings.Contains(strings.Join(warnings, "\n"), "notes.txt") {
			t.Errorf("a file that is none of CAPF's is warned of: %q", warnings)
		}
	}
}
