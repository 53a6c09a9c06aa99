package source

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"strings"
)

// readTar takes the members of a tar file in their order.
func (u *unpacker) readTar(from io.Reader) error {
	tail := &tailReader{from: from}
	read, last := tar.NewReader(tail), "the first"
	for {
		header, err := read.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		var bound *boundError
		if errors.As(err, &bound) {
			return fmt.Errorf("%w: %w", bound, errByHand)
		}
		if err != nil {
			return fmt.Errorf("is damaged or torn after member %s: %w: copy it again, or unpack by hand what can be read and give the folder", last, err)
		}
		last = shownName(header.Name)
		if err := u.take(tarEntry(header, read)); err != nil {
			return err
		}
	}
	if u.entries == 0 && !tail.ended() {
		return errors.New("is not a tar file after all")
	}
	if !tail.ended() {
		u.warn(".", "the archive has no end mark: it may be torn behind its last member, "+last)
	}
	return nil
}

func tarEntry(header *tar.Header, content io.Reader) entry {
	out := entry{name: header.Name, folder: header.Typeflag == tar.TypeDir}
	out.open = func() (io.ReadCloser, error) { return io.NopCloser(content), nil }
	switch header.Typeflag {
	case tar.TypeReg, tar.TypeDir, tar.TypeXGlobalHeader:
		out.folder = header.Typeflag != tar.TypeReg
	case tar.TypeSymlink, tar.TypeLink:
		out.odd = "is a link"
	case tar.TypeChar, tar.TypeBlock:
		out.odd = "is a device"
	case tar.TypeFifo:
		out.odd = "is a pipe"
	default:
		out.odd = "is not a regular file"
	}
	if isSparse(header) {
		out.odd = "has holes (a sparse file)"
	}
	return out
}

// isSparse tells a member whose size says nothing about the bytes that the archive has of it.
func isSparse(header *tar.Header) bool {
	if header.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for key := range header.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// tailReader remembers whether the last block that was read has nothing but zeros, which is what a tar file ends with.
type tailReader struct {
	from io.Reader
	tail []byte
}

func (t *tailReader) Read(into []byte) (int, error) {
	n, err := t.from.Read(into)
	if n >= tarBlock {
		t.tail = append(t.tail[:0], into[n-tarBlock:n]...)
	} else {
		t.tail = append(t.tail, into[:n]...)
		t.tail = t.tail[max(0, len(t.tail)-tarBlock):]
	}
	return n, err
}

func (t *tailReader) ended() bool {
	return len(t.tail) == tarBlock && strings.Trim(string(t.tail), "\x00") == ""
}
