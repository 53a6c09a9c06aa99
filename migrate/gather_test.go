package migrate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"capf/legacy/machine"
	"capf/legacy/source"
)

// phoneFiles writes two phone files of one machine, and opens that.
func phoneFiles(t *testing.T, first, second string) *source.Source {
	t.Helper()
	folder := t.TempDir()
	for name, content := range map[string]string{"Cisco/CAPF/CAPF.phone": first, "Cisco/CAPF/capf.PHONE": second} {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	opened, err := source.Open(source.Spec{Name: "pub", Folder: folder})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { opened.Close() })
	return opened
}

func rows(count, from int, damage string) string {
	var out strings.Builder
	out.WriteString("device,operation,state,status time,description\r\n")
	for n := range count {
		fmt.Fprintf(&out, "SEP000AB8%06X,install,pending,2005-01-02 10:%02d,\"Desk %d\"\r\n", from+n, n%60, n)
	}
	return out.String() + damage
}

// What is heard while it is found out how files are read is what reading them once more would give.
func TestGatheredByHearing(t *testing.T) {
	for name, test := range map[string]struct{ first, second string }{
		"whole":     {rows(1000, 0, ""), rows(700, 5000, "")},
		"damaged":   {rows(1000, 0, "torn,lin"), rows(700, 5000, "SEP000AB8000001,no such word,pending,,\r\n-----BEGIN RSA PRIVATE KEY-----\r\nx\r\n")},
		"no header": {strings.Replace(rows(300, 0, "x\r\n"), "device,operation,state,status time,description\r\n", "", 1), rows(300, 5000, "")},
		"many kept": {rows(30_000, 0, strings.Repeat("x,\r\n", fewLines)), rows(300, 50_000, "x\r\n")},
	} {
		t.Run(name, func(t *testing.T) {
			from := phoneFiles(t, test.first, test.second)
			how := gathering{countLines: true, progress: func(int) {}}
			got, err := readMachine(t.Context(), from, machine.Options{}, how)
			if err != nil {
				t.Fatal(err)
			}
			want := how.begin()
			heard := 0
			for _, part := range got.Parts() {
				if part.Heard != nil {
					heard++
				}
				for item, err := range part.Items {
					if err != nil {
						t.Fatal(err)
					}
					want.take("pub", item)
				}
			}
			if diff := cmp.Diff(shownGathered(want), shownGathered(&got.gathered)); diff != "" || len(want.records) < 600 {
				t.Errorf("%d records: %s", len(want.records), diff)
			}
			if wants := map[bool]int{false: 2, true: 1}[name == "no header"]; heard != wants {
				t.Errorf("%d files were heard", heard)
			}
		})
	}
}

// shownGathered shows all of it. Lines are remembered only where they are all of them.
func shownGathered(g *gathered) (out []string) {
	for _, one := range g.records {
		out = append(out, fmt.Sprintf("%v %d %x %x", one, one.offset, one.digest, one.content))
	}
	out = append(out, fmt.Sprint("kept ", g.kept), fmt.Sprint(g.keys, g.findings, g.doubts.findings(), len(g.counted.order)))
	if g.kept == len(g.lines) {
		out = append(out, fmt.Sprint(g.lines))
	}
	return out
}

// A context that ends has reading end, whether the file is heard or read once more.
func TestGatheringEnds(t *testing.T) {
	header := "device,operation,state,status time,description\r\n"
	for name, content := range map[string]string{"heard": rows(3000, 0, ""), "read": strings.Replace(rows(3000, 0, ""), header, "", 1)} {
		ctx, cancel := context.WithCancel(t.Context())
		told := 0
		_, err := readMachine(ctx, phoneFiles(t, content, ""), machine.Options{}, gathering{progress: func(int) { told++; cancel() }})
		if !errors.Is(err, context.Canceled) || told == 0 {
			t.Errorf("%s: told %d times, %v", name, told, err)
		}
	}
}
