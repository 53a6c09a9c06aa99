package distribute

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var errCrash = errors.New("the machine stopped")

// crashingTarget stops for good before the step with the number left; a write that is hit leaves half a
// file. After it nothing works, as after a crash.
type crashingTarget struct {
	Target
	left   int
	after  bool // the step is still done, and only the news of it lost
	steps  *[]string
	looked func() // after every step that was done
}

func (c *crashingTarget) step(name string, do func() error, half func()) error {
	if c.left < 0 {
		return errCrash
	}
	*c.steps = append(*c.steps, name)
	c.left--
	if c.left >= 0 || c.after {
		err := do()
		c.looked()
		if c.left < 0 {
			return errCrash
		}
		return err
	}
	half()
	c.looked()
	return errCrash
}

func (c *crashingTarget) MakeFolder(folder string) error {
	return c.step("make "+folder, func() error { return c.Target.MakeFolder(folder) }, func() {})
}

func (c *crashingTarget) Write(name string, data []byte) error {
	return c.step("write "+name, func() error { return c.Target.Write(name, data) }, func() { _ = c.Target.Write(name, data[:len(data)/2]) })
}

func (c *crashingTarget) Rename(from, to string) error {
	return c.step("rename "+to, func() error { return c.Target.Rename(from, to) }, func() {})
}

func (c *crashingTarget) Remove(name string) error {
	return c.step("remove "+name, func() error { return c.Target.Remove(name) }, func() {})
}

func (c *crashingTarget) Read(name string, limit int64) ([]byte, error) {
	if c.left < 0 {
		return nil, errCrash
	}
	return c.Target.Read(name, limit)
}

// TestCrashAtEveryStep stops a distribution before and after each of its steps. At every moment the real
// names hold an old or a new whole file, the list never comes before the certificates, and the next run
// finishes the work and leaves nothing behind.
func TestCrashAtEveryStep(t *testing.T) {
	older, newer := list(t, 1000, "1024", "2048"), list(t, 1001, "1024", "2048")
	const steps = 2 /* folders */ + 1 /* left behind */ + 3 /* files beside */ + 2*2 /* kept */ + 3 /* in place */
	for stop := 0; stop <= steps; stop++ {
		for _, after := range []bool{false, true} {
			seen := crashAt(t, stop, after, older, newer)
			if want := min(stop+1, steps); len(seen) != want {
				t.Errorf("stopped at %d: %d steps instead of %d: %q", stop, len(seen), want, seen)
			}
		}
	}
}

func crashAt(t *testing.T, stop int, after bool, older, newer []byte) (seen []string) {
	t.Helper()
	node, folder := node(t, "pub")
	put(t, folder, "TFTPPath/CTLFile.tlv", older)
	put(t, folder, "Certificates/CAPF.cer", []byte("the certificate before"))
	put(t, folder, temporary("ours", kindNew, "TFTPPath/CTLFile.tlv"), []byte("left behind"))
	want := wholeFiles(t, newer)
	looked := func() {
		cer, list := readOrEmpty(t, folder, "Certificates/CAPF.cer"), readOrEmpty(t, folder, "TFTPPath/CTLFile.tlv")
		pem := readOrEmpty(t, folder, capfFile)
		if cer != "the certificate before" && cer != want["Certificates/CAPF.cer"] || list != string(older) && list != string(newer) || pem != "" && pem != want[capfFile] {
			t.Errorf("stop %d: after %q a name holds neither the old nor the new file", stop, seen)
		}
		if list == string(newer) && (cer == "the certificate before" || pem == "") {
			t.Errorf("stop %d: after %q the list is there before the certificates", stop, seen)
		}
	}
	options := with(func(target Target) Target { return &crashingTarget{target, stop, after, &seen, looked} })
	options.Instance = "ours"
	result := one(t, node, payload(t, newer), options)
	if crashed := errors.Is(result.Err, errCrash); crashed != (result.Outcome == Failed || result.Outcome == Partly) {
		t.Errorf("stop %d: %s with %v", stop, result.Outcome, result.Err)
	}
	again := one(t, node, payload(t, newer), Options{Instance: "ours"})
	if again.Err != nil || again.Outcome != Done && again.Outcome != Unchanged {
		t.Errorf("stop %d: the next run: %s, %v", stop, again.Outcome, again.Err)
	}
	want["Certificates/CAPF.cer.old"], want["TFTPPath/CTLFile.tlv.old"] = "the certificate before", string(older)
	if diff := cmp.Diff(want, tree(t, folder)); diff != "" {
		t.Errorf("stop %d: files after the next run (-want +got):\n%s", stop, diff)
	}
	return seen
}

func readOrEmpty(t *testing.T, folder, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	return string(content)
}

// lyingTarget changes what is written, or what others write meanwhile.
type lyingTarget struct {
	Target
	write func(name string, data []byte) error
}

func (l *lyingTarget) Write(name string, data []byte) error { return l.write(name, data) }

// TestBadDisk has a disk that takes a list and keeps something else.
func TestBadDisk(t *testing.T) {
	older, newer := list(t, 1000, "1024", "2048"), list(t, 1001, "1024", "2048")
	node, folder := node(t, "pub")
	put(t, folder, "TFTPPath/CTLFile.tlv", older)
	before := tree(t, folder)
	result := one(t, node, payload(t, newer), with(func(target Target) Target {
		return &lyingTarget{target, func(name string, data []byte) error {
			data = slices.Clone(data)
			if strings.HasPrefix(name, "TFTPPath") {
				data[len(data)/2] ^= 1
			}
			return target.Write(name, data)
		}}
	}))
	if result.Outcome != Failed || !strings.Contains(result.Error, "what was written is not what is there") {
		t.Errorf("%s, %v", result.Outcome, result.Err)
	}
	if diff := cmp.Diff(before, tree(t, folder)); diff != "" {
		t.Errorf("files (-before +after):\n%s", diff)
	}
}

// TestSomeoneElse has another list put there while ours is written beside.
func TestSomeoneElse(t *testing.T) {
	older, newer, theirs := list(t, 1000, "1024", "2048"), list(t, 1001, "1024", "2048"), list(t, 1002, "1024", "512")
	node, folder := node(t, "pub")
	put(t, folder, "TFTPPath/CTLFile.tlv", older)
	result := one(t, node, payload(t, newer), with(func(target Target) Target {
		return &lyingTarget{target, func(name string, data []byte) error {
			put(t, folder, "TFTPPath/CTLFile.tlv", theirs)
			return target.Write(name, data)
		}}
	}))
	if outcomes(result) != "failed untouched untouched untouched" || !strings.Contains(result.Error, "changed by someone else") {
		t.Errorf("%s, %v", outcomes(result), result.Err)
	}
	want := map[string]string{"TFTPPath/CTLFile.tlv": string(theirs)}
	if diff := cmp.Diff(want, tree(t, folder)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}
