package source

import (
	"archive/tar"
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"capf/legacy"
)

// limits are the bounds of what is unpacked, which a test sets lower.
type limits struct {
	members   int   // entries of an archive
	member    int64 // bytes of one file that is unpacked
	all       int64 // bytes of all of them
	ratioFrom int64 // bytes unpacked before the ratio counts
	directory int64 // bytes of the directory of a zip file, which is held in memory
}

// usualLimits: a copied disk of that age has some 50,000 files and a few gigabytes, of which CAPF's own are the least;
// CAPF.phone of 200,000 phones has 30 MB and shrinks to a tenth.
var usualLimits = limits{members: 300_000, member: 4 << 30, all: 8 << 30, ratioFrom: 64 << 20, directory: 32 << 20}

const (
	maxRatio = 200  // bytes unpacked for each byte of the archive
	maxPath  = 4096 // bytes of the name of a member
	maxPart  = 255  // bytes of a part of it, as of the name of a file
	maxNamed = 200  // members passed over that are named; the others are counted
)

// errByHand is what to do with an archive that is not read.
var errByHand = errors.New("unpack what is needed by hand, and give the folder")

// archive takes the members of an archive one by one: those that could be CAPF's by their names are read, the others are
// passed over with a finding.
type archive struct {
	limits
	name    string                                    // of its file
	size    int64                                     // of its file
	create  func(name string) (io.WriteCloser, error) // where a member is unpacked to; nil: it is only read through
	entries int
	files   map[string][sha256.Size]byte // that are read, by their paths
	folders map[string]bool              // that those lie in
	folded  map[string]string            // paths in lower case, and as they are
	read    int64                        // bytes of the files
	through int64                        // bytes that came out of the compression, read or not
	passed  map[legacy.Severity]int      // members passed over, by how much that matters
	turned  bool                         // a name had backslashes
	found   legacy.Findings
}

// entry is a member as the archive tells of it.
type entry struct {
	name string
	mode fs.FileMode
	odd  string // why it is no plain file, where its mode does not say so
	open func() (io.ReadCloser, error)
}

// tarBlock is the size of a header of a tar file, the longest beginning that is looked at.
const tarBlock = 512

// isTar tells a tar file by the checksum of its first header, which the oldest forms of tar have too. What belongs to a
// header may lie in the next block.
func isTar(start []byte) bool {
	_, err := tar.NewReader(bytes.NewReader(start)).Next()
	return len(start) == tarBlock && (err == nil || errors.Is(err, io.ErrUnexpectedEOF))
}

// openArchive reads a file as the archive that it is by its first bytes; nil: it is none. The base is the name that a
// folder of this content would have.
func openArchive(file *os.File, start []byte, bounds limits) (*place, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	a := &archive{limits: bounds, name: file.Name(), size: info.Size(), files: map[string][sha256.Size]byte{}, folders: map[string]bool{},
		folded: map[string]string{}, passed: map[legacy.Severity]int{}}
	var at *place
	kind := "tar"
	switch {
	case bytes.HasPrefix(start, []byte("PK\x03\x04")), bytes.HasPrefix(start, []byte("PK\x05\x06")):
		kind = "zip"
		at, err = a.openZip(file)
	case bytes.HasPrefix(start, []byte{0x1f, 0x8b}):
		kind = "tar.gz"
		at, err = a.openGzip(file)
	case isTar(start):
		at, err = a.openTar(file)
	default:
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s %w", kind, shownName(file.Name()), err)
	}
	if kind != "zip" {
		file.Close() // what is wanted of it is unpacked, and it was read to its end
	}
	at.info, at.base = info, stem(filepath.Base(a.name))
	top := a.top()
	for name := range a.files {
		at.members = append(at.members, strings.TrimPrefix(name, top+"/"))
	}
	slices.Sort(at.members)
	if at.findings = a.findings(); top != "." {
		at.base = path.Base(top)
		at.findings.Note(whole, fmt.Sprintf("all that is read of the archive lies in %s, which counts as the machine's folder", shownName(top)))
	}
	return at, nil
}

// top is the folder that counts as the machine's: where all lies in one that is none of those on an old disk, the archive
// was packed with its name.
func (a *archive) top() string {
	for top := "."; ; {
		first := ""
		for name := range a.files {
			folder, _, below := strings.Cut(strings.TrimPrefix(name, top+"/"), "/")
			if !below || first != "" && folder != first {
				return top
			}
			first = folder
		}
		if first == "" || slices.Contains([]string{"program files", "cisco", "capf", "certificates"}, strings.ToLower(first)) {
			return top
		}
		top = path.Join(top, first)
	}
}

// stem takes off the ending of a file that can be a source, so that a machine is named alike whether it is given as a
// folder or as an archive.
func stem(name string) string {
	lower := strings.ToLower(name)
	for _, ending := range []string{".tar.gz", ".tgz", ".tar", ".zip", ".csv", ".db", ".db3", ".sqlite", ".sqlite3"} {
		if strings.HasSuffix(lower, ending) && len(name) > len(ending) {
			return name[:len(name)-len(ending)]
		}
	}
	return name
}

// take deals with a member: it is read through, or passed over with a finding. It gives the path of one that is a file of
// the source. An error ends the reading of the archive.
func (a *archive) take(one entry) (name string, err error) {
	if a.entries++; a.entries > a.limits.members {
		return "", fmt.Errorf("has more than %d members: %w", a.limits.members, errByHand)
	}
	name, problem := a.place(one.name)
	one.odd = cmp.Or(one.odd, oddMode(one.mode))
	switch {
	case problem != "":
		a.pass(one.name, legacy.Warning, problem+": not read")
	case one.mode.IsDir() || name == ".":
	case name == backupManifest && one.odd == "":
		return "", errors.New("is a backup of capf, " + restoreIt)
	case one.odd != "":
		a.pass(name, legacy.Warning, one.odd+": not read")
	case kindOf(path.Base(name)) == "":
		a.pass(name, legacy.Note, notCAPF)
	case a.folders[name]:
		a.warn(name, "is a folder of the archive as well: not read")
	case a.liesInFile(name):
		a.warn(name, "lies in what is a file of the archive itself: not read")
	default:
		return a.add(name, one.open)
	}
	return "", nil
}

// oddMode says what is neither a file nor a folder.
func oddMode(mode fs.FileMode) string {
	switch {
	case mode.IsRegular(), mode.IsDir():
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

// place gives the path of a member, or why it has none.
func (a *archive) place(name string) (clean, problem string) {
	turned := strings.ReplaceAll(name, `\`, "/")
	parts := strings.Split(turned, "/")
	switch {
	case len(name) > maxPath:
		return "", fmt.Sprintf("has a name of more than %d bytes", maxPath)
	case slices.ContainsFunc(parts, func(part string) bool { return len(part) > maxPart }):
		return "", fmt.Sprintf("has a name with a part of more than %d bytes", maxPart)
	case strings.IndexByte(name, 0) >= 0:
		return "", "has a NUL in its name"
	case strings.HasPrefix(turned, "/"), len(turned) > 1 && turned[1] == ':':
		return "", "has an absolute name"
	case slices.Contains(parts, ".."):
		return "", "has a name that leads out of the archive (..)"
	}
	a.turned = a.turned || turned != name
	return path.Clean(turned), ""
}

func (a *archive) liesInFile(name string) bool {
	for name = path.Dir(name); name != "."; name = path.Dir(name) {
		if _, isFile := a.files[name]; isFile {
			return true
		}
	}
	return false
}

// add reads a member through, and unpacks it where that is wanted.
func (a *archive) add(name string, open func() (io.ReadCloser, error)) (string, error) {
	content, err := open()
	if err != nil {
		return "", a.broken(name, err)
	}
	defer content.Close()
	other, twice := a.files[name]
	digest, err := a.copy(name, content, a.create != nil && !twice)
	switch {
	case err != nil:
		return "", a.broken(name, err)
	case twice && other != digest:
		return "", fmt.Errorf("holds two different members %s: %w", shownName(name), errByHand)
	case twice:
		a.pass(name, legacy.Note, "is in the archive twice, with the same content: read once")
		return "", nil
	}
	lower := strings.ToLower(name)
	if other, ok := a.folded[lower]; ok {
		a.warn(name, "differs from "+shownName(other)+" in upper and lower case only: both are read")
	}
	a.files[name], a.folded[lower] = digest, name
	for folder := path.Dir(name); folder != "."; folder = path.Dir(folder) {
		a.folders[folder] = true
	}
	return name, nil
}

// copy reads a member within the bounds, into a file of its name where it is to be unpacked.
func (a *archive) copy(name string, content io.Reader, unpack bool) (digest [sha256.Size]byte, err error) {
	hash := sha256.New()
	into := io.Writer(hash)
	if unpack {
		file, err := a.create(name)
		if err != nil {
			return digest, err
		}
		defer func() {
			if failed := file.Close(); err == nil {
				err = failed
			}
		}()
		into = io.MultiWriter(hash, file)
	}
	size, err := io.Copy(into, io.LimitReader(content, min(a.member, a.all-a.read)+1))
	hash.Sum(digest[:0])
	switch a.read += size; {
	case size > a.member:
		return digest, refusal(fmt.Sprintf("has more than %d bytes", a.member))
	case a.read > a.all:
		return digest, refusal(fmt.Sprintf("brings what is unpacked over %d bytes", a.all))
	}
	return digest, err
}

func (a *archive) broken(name string, err error) error {
	var refused refusal
	switch {
	case errors.As(err, &refused):
		return fmt.Errorf("member %s %w: %w", shownName(name), refused, errByHand)
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("member %s cannot be unpacked: %w: set TMPDIR to a folder with more room", shownName(name), err)
	}
	return fmt.Errorf("is damaged or torn at member %s: %w: copy it again, or unpack by hand what can be read and give the folder", shownName(name), err)
}

// refusal says why a member is not read though it is whole: a bound that it goes beyond, an encryption.
type refusal string

func (r refusal) Error() string { return string(r) }

// measured refuses what grows as no file of CAPF does, in all that comes out of the compression: of a tar.gz, members that
// are passed over must be unpacked too.
type measured struct {
	io.ReadCloser
	archive *archive
}

func (m measured) Read(into []byte) (int, error) {
	n, err := m.ReadCloser.Read(into)
	m.archive.through += int64(n)
	if all := m.archive.through; all > m.archive.ratioFrom && all/maxRatio > m.archive.size {
		err = refusal(fmt.Sprintf("brings what is unpacked to more than %d times the size of the archive", maxRatio))
	}
	return n, err
}

func (a *archive) warn(name, reason string) { a.found.Warn(legacy.Position{File: name}, reason) }

// pass notes a member that is passed over; from some number on they are counted only, those that matter by themselves:
// on a whole disk thousands of others come before them.
func (a *archive) pass(name string, severity legacy.Severity, reason string) {
	if a.passed[severity]++; a.passed[severity] <= maxNamed {
		a.found = append(a.found, legacy.Finding{Position: legacy.Position{File: name[:min(len(name), maxPath)]}, Severity: severity, Reason: reason})
	}
}

// whole is the place of what is said of an archive as a whole.
var whole = legacy.Position{File: "."}

// findings tells of the archive as a whole, too.
func (a *archive) findings() legacy.Findings {
	if count := a.passed[legacy.Note]; count > maxNamed {
		a.found.Note(whole, fmt.Sprintf("of the archive %d members are not read, the first %d are named", count, maxNamed))
	}
	if count := a.passed[legacy.Warning]; count > maxNamed {
		a.found.Warn(whole, fmt.Sprintf("of the archive %d links, devices and members of unfit names are not read, the first %d are named", count, maxNamed))
	}
	if a.turned {
		a.found.Note(whole, "names of the archive have backslashes: taken for folders")
	}
	return a.found
}

func shownName(name string) string { return legacy.Position{File: name}.String() }
