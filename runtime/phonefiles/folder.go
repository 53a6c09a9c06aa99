package phonefiles

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"capf/runtime/capf"
)

// maxFile is the longest file that is given, in bytes: a phone's configuration has some ten thousand, and no list of
// a cluster reaches this either.
const maxFile = 4 << 20

// plainFile is an open regular file as it was when it was opened.
type plainFile struct {
	*os.File
	size    int64 // bytes
	changed time.Time
	inode   uint64
}

// unfitError is a file that is there and is never given.
type unfitError struct{ why string }

func (e *unfitError) Error() string { return e.why }

// openPlain opens a file of a folder. The folder is looked up anew for each, so that it may be replaced or mounted
// while the service runs. Links are followed below the folder and not out of it.
func openPlain(folder, name string) (*plainFile, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		// Not fs.ErrNotExist: that the folder is gone must not be taken for a phone without a file.
		return nil, fmt.Errorf("folder of phone files: %v; put it back, or change files.folder", err)
	}
	defer root.Close()
	// Looked at before it is opened: opening a device can do something.
	info, err := root.Stat(name)
	if err != nil {
		return nil, outside(err)
	}
	if err := checkPlain(info); err != nil {
		return nil, err
	}
	// What it has become meanwhile must not keep us waiting, as a named pipe would.
	file, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, outside(err)
	}
	if info, err = file.Stat(); err == nil {
		err = checkPlain(info)
	}
	if err != nil {
		return nil, cmp.Or(err, file.Close())
	}
	return newPlainFile(file, info), nil
}

// outside tells a link that leads out of the folder, for which os.Root has an error without a number, from a file that
// the system does not give.
func outside(err error) error {
	var number syscall.Errno
	if !errors.As(err, &number) || number == syscall.ELOOP {
		return &unfitError{fmt.Sprintf("it is a link out of the folder, or in a circle: %v", err)}
	}
	return err
}

func checkPlain(info fs.FileInfo) error {
	switch {
	case !info.Mode().IsRegular():
		return &unfitError{fmt.Sprintf("it is no regular file (%s)", info.Mode())}
	case info.Size() > maxFile:
		return &unfitError{fmt.Sprintf("it has %d bytes; at most %d are given", info.Size(), maxFile)}
	}
	return nil
}

// newPlainFile takes as the time of the change the later one of the content's and the name's: an older file that was
// put back is new to phones.
func newPlainFile(file *os.File, info fs.FileInfo) *plainFile {
	plain := &plainFile{File: file, size: info.Size(), changed: info.ModTime()}
	if system, ok := info.Sys().(*syscall.Stat_t); ok {
		plain.inode = system.Ino
		if named := time.Unix(system.Ctim.Unix()); named.After(plain.changed) {
			plain.changed = named
		}
	}
	return plain
}

// tag is another one for another content. Weak, since nobody has read the content for it.
func (f *plainFile) tag() string {
	return fmt.Sprintf(`W/"%x-%x-%x"`, f.inode, f.size, f.changed.UnixNano())
}

func isAbsent(err error) bool { return errors.Is(err, fs.ErrNotExist) }

func isUnfit(err error) bool {
	var unfit *unfitError
	return errors.As(err, &unfit)
}

// CheckFolder says what is wrong with a folder before the service starts: an error where it cannot be opened; and
// whether other users of this machine can put files into it, which phones would take for their administrator's.
func CheckFolder(folder string) (othersWrite bool, err error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return false, err
	}
	defer root.Close()
	info, err := root.Stat(".")
	if err != nil {
		return false, err
	}
	return info.Mode().Perm()&0o002 != 0, nil
}

// Kind is what a name asks for.
type Kind string

// The kinds.
const (
	KindCTL    Kind = "ctl"    // certificate trust list
	KindITL    Kind = "itl"    // initial trust list, of newer phones
	KindConfig Kind = "config" // configuration file
	KindOther  Kind = "other"  // nothing that is given
)

// Kinds are all of them.
var Kinds = []Kind{KindCTL, KindITL, KindConfig, KindOther}

const (
	listSuffix   = ".tlv"
	everyPhone   = "File" // in the place of a device: the list that every phone may ask for
	maxName      = 100    // bytes; a device has 64 at the most
	typeBinary   = "application/octet-stream"
	typeXML      = "application/xml"
	configSuffix = ".cnf.xml"
)

var listPrefixes = map[string]Kind{"CTL": KindCTL, "ITL": KindITL}

// configSuffixes are those of configuration files: plain, signed, and encrypted and signed by a CallManager.
var configSuffixes = []string{configSuffix, configSuffix + ".sgn", configSuffix + ".enc.sgn"}

// parseName reads what stands in the request line and gives the file that is meant. Nothing is decoded and no case is
// changed: a name has one spelling, and everything else is KindOther, whose name is empty.
func parseName(requested string) (name string, kind Kind) {
	name, rooted := strings.CutPrefix(requested, "/")
	if !rooted || len(name) > maxName || strings.Contains(name, "..") {
		return "", KindOther
	}
	if stem, is := strings.CutSuffix(name, listSuffix); is && len(stem) > 3 {
		kind, of := listPrefixes[stem[:3]], stem[3:]
		if kind != "" && (of == everyPhone || isDevice(of)) {
			return name, kind
		}
	}
	for _, suffix := range configSuffixes {
		if stem, is := strings.CutSuffix(name, suffix); is && isDevice(stem) {
			return name, KindConfig
		}
	}
	return "", KindOther
}

// isDevice takes the name of a device (cli.md, "Values"), or XMLDefault, as it may stand in a file name: letters and
// digits, `.`, `_` and `-`, the first a letter or digit, `..` nowhere.
func isDevice(name string) bool {
	device, err := capf.ParseDevice(name)
	return err == nil && (device == name || strings.EqualFold(device, name)) // not a MAC with separators
}

func contentType(name string) string {
	if strings.HasSuffix(name, configSuffix) {
		return typeXML
	}
	return typeBinary
}
