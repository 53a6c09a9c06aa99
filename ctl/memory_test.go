package ctl

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"io"
	"math/big"
	"runtime"
	"slices"
	"testing"
)

// allocated returns the bytes that a function allocates, given back or not. Reading the counter stops the world and
// gathers what all processors have counted, so the number is exact.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return (after.TotalAlloc - before.TotalAlloc) / allocatedTimes
}

// allowed is what one way of reading a file may allocate: something for each element that it can have at the most, and
// some times the file. That many times is what the standard library takes for a certificate made of nothing but empty
// names, and gives back; of all other bytes it is less than ten times, which ordinary holds.
func allowed(raw []byte) uint64 { return perElement(raw) + 64*uint64(len(raw)) }

func ordinary(raw []byte) uint64 { return perElement(raw) + 10*uint64(len(raw)) }

func perElement(raw []byte) uint64 {
	return 16<<10 + 512*uint64(min(len(raw)/overhead, (MaxRecords+4)*maxElements+maxPadding))
}

// kept returns what is left of what a function makes after it has ended.
func kept(do func() any) uint64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	made := do()
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(made)
	return after.HeapAlloc - min(before.HeapAlloc, after.HeapAlloc)
}

// nameless is a certificate whose subject is a great many empty names.
func nameless(t *testing.T) []byte {
	t.Helper()
	names := slices.Repeat([]pkix.RelativeDistinguishedNameSET{{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: ""}}}, 2600)
	subject, err := asn1.Marshal(names)
	if err != nil {
		t.Fatal(err)
	}
	template, key := &x509.Certificate{RawSubject: subject, SerialNumber: big.NewInt(1)}, ecKey(t)
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// TestHostileSizes holds the most wasteful lists that decode to a bound on memory.
func TestHostileSizes(t *testing.T) {
	crowded := append(slices.Clone(hashRecord), slices.Repeat([]Element{{Tag: 99}}, maxElements-4)...)
	long := append(slices.Clone(hashRecord), Element{Tag: 99, Value: bytes.Repeat([]byte{0xFF}, 16000)})
	bad := []Element{hashRecord[0], {Tag: TagCertificate, Value: bytes.Repeat([]byte{0x30, 0x80}, 2000)}}
	commas := []Element{hashRecord[0], {Tag: TagSubject, Value: text(string(bytes.Repeat([]byte(","), 15000)))},
		{Tag: TagCertificate, Value: loadCertificate(t, "ec").Raw}}
	names := []Element{hashRecord[0], {Tag: TagCertificate, Value: nameless(t)}}
	cases := map[string]struct {
		raw   []byte
		bound func([]byte) uint64
	}{
		"small records":   {list(leastHeader(), slices.Repeat([][]Element{hashRecord}, MaxRecords)...), ordinary},
		"small elements":  {list(leastHeader(), slices.Repeat([][]Element{crowded}, MaxRecords)...), ordinary},
		"long elements":   {list(leastHeader(), slices.Repeat([][]Element{long}, 256)...), ordinary},
		"no certificates": {list(leastHeader(), slices.Repeat([][]Element{bad}, 256)...), ordinary},
		"long names":      {list(leastHeader(), slices.Repeat([][]Element{commas}, 256)...), ordinary},
		"names only":      {list(leastHeader(), slices.Repeat([][]Element{names}, 70)...), allowed},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			for step, do := range ways(test.raw) {
				var err error
				if got := allocated(func() { err = do() }); err != nil || got > test.bound(test.raw) {
					t.Errorf("%s: %v; %d bytes allocated for a file of %d", step, err, got, len(test.raw))
				}
			}
			if left := kept(func() any { found, _ := Inspect(test.raw); return found }); left > perElement(test.raw)+3*uint64(len(test.raw)) {
				t.Errorf("%d bytes kept of a file of %d", left, len(test.raw))
			}
		})
	}
}

// ways are those of reading one list.
func ways(raw []byte) map[string]func() error {
	return map[string]func() error{
		"decode":     func() error { _, err := Decode(raw); return err },
		"inspect":    func() error { _, err := Inspect(raw); return err },
		"show":       func() error { return Show(io.Discard, raw) },
		"compare":    func() error { _, err := Compare(raw, raw); return err },
		"succession": func() error { _ = VerifySuccession(raw, raw); return nil },
	}
}

// checkRead does everything that can be done with bytes from outside, and holds each to the bound.
func checkRead(t *testing.T, raw []byte) {
	t.Helper()
	file, failure := Decode(raw)
	if failure == nil && !bytes.Equal(file.Encode(), raw) {
		t.Errorf("what was decoded encodes differently:\n% x\n% x", raw, file.Encode())
	}
	for way, do := range ways(raw) {
		var err error
		// Two lists are compared, and each half of a succession is read.
		if got := allocated(func() { err = do() }); got > 2*allowed(raw) {
			t.Errorf("%s: %d bytes allocated for a file of %d", way, got, len(raw))
		}
		if way != "succession" && (err == nil) != (failure == nil) {
			t.Errorf("%s says %v, decoding %v", way, err, failure)
		}
	}
	if _, err := Verify(raw); err == nil && failure != nil {
		t.Errorf("verifies, but cannot be decoded: %v", failure)
	}
}

// FuzzDecode begins with small lists, which need no certificates to be decoded and shown.
func FuzzDecode(f *testing.F) {
	f.Add(list(leastHeader(), hashRecord))
	f.Add(list(append(leastHeader(), Element{Tag: 200}, Element{Tag: TagPadding, Bare: true})))
	f.Fuzz(checkRead)
}

// FuzzCompare has any two lists: what the one has and the other has not is told both ways, within the bound.
func FuzzCompare(f *testing.F) {
	one := append(slices.Clone(hashRecord), Element{Tag: 77, Value: []byte("x")})
	f.Add(list(leastHeader(), hashRecord), list(leastHeader(), one, hashRecord))
	f.Add(list(append(leastHeader(), Element{Tag: 99}), one, one), list(leastHeader(), hashRecord))
	f.Fuzz(func(t *testing.T, from, to []byte) {
		var there, back *Difference
		var err error
		if got := allocated(func() { there, err = Compare(from, to) }); got > 2*(allowed(from)+allowed(to)) {
			t.Errorf("%d bytes allocated for files of %d and %d", got, len(from), len(to))
		}
		if err != nil {
			return
		}
		if back, err = Compare(to, from); err != nil {
			t.Fatal(err)
		}
		if there.Equal != back.Equal || there.count(Added) != back.count(Removed) || there.count(Removed) != back.count(Added) {
			t.Errorf("there: %+v\nback: %+v", there, back)
		}
		if err := there.Print(io.Discard, "A", "B"); err != nil || there.Equal && len(there.Lost()) > 0 {
			t.Errorf("%v, %q", err, there.Lost())
		}
	})
}

func (d *Difference) count(kind ChangeKind) (count int) {
	for _, change := range d.Records {
		if change.Kind == kind {
			count++
		}
	}
	return count
}

// FuzzVerify writes over a signed list in one place, or puts something in between there.
func FuzzVerify(f *testing.F) {
	golden := goldens(f)[0]
	f.Add(uint16(7), false, []byte{1, 0x24})
	f.Add(uint16(139), true, []byte{200, 0, 1, 7})
	f.Fuzz(func(t *testing.T, at uint16, between bool, change []byte) {
		start := int(at) % len(golden)
		end := start
		if !between {
			end = min(start+len(change), len(golden))
		}
		raw := slices.Concat(golden[:start], change, golden[end:])
		checkRead(t, raw)
		if _, err := Verify(raw); err == nil && !bytes.Equal(raw, golden) {
			t.Errorf("verifies although changed at %d", start)
		}
		difference, err := Compare(golden, raw)
		if err == nil && difference.Equal != bytes.Equal(raw, golden) {
			t.Errorf("changed at %d: equal is %v", start, difference.Equal)
		}
		if err == nil && difference.Equal != (len(difference.Header)+len(difference.Records) == 0 && !difference.Reordered) {
			t.Errorf("changed at %d, and no difference is told: %+v", start, difference)
		}
	})
}
