package source

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/text/encoding/charmap"
)

func (a *archive) openGzip(file io.Reader) (*place, error) {
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		return nil, fmt.Errorf("cannot be unpacked: %w: copy it again", err)
	}
	return a.openTar(measured{unpacked, a})
}

// openTar unpacks the members of a tar file that are read into a temporary folder.
func (a *archive) openTar(from io.Reader) (_ *place, err error) {
	root, remove, err := newTemporary()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, remove())
		}
	}()
	a.create = func(name string) (io.WriteCloser, error) {
		if err := root.MkdirAll(path.Dir(name), 0o700); err != nil {
			return nil, err
		}
		return root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	}
	if err := a.readTar(from); err != nil {
		return nil, err
	}
	top, err := root.OpenRoot(a.top())
	return &place{tree: folder{top}, close: func() error { return errors.Join(top.Close(), remove()) }}, err
}

// readTar takes the members of a tar file in their order.
func (a *archive) readTar(from io.Reader) error {
	var end tail
	read, last := tar.NewReader(io.TeeReader(from, &end)), "the first"
	for {
		header, err := read.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		var refused refusal
		if errors.As(err, &refused) {
			return fmt.Errorf("%w: %w", refused, errByHand)
		}
		if err != nil {
			return fmt.Errorf("is damaged or torn after member %s: %w: copy it again, or unpack by hand what can be read and give the folder", last, err)
		}
		last = shownName(header.Name)
		if _, err := a.take(tarEntry(header, read)); err != nil {
			return err
		}
	}
	if a.entries == 0 && !end.isEnd() {
		return errors.New("is not a tar file after all")
	}
	if !end.isEnd() {
		a.found.Warn(whole, "the archive has no end mark: it may be torn behind its last member, "+last)
	}
	return nil
}

func tarEntry(header *tar.Header, content io.Reader) entry {
	out := entry{name: utf8Name(header.Name, charmap.Windows1252), mode: header.FileInfo().Mode()}
	out.open = func() (io.ReadCloser, error) { return io.NopCloser(content), nil }
	switch header.Typeflag {
	case tar.TypeReg, tar.TypeDir, tar.TypeSymlink, tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
	case tar.TypeLink:
		out.mode |= fs.ModeSymlink
	case tar.TypeXGlobalHeader:
		out.mode |= fs.ModeDir // it is none of the members
	default:
		out.mode |= fs.ModeIrregular
	}
	if isSparse(header) {
		out.odd = "has holes (a sparse file)"
	}
	return out
}

// isSparse tells a member whose size says nothing about the bytes that the archive has of it.
func isSparse(header *tar.Header) bool {
	return header.Typeflag == tar.TypeGNUSparse ||
		slices.ContainsFunc(slices.Collect(maps.Keys(header.PAXRecords)), func(key string) bool { return strings.HasPrefix(key, "GNU.sparse.") })
}

// tail remembers the last block of what is written to it; a tar file ends with nothing but zeros.
type tail []byte

func (t *tail) Write(content []byte) (int, error) {
	all := slices.Concat(*t, content)
	*t = all[max(0, len(all)-tarBlock):]
	return len(content), nil
}

func (t tail) isEnd() bool { return len(t) == tarBlock && strings.Trim(string(t), "\x00") == "" }
