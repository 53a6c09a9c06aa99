package phonefile_test

import (
	"bytes"
	"fmt"
	"testing"

	"capf/legacy"
	"capf/legacy/dialect"
	"capf/legacy/phonefile"
	"capf/legacy/text"
)

// covered puts together what was given for a file: every byte is in a record, in a kept line, or in a line that
// carries no data.
func covered(t *testing.T, content []byte, got reading, encoding text.Encoding) {
	t.Helper()
	_, skip := text.MarkOf(content)
	given := make([]int, len(content))
	mark := func(offset, size int64) {
		for i := offset; i < offset+size; i++ {
			given[i]++
		}
	}
	starts := lineStarts(content, encoding)
	for _, kept := range got.kept {
		mark(kept.Offset, kept.Size)
		if raw := content[kept.Offset : kept.Offset+kept.Size]; !kept.PrivateKey && !bytes.Equal(raw, kept.Bytes) {
			t.Fatalf("line %d: kept %q instead of %q", kept.Line, kept.Bytes, raw)
		}
		if kept.PrivateKey && kept.Bytes != nil {
			t.Fatalf("line %d: key text was kept", kept.Line)
		}
	}
	for _, record := range got.records {
		var raw []byte
		for _, number := range record.Lines {
			from, to := starts[number], starts[number+1]
			mark(from, to-from)
			raw = append(raw, content[from:to]...)
		}
		if !bytes.Equal(raw, record.Bytes) {
			t.Fatalf("line %d: record of %q instead of %q", record.Line, record.Bytes, raw)
		}
	}
	for _, passed := range got.passed {
		var number int
		if _, err := fmt.Sscan(passed, &number); err != nil {
			t.Fatal(err)
		}
		mark(starts[number], starts[number+1]-starts[number])
	}
	for i := skip; i < len(given); i++ {
		if given[i] != 1 {
			t.Fatalf("byte %d of %q was given %d times", i, content, given[i])
		}
	}
}

// lineStarts gives the offset of each line, and of the end, by reading the lines again.
func lineStarts(content []byte, encoding text.Encoding) map[int]int64 {
	starts := map[int]int64{}
	next := 1
	for line := range text.Lines(legacy.BytesInput("f", content), encoding) {
		if line.Count > 0 {
			starts[line.Number] = line.Offset
		}
		next += line.Count
	}
	starts[next] = int64(len(content))
	return starts
}

// checkPlaces sees that every value that a record has was found in bytes of its lines.
func checkPlaces(t *testing.T, got reading) {
	t.Helper()
	for _, places := range got.places {
		for _, place := range places {
			if place.From < 0 || place.From > place.To {
				t.Fatalf("%v is no place", place)
			}
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("device,state,auth string\nSEP000AB8001C40,ok,1234\nx\n"), 0)
	f.Add([]byte("device=SEP000AB8001C40\r\nstate=ok\r\n\r\nx\x1a"), 3)
	f.Add([]byte("\xef\xbb\xbfdevice;state\n\"a;b\n-----BEGIN PRIVATE KEY-----\nMIIE\n"), 0)
	f.Add([]byte("device=SEP000AB8001C40\n-----BEGIN PRIVATE KEY-----\nMIIEowIBAAKCAQEA\n-----END PRIVATE KEY-----\nstate=ok\n"), 9)
	f.Add([]byte("SEP000AB8001C40;13/01/2005 10:00:00;install\nSEP000AB8001C41;01/13/2005 10:00:00;delete\n"), 1)
	f.Add([]byte("[SEP000AB8001C40]\nstate=ok\n[General]\nstatus time=03/04/2005 10:00\n\n[x]\nmac=000AB8001C41\nop=\x8e\x52\n"), 6)
	f.Fuzz(func(t *testing.T, content []byte, which int) {
		encoding := text.Encodings[uint(which)%uint(len(text.Encodings))]
		if marked, _ := text.MarkOf(content); marked != "" {
			encoding = marked
		}
		for _, d := range dialect.Builtin() {
			named := *d
			named.Encoding = encoding
			file, err := phonefile.OpenAs(legacy.BytesInput("f", content), &named)
			if err != nil {
				t.Fatal(err)
			}
			file.Trace = 1 << 20
			got, err := collect(file)
			if err != nil {
				continue
			}
			covered(t, content, got, encoding)
			checkPlaces(t, got)
		}
		_, _ = phonefile.Open(legacy.BytesInput("f", content), dialect.Builtin())
	})
}

// large is a phone file of many records.
func large(records int) []byte {
	var out bytes.Buffer
	out.WriteString("device,operation,state,status time,mode,auth string,key size,description\r\n")
	for i := range records {
		fmt.Fprintf(&out, "SEP%012X,install,pending,2005-03-04 05:06:07,by authentication string,%08d,1024,Phone %d\r\n", i, i, i)
	}
	return out.Bytes()
}

func BenchmarkOpenAndRead(b *testing.B) {
	input := legacy.BytesInput("CAPF.phone", large(200_000))
	for b.Loop() {
		file, err := phonefile.Open(input, dialect.Builtin())
		if err != nil {
			b.Fatal(err)
		}
		records := 0
		for item, err := range file.Items() {
			if err != nil {
				b.Fatal(err)
			}
			if item.Record != nil {
				records++
			}
		}
		if records != 200_000 {
			b.Fatalf("%d records", records)
		}
	}
}
