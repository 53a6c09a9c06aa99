package source

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// thing is a member of an archive that a test makes.
type thing struct {
	name, content string
	kind          byte // of tar; 0 for a file
}

func file(name, content string) thing { return thing{name: name, content: content} }

func makeTar(t testing.TB, things []thing) []byte {
	t.Helper()
	var out bytes.Buffer
	writer := tar.NewWriter(&out)
	for _, one := range things {
		header := &tar.Header{Name: one.name, Mode: 0o600, Size: int64(len(one.content)), Typeflag: tar.TypeReg}
		if one.kind != 0 {
			header.Typeflag, header.Size, header.Linkname = one.kind, 0, "/etc/passwd"
		}
		if err := writer.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if header.Size > 0 {
			if _, err := io.WriteString(writer, one.content); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func makeGzip(t testing.TB, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	writer := gzip.NewWriter(&out)
	if _, err := writer.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func makeZip(t testing.TB, things []thing) []byte {
	t.Helper()
	var out bytes.Buffer
	writer := zip.NewWriter(&out)
	for _, one := range things {
		header := &zip.FileHeader{Name: one.name, Method: zip.Deflate}
		switch one.kind {
		case tar.TypeSymlink:
			header.SetMode(os.ModeSymlink | 0o777)
		case tar.TypeChar:
			header.SetMode(os.ModeDevice | os.ModeCharDevice | 0o600)
		case tar.TypeFifo:
			header.SetMode(os.ModeNamedPipe | 0o600)
		}
		into, err := writer.CreateHeader(header)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(into, one.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// archives gives the same things in every form, by the ending of its name.
func archives(t testing.TB, things []thing) map[string][]byte {
	plain := makeTar(t, things)
	return map[string][]byte{".tar": plain, ".TGZ": makeGzip(t, plain), ".zip": makeZip(t, things)}
}

func written(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o400); err != nil {
		t.Fatal(err)
	}
	return path
}

func opened(t testing.TB, path string, bounds limits) (*Source, error) {
	t.Helper()
	spec, err := Parse(path)
	if err != nil {
		t.Fatal(err)
	}
	out, err := open(spec, bounds)
	if err == nil {
		t.Cleanup(func() { out.Close() })
	}
	return out, err
}

// holds describes the files of a source and their content.
func holds(t testing.TB, from *Source) (out []string) {
	t.Helper()
	for _, one := range from.Files {
		reader, err := one.Input().Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		reader.Close()
		out = append(out, fmt.Sprintf("%s %s %s %q", one.Path, one.Kind, one.Folder, content))
	}
	return out
}

func says(from *Source) string {
	var out []string
	for _, one := range from.Findings {
		out = append(out, one.String())
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// A folder and its archives, with or without the name of the folder in front, are one source by name, files and digest.
func TestArchiveIsItsFolder(t *testing.T) {
	things := []thing{
		file("Program Files/Cisco/capf/CAPF.phone", "phones"), file("Program Files/Cisco/capf/empty.0", ""),
		file("Program Files/Cisco/Certificates/CAPF.CER", strings.Repeat("certificate", 1000)), file("Program Files/Cisco/capf/CAPF.cfg", "a=b"),
	}
	folder := filepath.Join(t.TempDir(), "publisher")
	for _, one := range things {
		path := filepath.Join(folder, one.name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(one.content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := opened(t, folder, usualLimits)
	if err != nil {
		t.Fatal(err)
	}
	for _, top := range []string{"", "./", "publisher/", "backup of 2005/publisher/", `Sicherung\`} {
		moved := slices.Clone(things)
		for i := range moved {
			if moved[i].name = top + moved[i].name; strings.Contains(top, `\`) {
				moved[i].name = strings.ReplaceAll(moved[i].name, "/", `\`)
			}
		}
		for ending, content := range archives(t, moved) {
			got, err := opened(t, written(t, "publisher"+ending, content), usualLimits)
			if err != nil {
				t.Errorf("%s in %s: %v", top, ending, err)
				continue
			}
			if got.Name != want.Name || got.Digest() != want.Digest() {
				t.Errorf("%s in %s is %s, %q", top, ending, got.Name, holds(t, got))
			}
			if diff := cmp.Diff(holds(t, want), holds(t, got)); diff != "" {
				t.Error(diff)
			}
		}
	}
}

// What lies in the archive's top counts as lying in the folder that it would be.
func TestBaseOfAnArchive(t *testing.T) {
	for name, want := range map[string]Folder{"capf.zip": CAPFFolder, "certificates.zip": CertificatesFolder, "copy.zip": CertificatesFolder} {
		got, err := opened(t, written(t, name, makeZip(t, []thing{file("x.0", "x")})), usualLimits)
		if err != nil || got.Files[0].Folder != want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestHostileMembers(t *testing.T) {
	long := strings.Repeat("n", maxPath) + "/x.0"
	things := []thing{
		file("CAPF.phone", "phones"), file("../CAPF.cfg", "out"), file("/etc/x.0", "absolute"), file(`C:\CAPF\CAPF.phone`, "drive"),
		file("a/../../y.0", "out"), file(`..\z.0`, "out"), {"link.0", "", tar.TypeSymlink}, {"device.0", "", tar.TypeChar},
		{"pipe.0", "", tar.TypeFifo}, file("capf.PHONE", "other phones"), file("readme.txt", "x"), file("CAPF.phone/inner.0", "x"),
		file("deep/er/lost.0", "x"), file("same.0", "x"), file("same.0", "x"), file(long, "x"),
	}
	want := []string{`CAPF.phone phone-records CAPF "phones"`, `capf.PHONE phone-records CAPF "other phones"`, `same.0 certificates CAPF "x"`}
	for ending, content := range archives(t, things) {
		got, err := opened(t, written(t, "copy"+ending, content), usualLimits)
		if err != nil {
			t.Fatalf("%s: %v", ending, err)
		}
		if diff := cmp.Diff(want, holds(t, got)); diff != "" {
			t.Error(diff)
		}
		found := says(got)
		for _, finding := range []string{
			"../CAPF.cfg: warning: has a name that leads out of the archive (..): not read", "/etc/x.0: warning: has an absolute name: not read",
			`C:\CAPF\CAPF.phone: warning: has an absolute name: not read`, "a/../../y.0: warning: has a name that leads out",
			`..\z.0: warning: has a name that leads out`, "link.0: warning: is a link: not read", "device.0: warning: is a device: not read",
			"pipe.0: warning: is a pipe: not read", "capf.PHONE: warning: differs from CAPF.phone in upper and lower case only: both are read",
			"readme.txt: note: is none of the files of CAPF: not read", "CAPF.phone/inner.0: warning: lies in what is a file",
			"deep/er/lost.0: warning: does not lie in a folder of CAPF: not read", "same.0: note: is in the archive twice, with the same content: read once",
			"nnn: warning: has a name of more than 4096 bytes: not read",
		} {
			if !strings.Contains(found, finding) {
				t.Errorf("%s: %q is not in\n%.6000s", ending, finding, found)
			}
		}
	}
}

func TestHardLinksAndHoles(t *testing.T) {
	hard := makeTar(t, []thing{file("CAPF.phone", "x"), {"hard.0", "", tar.TypeLink}, {"block.0", "", tar.TypeBlock}, {"odd.0", "", 'V'}})
	got, err := opened(t, written(t, "copy.tar", hard), usualLimits)
	if err != nil || len(got.Files) != 1 {
		t.Fatalf("got %v, %v", got, err)
	}
	if found := says(got); !strings.Contains(found, "hard.0: warning: is a link") || !strings.Contains(found, "block.0: warning: is a device") ||
		!strings.Contains(found, "odd.0: warning: is not a regular file") {
		t.Error(found)
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "CAPF.phone"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "holes.0"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(folder, "holes.0"), 1<<40); err != nil {
		t.Skipf("no file with holes can be made here: %v", err)
	}
	path := filepath.Join(t.TempDir(), "sparse.tar")
	if out, err := exec.Command("tar", "--sparse", "-C", folder, "-cf", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	got, err = opened(t, path, usualLimits)
	if err != nil || len(got.Files) != 1 || !strings.Contains(says(got), "holes.0: warning: has holes (a sparse file)") {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestManyMembersAreCounted(t *testing.T) {
	things := []thing{file("CAPF.phone", "x")}
	for i := range maxNamed + 50 {
		things = append(things, file(fmt.Sprintf("WINNT/%d.dll", i), ""))
	}
	got, err := opened(t, written(t, "disk.tar", makeTar(t, things)), usualLimits)
	if err != nil {
		t.Fatal(err)
	}
	if found := says(got); len(got.Findings) > maxNamed+5 || !strings.Contains(found, "of the archive 250 members are not read, the first 200 are named") {
		t.Errorf("%d findings", len(got.Findings))
	}
	things = append(things, file("../A.0", "x"))
	if got, err = opened(t, written(t, "disk.tar", makeTar(t, things)), usualLimits); err != nil {
		t.Fatal(err)
	}
	if found := says(got); !strings.Contains(found, "../A.0: warning: has a name that leads out of the archive (..): not read") {
		t.Error("a member that matters is only counted among those that do not")
	}
}

// A zip file is read where it is. What is unpacked of a tar file lies in a folder that nobody else can read, until the source
// is closed or, where a process ended before, the next one is opened.
func TestNothingStaysOnDisk(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	left := func() (names []string) {
		entries, err := os.ReadDir(temporary)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			names = append(names, entry.Name())
			if info, err := entry.Info(); err != nil || info.Mode() != os.ModeDir|0o700 {
				t.Errorf("%s: %v, %v", entry.Name(), info.Mode(), err)
			}
		}
		return names
	}
	things := []thing{file("CAPF.phone", "x"), file("deep/key.0", "-----BEGIN PRIVATE KEY-----"), file("readme.txt", "x")}
	for ending, content := range archives(t, things) {
		path := written(t, "copy"+ending, content)
		got, err := Open(Spec{"copy", path})
		if err != nil {
			t.Fatal(err)
		}
		inUse := left()
		if want := strings.Count(".tar.TGZ", ending); len(inUse) != want {
			t.Errorf("%s: there is %q", ending, inUse)
		}
		if again, err := Open(Spec{"copy", path}); err != nil || len(left()) != 2*len(inUse) || again.Close() != nil {
			t.Errorf("%s: a folder that is in use was removed, %v", ending, err)
		}
		if len(holds(t, got)) != 1 || got.Close() != nil || len(left()) != 0 {
			t.Errorf("%s: left is %q", ending, left())
		}
	}
	// Refused ones leave nothing either.
	for ending, content := range archives(t, []thing{file("CAPF.phone", "one"), file("CAPF.phone", "another")}) {
		if _, err := Open(Spec{"copy", written(t, "copy"+ending, content)}); err == nil || len(left()) != 0 {
			t.Errorf("%s: %v, left is %q", ending, err, left())
		}
	}
	if err := os.MkdirAll(filepath.Join(temporary, temporaryName+"gone", "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	// The next source need be no archive.
	if _, err := opened(t, folderWith(t, "x", map[string]string{"CAPF.phone": "x"}), usualLimits); err != nil || len(left()) != 0 {
		t.Errorf("a folder leaves %q, %v", left(), err)
	}
	if err := os.MkdirAll(filepath.Join(temporary, temporaryName+"gone", "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	path := written(t, "copy.tar", makeTar(t, things))
	got, err := opened(t, path, usualLimits)
	if err != nil || len(left()) != 1 || left()[0] == temporaryName+"gone" {
		t.Errorf("%v, %v, left is %q", got, err, left())
	}
	t.Setenv("TMPDIR", filepath.Join(temporary, "absent"))
	if _, err := opened(t, path, usualLimits); err == nil || !strings.Contains(err.Error(), "set TMPDIR") {
		t.Errorf("got %v", err)
	}
}

// Names that are not UTF-8 are read, as the page that such programs wrote has them.
func TestNamesOfOtherPages(t *testing.T) {
	for name, content := range map[string][]byte{
		"J\u00f6rg.zip": makeZip(t, []thing{file("J\x94rg.0", "x")}), "J\u00f6rg.tar": makeTar(t, []thing{file("J\xf6rg.0", "x")}),
	} {
		got, err := opened(t, written(t, name, content), usualLimits)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{`Jörg.0 certificates Certificates "x"`}, holds(t, got)); diff != "" {
			t.Error(diff)
		}
	}
}

func TestFilesThatAreNoSource(t *testing.T) {
	for name, content := range map[string]string{
		"CAPF.phone": "a;b", "x.0": "x", "empty": "", "copy.rar": "Rar!\x1a\x07", "text.zip": "no zip",
	} {
		if _, err := opened(t, written(t, name, []byte(content)), usualLimits); err == nil || !strings.Contains(err.Error(), "is not a folder, and neither a zip") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, content := range map[string]string{"a.tgz": "\x1f\x8b", "b.tgz": string(makeGzip(t, []byte("no tar"))), "c.tgz": string(makeGzip(t, nil)), "d.zip": "PK\x05\x06"} {
		if _, err := opened(t, written(t, name, []byte(content)), usualLimits); err == nil {
			t.Errorf("%s was opened", name)
		}
	}
}

// Whatever an archive is, opening ends; what is read is found under the names that it is kept by, and within bounds.
func FuzzArchive(f *testing.F) {
	things := []thing{file("publisher/CAPF/CAPF.phone", "phones"), file("publisher/CAPF/x.0", "certificate"), {"link.0", "", tar.TypeSymlink}}
	for _, content := range archives(f, things) {
		f.Add(content)
	}
	bounds := limits{members: 100, member: 1 << 20, all: 2 << 20, ratioFrom: 1 << 20, directory: 1 << 16}
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "copy.zip")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		from, err := opened(t, path, bounds)
		if err != nil {
			return
		}
		var all int64
		for _, one := range from.Files {
			if all += one.Size; strings.HasPrefix(one.Path, "/") || slices.Contains(strings.Split(one.Path, "/"), "..") {
				t.Errorf("there is a file %q", one.Path)
			}
		}
		if len(holds(t, from)) == 0 || all > bounds.all {
			t.Errorf("%d bytes are unpacked", all)
		}
	})
}
