package source

import (
	"archive/zip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// Bits of the flags of a zip entry (APPNOTE.TXT, 4.4.4).
const (
	zipEncrypted       = 1 << 0
	zipStrongEncrypted = 1 << 6
)

// readZip takes the members of a zip file in the order of its directory. The directory is what says which there are;
// it is read with a bound, since it must be held in memory.
func (u *unpacker) readZip(file *os.File) error {
	bounded := &boundedReader{from: file, left: u.zipDirectory}
	read, err := zip.NewReader(bounded, u.size)
	if bounded.left < 0 {
		return fmt.Errorf("has a directory of more than %d bytes: %w", u.zipDirectory, errByHand)
	}
	if err != nil {
		return fmt.Errorf("is torn, or no zip file after all: %w: copy it again", err)
	}
	bounded.free = true
	for _, file := range read.File {
		if err := u.take(zipEntry(file)); err != nil {
			return err
		}
	}
	return nil
}

func zipEntry(file *zip.File) entry {
	out := entry{name: file.Name, open: file.Open, folder: strings.HasSuffix(file.Name, "/") || strings.HasSuffix(file.Name, `\`)}
	if mode := file.Mode(); !mode.IsDir() {
		out.odd = oddMode(mode)
	} else {
		out.folder = true
	}
	switch {
	case file.Flags&(zipEncrypted|zipStrongEncrypted) != 0:
		out.locked = "is encrypted"
	case file.Method != zip.Store && file.Method != zip.Deflate:
		out.locked = fmt.Sprintf("is compressed by method %d, which is not known here", file.Method)
	}
	return out
}

// oddMode says what is neither a file nor a folder.
func oddMode(mode fs.FileMode) string {
	switch {
	case mode.IsRegular():
		return ""
	case mode&fs.ModeSymlink != 0:
		return "is a link"
	case mode&fs.ModeNamedPipe != 0:
		return "is a pipe"
	case mode&fs.ModeDevice != 0:
		return "is a device"
	default:
		return "is not a regular file"
	}
}

// boundedReader counts what is read until it is set free.
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
		return 0, io.ErrUnexpectedEOF
	}
	return b.from.ReadAt(into, offset)
}
