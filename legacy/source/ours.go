package source

import "fmt"

// What this program makes is no source: a data directory goes on with --data, a backup is restored. Read as old files
// they would be nothing but a few certificates, and look as if that were all.

const (
	// backupManifest is the member by which a backup is known (runtime/backup).
	backupManifest = "capf-backup.json"
	// ageMagic begins a file that age has encrypted, as backups can be (https://age-encryption.org/v1).
	ageMagic = "age-encryption.org/"
)

// storeMark is the application ID in the header of our store, and where that stands (sqlite.org/fileformat.html, 1.3).
const storeMark, storeMarkAt = "CAPF", 68

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

// isStore looks at the header of a database. What is too short for one is for the reader of databases to complain of.
func (f File) isStore() (bool, error) {
	const end = storeMarkAt + len(storeMark)
	start, err := startOf(f.tree, f.Path, int64(end))
	return len(start) == end && string(start[storeMarkAt:]) == storeMark, err
}
