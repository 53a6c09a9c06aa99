package source

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestArchivesThatAreRefused(t *testing.T) {
	twice := []thing{file("CAPF.phone", "one"), file("CAPF.phone", "another")}
	big := []thing{file("CAPF.phone", strings.Repeat("x", 5000))}
	several := []thing{file("a.0", strings.Repeat("x", 900)), file("b.0", strings.Repeat("y", 900))}
	zeros := []thing{file("waste.txt", strings.Repeat("\x00", 1<<20)), file("CAPF.phone", "x")}
	small := limits{members: 3, member: 1000, all: 1500, ratioFrom: 100_000, directory: 1 << 20}
	ratio := limits{members: 9, member: 4 << 20, all: 8 << 20, ratioFrom: 1000, directory: 1 << 20}
	for _, test := range []struct {
		things []thing
		bounds limits
		want   string
		except string
	}{
		{twice, usualLimits, "holds two different members CAPF.phone", ""},
		{big, small, "member CAPF.phone has more than 1000 bytes", ""},
		{several, small, "member b.0 brings what is unpacked over 1500 bytes", ""},
		{[]thing{file("1", ""), file("2", ""), file("3", ""), file("4", "")}, small, "has more than 3 members", ""},
		{[]thing{file("CAPF.phone", strings.Repeat("\x00", 1<<20))}, ratio, "more than 200 times the size of the archive", ".tar"},
		{zeros, ratio, "more than 200 times the size of the archive", ".tar.zip"},
		{[]thing{file("readme.txt", "x")}, usualLimits, "no CAPF.phone, CAPF.cfg, CAPF.cer or *.0", ""},
		{[]thing{file("one/deep/CAPF.phone", "x"), file("two/deep/CAPF.phone", "x")}, usualLimits,
			" (one/deep/CAPF.phone ", ""},
		{[]thing{file("../CAPF.phone", "x"), file("../../CAPF.cfg", "x")}, usualLimits,
			" (../CAPF.phone has a name that leads out of the archive (..): not read, and 1 more): give the root", ""},
		{[]thing{file("../new\nline.0", "x")}, usualLimits, "leads out of the archive", ""},
	} {
		for ending, content := range archives(t, test.things) {
			if strings.Contains(test.except, ending) {
				continue
			}
			got, err := opened(t, written(t, "copy"+ending, content), test.bounds)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: got %v, %v, want %s", ending, got, err, test.want)
			}
		}
	}
}

// The directory of a zip file is held in memory, so there is a bound on it.
func TestZipDirectory(t *testing.T) {
	bounds := usualLimits
	bounds.directory = 100
	content := makeZip(t, []thing{file("CAPF.phone", "x"), file("CAPF.cfg", "x"), file("a.0", "x")})
	if _, err := opened(t, written(t, "copy.zip", content), bounds); err == nil || !strings.Contains(err.Error(), "directory of more than 100 bytes") {
		t.Errorf("got %v", err)
	}
}

// Wherever an archive is cut off, what is left of it is not taken for all of it.
func TestTornArchives(t *testing.T) {
	var text strings.Builder
	for i := range 400 {
		fmt.Fprintf(&text, "%d;%x\n", i, i*i*7919)
	}
	for ending, content := range archives(t, []thing{file("CAPF.phone", text.String()), file("x.0", text.String())}) {
		for _, length := range []int{len(content) / 3, len(content) / 2, len(content) - 1030, len(content) - 20} {
			got, err := opened(t, written(t, "copy"+ending, content[:length]), usualLimits)
			if err == nil && !strings.Contains(says(got), "it may be torn behind its last member, x.0") && (ending != ".tar" || length < len(content)-512) {
				t.Errorf("%s of %d bytes, cut off at %d: %q", ending, len(content), length, holds(t, got))
			}
		}
		damaged := slices.Clone(content)
		damaged[len(damaged)/4] ^= 0x40
		if _, err := opened(t, written(t, "damaged"+ending, damaged), usualLimits); err == nil && ending != ".tar" {
			t.Errorf("%s: a damaged archive was read", ending)
		}
	}
}

func TestEncryptedAndUnknownMethod(t *testing.T) {
	content := makeZip(t, []thing{file("CAPF.phone", "phones"), file("readme.txt", "x")})
	for offset, want := range map[int]string{8: "member CAPF.phone is encrypted", 10: "member CAPF.phone is compressed by method"} {
		changed := slices.Clone(content)
		changed[bytes.Index(changed, []byte("PK\x01\x02"))+offset] ^= 1
		if _, err := opened(t, written(t, "copy.zip", changed), usualLimits); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
