package source

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
)

// checkedFile hashes what is read and compares it at the end with the digest taken when the source was opened, so that
// the digests by which a run is known are those of the records it made.
type checkedFile struct {
	file   File
	opened io.ReadCloser
	hash   hash.Hash
}

func (c *checkedFile) Read(into []byte) (int, error) {
	n, err := c.opened.Read(into)
	c.hash.Write(into[:n])
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	if [sha256.Size]byte(c.hash.Sum(nil)) != c.file.SHA256 {
		return n, fmt.Errorf("%s has changed since it was first read: run again when nobody writes there", c.file.Path)
	}
	return n, io.EOF
}

func (c *checkedFile) Close() error { return c.opened.Close() }
