package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// What this program makes is no source: a data directory goes on with --data, a backup is restored. Read as old files
// they would be nothing but a few certificates, and look as if that were all.

const (
	// backupManifest is the member by which a backup is known (runtime/backup).
	backupManifest = "capf-backup.json"
	// ageMagic begins a file that age has encrypted, as backups can be (https://age-encryption.org/v1).
	ageMagic = "age-encryption.org/"
)

// storeMark is the application ID in the header of our store, and where that stands (sqlite.org/fileformat.html, 1.3).
var storeMark, storeMarkAt = []byte("CAPF"), 68

const (
	restoreIt = "which is no source: make a data directory of it with `capf --data NEW restore FILE`"
	goOnWith  = "which is no source: go on with it by --data (`capf init` brings an older one up to date), or give the files that it was made from"
)

// checkOurs refuses a data directory of ours, as a folder, as an archive or by its store. Old files may lie beside one:
// then they are what is read.
func (s *Source) checkOurs() error {
	if len(s.Of(PhoneRecords)) > 0 || len(s.Of(Configuration)) > 0 {
		return nil
	}
	for _, file := range s.Of(PhoneDatabase) {
		ours, err := file.isStore()
		if err != nil {
			return fmt.Errorf("%s: %w", file.Path, err)
		}
		if ours {
			return fmt.Errorf("%s is the store of a data directory of capf, %s", file.Path, goOnWith)
		}
	}
	return nil
}

// isStore looks at the header of a database.
func (f File) isStore() (bool, error) {
	opened, err := f.tree.Open(f.Path)
	if err != nil {
		return false, err
	}
	defer opened.Close()
	start := make([]byte, storeMarkAt+len(storeMark))
	// What is too short for a header is for the reader of databases to complain of.
	_, err = io.ReadFull(opened, start)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	return bytes.Equal(start[storeMarkAt:], storeMark), nil
}
