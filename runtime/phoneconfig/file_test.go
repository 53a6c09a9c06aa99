package phoneconfig

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

const (
	testDevice = "SEP0011223344AA"
	testFile   = testDevice + configSuffix
)

func write(t *testing.T, path, content string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(content), 0o600))
}

func wantContent(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	must(t, err)
	if string(got) != want {
		t.Errorf("%s has %q, want %q", path, got, want)
	}
}

// wantOnly wants these files in a folder, and nothing that was left beside them.
func wantOnly(t *testing.T, folder string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	must(t, err)
	var got []string
	for _, entry := range entries {
		got = append(got, entry.Name())
	}
	if slices.Sort(want); !slices.Equal(got, want) {
		t.Errorf("there is %q, want %q", got, want)
	}
}

func TestUpdate(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, testFile)
	wanted := func(dryRun bool, want Outcome, elements int) {
		t.Helper()
		got, changed, err := Update(path, testDevice, sample, dryRun)
		if err != nil || got != want || len(changed) != elements {
			t.Fatalf("%q, %v, %v; want %q and %d elements", got, changed, err, want, elements)
		}
	}
	wanted(true, WouldBeNew, 3)
	wantOnly(t, folder)
	wanted(false, New, 3)
	wantOnly(t, folder, testFile)
	wanted(false, Unchanged, 0)
	wanted(true, Unchanged, 0)
	wantOnly(t, folder, testFile)
	write(t, path, "<device><x/></device>")
	wanted(true, WouldChange, 3)
	wantOnly(t, folder, testFile)
	wanted(false, Changed, 3)
	wantOnly(t, folder, testFile, testFile+oldSuffix)
	wantContent(t, path, "<device><x/>"+all+"</device>")
	wantContent(t, path+oldSuffix, "<device><x/></device>")
	wanted(false, Unchanged, 0)
	wantContent(t, path+oldSuffix, "<device><x/></device>")
}

func TestUpdateKeepsModeAndOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), testFile)
	write(t, path, "<device/>")
	owner, group := os.Geteuid(), os.Getegid()
	if owner == 0 { // nobody else may give files away
		owner, group = 12345, 23456
		must(t, os.Chown(path, owner, group))
	}
	must(t, os.Chmod(path, 0o460))
	_, _, err := Update(path, testDevice, sample, false)
	must(t, err)
	for _, name := range []string{path, path + oldSuffix} {
		info, err := os.Stat(name)
		must(t, err)
		system := info.Sys().(*syscall.Stat_t)
		if info.Mode() != 0o460 || int(system.Uid) != owner || int(system.Gid) != group {
			t.Errorf("%s has %v, %d, %d", name, info.Mode(), system.Uid, system.Gid)
		}
	}
}

func TestNewFileIsForEveryone(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	path := filepath.Join(t.TempDir(), testFile)
	_, _, err := Update(path, testDevice, sample, false)
	must(t, err)
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o644 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestUpdateFollowsLinks(t *testing.T) {
	folder := t.TempDir()
	real := filepath.Join(folder, "real")
	must(t, os.Mkdir(real, 0o700))
	write(t, filepath.Join(real, testFile), "<device/>")
	write(t, filepath.Join(real, "SEPFFFFFFFFFFFF.cnf.xml"), "<device/>")
	link, other := filepath.Join(folder, testFile), filepath.Join(folder, "phone.xml")
	must(t, os.Symlink(filepath.Join("real", testFile), link))
	must(t, os.Symlink("real/SEPFFFFFFFFFFFF.cnf.xml", other))
	if outcome, _, err := Update(link, testDevice, sample, false); err != nil || outcome != Changed {
		t.Fatal(outcome, err)
	}
	if target, err := os.Readlink(link); err != nil || target != filepath.Join("real", testFile) {
		t.Errorf("the link is %q, %v", target, err)
	}
	wantContent(t, filepath.Join(real, testFile), "<device>"+all+"</device>")
	if _, _, err := Update(other, testDevice, sample, false); err == nil || !strings.Contains(err.Error(), "it leads to "+real) {
		t.Error(err)
	}
	wantOnly(t, folder, "real", testFile, "phone.xml")
	wantOnly(t, real, testFile, testFile+oldSuffix, "SEPFFFFFFFFFFFF.cnf.xml")
}

func TestNames(t *testing.T) {
	for name, want := range map[string]string{
		testFile: "", "sep0011223344aa.CNF.XML": "", "0011223344AA.cnf.xml": "", "phone.xml": "", testDevice + ".xml": "",
		testFile + ".new": "", "SEP.xml": "", ".cnf.xml": "",
		"SEP0011223344AB.cnf.xml":   `the file of "SEP0011223344AB", not of SEP0011223344AA`,
		"SEP0011223344AB.xml":       `the file of "SEP0011223344AB"`,
		"sep0011223344ab.cnf.xml.1": `the file of "sep0011223344ab"`,
		"XMLDefault.cnf.xml":        `the file of "XMLDefault"`,
		testDevice + "x.cnf.xml":    `the file of "SEP0011223344AAx"`,
		testFile + ".sgn":           "by its name it is a signed",
		testFile + ".enc.sgn":       ErrSigned.Error(),
		testFile + ".ENC":           ErrSigned.Error(),
	} {
		if err := checkName("/srv/tftp/"+name, testDevice); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	if err := checkName("CSFALICE.cnf.xml", "CSFALICE"); err != nil {
		t.Error(err)
	}
}

// Nothing is written where something stands in the way.
func TestUpdateThatFails(t *testing.T) {
	folder := t.TempDir()
	at := func(name string) string { return filepath.Join(folder, name) }
	must(t, os.Mkdir(at("folder"), 0o700))
	must(t, syscall.Mkfifo(at("pipe"), 0o600))
	write(t, at("torn.xml"), "<device>")
	write(t, at("signed.xml"), "\x01\x00\x02\x01\x02<device/>")
	write(t, at("big.xml"), "<device/>")
	must(t, os.Truncate(at("big.xml"), MaxFile+1))
	write(t, at("kept.xml"), "<device/>")
	must(t, os.MkdirAll(at("kept.xml.old/x"), 0o700)) // no file can replace it
	must(t, os.Symlink("circle", at("circle")))
	for name, want := range map[string]string{
		"folder": "no regular file", "pipe": "no regular file", "torn.xml": "line 1, byte 8: not well-formed", "signed.xml": ErrSigned.Error(),
		"big.xml": "longer than", "kept.xml": "keep the one before", "circle": "too many levels", "absent/" + testFile: "no such file",
		"kept.xml.old/SEP0011223344AB.cnf.xml": "the file of",
	} {
		outcome, changed, err := Update(at(name), testDevice, sample, false)
		if err == nil || !strings.Contains(err.Error(), want) || outcome != "" || changed != nil {
			t.Errorf("%s: %q, %v, %v; want %q", name, outcome, changed, err, want)
		}
	}
	wantContent(t, at("torn.xml"), "<device>")
	wantContent(t, at("kept.xml"), "<device/>")
	wantOnly(t, folder, "folder", "pipe", "torn.xml", "signed.xml", "big.xml", "kept.xml", "kept.xml.old", "circle")
	wrong := sample
	wrong.Port = 0
	if _, _, err := Update(at(testFile), testDevice, wrong, false); err == nil {
		t.Error("a file was made with no port")
	}
	if _, err := os.Stat(at(testFile)); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
