package text_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"capf/legacy"
	"capf/legacy/text"
)

// read gives all lines, in the encoding given or found.
func read(t testing.TB, content []byte, encoding text.Encoding) []text.Line {
	t.Helper()
	input := legacy.BytesInput("CAPF.phone", content)
	if encoding == "" {
		found, err := text.Find(input)
		if err != nil {
			t.Fatal(err)
		}
		encoding = found.Encoding
	}
	var out []text.Line
	for line, err := range text.Lines(input, encoding) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, line)
	}
	return out
}

// summary is a line in short: its number, its text or its problem.
func summary(lines []text.Line) (out []string) {
	for _, line := range lines {
		entry := fmt.Sprintf("%d %s", line.Number, line.Text)
		if line.Problem != "" {
			entry = fmt.Sprintf("%d ! %s", line.Number, line.Problem)
		}
		if line.Torn {
			entry += " (torn)"
		}
		out = append(out, entry)
	}
	return out
}

func wide(s string, low int) []byte {
	out := []byte{}
	for _, unit := range utf16.Encode([]rune("\ufeff" + s)) {
		pair := [2]byte{}
		pair[low], pair[1-low] = byte(unit), byte(unit>>8)
		out = append(out, pair[:]...)
	}
	return out
}

func TestLines(t *testing.T) {
	tests := []struct {
		name    string
		content string
		want    []string
	}{
		{"LF", "a\nb\n", []string{"1 a", "2 b"}},
		{"CRLF", "a\r\nb\r\n", []string{"1 a", "2 b"}},
		{"CR CR LF", "a\r\r\nb\r\r\n", []string{"1 a", "2 b"}},
		{"CR only", "a\rb\r", []string{"1 a", "2 b"}},
		{"CR within a line", "a\rb\nc\n", []string{"1 ! control character 0x0d at byte 2", "2 c"}},
		{"blank lines", "a\n\nb\n", []string{"1 a", "2 ", "3 b"}},
		{"torn", "a\nb", []string{"1 a", "2 b (torn)"}},
		{"end mark on a line of its own", "a\r\n\x1a", []string{"1 a", "2 "}},
		{"end mark ends the last line", "a\r\nb\x1a", []string{"1 a", "2 b"}},
		{"end mark with a line end", "a\r\n\x1a\r\n", []string{"1 a", "2 "}},
		{"block filled up", "a\r\n\x1a\x00\x00\x1a", []string{"1 a", "2 "}},
		{"end mark in the middle", "a\x1ab\nc\n", []string{"1 ! control character 0x1a at byte 2", "2 c"}},
		{"NUL", "a\n\x00b\nc\n", []string{"1 a", "2 ! NUL at byte 1", "3 c"}},
		{"tab", "a\tb\n", []string{"1 a\tb"}},
		{"UTF-8 mark", "\xef\xbb\xbfä\n", []string{"1 ä"}},
		{"UTF-8", "ä\nß\n", []string{"1 ä", "2 ß"}},
		{"a damaged line in UTF-8", strings.Repeat("ä\n", 9) + "aä\xe4\n", append(strings.Split("1 ä,2 ä,3 ä,4 ä,5 ä,6 ä,7 ä,8 ä,9 ä", ","), "10 ! byte 4 is not UTF-8")},
		{"CP1252", "\xe4 \x80\nb\n", []string{"1 ä €", "2 b"}},
		{"undefined in CP1252", strings.Repeat("\xe4\n", 9) + "\xe4\x81\n", append(strings.Split("1 ä,2 ä,3 ä,4 ä,5 ä,6 ä,7 ä,8 ä,9 ä", ","), "10 ! byte 2 has no meaning in CP1252")},
		{"UTF-16 little end first", string(wide("ä;1\r\nb\r\n", 0)), []string{"1 ä;1", "2 b"}},
		{"UTF-16 big end first", string(wide("ä;1\r\nb", 1)), []string{"1 ä;1", "2 b (torn)"}},
		{"UTF-16 with a unit like LF", string(wide("Ċ\u0a0d\nb\n", 0)), []string{"1 Ċ\u0a0d", "2 b"}},
		{"UTF-16 cut in a unit", string(wide("a\nb", 0)) + "c", []string{"1 a", "2 ! odd number of bytes in UTF-16 (torn)"}},
		{"UTF-16 with half a pair", string(wide("a\n", 0)) + "\x00\xd8\n\x00", []string{"1 a", "2 ! character 1 is not valid UTF-16"}},
		{"nothing", "", nil},
		{"a mark only", "\xff\xfe", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := summary(read(t, []byte(test.content), ""))
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDetect(t *testing.T) {
	good, bad := strings.Repeat("ä\n", 9), "\xe4\n"
	tests := []struct {
		name, content string
		want          text.Encoding
		problem       string
	}{
		{"plain", "a\nb\n", text.UTF8, ""},
		{"one damaged line in ten", good + bad, text.UTF8, ""},
		{"one UTF-8 line in ten", strings.Repeat(bad, 9) + "ä\n", text.Windows1252, ""},
		{"half and half", "a\nä\n" + bad, "", "CAPF.phone:3: encoding is not clear: 1 lines are UTF-8, 1 are not"},
		{"UTF-16 without a mark", string(wide("device;x\n", 0)[2:]), "", "looks like UTF-16 without a byte-order mark"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			found, err := text.Find(legacy.BytesInput("CAPF.phone", []byte(test.content)))
			got := found.Encoding
			if got != test.want || (err == nil) != (test.problem == "") {
				t.Fatalf("got %q, %v", got, err)
			}
			if err != nil && !strings.Contains(err.Error(), test.problem) {
				t.Errorf("error %q lacks %q", err, test.problem)
			}
		})
	}
}

func TestMarkAgainstNamedEncoding(t *testing.T) {
	for _, err := range text.Lines(legacy.BytesInput("f", wide("a\n", 0)), text.Windows1252) {
		if err == nil || !strings.Contains(err.Error(), "byte-order mark of utf-16le") {
			t.Errorf("got %v", err)
		}
		return
	}
	t.Error("no error")
}

func TestLongLineComesInPieces(t *testing.T) {
	long := strings.Repeat("x", 2*text.MaxLine+10)
	lines := read(t, []byte("a\n"+long+"\nb\n"), "")
	var joined []byte
	for _, line := range lines[1 : len(lines)-1] {
		if line.Number != 2 || !strings.Contains(line.Problem, "longer than 65536") || len(line.Raw) > text.MaxLine {
			t.Errorf("piece at %d: number %d, %d bytes, problem %q", line.Offset, line.Number, len(line.Raw), line.Problem)
		}
		joined = append(joined, line.Raw...)
	}
	if string(joined) != long+"\n" {
		t.Errorf("pieces have %d bytes", len(joined))
	}
	if last := lines[len(lines)-1]; last.Number != 3 || last.Text != "b" || last.Problem != "" {
		t.Errorf("after the long line: %+v", last)
	}
}

// failing fails after some bytes.
type failing struct{ io.Reader }

func (f failing) Read(into []byte) (int, error) {
	n, err := f.Reader.Read(into)
	if errors.Is(err, io.EOF) {
		err = errors.New("disk is broken")
	}
	return n, err
}

func TestReadingFails(t *testing.T) {
	input := legacy.Input{File: "CAPF.phone", Open: func() (io.ReadCloser, error) {
		return io.NopCloser(failing{strings.NewReader("a\nb")}), nil
	}}
	var last error
	lines := 0
	for _, err := range text.Lines(input, text.UTF8) {
		lines++
		last = err
	}
	if lines != 2 || last == nil || !strings.Contains(last.Error(), "CAPF.phone: reading at byte 2: disk is broken") {
		t.Errorf("%d lines, then %v", lines, last)
	}
	if _, err := text.Find(input); err == nil {
		t.Error("the encoding was found in a file that cannot be read")
	}
}

// Every byte after the mark is in exactly one line, in order; numbers rise; no key text comes out.
func FuzzLines(f *testing.F) {
	f.Add([]byte("a\r\nb\n\x1a"), 0)
	f.Add([]byte("\xff\xfea\x00\n\x00"), 2)
	f.Add([]byte("x\n-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----\ny\n"), 0)
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nMIIEow\ndevice=x\n"), 1)
	f.Fuzz(func(t *testing.T, content []byte, which int) {
		encoding := text.Encodings[uint(which)%uint(len(text.Encodings))]
		marked, skip := text.MarkOf(content)
		if marked != "" {
			encoding = marked
		}
		offset, number := int64(skip), 1
		for line, err := range text.Lines(legacy.BytesInput("f", content), encoding) {
			if err != nil {
				t.Fatal(err)
			}
			if line.Offset != offset || line.Count > 0 && line.Number != number || line.Size == 0 {
				t.Fatalf("line %d (%d) at %d, %d bytes: expected %d at %d", line.Number, line.Count, line.Offset,
					line.Size, number, offset)
			}
			offset += line.Size
			number += line.Count
			if line.PrivateKey != (line.Raw == nil) {
				t.Fatalf("line %d: bytes of a private key", line.Number)
			}
			if raw := content[line.Offset:offset]; !line.PrivateKey && !bytes.Equal(raw, line.Raw) {
				t.Fatalf("line %d: %q is not %q", line.Number, line.Raw, raw)
			}
		}
		if offset != int64(len(content)) {
			t.Fatalf("%d of %d bytes", offset, len(content))
		}
	})
}

// TestFilesAtOnce reads files beside each other, some of them not to their end: none has anything of another.
func TestFilesAtOnce(t *testing.T) {
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			for round := range 20 {
				name := fmt.Sprintf("%d.%d", n, round)
				input := legacy.BytesInput(name, []byte(strings.Repeat(name+"\n", 100*(n+1))))
				if _, err := text.Find(input); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				for line, err := range text.Lines(input, text.UTF8) {
					if err != nil || line.Text != name {
						t.Errorf("%s reads %q, %v", name, line.Text, err)
					}
					if line.Number == 50*round {
						break
					}
				}
			}
		})
	}
	all.Wait()
}
