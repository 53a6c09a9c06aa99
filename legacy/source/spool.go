package source

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
)

// spool is the one temporary file that members of an archive are unpacked into, one behind the other. Private keys may
// be among them, so it is readable by nobody else and has no name: it is removed as soon as it is open, and its content
// is gone with the process, however that ends.
type spool struct {
	file *os.File
	left string // its name, where it could not be removed at once
	size int64
}

func newSpool() (*spool, error) {
	file, err := os.CreateTemp("", "capf-source-*") // mode 0600
	if err != nil {
		return nil, fmt.Errorf("temporary file for what is unpacked: %w: set TMPDIR to a folder that can be written", err)
	}
	out := &spool{file: file}
	if err := os.Remove(file.Name()); err != nil {
		out.left = file.Name()
	}
	return out, nil
}

// add takes a file in and gives where it lies.
func (s *spool) add(content io.Reader) (offset, size int64, digest [sha256.Size]byte, err error) {
	offset = s.size
	hash := sha256.New()
	size, err = io.Copy(io.MultiWriter(s.file, hash), content)
	s.size += size
	hash.Sum(digest[:0])
	return offset, size, digest, err
}

func (s *spool) close() error {
	err := s.file.Close()
	if s.left != "" {
		if failed := os.Remove(s.left); err == nil {
			err = failed
		}
	}
	return err
}
