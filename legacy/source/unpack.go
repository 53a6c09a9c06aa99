package source

import (
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"capf/legacy"
)

// Bounds of what is unpacked. A copied disk of that age has some 50,000 files and a few gigabytes, of which CAPF's own
// are the least; CAPF.phone of 200,000 phones has 30 MB and shrinks to a tenth.
const (
	maxMembers   = 300_000  // entries of an archive
	maxMember    = 4 << 30  // bytes of one file that is unpacked
	maxUnpacked  = 8 << 30  // bytes of all of them
	maxRatio     = 200      // bytes unpacked for each byte of the archive
	ratioFrom    = 64 << 20 // bytes unpacked before the ratio counts
	maxDirectory = 32 << 20 // bytes of the directory of a zip file
	maxPath      = 4096     // bytes of the name of a member
	maxNamed     = 200      // members passed over that are named; the others are counted
)

// limits are the bounds that a test sets lower.
type limits struct {
	members                              int
	member, all, ratioFrom, zipDirectory int64
}

var usualLimits = limits{members: maxMembers, member: maxMember, all: maxUnpacked, ratioFrom: ratioFrom, zipDirectory: maxDirectory}

// unpacker takes the members of an archive one by one and unpacks those that could be CAPF's by their names.
type unpacker struct {
	limits
	name    string // of the archive
	size    int64  // of the archive
	spool   *spool
	entries int
	files   map[string]*member
	folded  map[string]string       // names in lower case, and as they are
	through int64                   // bytes that came out of the compression, unpacked or not
	passed  map[legacy.Severity]int // members passed over, by how much that matters
	turned  bool                    // a name had backslashes
	found   []legacy.Finding
}

// errByHand is what to do with an archive that is not read.
var errByHand = errors.New("unpack what is needed by hand, and give the folder")

// entry is a member as the archive tells of it.
type entry struct {
	name   string
	folder bool
	// odd says why it is no plain file; empty for one that is.
	odd string
	// locked says why it cannot be unpacked though it is one; empty where it can.
	locked string
	open   func() (io.ReadCloser, error)
}

// take deals with a member: it is unpacked, or passed over with a finding. An error ends the reading of the archive.
func (u *unpacker) take(one entry) error {
	if u.entries++; u.entries > u.members {
		return fmt.Errorf("has more than %d members: %w", u.members, errByHand)
	}
	name, problem := u.place(one.name)
	switch {
	case problem != "":
		u.pass(one.name, legacy.Warning, problem+": not read")
	case one.folder || name == ".":
	case name == backupManifest && one.odd == "":
		return errors.New("is a backup of capf, " + restoreIt)
	case one.odd != "":
		u.pass(name, legacy.Warning, one.odd+": not read")
	case kindOf(path.Base(name)) == "":
		u.pass(name, legacy.Note, notCAPF)
	case one.locked != "":
		return fmt.Errorf("member %s %s: %w", shownName(name), one.locked, errByHand)
	default:
		return u.unpack(name, one.open)
	}
	return nil
}

// place gives the path of a member, or why it has none.
func (u *unpacker) place(name string) (clean, problem string) {
	switch {
	case len(name) > maxPath:
		return "", fmt.Sprintf("has a name of more than %d bytes", maxPath)
	case strings.IndexByte(name, 0) >= 0:
		return "", "has a NUL in its name"
	}
	turned := strings.ReplaceAll(name, `\`, "/")
	switch {
	case strings.HasPrefix(turned, "/"), len(turned) > 1 && turned[1] == ':':
		return "", "has an absolute name"
	case slices.Contains(strings.Split(turned, "/"), ".."):
		return "", "has a name that leads out of the archive (..)"
	}
	u.turned = u.turned || turned != name
	return path.Clean(turned), ""
}

func (u *unpacker) unpack(name string, open func() (io.ReadCloser, error)) error {
	content, err := open()
	if err != nil {
		return u.broken(name, err)
	}
	defer content.Close()
	made := &member{path: name}
	made.offset, made.size, made.sha256, err = u.spool.add(&capped{from: content, unpacker: u, left: u.member})
	if err != nil {
		return u.broken(name, err)
	}
	if other := u.files[name]; other != nil {
		if other.sha256 != made.sha256 {
			return fmt.Errorf("holds two different members %s: %w", shownName(name), errByHand)
		}
		u.pass(name, legacy.Note, "is in the archive twice, with the same content: read once")
		return nil
	}
	lower := strings.ToLower(name)
	if other, ok := u.folded[lower]; ok {
		u.warn(name, "differs from "+shownName(other)+" in upper and lower case only: both are read")
	}
	u.files[name], u.folded[lower] = made, name
	return nil
}

func (u *unpacker) broken(name string, err error) error {
	var bound *boundError
	if errors.As(err, &bound) {
		return fmt.Errorf("member %s %w: %w", shownName(name), bound, errByHand)
	}
	return fmt.Errorf("is damaged or torn at member %s: %w: copy it again, or unpack by hand what can be read and give the folder", shownName(name), err)
}

// boundError is a bound that an archive goes beyond.
type boundError struct{ what string }

func (b *boundError) Error() string { return b.what }

// capped ends the reading of a member at the bounds.
type capped struct {
	from     io.Reader
	unpacker *unpacker
	left     int64
	read     int64
}

func (c *capped) Read(into []byte) (int, error) {
	n, err := c.from.Read(into)
	c.read += int64(n)
	switch {
	case c.read > c.left:
		return n, &boundError{fmt.Sprintf("has more than %d bytes", c.left)}
	case c.unpacker.spool.size+c.read > c.unpacker.all:
		return n, &boundError{fmt.Sprintf("brings what is unpacked over %d bytes", c.unpacker.all)}
	}
	if failed := c.unpacker.checkRatio(c.unpacker.spool.size + c.read); failed != nil {
		return n, failed
	}
	return n, err
}

// checkRatio refuses what grows as no file of CAPF does.
func (u *unpacker) checkRatio(bytes int64) error {
	if bytes > u.ratioFrom && bytes/maxRatio > u.size {
		return &boundError{fmt.Sprintf("brings what is unpacked to more than %d times the size of the archive", maxRatio)}
	}
	return nil
}

func (u *unpacker) warn(name, reason string) {
	u.found = append(u.found, legacy.Finding{Position: legacy.Position{File: name}, Severity: legacy.Warning, Reason: reason})
}

// pass notes a member that is passed over; from some number on they are counted only, those that matter by themselves:
// on a whole disk thousands of others come before them.
func (u *unpacker) pass(name string, severity legacy.Severity, reason string) {
	if len(name) > maxPath {
		name = name[:maxPath]
	}
	if u.passed == nil {
		u.passed = map[legacy.Severity]int{}
	}
	if u.passed[severity]++; u.passed[severity] <= maxNamed {
		u.found = append(u.found, legacy.Finding{Position: legacy.Position{File: name}, Severity: severity, Reason: reason})
	}
}

// findings tells of the archive as a whole, too.
func (u *unpacker) findings() []legacy.Finding {
	find := func(severity legacy.Severity, reason string) {
		u.found = append(u.found, legacy.Finding{Position: legacy.Position{File: "."}, Severity: severity, Reason: reason})
	}
	if count := u.passed[legacy.Note]; count > maxNamed {
		find(legacy.Note, fmt.Sprintf("of the archive %d members are not read, the first %d are named", count, maxNamed))
	}
	if count := u.passed[legacy.Warning]; count > maxNamed {
		find(legacy.Warning, fmt.Sprintf("of the archive %d links, devices and members of unfit names are not read, the first %d are named", count, maxNamed))
	}
	if u.turned {
		find(legacy.Note, "names of the archive have backslashes: taken for folders")
	}
	return u.found
}

func shownName(name string) string { return legacy.Position{File: name}.String() }
