package source

import (
	"archive/zip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// Bits of the flags of a zip entry (APPNOTE.TXT, 4.4.4).
const (
	zipEncrypted       = 1 << 0
	zipStrongEncrypted = 1 << 6
)

// openZip takes the members of a zip file in the order of its directory, and leaves those in it that are read, under their
// clean names. The directory is what says which there are.
func (a *archive) openZip(file *os.File) (*place, error) {
	bounded := &boundedReader{from: file, left: a.limits.directory}
	read, err := zip.NewReader(bounded, a.size)
	if bounded.left < 0 {
		return nil, fmt.Errorf("has a directory of more than %d bytes: %w", a.limits.directory, errByHand)
	}
	bounded.free = true
	if err != nil {
		return nil, fmt.Errorf("is torn, or no zip file after all: %w: copy it again", err)
	}
	members := read.File
	read.File = nil
	for _, member := range members {
		name, err := a.take(a.zipEntry(member))
		if err != nil {
			return nil, err
		}
		if member.Name = name; name != "" {
			read.File = append(read.File, member)
		}
	}
	tree, err := fs.Sub(read, a.top())
	return &place{tree: tree, close: file.Close}, err
}

// boundedReader lets so many bytes be read until it is set free.
type boundedReader struct {
	from io.ReaderAt
	left int64
	free bool
}

func (b *boundedReader) ReadAt(into []byte, offset int64) (int, error) {
	if b.free {
		return b.from.ReadAt(into, offset)
	}
	if b.left -= int64(len(into)); b.left < 0 {
		return 0, errByHand
	}
	return b.from.ReadAt(into, offset)
}

func (a *archive) zipEntry(file *zip.File) entry {
	out := entry{name: utf8Name(file.Name, charmap.CodePage437), mode: file.Mode()}
	if strings.HasSuffix(file.Name, `\`) {
		out.mode |= fs.ModeDir
	}
	out.open = func() (io.ReadCloser, error) {
		switch {
		case file.Flags&(zipEncrypted|zipStrongEncrypted) != 0:
			return nil, refusal("is encrypted")
		case file.Method != zip.Store && file.Method != zip.Deflate:
			return nil, refusal(fmt.Sprintf("is compressed by method %d, which is not known here", file.Method))
		}
		content, err := file.Open()
		return measured{content, a}, err
	}
	return out
}

// utf8Name gives the name of a member in UTF-8, which some programs do not write.
func utf8Name(name string, page *charmap.Charmap) string {
	if utf8.ValidString(name) {
		return name
	}
	name, _ = page.NewDecoder().String(name) // every byte has a meaning, or becomes a mark
	return name
}
