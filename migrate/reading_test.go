package migrate

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"capf/legacy"
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

// TestReadAgain: reading once more gives the same records and lines in the same order, each record with its own bytes.
func TestReadAgain(t *testing.T) {
	for name, test := range map[string]struct{ first, second string }{
		"whole":     {rows(1000, 0, ""), rows(700, 5000, "")},
		"damaged":   {rows(1000, 0, "torn,lin"), rows(700, 5000, "SEP000AB8000001,no such word,pending,,\r\n-----BEGIN RSA PRIVATE KEY-----\r\nx\r\n")},
		"no header": {strings.Replace(rows(300, 0, "x\r\n"), "device,operation,state,status time,description\r\n", "", 1), rows(300, 5000, "")},
		"many kept": {rows(30_000, 0, strings.Repeat("x,\r\n", 1000)), rows(300, 50_000, "x\r\n")},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := readMachine(t.Context(), phoneFiles(t, test.first, test.second), machine.Options{}, func(int) {})
			if err != nil {
				t.Fatal(err)
			}
			records, kept := 0, 0
			err = m.readAgain(func(known *record, bytes []byte) error {
				if known != m.records[records] || !strings.Contains(string(bytes), known.device) || sha256.Sum256(bytes) != known.digest {
					t.Fatalf("record %d is %v with the bytes %q", records, known, bytes)
				}
				records++
				return nil
			}, func(line legacy.KeptLine) error {
				if at := m.unread[kept]; at.Position != line.Position || at.digest != line.SHA256 {
					t.Fatalf("line %d is %v", kept, line)
				}
				kept++
				return nil
			})
			if err != nil || records != len(m.records) || kept != len(m.unread) || records < 600 {
				t.Errorf("%d of %d records, %d of %d lines, %v", records, len(m.records), kept, len(m.unread), err)
			}
		})
	}
}

// TestReadingEnds: a context that ends has reading end.
func TestReadingEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	told := 0
	_, err := readMachine(ctx, phoneFiles(t, rows(3000, 0, ""), ""), machine.Options{}, func(int) { told++; cancel() })
	if !errors.Is(err, context.Canceled) || told != 1 {
		t.Errorf("told %d times, %v", told, err)
	}
}
