package source_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"capf/legacy"
	"capf/legacy/source"
	"capf/legacy/source/sourcetest"
)

// build makes files of the content given in a new folder of the name given.
func build(t *testing.T, name string, files map[string]string) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), name)
	for path, content := range files {
		path = filepath.Join(root, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func open(t *testing.T, folder string) *source.Source {
	t.Helper()
	opened, err := source.Open(source.Spec{Name: "machine", Folder: folder})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { opened.Close() })
	return opened
}

func found(s *source.Source) (out []string) {
	for _, file := range s.Files {
		out = append(out, fmt.Sprintf("%s %s %s", file.Path, file.Kind, file.Folder))
	}
	return out
}

func reasons(findings []legacy.Finding) string {
	var out []string
	for _, finding := range findings {
		out = append(out, finding.String())
	}
	return strings.Join(out, "\n")
}

func TestParse(t *testing.T) {
	tests := []struct{ argument, name, folder, problem string }{
		{"/copies/pub", "pub", "/copies/pub", ""},
		{"/copies/pub/", "pub", "/copies/pub/", ""},
		{"publisher=/copies/a", "publisher", "/copies/a", ""},
		{"sub 1=/copies/a", "sub 1", "/copies/a", ""},
		{"a=b=c", "a", "b=c", ""},
		{"/copies/a=b", "", "", `name "a=b" has a character`},
		{"x=/copies/a=b", "x", "/copies/a=b", ""},
		{"", "", "", "no folder"},
		{"a=", "", "", "no folder"},
		{"=b", "", "", "does not have 1 to 64"},
		{"-x=b", "", "", "does not begin with a letter or digit"},
		{"latest=b", "", "", "meaning of its own"},
		{"a\x1b=b", "", "", "has a character"},
		{"/", "", "", "does not begin with"},
		{strings.Repeat("n", 65) + "=b", "", "", "does not have 1 to 64"},
	}
	for _, test := range tests {
		got, err := source.Parse(test.argument)
		if got.Name != test.name || got.Folder != test.folder || (err == nil) != (test.problem == "") {
			t.Errorf("Parse(%q) = %+v, %v", test.argument, got, err)
		}
		if err != nil && !strings.Contains(err.Error(), test.problem) {
			t.Errorf("Parse(%q): %v lacks %q", test.argument, err, test.problem)
		}
	}
}

func TestParseAllWantsNamesApart(t *testing.T) {
	specs, err := source.ParseAll([]string{"/a/capf", "two=/b/capf"})
	if err != nil || len(specs) != 2 || specs[0].Name != "capf" {
		t.Fatalf("got %v, %v", specs, err)
	}
	_, err = source.ParseAll([]string{"/a/capf", "/b/CAPF"})
	if err == nil || !strings.Contains(err.Error(), `sources "/a/capf" and "/b/CAPF" are both named`) {
		t.Errorf("got %v", err)
	}
	if _, err = source.ParseAll([]string{"/a", ""}); err == nil {
		t.Error("an empty argument was taken")
	}
}

func TestLayouts(t *testing.T) {
	tests := []struct {
		name, folder string
		files        []string
		want         []string
		finding      string
	}{
		{
			"copied disk", "disk",
			[]string{
				"Program Files/Cisco/CAPF/CAPF.phone", "Program Files/Cisco/CAPF/CAPF.cfg", "Program Files/Cisco/CAPF/x.0",
				"Program Files/Cisco/Certificates/CAPF.cer", "Program Files/Cisco/Certificates/y.0", "Program Files/z.0",
			},
			[]string{
				"Program Files/Cisco/CAPF/CAPF.cfg configuration CAPF",
				"Program Files/Cisco/CAPF/CAPF.phone phone-records CAPF",
				"Program Files/Cisco/CAPF/x.0 certificates CAPF",
				"Program Files/Cisco/Certificates/CAPF.cer capf-certificate Certificates",
				"Program Files/Cisco/Certificates/y.0 certificates Certificates",
			}, "",
		},
		{
			"any case", "disk", []string{"PROGRAM files/CISCO/capf/capf.PHONE", "PROGRAM files/cisco/CERTIFICATES/capf.CER"},
			[]string{
				"PROGRAM files/CISCO/capf/capf.PHONE phone-records CAPF",
				"PROGRAM files/cisco/CERTIFICATES/capf.CER capf-certificate Certificates",
			}, "",
		},
		{
			"Cisco folder", "Cisco", []string{"CAPF/CAPF.phone", "Certificates/CAPF.cer"},
			[]string{"CAPF/CAPF.phone phone-records CAPF", "Certificates/CAPF.cer capf-certificate Certificates"}, "",
		},
		{
			"the files themselves", "copy", []string{"CAPF.phone", "x.0", "readme.txt"},
			[]string{"CAPF.phone phone-records CAPF", "x.0 certificates CAPF"},
			".: note: the files in the folder itself count as lying in CAPF: it holds CAPF.phone or CAPF.cfg\n" +
				"readme.txt: note: is none of the files of CAPF: not read",
		},
		{"folder named CAPF", "capf", []string{"x.0"}, []string{"x.0 certificates CAPF"}, "that is its name"},
		{
			"folder named Certificates", "CERTIFICATES", []string{"x.0", "CAPF.cfg"},
			[]string{"CAPF.cfg configuration Certificates", "x.0 certificates Certificates"}, "count as lying in Certificates: that is its name",
		},
		{"certificates only", "copy", []string{"x.0"}, []string{"x.0 certificates Certificates"}, "holds neither"},
		{
			"names that differ by case", "copy", []string{"CAPF.phone", "capf.PHONE"},
			[]string{"CAPF.phone phone-records CAPF", "capf.PHONE phone-records CAPF"},
			"capf.PHONE: note: is read beside CAPF.phone: the machine has more than one",
		},
		{
			"one kind in two places", "copy", []string{"CAPF.phone", "Program Files/Cisco/CAPF/CAPF.phone"},
			[]string{"CAPF.phone phone-records CAPF", "Program Files/Cisco/CAPF/CAPF.phone phone-records CAPF"}, "is read beside CAPF.phone",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			files := map[string]string{}
			for _, file := range test.files {
				files[file] = "content of " + file
			}
			opened := open(t, build(t, test.folder, files))
			if diff := cmp.Diff(test.want, found(opened)); diff != "" {
				t.Error(diff)
			}
			if got := reasons(opened.Findings); !strings.Contains(got, test.finding) || test.finding == "" && got != "" {
				t.Errorf("findings:\n%s\nwant %s", got, test.finding)
			}
			for _, file := range opened.Files {
				if content := files[file.Path]; file.Size != int64(len(content)) || file.SHA256 != sha256.Sum256([]byte(content)) {
					t.Errorf("%s: %d bytes, %x", file.Path, file.Size, file.SHA256)
				}
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	file := filepath.Join(build(t, "copy", map[string]string{"x": ""}), "x")
	linked := t.TempDir()
	if err := os.Symlink("/absent/elsewhere", filepath.Join(linked, "CAPF.phone")); err != nil {
		t.Fatal(err)
	}
	for folder, want := range map[string]string{
		filepath.Join(t.TempDir(), "absent"): "is not there: check the path",
		linked:                               `CAPF.phone in ` + linked + ` is a symbolic link to "/absent/elsewhere", and links that lead out`,
		file:                                 "is not a folder",
		t.TempDir():                          "no CAPF.phone, CAPF.cfg, CAPF.cer or *.0",
	} {
		_, err := source.Open(source.Spec{Name: "machine", Folder: folder})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "source machine: ") {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// What leads out of the folder, and what is no file, is told and not followed.
func TestLinksAndOddFiles(t *testing.T) {
	outside := build(t, "outside", map[string]string{"secret.0": "secret", "CAPF/CAPF.phone": "x"})
	root := build(t, "copy", map[string]string{"CAPF.cfg": "a=b", "CAPF/y.0": "y"})
	for name, target := range map[string]string{
		"a.0": filepath.Join(outside, "secret.0"), "b.0": "../outside/secret.0", "c.0": "CAPF/y.0", "d.0": "absent",
		"Certificates": filepath.Join(outside, "CAPF"), "Cisco": ".",
	} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(root, "CAPF.phone"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(root, "e.0"), 0o700); err != nil {
		t.Fatal(err)
	}
	opened := open(t, root)
	want := []string{"CAPF.cfg configuration CAPF", "CAPF/y.0 certificates CAPF", "c.0 certificates CAPF"}
	if diff := cmp.Diff(want, found(opened)); diff != "" {
		t.Error(diff)
	}
	got := reasons(opened.Findings)
	for _, finding := range []string{
		"a.0: warning: cannot be opened, or leads out", "b.0: warning: cannot be opened, or leads out",
		"d.0: warning: cannot be opened", "e.0: warning: is not a regular file", "CAPF.phone: warning: is not a regular file",
		"Certificates: warning: cannot be entered, or leads out",
	} {
		if strings.Count("\n"+got, "\n"+finding) != 1 {
			t.Errorf("%q is not once in\n%s", finding, got)
		}
	}
}

func TestOpenAll(t *testing.T) {
	one, two := build(t, "one", map[string]string{"x.0": "x"}), build(t, "two", map[string]string{"x.0": "x"})
	opened, err := source.OpenAll([]source.Spec{{Name: "a", Folder: one}, {Name: "b", Folder: two}})
	if err != nil || len(opened) != 2 || opened[1].Name != "b" {
		t.Fatalf("got %v, %v", opened, err)
	}
	for _, source := range opened {
		if err := source.Close(); err != nil {
			t.Error(err)
		}
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(one, link); err != nil {
		t.Fatal(err)
	}
	for _, second := range []struct{ folder, want string }{{link, "a and b are the same folder"}, {link + "x", "is not there"}} {
		opened, err := source.OpenAll([]source.Spec{{Name: "a", Folder: one}, {Name: "b", Folder: second.folder}})
		if opened != nil || err == nil || !strings.Contains(err.Error(), second.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("got %v, %v", opened, err)
		}
	}
}

func TestDigest(t *testing.T) {
	files := map[string]string{"CAPF.phone": "a", "x.0": "b"}
	first := open(t, build(t, "copy", files)).Digest()
	if again := open(t, build(t, "elsewhere", files)).Digest(); again != first {
		t.Error("the same files elsewhere have another digest")
	}
	for name, other := range map[string]map[string]string{
		"content": {"CAPF.phone": "b", "x.0": "b"}, "name": {"CAPF.phone": "a", "y.0": "b"}, "one more": {"CAPF.phone": "a", "x.0": "b", "y.0": ""},
		"folder": {"CAPF/CAPF.phone": "a", "x.0": "b"},
	} {
		if open(t, build(t, "copy", other)).Digest() == first {
			t.Errorf("another %s has the same digest", name)
		}
	}
}

func TestChangedFileIsAnError(t *testing.T) {
	root := build(t, "copy", map[string]string{"CAPF.phone": "before", "CAPF.cfg": "x"})
	opened := open(t, root)
	input := opened.Of(source.PhoneRecords)[0].Input()
	read := func() (string, error) {
		reader, err := input.Open()
		if err != nil {
			return "", err
		}
		defer reader.Close()
		content, err := io.ReadAll(reader)
		return string(content), err
	}
	if content, err := read(); content != "before" || err != nil {
		t.Fatalf("got %q, %v", content, err)
	}
	path := filepath.Join(root, "CAPF.phone")
	if err := os.WriteFile(path, []byte("after!"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := read(); err == nil || !strings.Contains(err.Error(), "CAPF.phone has changed") {
		t.Errorf("got %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := read(); err == nil {
		t.Error("a file that is gone was read")
	}
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := read(); err == nil || !strings.Contains(err.Error(), "not a regular file any more") {
		t.Errorf("got %v", err)
	}
}

// Nothing is written, not even where it could be.
func TestReadOnly(t *testing.T) {
	root := build(t, "copy", map[string]string{"CAPF.phone": "a", "CAPF/x.0": "b"})
	before := sourcetest.Footprint(t, root)
	opened := open(t, root)
	for _, file := range opened.Files {
		reader, err := file.Input().Open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, reader); err != nil {
			t.Fatal(err)
		}
		reader.Close()
	}
	if diff := cmp.Diff(before, sourcetest.Footprint(t, root)); diff != "" {
		t.Error(diff)
	}
}
