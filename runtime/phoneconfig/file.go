package phoneconfig

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"github.com/google/renameio/v2"

	"capf/internal/durable"
	"capf/runtime/capf"
)

// Outcome is what became of a file, or would.
type Outcome string

// The outcomes.
const (
	New         Outcome = "new"       // there was none
	Changed     Outcome = "changed"   // the one before is kept as FILE.old
	Unchanged   Outcome = "unchanged" // it had the settings already, and was not touched
	WouldBeNew  Outcome = "would be new"
	WouldChange Outcome = "would change"
)

const (
	configSuffix = ".cnf.xml"
	oldSuffix    = ".old"
)

// Update merges the settings into the file of a device, or makes one that has nothing else. Written beside, flushed and
// renamed, it is whole or as it was; the one before stays as FILE.old, and mode and owner stay. It names the elements that
// were changed. A dry run writes nothing. Links are followed and stay; the file of another device is refused by its name.
func Update(path, device string, settings Settings, dryRun bool) (Outcome, []string, error) {
	if err := checkName(path, device); err != nil {
		return "", nil, err
	}
	if real, err := filepath.EvalSymlinks(path); err == nil && real != path {
		if path = real; checkName(path, device) != nil {
			return "", nil, fmt.Errorf("it leads to %s: %w", path, checkName(path, device))
		}
	}
	before, info, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeFile(path, settings, dryRun)
	}
	if err != nil {
		return "", nil, err
	}
	merged, changed, err := Merge(before, settings)
	switch {
	case err != nil:
		return "", nil, err
	case len(changed) == 0:
		return Unchanged, nil, nil
	case dryRun:
		return WouldChange, changed, nil
	}
	if err := replace(path+oldSuffix, before, info); err != nil {
		return "", nil, fmt.Errorf("keep the one before: %w", err)
	}
	if err := replace(path, merged, info); err != nil {
		return "", nil, err
	}
	return Changed, changed, nil
}

func makeFile(path string, settings Settings, dryRun bool) (Outcome, []string, error) {
	document, err := Minimal(settings)
	if err != nil {
		return "", nil, err
	}
	changed := []string{securityElement, authElement, listElement}
	if dryRun {
		return WouldBeNew, changed, nil
	}
	if err := replace(path, document, nil); err != nil {
		return "", nil, err
	}
	return New, changed, nil
}

// named finds in a file's name whose it is.
var named = regexp.MustCompile(`^(?i:SEP[0-9A-F]{12})`)

// checkName refuses the file of another device, and one that is signed or encrypted.
func checkName(path, device string) error {
	base := filepath.Base(path)
	switch strings.ToLower(filepath.Ext(base)) {
	case ".sgn", ".enc":
		return fmt.Errorf("by its name it is %w", ErrSigned)
	}
	owner := named.FindString(base)
	if stem := len(base) - len(configSuffix); stem >= 0 && strings.EqualFold(base[stem:], configSuffix) {
		owner = base[:stem]
	}
	if owner == "" {
		return nil
	}
	if other, err := capf.ParseDevice(owner); err != nil || other != device {
		return fmt.Errorf("by its name it is the file of %q, not of %s", owner, device)
	}
	return nil
}

// readFile reads a regular file, and at most one byte more than is edited.
func readFile(path string) ([]byte, fs.FileInfo, error) {
	// Looked at before it is opened: opening a named pipe would wait.
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, errors.New("it is no regular file")
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	document, err := io.ReadAll(io.LimitReader(file, MaxFile+1))
	return document, info, cmp.Or(err, file.Close())
}

// replace writes a file that is whole or not there, with the mode and the owner of another one; without one, readable
// for everyone: TFTP servers run as someone else.
func replace(path string, content []byte, like fs.FileInfo) error {
	mode := fs.FileMode(0o644)
	if like != nil {
		mode = like.Mode().Perm()
	}
	folder := filepath.Dir(path)
	file, err := renameio.NewPendingFile(path, renameio.WithTempDir(folder), renameio.WithStaticPermissions(mode))
	if err != nil {
		return err
	}
	defer file.Cleanup()
	if err := keepOwner(file, like); err != nil {
		return err
	}
	if _, err := file.Write(content); err != nil {
		return err
	}
	return cmp.Or(file.CloseAtomicallyReplace(), durable.SyncFolder(folder))
}

// keepOwner gives the file to the owner of the one before, so that a TFTP server that could read that reads this.
func keepOwner(file *renameio.PendingFile, like fs.FileInfo) error {
	if like == nil {
		return nil
	}
	system, ok := like.Sys().(*syscall.Stat_t)
	if !ok || int(system.Uid) == os.Geteuid() && int(system.Gid) == os.Getegid() {
		return nil
	}
	if err := file.Chown(int(system.Uid), int(system.Gid)); err != nil {
		return fmt.Errorf("keep its owner: %w; run as its owner, or as root", err)
	}
	return nil
}
