// Package durable makes names of files last.
package durable

import (
	"cmp"
	"errors"
	"os"
	"syscall"
)

// SyncFolder brings the names in a folder to disk. Some shares cannot do that for folders, and say so: there it is no error.
func SyncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	err = folder.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		err = nil
	}
	return cmp.Or(err, folder.Close())
}
